"""JSON as typed forms: whatever a file holds, one sentence."""

import json
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct, ValidationError

from llama.errors import LlamaError
from llama.files import read_json
from llama.typed import convert, typed

HALF = "\ud800"  # of a surrogate pair


class Form(Struct):
    """Each kind of value that files of events have."""

    number: Annotated[float, Meta(gt=0, description="a positive number")] = 1.0
    word: Literal["new", "update"] = "new"
    text: str | None = None
    rows: list[dict[str, float]] = []


def deep(levels: int) -> object:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("key", ["number", "word", "rows"])
@pytest.mark.parametrize("value", [HALF, {HALF: HALF}, [HALF], [{HALF: HALF}], deep(50_000)])
def test_what_cannot_be_read_is_a_sentence_that_names_the_key(key, value):
    with pytest.raises(LlamaError, match=rf"^f\.json has {key} = .*; mend it$"):
        typed({key: value}, Form, "f.json", "mend it")


def test_half_a_surrogate_pair_spoils_no_value_beside_it():
    form = typed({"text": HALF, HALF: 1, "rows": [{HALF: 2.0}]}, Form, "f.json", "mend it")
    assert form.rows in ([{HALF: 2.0}], [{"\\ud800": 2.0}])


def test_a_value_by_itself():
    assert convert(2, Form | int) == 2
    for value in (HALF, {"number": HALF}):
        with pytest.raises(ValidationError):
            convert(value, Form | int)


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "1" + "0" * 400, "[1.0, 2e400]", '{"a": -1E+999}']
)
def test_a_number_that_is_too_large_is_no_json(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(LlamaError, match=r"is not valid JSON .*; replace the file"):
        read_json(path)


def test_numbers_are_read_as_they_are(tmp_path):
    path = tmp_path / "f.json"
    path.write_text(text := "[0.1, -0.0, 1e308, 5e-324, 123456789.123456789]")
    assert repr(read_json(path)) == repr(json.loads(text))
