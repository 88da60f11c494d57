"""Whatever a sentence quotes, it can be shown, logged and stored."""

import pytest

from llama.errors import LlamaError, printable, sentence
from llama.files import dump_json, read_json, write_json

HOSTILE = [
    "\ud800",
    "\x1b[2J\x1b[31m",
    "a\u202eb",
    "x\r\ny",
    "\x00",
    "\u2028",
    "\x9b1m",
    "x" * 10**5,
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:12])
def test_names_from_outside_are_escaped_and_cut(name):
    shown = printable(name, 40)
    assert shown.isprintable()
    assert len(shown) <= 40
    assert shown.encode()
    error = LlamaError(f"{name} is not a name; correct it")
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert len(str(error)) < 5000
    assert sentence(error).isprintable()
    assert sentence(ValueError(name)).startswith("a defect of LLAMA: ValueError('")
    assert len(sentence(ValueError(name))) <= 500


def test_what_is_harmless_stays():
    assert printable("Grünwald, 3 °, α \\x") == "Grünwald, 3 °, α \\x"
    assert str(LlamaError("first:\n  - second\n")) == "first:\n  - second\n"
    assert sentence(OSError(28, "No space left on device")) == "[Errno 28] No space left on device"


@pytest.mark.parametrize("name", [*HOSTILE[:1], "a\\ud800b", "\ud800\\"])
def test_half_a_surrogate_pair_is_stored_as_json_has_it(tmp_path, name):
    write_json(tmp_path / "x.json", {name: name})
    assert read_json(tmp_path / "x.json") == {name: name}
    assert dump_json(name).encode()
