"""Bins of the public IC86 matrix with what they count for an E^-2 source."""

import numpy as np

from llama.neutrinos.simulation import FLOOR, cell_weights, energy_weights

ERRORS_DEG = (0.19, 0.3, 0.5, 0.8, 1.5, 3.0, 10.0, 90.0)


class Rows:
    """Bins of the matrix with what they count for E^-2 at the middle of their declination."""

    def __init__(self, matrix, area):
        rows = matrix.rows
        self.centres = (matrix.sin_dec[1:] + matrix.sin_dec[:-1]) / 2
        weight = cell_weights(matrix, energy_weights(matrix, area, 2.0, self.centres), self.centres)
        self.each = np.einsum("ebb->eb", weight)[rows.energy, rows.dec]
        self.weight = rows.events * self.each
        self.dec, self.low, self.high = rows.dec, rows.low, rows.high
        middle = (rows.low + rows.high) / 2
        self.proxy = middle[:, 0]
        self.angerr = np.where(rows.low[:, 2] < FLOOR, np.log10(0.2), middle[:, 2])

    def cells(self):
        """Yield (declination bin, AngErr from, rows) of cells worth 1,000 events or more."""
        for b in range(30):
            for low, high in zip(np.log10(ERRORS_DEG[:-1]), np.log10(ERRORS_DEG[1:]), strict=True):
                at = np.nonzero((self.dec == b) & (self.angerr >= low) & (self.angerr < high))[0]
                if worth(self.weight[at], self.each[at]) >= 1000:
                    yield b, 10**low, at

    def closer(self, at, angles):
        """Share of each bin's events that are closer than angles [rad] (rows, angles)."""
        low, high = self.low[at, 1, None], self.high[at, 1, None]
        return np.clip((np.log(angles) - low) / (high - low), 0, 1)


def worth(weight, each):
    """Number of events of one weight that tell as much."""
    return weight.sum() ** 2 / max((weight * each).sum(), 1e-300)
