"""A collaboration's real-time stream that answers with JSON over HTTPS."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast
from urllib.parse import quote

from msgspec import Struct, to_builtins
from pydantic import Field, field_validator

from llama.errors import LlamaError
from llama.files import dump_json, read_json, sha256_bytes, write_json
from llama.neutrinos.given import PER_SIGMA, check_rows
from llama.neutrinos.sources import Found, SourceOptions, check_options
from llama.neutrinos.table import Neutrino, Row, Rows
from llama.secrets import secret
from llama.times import gps_to_iso, gps_to_mjd, iso_to_gps, mjd_to_gps, now_gps
from llama.typed import typed

_MAX_BYTES = 20_000_000
_WAITING_S, _SETTLED_S = 60.0, 3600.0  # an answer is asked for again after so long
_LATE_DAYS = 7  # and no more so long after the window
_QUICK_TIMEOUT_S = (3.0, 10.0)  # Snakemake waits for it
_PLACES = ("start_gps", "stop_gps", "start_mjd", "stop_mjd", "start_iso", "stop_iso")
_NAMES = (
    *("time", "ra", "dec", "sigma", "energy"),
    *("zenith", "azimuth", "run", "event", "subevent", "id"),
)
_DEG = {"deg": 1.0, "rad": 57.29577951308232}
_TO_GEV: dict[str, Callable[[float], float]] = {
    "gev": float,
    "tev": lambda value: value * 1e3,
    "log10_gev": lambda value: 10.0**value,
}


class HttpsOptions(SourceOptions):
    """Where to ask, and what the answer's names mean."""

    url: str = Field(pattern=r"^https://[^\s/@]+/\S*$")
    """With {start_iso}, {stop_iso}, or the same with _gps or _mjd, where the window goes."""
    events: str = "events"
    """Where in the answer the list is: keys joined by points; "" if the answer is the list."""
    complete: str | None = "complete"
    """Where the answer says that nothing is to come for the window (true); null if nowhere."""
    fields: dict[str, str] = Field(default_factory=dict, validate_default=True)
    """What an event of the answer calls time, ra, dec, sigma, energy, and if it has them zenith,
    azimuth, run, event, subevent, id and map (a URL), where its name differs."""
    time: Literal["mjd", "gps", "iso", "unix"] = "mjd"
    angles: Literal["deg", "rad"] = "deg"
    error: Literal["sigma", "r50", "r90"] = "sigma"
    energy: Literal["gev", "tev", "log10_gev"] = "gev"
    token: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")
    """Name of the environment variable, or of the systemd credential, with the bearer token."""

    @field_validator("url")
    @classmethod
    def _has_the_window(cls, url: str) -> str:
        places = re.findall(r"{(.*?)}", url)
        if not set(places) <= set(_PLACES) or len(places) < 2:
            raise ValueError(f"should hold two of {', '.join(_PLACES)} in braces")
        return url

    @field_validator("fields")
    @classmethod
    def _is_known(cls, fields: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in fields if name not in _NAMES]
        if unknown:
            raise ValueError(f"should name {', '.join(_NAMES)}, not {unknown[0]}")
        return {name: name for name in _NAMES} | fields


class _Kept(Struct):
    asked_at: str
    url: str
    answer: object


class HttpsJsonSource:
    """A server that is asked with a GET request per window.

    Answers are kept in `neutrino_answers/NAME/`, and the list is made from the one that is kept.
    While Snakemake looks for what is outdated, a window is asked for again once a minute, after
    the answer has said that it is complete once an hour, and from seven days on not at all. A
    server in trouble is left alone for a minute.
    """

    network = True
    completeness = "its answer says so"

    def __init__(self, name: str, options: Mapping[str, object], output_dir: Path) -> None:
        self.name = name
        self._options = check_options(HttpsOptions, name, options)
        self._directory = output_dir / "neutrino_answers" / name
        self._failed = self._directory / ".failed"
        self.time_scale = f"UTC ({self._options.time})"
        self.sigma = {"sigma": "1 sigma of a 2D Gaussian"}.get(
            self._options.error, f"{self._options.error} / {PER_SIGMA[self._options.error]:.6f}"
        )
        token = self._options.token
        self.credentials = f"bearer token {token}" if token else "none"

    def state(self, start_gps: float, stop_gps: float) -> list[object]:
        """Return a digest of the answer, and whether it is complete; asks again if that is due."""
        kept = self._kept(start_gps, stop_gps)
        if self._is_due(kept, stop_gps):
            try:
                kept = self._ask(start_gps, stop_gps, quick=True)
            except LlamaError:
                # the job, if there is one, says what is wrong
                self._directory.mkdir(parents=True, exist_ok=True)
                self._failed.touch()
        if kept is None:
            return [None, False]
        digest = sha256_bytes(dump_json(kept.answer).encode())[:12]
        return [digest, self._is_complete(kept, stop_gps)]

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return what the kept answer says; asks if there is none."""
        kept = self._kept(start_gps, stop_gps) or self._ask(start_gps, stop_gps)
        rows, unusable = self._rows(kept.answer)
        return Found(
            rows=[row for row in rows if start_gps <= Neutrino.of(row).gps <= stop_gps],
            covers=True,
            complete=self._is_complete(kept, stop_gps),
            about={"kind": "https_json", "url": kept.url, "asked_at": kept.asked_at},
            unusable=unusable,
        )

    def _kept(self, start_gps: float, stop_gps: float) -> _Kept | None:
        try:
            path = self._path(start_gps, stop_gps)
            return typed(read_json(path), _Kept, str(path), "delete it")
        except LlamaError:  # not there, or broken: it is asked for again
            return None

    def _path(self, start_gps: float, stop_gps: float) -> Path:
        return self._directory / f"{start_gps:.3f}-{stop_gps:.3f}.json"

    def _is_due(self, kept: _Kept | None, stop_gps: float) -> bool:
        # a clock may be put back: abs
        if self._failed.exists() and abs(time.time() - self._failed.stat().st_mtime) < _WAITING_S:
            return False
        if kept is None:
            return True
        if now_gps() > stop_gps + _LATE_DAYS * 86400:
            return False
        age_s = abs(now_gps() - iso_to_gps(kept.asked_at))
        return age_s > (_SETTLED_S if self._is_complete(kept, stop_gps) else _WAITING_S)

    def _ask(self, start_gps: float, stop_gps: float, quick: bool = False) -> _Kept:
        import requests
        import urllib3

        from llama import web

        spans = {"start": start_gps, "stop": stop_gps}
        values = {f"{name}_gps": f"{gps:.3f}" for name, gps in spans.items()}
        values |= {f"{name}_mjd": f"{float(gps_to_mjd(gps)):.8f}" for name, gps in spans.items()}
        values |= {f"{name}_iso": quote(gps_to_iso(gps, 3)) for name, gps in spans.items()}
        url = self._options.url.format(**values)
        headers = {"Accept": "application/json", **self._authorization()}

        def read() -> bytes:
            with web.open_session() as session:
                session.auth = lambda request: request  # a .netrc takes not our token's place
                answer = session.get(
                    url,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,  # a token goes nowhere else
                    timeout=_QUICK_TIMEOUT_S if quick else None,
                )
                with answer:
                    if answer.status_code != 200:
                        raise ValueError(f"status {answer.status_code}")
                    return web.body(answer.raw, _MAX_BYTES)

        try:
            answer = web.parse_json(web.read_again(read))
            self._rows(answer)
        except LlamaError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            reason = type(error).__name__ if not isinstance(error, ValueError) else str(error)
            raise LlamaError(
                f"the neutrino source {self.name} gave no usable answer ({reason[:100]}); try "
                f"again later, or correct neutrinos.source.{self.name}"
            ) from error
        kept = _Kept(gps_to_iso(now_gps(), 0), url, answer)
        write_json(self._path(start_gps, stop_gps), to_builtins(kept))
        self._failed.unlink(missing_ok=True)
        return kept

    def _authorization(self) -> dict[str, str]:
        name = self._options.token
        if name is None:
            return {}
        token = secret(name, credential=name).strip()
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise LlamaError(
                f"the neutrino source {self.name} needs a token; put it into the environment "
                f"variable or the systemd credential {name}"
            )
        return {"Authorization": f"Bearer {token}"}

    def _is_complete(self, kept: _Kept, stop_gps: float) -> bool:
        """Tell whether an answer that was given after the window says that it is all."""
        place = self._options.complete
        after = iso_to_gps(kept.asked_at) > stop_gps
        return after and place is not None and _at(kept.answer, place) is True

    def _rows(self, answer: object) -> tuple[Rows, list[str]]:
        """Return the neutrinos of an answer, and a sentence for each that cannot be used.

        `LlamaError` if none can: then the options are wrong.
        """
        events = _at(answer, self._options.events)
        if not isinstance(events, list):
            raise LlamaError(
                f"the answer of the neutrino source {self.name} has no list "
                f"{self._options.events!r}; correct neutrinos.source.{self.name}.events"
            )
        rows, unusable = Rows(), list[str]()
        for k, event in enumerate(events, 1):
            where = f"{self.name}, event {k}"
            try:
                rows += check_rows([self._row(event, where)], where)
            except LlamaError as error:
                unusable.append(str(error))
        if unusable and not rows:
            raise LlamaError(unusable[0])
        checked = check_rows(rows, self.name)  # now that none is there twice
        return [{"type": "observation"} | row for row in checked], unusable

    def _row(self, event: object, where: str) -> Row:
        options = self._options
        row: Row = {ours: _at(event, theirs) for ours, theirs in options.fields.items()}
        try:
            gps = _to_gps(row.pop("time"), options.time)
            numbers = {"gps": gps, "mjd": float(gps_to_mjd(gps))}
            for name in ("ra", "dec", "sigma", "zenith", "azimuth"):
                if (value := row.get(name)) is not None:
                    numbers[name] = _float(value) * _DEG[options.angles]
            if "sigma" not in numbers:
                raise ValueError("no error")
            numbers["sigma"] /= PER_SIGMA[options.error]
            if (energy := row.get("energy")) is not None:
                numbers["energy"] = _TO_GEV[options.energy](_float(energy))
        except (TypeError, ValueError, OverflowError) as error:
            raise LlamaError(
                f"{where} has no usable time, direction, error or energy ({str(error)[:80]}); "
                f"correct neutrinos.source.{self.name}.fields"
            ) from error
        return row | numbers


def _at(value: object, place: str) -> object:
    """Return what is at a place like `data.events` of nested JSON objects, None if nothing."""
    for key in place.split(".") if place else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _float(value: object) -> float:
    return float(cast("float | str", value))


def _to_gps(value: object, kind: str) -> float:
    if isinstance(value, bool) or value is None:
        raise ValueError("no time")
    if kind == "iso":
        return iso_to_gps(str(value))
    number = _float(value)
    if kind == "unix":
        return float(mjd_to_gps(40587.0 + number / 86400.0))
    return number if kind == "gps" else float(mjd_to_gps(number))
