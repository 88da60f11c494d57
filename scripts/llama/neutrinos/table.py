"""The neutrinos of an event inside of LLAMA: one name for each column, with its unit.

Files have the published names (`ra`, `energy`): `Neutrino.of` and `Neutrino.row` are the door.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.stats.window import PUBLISHED as PUBLISHED_WINDOW
from llama.stats.window import Window
from llama.times import gps_to_mjd, mjd_to_gps

Columns = dict[str, NDArray[Any]]  # all of one length, under the names of `Neutrino`
Row = dict[str, object]
Rows = list[Row]

ICECUBE = "icecube"  # the detector of settings, lists and classes that name none
OF_EACH = "of each detector"  # what results say of energies and point spread of a network
STATISTIC = ("gps", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")  # what the odds depend on


@dataclass
class Neutrino:
    """One neutrino: times in MJD (UTC) and GPS s, ICRS angles, 1 sigma of a 2D Gaussian.

    `kind` is what files call type. What is not known is None. `others`: keys of the file that
    mean nothing here, and are kept.
    """

    mjd: float
    gps: float
    ra_deg: float
    dec_deg: float
    sigma_deg: float
    energy_gev: float | None
    kind: str
    zenith_deg: float | None = None
    azimuth_deg: float | None = None
    run: int | None = None
    event: int | None = None
    subevent: int | None = None
    id: str | None = None
    others: Row = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Neutrino":
        """Return the neutrino in a row that has been checked (see `given.check_rows`)."""
        known: dict[str, Any] = {name: row.get(key) for name, key in PUBLISHED.items()}
        known["kind"] = known["kind"] or "observation"
        known["gps"] = known["gps"] or float(mjd_to_gps(known["mjd"]))
        known |= {name: None for name in ("run", "event", "subevent") if known[name] == -1}
        return cls(**known, others={key: row[key] for key in row if key not in _KNOWN})

    def row(self) -> Row:
        """Return it as a row of a list; of what is not known, only the energy is said to be so."""
        known = {key: getattr(self, name) for name, key in PUBLISHED.items()}
        said = {key: value for key, value in known.items() if value is not None}
        return self.others | said | {"energy": self.energy_gev}


_KEYS = {"energy_gev": "energy", "kind": "type"}
# names of `Neutrino` and what published files call them
PUBLISHED = {
    column.name: _KEYS.get(column.name, column.name.removesuffix("_deg"))
    for column in fields(Neutrino)
    if column.name != "others"
}
_KNOWN = frozenset(PUBLISHED.values())


def from_columns(columns: Columns, kind: str) -> list[Neutrino]:
    """Return columns of an archive, a simulation or a bank of lists as neutrinos of one kind."""
    known = {name: columns[name] for name in PUBLISHED if name in columns}
    known.setdefault("mjd", np.asarray(gps_to_mjd(columns["gps"])))
    for name in ("energy_gev", "zenith_deg", "azimuth_deg"):
        if name in known and (unknown := np.isnan(known[name])).any():
            known[name] = known[name].astype(object)
            known[name][unknown] = None
    rows = zip(*(column.tolist() for column in known.values()), strict=True)
    names = [PUBLISHED[name] for name in known]
    return [Neutrino.of(dict(zip(names, row, strict=True), type=kind)) for row in rows]


def to_columns(neutrinos: Sequence[Neutrino]) -> Columns:
    """Return the columns that the statistic needs; NaN for an energy that is not known."""
    return {
        name: np.array([getattr(neutrino, name) for neutrino in neutrinos], dtype=float)
        for name in STATISTIC
    }


def list_window(told: Mapping[str, Any] | None) -> Window:
    """Return the window that a neutrino list was made for, which it tells as `window`."""
    told = told or {}
    if not {"centre_gps", "start_gps", "stop_gps"} <= told.keys():
        return PUBLISHED_WINDOW
    centre, start, stop = told["centre_gps"], told["start_gps"], told["stop_gps"]
    # to the microsecond: what is left of the subtraction is rounding
    return Window(round(start - centre, 6), round(stop - centre, 6))
