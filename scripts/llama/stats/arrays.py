"""Arrays by what they hold, for signatures; and places on uniform grids."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def bracket(value: Floats, first: float, last: float, size: int) -> tuple[Integers, Floats]:
    """Return the node below each value on a uniform grid, and the part of the step beyond it."""
    position = np.minimum(np.maximum((value - first) * ((size - 1) / (last - first)), 0), size - 1)
    node = np.minimum(position.astype(np.int64), size - 2)
    return node, position - node
