"""A p-value of a result, and what it was taken from, in words."""

from msgspec import Struct

from llama.units import p_value_text

Number = int | float  # as the file has it: the same bytes go out again


class PValue(Struct, frozen=True):
    """A p-value, its standard error, and the effective number of injections that decide it."""

    p_value: Number | None = None
    p_value_error: Number | None = None
    p_value_effective: Number | None = None

    @property
    def p_text(self) -> str | None:
        """The p-value in words, None without one."""
        if self.p_value is None:
            return None
        return p_value_text(self.p_value, self.p_value_error, self.p_value_effective)

    @property
    def p_is_limit(self) -> bool:
        """Whether the p-value is only known to be smaller."""
        return (self.p_text or "").startswith("<")

    @property
    def p_words(self) -> str:
        """The p-value as in a sentence, `p = 0.0056` or `p < 5e-05`."""
        return f"p {'' if self.p_is_limit else '= '}{self.p_text}"


class Compared(PValue, frozen=True):
    """A p-value and the background that it was taken from: of a class, or of the event's map."""

    odds_ratio: Number | None = None
    p_value_method: str | None = None
    p_value_population: str | None = None
    p_value_class_maps: Number | None = None
    p_value_without_energy: bool = False
    n_background: Number | None = None

    @property
    def p_is_for(self) -> str:
        """What the p-value is for, in words."""
        if self.is_of_map:
            return "this sky map"
        maps = f" ({self.p_value_class_maps:.0f} sky maps)" if self.p_value_class_maps else ""
        return f"a sky map of class {self.p_value_population}{maps}"

    @property
    def is_of_map(self) -> bool:
        """Whether the p-value is for the event's own sky map."""
        return self.p_value_method == "map"
