"""The time window of the search: when a neutrino may come from the source of a wave."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Window(NamedTuple):
    """Times t_nu - t_gw [s] between which neutrinos count; the ends themselves do not."""

    start_s: float
    stop_s: float

    @property
    def length_s(self) -> float:
        """How long it is [s]."""
        return self.stop_s - self.start_s

    def holds(self, dt_s: float) -> bool:
        """Return whether a neutrino `dt_s` after the wave counts."""
        return self.start_s < dt_s < self.stop_s

    def words(self, symmetric: str) -> str:
        """Return `symmetric` with the half width in its braces, or both ends: they may differ."""
        if self.start_s == -self.stop_s:
            return symmetric.format(f"{self.stop_s:g}")
        return " to ".join(f"{abs(s):g} s {'before' if s < 0 else 'after'}" for s in self)


PUBLISHED = Window(-500.0, 500.0)  # of the published search, for lists that tell no window


def search_window(search: Mapping[str, Any]) -> Window:
    """Return the window of the settings `search`.

    From a neutrino that comes first of a source whose wave comes last to the other way round.
    """
    return Window(search["tnuminus"] - search["tgwplus"], search["tnuplus"] - search["tgwminus"])
