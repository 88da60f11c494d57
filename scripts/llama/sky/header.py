"""Headers of FITS files: read within bounds, and written."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llama.errors import LlamaError
from llama.sky.unpack import Unpacked

MAX_CARDS = 10_000  # of all HDUs; published maps have below 200
UNIT = 2880
AGAIN = "download the map again"
SMALLER = "give the multi-order map"

_MAX_CONTINUED = 100  # cards of one long text
_MAX_FIELDS = 999  # FITS has no more
_BYTES = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16}
_BYTES |= {"P": 8, "Q": 16}


@dataclass(frozen=True)
class Column:
    """A column of a table, with the place of its numbers in a row."""

    name: str
    form: str  # letter of TFORM
    repeat: int
    offset: int  # bytes from the beginning of a row
    plain: bool  # not scaled
    unit: str


class Table:
    """A header, as far as it has been read: `cards` are (key, card of 80 bytes)."""

    def __init__(self, cards: list[tuple[str, bytes]], name: str) -> None:
        self.cards, self.name = cards, name
        self.values: dict[str, str] = {}
        for key, card in cards:
            if card[8:10] == b"= ":
                self.values.setdefault(key, _value(card))

    def number(self, key: str, default: int = 0) -> int:
        """Return a value that is a number from 0 on."""
        text = self.values.get(key, str(default))
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or int(text) < 0:
            raise broken(self.name, f"{key} is {text[:30]!r}")
        return int(text)

    @property
    def ordering(self) -> str:
        """The value of ORDERING, in capitals."""
        return self.values.get("ORDERING", "").upper()

    @property
    def is_table(self) -> bool:
        """Whether rows and columns follow."""
        # an image that is packed in a table is no table
        kind, packed = self.values.get("XTENSION"), self.values.get("ZIMAGE")
        return kind == "BINTABLE" and packed != "T"

    def size(self) -> int:
        """Return how many bytes of data follow, without fill."""
        axes = self.number("NAXIS")
        if not axes:
            return 0
        pixels = math.prod(self.number(f"NAXIS{k + 1}") for k in range(min(axes, _MAX_FIELDS)))
        width = re.fullmatch(r"-?(8|16|32|64)", self.values.get("BITPIX", ""))
        if width is None:
            raise broken(self.name, f"BITPIX is {self.values.get('BITPIX', '')[:30]!r}")
        return int(width[1]) // 8 * self.number("GCOUNT", 1) * (self.number("PCOUNT") + pixels)

    def columns(self) -> list[Column]:
        """Return the columns, which fill a row."""
        fields = self.number("TFIELDS")
        if fields > _MAX_FIELDS:
            raise LlamaError(
                f"{self.name} has a table of {fields:,} columns; {AGAIN}, FITS has no more than "
                f"{_MAX_FIELDS}"
            )
        found, offset = [], 0
        for k in range(1, fields + 1):
            form = re.fullmatch(
                r"(\d{0,9})([LXBIJKAEDCMPQ]).*", self.values.get(f"TFORM{k}", "").upper()
            )
            if form is None:
                raise broken(self.name, f"TFORM{k} is {self.values.get(f'TFORM{k}', '')[:30]!r}")
            name, repeat = self.values.get(f"TTYPE{k}", "").upper(), int(form[1] or 1)
            plain = self._is_plain(k, form[2])
            unit = self.values.get(f"TUNIT{k}", "")
            found.append(Column(name, form[2], repeat, offset, plain, unit))
            offset += -(-repeat // 8) if form[2] == "X" else repeat * _BYTES[form[2]]
        if fields and offset != self.number("NAXIS1"):
            width = self.number("NAXIS1")
            raise broken(self.name, f"columns of {offset:,} bytes in rows of {width:,}")
        return found

    def _is_plain(self, k: int, form: str) -> bool:
        """Tell whether numbers of a column are what is stored: not scaled, none stands for null."""
        scale = [self.values.get(f"TSCAL{k}", "1"), self.values.get(f"TZERO{k}", "0")]
        unscaled = all(re.fullmatch(rf"{v}(\.0*)?", s) for v, s in zip("10", scale, strict=True))
        return unscaled and (form in "ED" or f"TNULL{k}" not in self.values)


def read_cards(stream: Unpacked, most: int, name: str, *, first: bool) -> list[tuple[str, bytes]]:
    """Return the cards of the next header without END; none where no other HDU begins."""
    cards: list[tuple[str, bytes]] = []
    continued = 0
    while True:
        block = bytes(stream.read(UNIT))
        if not cards and not first and not block.startswith(b"XTENSION="):
            return []
        if len(block) < UNIT:
            raise broken(name, "a header is cut short")
        for at in range(0, UNIT, 80):
            card = block[at : at + 80]
            key = card[:8].decode("latin-1").strip().upper()
            if key == "END":
                return cards
            if key == "HIERARCH":
                key = card[9:].partition(b"=")[0].decode("latin-1").strip().upper()
            cards.append((key, card))
            continued = continued + 1 if key == "CONTINUE" else 0
            if len(cards) > most or continued > _MAX_CONTINUED:
                raise LlamaError(
                    f"{name} has headers of more than {MAX_CARDS:,} lines, or a text of more than "
                    f"{_MAX_CONTINUED}; {SMALLER}"
                )


def _value(card: bytes) -> str:
    """Return the value of a card, a text without its quotes."""
    text = card[10:].decode("latin-1").strip()
    if text.startswith("'"):
        quoted = re.match(r"'((?:[^']|'')*)'", text)
        return quoted[1].replace("''", "'").strip() if quoted else ""
    return text.partition("/")[0].strip()


def broken(name: str, reason: str) -> LlamaError:
    """Return the error for a file that does not hold what it says."""
    return LlamaError(f"{name} is a broken or truncated FITS file ({reason}); {AGAIN}")


def card(key: str, value: int | str) -> bytes:
    """Return a card of 80 bytes."""
    text = f"{value:>20}" if isinstance(value, int) else "'{}'".format(value.replace("'", "''"))
    return f"{key:8}= {text}".encode("latin-1")[:80].ljust(80)


def table_file(
    sizes: Mapping[str, int],
    cards: Sequence[bytes],
    data: bytearray | memoryview,
    primary: Sequence[bytes],
) -> bytes:
    """Return a file of one table: `sizes` has NAXIS1, NAXIS2, PCOUNT and TFIELDS, `cards` not.

    `primary` are cards of the first header.
    """
    keys = ("NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS")
    layout = [card(key, ({"GCOUNT": 1} | dict(sizes))[key]) for key in keys]
    kind = [b"XTENSION= 'BINTABLE'", card("BITPIX", 8), card("NAXIS", 2)]
    first = _header([*_FIRST, *primary])
    return b"".join([first, _header([*kind, *layout, *cards]), data, bytes(-len(data) % UNIT)])


def _header(cards: Sequence[bytes]) -> bytes:
    text = b"".join(card.ljust(80) for card in [*cards, b"END"])
    return text.ljust(-(-len(text) // UNIT) * UNIT)


_FIRST = (b"SIMPLE  =                    T", card("BITPIX", 8), card("NAXIS", 0))
EMPTY = _header(_FIRST)
