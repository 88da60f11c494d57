"""Headers of FITS files, read within bounds."""

import math
import re
from typing import NamedTuple

from llama.errors import LlamaError
from llama.sky.unpack import AGAIN, SMALLER, Unpacked

MAX_CARDS = 10_000  # of all HDUs; published maps have below 200
UNIT = 2880

_MAX_CONTINUED = 100  # cards of one long text
_MAX_FIELDS = 999  # FITS has no more
_BYTES = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16}
_BYTES |= {"P": 8, "Q": 16}
_CONTENT = re.compile(r"\s*(?:'((?:[^']|'')*)'?[^/]*|([^/]*))(?:/(.*))?")  # text or value / comment
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?", re.IGNORECASE)

Value = str | int | float | bool


class Column(NamedTuple):
    """A column of a table, with the place of its numbers in a row, and what they stand for."""

    name: str
    form: str  # letter of TFORM
    repeat: int
    offset: int  # bytes from the beginning of a row
    unit: str
    scale: int | float
    zero: int | float
    null: int | None  # stands for no value


class Header:
    """A header: values by key in capitals, comments, and how many cards it has had."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, Value] = {}
        self.comments: dict[str, str] = {}
        self.cards = 0
        self._last, self._continued = "", 0

    def add(self, card: str) -> None:
        """Add a card of 80 characters; the first of several with one key counts."""
        self.cards += 1
        key, equals, content = card.partition("=")
        if continued := card.startswith("CONTINUE"):
            key, content = self._last, card[8:]
            self._continued += 1
            if self._continued > _MAX_CONTINUED:
                raise LlamaError(
                    f"{self.name} has a text of more than {_MAX_CONTINUED} lines; {SMALLER}"
                )
        elif card.startswith("HIERARCH "):
            key = key[9:]
        elif not equals or len(key) > 8:
            return
        key = key.strip().upper()
        value, comment = _parsed(content)
        if continued:
            begun = self.values.get(key)
            if isinstance(begun, str) and begun.endswith("&") and isinstance(value, str):
                self.values[key] = begun[:-1] + value
            return
        value = value.strip() if isinstance(value, str) else value
        self._last, self._continued = "" if key in self.values else key, 0
        if value != "":  # a card without a value says nothing
            self.values.setdefault(key, value)
            self.comments.setdefault(key, comment)

    def text(self, key: str) -> str:
        """Return a value as text, "" where there is none."""
        return str(self.values.get(key, ""))

    def number(self, key: str, default: int = 0) -> int:
        """Return a value that is a whole number from 0 on."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**18:
            raise broken(self.name, f"{key} is {self.text(key)[:30]!r}")
        return value

    @property
    def is_table(self) -> bool:
        """Whether rows and columns follow."""
        # an image that is packed in a table is no table
        return self.text("XTENSION") == "BINTABLE" and self.values.get("ZIMAGE") is not True

    def size(self) -> int:
        """Return how many bytes of data follow, without fill."""
        axes = self.number("NAXIS")
        if not axes:
            return 0
        pixels = math.prod(self.number(f"NAXIS{k + 1}") for k in range(min(axes, _MAX_FIELDS)))
        bits = self.values.get("BITPIX")
        if bits not in (8, 16, 32, 64, -32, -64) or not isinstance(bits, int):
            raise broken(self.name, f"BITPIX is {self.text('BITPIX')[:30]!r}")
        return abs(bits) // 8 * self.number("GCOUNT", 1) * (self.number("PCOUNT") + pixels)

    def columns(self) -> list[Column]:
        """Return the columns of a table, which fill a row."""
        fields = self.number("TFIELDS")
        if fields > _MAX_FIELDS:
            raise LlamaError(
                f"{self.name} has a table of {fields:,} columns; {AGAIN}, FITS has no more than "
                f"{_MAX_FIELDS}"
            )
        found, offset = [], 0
        for k in range(1, fields + 1):
            said = self.text(f"TFORM{k}")
            form = re.fullmatch(r"\s*(\d{0,9})([LXBIJKAEDCMPQ]).*", said.upper())
            if form is None:
                raise broken(self.name, f"TFORM{k} is {said[:30]!r}")
            repeat = int(form[1] or 1)
            scale, zero = self._factor(f"TSCAL{k}", 1), self._factor(f"TZERO{k}", 0)
            said_null = self.values.get(f"TNULL{k}") if form[2] in "BIJK" else None
            null = said_null if isinstance(said_null, int) else None
            name, unit = self.text(f"TTYPE{k}"), self.text(f"TUNIT{k}")
            found.append(Column(name, form[2], repeat, offset, unit, scale, zero, null))
            offset += -(-repeat // 8) if form[2] == "X" else repeat * _BYTES[form[2]]
        if fields and offset != self.number("NAXIS1"):
            width = self.number("NAXIS1")
            raise broken(self.name, f"columns of {offset:,} bytes in rows of {width:,}")
        return found

    def _factor(self, key: str, default: int) -> int | float:
        value = self.values.get(key, default)
        if isinstance(value, str) or not math.isfinite(value):
            raise broken(self.name, f"{key} is {self.text(key)[:30]!r}")
        return int(value) if value == int(value) else value


def read_header(stream: Unpacked, most: int, name: str, *, first: bool) -> Header | None:
    """Return the next header, of at most `most` cards; None where no other HDU begins."""
    header = Header(name)
    while True:
        block = bytes(stream.read(UNIT))
        if not header.cards and not first and not block.startswith(b"XTENSION="):
            return None
        if len(block) < UNIT:
            raise broken(name, "a header is cut short")
        text = re.sub(r"[^ -~]", "?", block.decode("latin-1"))
        for at in range(0, UNIT, 80):
            card = text[at : at + 80]
            if card[:8].strip().upper() == "END":
                return header
            header.add(card)
            if header.cards > most:
                raise LlamaError(f"{name} has headers of more than {MAX_CARDS:,} lines; {SMALLER}")


def _parsed(content: str) -> tuple[Value, str]:
    """Return the value and the comment in a card; a text without quotes is a text, too."""
    found = _CONTENT.fullmatch(content)
    quoted, bare, comment = found.groups() if found else (None, content, "")
    text, comment = (bare or "").strip(), (comment or "").strip()
    if quoted is not None:
        return quoted.replace("''", "'").rstrip(), comment
    if text in ("T", "F"):
        return text == "T", comment
    if _INTEGER.fullmatch(text):
        return int(text), comment
    if _FLOAT.fullmatch(text):
        return float(text.upper().replace("D", "E")), comment
    return text.strip("'"), comment


def broken(name: str, reason: str) -> LlamaError:
    """Return the error for a file that does not hold what it says."""
    return LlamaError(f"{name} is a broken or truncated FITS file ({reason}); {AGAIN}")
