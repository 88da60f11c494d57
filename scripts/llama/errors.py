"""The one error class that is meant for the user's eyes, and what may stand in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

_SENTENCE = 4000


def printable(text: object, limit: int = 80) -> str:
    """Return a name from outside as it may be quoted: on one line, at most about `limit` long.

    Control characters, line breaks, text directions and half surrogate pairs are escaped, so that
    the result can be encoded and moves nothing on a terminal.
    """
    shown = str(text)
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown[: limit + 1]
    )
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


class LlamaError(Exception):
    """One sentence that says what is wrong and what to do about it, printable whatever it quotes.

    Commands and rule scripts print the sentence and exit with code 1; the traceback goes
    to the log only. Everything else that is raised is a defect of LLAMA.
    """

    def __init__(self, sentence: object = "") -> None:
        lines = str(sentence).split("\n")  # the list of what is wrong with the settings has several
        super().__init__("\n".join(printable(line, _SENTENCE) for line in lines))


@contextmanager
def system_errors(what: str, remedy: str) -> Iterator[None]:
    """Raise what the system refuses, such as a full disk, as a `LlamaError`: what (why); remedy."""
    try:
        yield
    except OSError as error:
        raise LlamaError(f"{what} ({error.strerror or error}); {remedy}") from error


@contextmanager
def for_users(remedy: str) -> Iterator[None]:
    """Raise what the statistic refuses with a ValueError as a `LlamaError` that tells the remedy.

    For a block of code, or as the decorator of a function.
    """
    try:
        yield
    except ValueError as error:
        raise LlamaError(f"{error}; {remedy}") from error


def sentence(error: BaseException) -> str:
    """Return what an exception says, on one line; what is no `LlamaError` is named as a defect."""
    if isinstance(error, LlamaError) or (isinstance(error, OSError) and error.strerror):
        return printable(error, _SENTENCE)
    return printable(f"a defect of LLAMA: {error!r}", 500)
