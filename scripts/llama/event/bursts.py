"""fermi_grbs.json: gamma-ray bursts around an event, every value checked before it is believed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypedDict

from msgspec import Struct

from llama.errors import LlamaError, for_users
from llama.files import read_json
from llama.neutrinos.columns import json_rows
from llama.neutrinos.given import Dec, Ra, between
from llama.stats.parameters import GrbParameters, SearchParameters
from llama.typed import numbers_of, shown

if TYPE_CHECKING:
    from llama.background.bursts import Places
    from llama.stats.arrays import Floats
    from llama.stats.messengers import Messenger

_ID = r"[A-Za-z0-9_.:+-]{1,64}"
_MAX_BYTES, _MAX_ROWS = 20_000_000, 10_000
_SIGMA = "give the 1-sigma error radius in degrees, 0.0001 or more"
_FORM = "give a JSON list of objects with gps_time, ra, dec and sigma"


class _Numbers(Struct):
    gps_time: Annotated[float, between(1e8, 1e10, "give GPS seconds, e.g. 1240215503.017")]
    ra: Ra
    dec: Dec
    sigma: Annotated[float, between(1e-4, 180.0, _SIGMA)]


class Burst(TypedDict):
    """A burst: when [GPS s] and where it was, and the 1-sigma radius of that [deg]."""

    id: str
    gps_time: float
    ra: float
    dec: float
    sigma: float


class Bursts(NamedTuple):
    """Gamma-ray bursts of an event, perhaps none, and the model that they are judged by."""

    events: list[Burst]
    model: GrbParameters

    @property
    def sigma_deg(self) -> list[float]:
        """Errors of all bursts of the list, which say what those of chance bursts are."""
        return sorted(event["sigma"] for event in self.events)

    @for_users("check the list")
    def messenger(self, gps: float, params: SearchParameters, nodes: int) -> "Messenger":
        """Return the bursts as the statistic takes them, for a GW at `gps` seconds."""
        # the workflow reads lists, too: before any job starts, and without the numeric core
        from llama.stats.messengers import prepare_bursts

        times, ra, dec, sigma = self._columns()
        return prepare_bursts(times - gps, ra, dec, sigma, self.model, params, nodes)

    def places(self, gps: float) -> "Places":
        """Return those bursts that the delays after a GW at `gps` seconds allow."""
        from llama.background.bursts import Places
        from llama.stats.messengers import fits_delays

        times, *places = self._columns()
        fits = fits_delays(times - gps, self.model)
        return Places(*(column[fits] for column in places))

    def _columns(self) -> "Floats":
        import numpy as np

        rows = [(e["gps_time"], e["ra"], e["dec"], e["sigma"]) for e in self.events]
        return np.array(rows, dtype=float).reshape(-1, 4).T.copy()


def read_bursts(path: Path, model: Mapping[str, float]) -> Bursts:
    """Return the bursts of a JSON list, or of a JSON object with `events` and perhaps `units`.

    Each has gps_time, ra, dec and sigma (1 sigma) as numbers in range, and may have a graceid,
    which becomes its id; other keys, such as skymap_url, are not used. model: settings block `grb`.
    `LlamaError` names the file, the row (counted from 1) and the remedy.
    """
    if path.exists() and path.stat().st_size > _MAX_BYTES:
        raise LlamaError(f"{path} is larger than 20 MB; give only the bursts around the event")
    rows = json_rows(read_json(path), str(path))
    if rows is None:
        raise LlamaError(f"{path} holds no list of bursts; {_FORM}")
    if len(rows) > _MAX_ROWS:
        raise LlamaError(
            f"{path} has more than {_MAX_ROWS} bursts; give only those around the event"
        )
    events = [_check(row, k, f"{path}, row {k}") for k, row in enumerate(rows, 1)]
    seen: dict[object, int] = {}
    for k, event in enumerate(events, 1):
        # twice in the list, a burst would count twice
        for key in (event["id"], (event["gps_time"], event["ra"], event["dec"])):
            first = seen.setdefault(key, k)
            if first != k:
                raise LlamaError(
                    f"{path}, row {k} is the burst of row {first}; keep the better position"
                )
    return Bursts(events, GrbParameters(**model))


def _check(row: object, number: int, where: str) -> Burst:
    if not isinstance(row, dict):
        raise LlamaError(f"{where} is {shown(row)}, not an object; {_FORM}")
    numbers = numbers_of(row, _Numbers, where)
    name = row.get("graceid")
    if name is not None and not (isinstance(name, str) and re.fullmatch(_ID, name)):
        raise LlamaError(f"{where}: graceid {shown(name)} is no id; correct it or leave it out")
    time, ra, dec, sigma = numbers.values()
    return {"id": name or f"row {number}", "gps_time": time, "ra": ra, "dec": dec, "sigma": sigma}
