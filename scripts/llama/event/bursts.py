"""Gamma-ray bursts around an event, every value checked before it is believed.

They are given by hand, in fermi_grbs.json, or heard from instruments, in heard_grbs.json: then
each has an `instrument`, and each instrument has an efficiency and a rate of its own.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NotRequired, TypedDict

from msgspec import Struct

from llama.errors import LlamaError, for_users
from llama.event.names import HEARD_NAME
from llama.files import read_json
from llama.neutrinos.columns import json_rows
from llama.neutrinos.given import Dec, Ra, between
from llama.stats.parameters import GrbParameters, SearchParameters
from llama.typed import numbers_of, shown

if TYPE_CHECKING:
    from llama.background.bursts import Marks, Places
    from llama.stats.arrays import Floats
    from llama.stats.messengers import Messenger

_ID = r"[A-Za-z0-9_.:+-]{1,64}"
_MAX_BYTES, _MAX_ROWS = 20_000_000, 10_000
_SIGMA = "give the 1-sigma error radius in degrees, 0.0001 or more"
_FORM = "give a JSON list of objects with gps_time, ra, dec and sigma"
# 1 sigma [deg] of chance bursts of an instrument that has none in the list: GBM as by hand
# (`background.bursts`), arcminutes where there is an image, GRM's degrees left out
_TYPICAL_SIGMA_DEG = {
    "fermi_gbm": 5.0,
    "swift_bat": 0.023,
    "swift_guano": 0.05,
    "einstein_probe_wxt": 0.03,
    "svom": 0.08,
}
_AGAIN = "run snakemake once more"
Errors = Sequence[float] | Mapping[str, Sequence[float]]  # of a list, or of each instrument's


class _Numbers(Struct):
    gps_time: Annotated[float, between(1e8, 1e10, "give GPS seconds, e.g. 1240215503.017")]
    ra: Ra
    dec: Dec
    sigma: Annotated[float, between(1e-4, 180.0, _SIGMA)]


class Burst(TypedDict):
    """A burst: when [GPS s] and where it was, the 1-sigma radius of that [deg], who saw it."""

    id: str
    gps_time: float
    ra: float
    dec: float
    sigma: float
    instrument: NotRequired[str]


class Bursts(NamedTuple):
    """Gamma-ray bursts of an event, perhaps none, and the model that they are judged by.

    instruments: efficiency and rate_hz of each that counts, of a list that was heard.
    """

    events: list[Burst]
    model: GrbParameters
    instruments: Mapping[str, Mapping[str, float]] = {}

    @property
    def sigma_deg(self) -> Errors:
        """Errors of all bursts of the list, which say what those of chance bursts are."""
        if self.instruments:
            return {
                name: sorted(e["sigma"] for e in self.events if e.get("instrument") == name)
                for name in sorted(self.instruments)
            }
        return sorted(event["sigma"] for event in self.events)

    @property
    def marks(self) -> "Marks":
        """Return what kinds of bursts chance gives beside this list."""
        return marks_of({"instruments": self.instruments}, self.sigma_deg)

    @for_users("check the list")
    def messenger(self, gps: float, params: SearchParameters, nodes: int) -> "Messenger":
        """Return the bursts as the statistic takes them, for a GW at `gps` seconds."""
        # the workflow reads lists, too: before any job starts, and without the numeric core
        from llama.stats.messengers import prepare_bursts

        times, ra, dec, sigma, gain = self._columns()
        return prepare_bursts(times - gps, ra, dec, sigma, self.model, params, nodes, gain)

    def places(self, gps: float) -> "Places":
        """Return those bursts that the delays after a GW at `gps` seconds allow."""
        from llama.background.bursts import Places
        from llama.stats.messengers import fits_delays

        times, *places = self._columns()
        fits = fits_delays(times - gps, self.model)
        return Places(*(column[fits] for column in places))

    def _columns(self) -> "Floats":
        import numpy as np

        gains = _gains(self.instruments)
        rows = [
            (e["gps_time"], e["ra"], e["dec"], e["sigma"], gains.get(e.get("instrument", ""), 1.0))
            for e in self.events
        ]
        return np.array(rows, dtype=float).reshape(-1, 5).T.copy()


def grb_model(grb: Mapping[str, Any], errors: object = None) -> GrbParameters:
    """Return the model of a list by hand, or of all instruments that `errors` has, together.

    grb: settings block.
    """
    delays = {name: grb[name] for name in ("delay_min_s", "delay_max_s")}
    of_list = [grb]
    if isinstance(errors, Mapping):
        of_list = [grb["instruments"][name] for name in sorted(errors)]
    names = "efficiency", "rate_hz"
    return GrbParameters(**{name: sum(of[name] for of in of_list) for name in names}, **delays)


def marks_of(grb: Mapping[str, Any], errors: Errors) -> "Marks":
    """Return what kinds of bursts chance gives, of a list with these errors; grb: its model."""
    import numpy as np

    from llama.background.bursts import Marks

    if not isinstance(errors, Mapping):
        return Marks.of_errors(errors)
    instruments = {name: grb["instruments"][name] for name in sorted(errors)}
    rate_hz = sum(of["rate_hz"] for of in instruments.values())
    gains = _gains(instruments)
    rows = []
    for name, of in instruments.items():
        sigmas = sorted(errors[name]) or [_TYPICAL_SIGMA_DEG[name]]
        share = of["rate_hz"] / rate_hz / len(sigmas)
        rows += [(sigma, gains[name], share) for sigma in sigmas]
    return Marks(*np.array(rows).T.copy())


def _gains(instruments: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return how much more of a source's bursts than of chance ones each instrument has."""
    efficiency, rate_hz = (
        sum(of[name] for of in instruments.values()) for name in ("efficiency", "rate_hz")
    )
    return {
        name: (of["efficiency"] / efficiency) * (rate_hz / of["rate_hz"])
        for name, of in instruments.items()
    }


def read_bursts(path: Path, grb: Mapping[str, Any]) -> Bursts:
    """Return the bursts of a JSON list, or of a JSON object with `events` and perhaps `units`.

    Each has gps_time, ra, dec and sigma (1 sigma) as numbers in range, and may have a graceid,
    which becomes its id; other keys, such as skymap_url, are not used. heard_grbs.json has
    `instruments`, too, and each burst is of one of these, its `instrument`. grb: settings block.
    `LlamaError` names the file, the row (counted from 1) and the remedy.
    """
    if path.exists() and path.stat().st_size > _MAX_BYTES:
        raise LlamaError(f"{path} is larger than 20 MB; give only the bursts around the event")
    return bursts_of(read_json(path), grb, path)


def bursts_of(content: object, grb: Mapping[str, Any], path: Path) -> Bursts:
    """Return the bursts of what is, or would be, in a file as of `read_bursts`."""
    rows = json_rows(content, str(path))
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
    if path.name != HEARD_NAME:
        return Bursts(events, grb_model(grb))
    names = content.get("instruments") if isinstance(content, dict) else None
    known = grb["instruments"]
    if not isinstance(names, list) or not names or not {*map(str, names)} <= known.keys():
        raise LlamaError(f"{path} names no instruments, or some that do not count; {_AGAIN}")
    instruments = {name: known[name] for name in sorted(names)}
    for k, (event, row) in enumerate(zip(events, rows, strict=True), 1):
        event["instrument"] = str(row.get("instrument")) if isinstance(row, dict) else ""
        if event["instrument"] not in instruments:
            raise LlamaError(f"{path}, row {k} is of none of the instruments that count; {_AGAIN}")
    return Bursts(events, grb_model(grb, instruments), instruments)


def _check(row: object, number: int, where: str) -> Burst:
    if not isinstance(row, dict):
        raise LlamaError(f"{where} is {shown(row)}, not an object; {_FORM}")
    numbers = numbers_of(row, _Numbers, where)
    name = row.get("graceid")
    if name is not None and not (isinstance(name, str) and re.fullmatch(_ID, name)):
        raise LlamaError(f"{where}: graceid {shown(name)} is no id; correct it or leave it out")
    time, ra, dec, sigma = numbers.values()
    return {"id": name or f"row {number}", "gps_time": time, "ra": ra, "dec": dec, "sigma": sigma}
