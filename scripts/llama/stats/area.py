"""A(direction)/<A> of neutrino detectors that see the sky turn, at one time."""

from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats
from llama.stats.compiled import njit
from llama.stats.tile_average import response_at

POLE = np.array([0.0, 0.0, 1.0])


class Area(NamedTuple):
    """A(direction)/<A> of several detectors together, at one time.

    axes (d, 3): unit vectors, the zenith of each one's site, or `POLE` where a table is one of
    sin(dec); tables (d, nodes): each one's part, on uniform nodes of axis . direction from -1 to 1.
    """

    axes: Floats
    tables: Floats

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(self.tables.shape[1])

    def parts(self, vectors: Floats) -> Floats:
        """Return each detector's part (d, n) in directions (n, 3)."""
        return np.asarray(_parts(self.axes, self.tables, np.ascontiguousarray(vectors, float)))

    def fractions(self, vectors: Floats) -> Floats:
        """Return f_d (d, n) in directions (n, 3); 0 where no detector sees."""
        parts = self.parts(vectors)
        total = parts.sum(axis=0)
        return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


# what functions of directions take: a table on uniform nodes of sin(dec), or `Area`
AnyArea = Floats | Area


def area_in(area: AnyArea, vectors: Floats) -> Floats:
    """Return A/<A> in directions (n, 3)."""
    table = area if isinstance(area, Area) else Area(POLE[None], area[None])
    return np.asarray(table.parts(vectors).sum(axis=0))


def check_area(area: AnyArea) -> None:
    """Raise ValueError for numbers that are no A/<A>."""
    values = area.tables if isinstance(area, Area) else area
    if values.shape[-1] < 2 or not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("effective areas must be finite, not negative, and two or more")


@njit()
def _parts(axes, tables, vectors):  # type: ignore[no-untyped-def]
    found = np.empty((axes.shape[0], vectors.shape[0]))
    for d in range(axes.shape[0]):
        x, y, z = axes[d]
        for k in range(vectors.shape[0]):
            along = x * vectors[k, 0] + y * vectors[k, 1] + z * vectors[k, 2]
            found[d, k] = response_at(tables[d], min(max(along, -1.0), 1.0))
    return found
