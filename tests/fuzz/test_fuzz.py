"""Whatever bytes come, a parser gives a result or one sentence; `make fuzz` looks for longer."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import TARGETS, corpus, samples

from llama.errors import LlamaError

# What tends to break parsers of numbers, dates, names and sizes.
_PIECES = (
    b"",
    b"\0",
    b"nan",
    b"-1e999",
    b"99999999999999999999",
    b"..",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"{",
    b"]",
    b'"',
    b"&lt;",
    b"\n",
    b"null",
    b"2^31",
    b"'%s'",
)


def _outcome(name: str, content: bytes) -> None:
    try:
        TARGETS[name](content)
    except LlamaError as error:
        assert str(error)  # noqa: PT017  a sentence is one of the two good ends


@pytest.mark.parametrize("name", TARGETS)
def test_samples_and_what_once_broke(name: str) -> None:
    for content in [*samples(name), *corpus(name), b""]:
        _outcome(name, content)


@pytest.mark.needs("scontrol")
def test_scontrol_reads_the_lists_that_it_is_given() -> None:
    # other samples are refused: it says so in a sentence
    TARGETS["host_list"](samples("host_list")[0])


@st.composite
def _changed(draw: Any, name: str) -> bytes:
    content = draw(st.sampled_from(samples(name)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, min(40, len(content) - start)))
        piece = draw(st.sampled_from(_PIECES) | st.binary(max_size=8))
        content = content[:start] + piece + content[start + length :]
    return content


@pytest.mark.parametrize("name", TARGETS)
def test_changed_samples(name: str) -> None:
    @settings(max_examples=50)
    @given(_changed(name))
    def examples(content: bytes) -> None:
        _outcome(name, content)

    examples()
