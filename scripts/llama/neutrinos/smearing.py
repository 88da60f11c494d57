"""IceCube's simulation of its own detector: the smearing matrix of a public release.

IceTracks-DR2 (doi 10.7910/DVN/MMIIZA), `irfs/IC86_smearing.csv`: simulated muon neutrinos counted
in 14 bins of true energy times 30 of declination, and in each of these cells in 20 x 20 x 20 bins
of energy proxy, angle between true and reconstructed direction, and stated error (AngErr). The
edges of a cell's bins are its own. Its rows have fractions of the cell's events, from which the
numbers of events are found again: 12,097,409 in all for IC86.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import atomic_hdf5, open_hdf5

Floats = NDArray[np.float64]

PUBLIC_IC86 = Path(__file__).with_name("templates") / "ic86_smearing.h5"
SOURCE = "IceTracks-DR2, IC86_smearing.csv, doi:10.7910/DVN/MMIIZA, CC0 1.0"


class Rows(NamedTuple):
    """Bins that have events, (n,): cell [energy, dec], events, and edges, low and high (n, 3).

    Edges: log10(proxy/GeV), ln(angle/rad), log10(AngErr/deg); densities are even in these.
    """

    energy: NDArray[np.int64]
    dec: NDArray[np.int64]
    events: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Smearing:
    """A smearing matrix.

    `log10_energy` (15 edges, true E in GeV), `dec_deg` (31 edges); `edges` [14, 30, 3, 21]:
    log10(proxy/GeV), angle [deg], AngErr [deg] of each cell's bins, 0 where nothing was simulated;
    `events` [14, 30, 20, 20, 20]: numbers of simulated events. A mock release has fewer of each.
    """

    log10_energy: Floats
    dec_deg: Floats
    edges: Floats
    events: NDArray[np.uint32]
    source: str

    @property
    def sin_dec(self) -> Floats:
        """Edges of the declination bins as sines (31)."""
        return np.sin(np.radians(self.dec_deg))

    @cached_property
    def simulated(self) -> Floats:
        """Events of each cell [14, 30]."""
        return self.events.sum(axis=(2, 3, 4), dtype=float)

    @cached_property
    def rows(self) -> Rows:
        """The bins with events, in the order of the cells."""
        where = np.nonzero(self.events)
        energy, dec = where[:2]
        sides = [
            [self.edges[energy, dec, axis, at + step] for axis, at in enumerate(where[2:])]
            for step in (0, 1)
        ]
        low, high = (
            np.stack([x, np.log(np.radians(np.maximum(psi, 1e-4))), np.log10(error)], axis=1)
            for x, psi, error in sides
        )
        return Rows(energy, dec, self.events[where].astype(float), low, high)

    def save(self, path: str | Path) -> None:
        """Write the whole matrix to one HDF5 file, 0.5 MB."""
        with atomic_hdf5(path) as file:
            file.attrs["source"] = self.source
            for name in ("log10_energy", "dec_deg"):
                file[name] = getattr(self, name)
            packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
            # the release has seven digits of a proxy's edge and ten of the others
            file.create_dataset("edges", data=self.edges.astype(np.float32), **packed)
            file.create_dataset("events", data=self.events, **packed)

    @classmethod
    def load(cls, path: str | Path = PUBLIC_IC86) -> "Smearing":
        """Read what `save` wrote, by default the public IC86 matrix that ships with LLAMA."""
        try:
            with open_hdf5(path) as file:
                columns = ("log10_energy", "dec_deg", "edges")
                energy, dec, edges = (file[name][()].astype(float) for name in columns)
                return cls(energy, dec, edges, file["events"][()], str(file.attrs["source"]))
        except (OSError, KeyError) as error:
            raise LlamaError(
                f"{path} is missing or not a smearing matrix; import the release again with "
                "`llama neutrinos import PATH`"
            ) from error
