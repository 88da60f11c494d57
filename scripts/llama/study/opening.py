"""Any injection as an event directory, whose significance agrees with its row to the last bit."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llama.alerts.content import p_astro as p_astro_content
from llama.background.cells import build_cells
from llama.background.draws import Draws, directions, draw_skymaps
from llama.background.tilts import draw_weighted, tilt_map
from llama.errors import LlamaError
from llama.event.classes import EARLY, LOW, split_class
from llama.event.detectors import Site
from llama.event.flags import write_flags
from llama.event.prepared import prepare_skymap
from llama.event.skymap_info import FILE_NAME, EventInfo, check_info
from llama.files import dump_json, sha256_bytes, write_bytes
from llama.neutrinos.network import Network, area_of, response_at
from llama.neutrinos.table import Columns, from_columns
from llama.sky import SkyTiles, read_skymap
from llama.study.artifacts import Artifacts
from llama.study.injections import draw_neutrinos, study_parameters
from llama.study.pairs import Pairs
from llama.study.skymaps import content_of, trigger_gps
from llama.times import gps_to_iso

_CLASSES = {"bns": "BNS", "nsbh": "NSBH", "bbh": "BBH"}
_GZIP = b"\x1f\x8b"
_RATE_HZ = 6.5e-8  # far = rate (1 - p) / p; p_astro comes from the classification


def injection_number(
    directory: str, shard_size: int, injections: Mapping[str, int]
) -> tuple[str, str, int]:
    """Return study, kind and number of `studies/<study>/shard-0007/injection-323`.

    323 is the row in that shard: the number is 7 shard_size + 323. Other kinds are named
    between study and shard. injections: how many there are of a kind. LlamaError for others.
    """
    match = re.fullmatch(
        r"studies/([^/]+)/(?:(signal|doublet|quadruplet)/)?shard-(\d+)/injection-(\d+)", directory
    )
    if match is None:
        raise LlamaError(f"{directory} names no injection; write it like shard-0007/injection-323")
    kind, shard, row = match[2] or "background", int(match[3]), int(match[4])
    number = shard * shard_size + row
    if row >= shard_size or number >= injections[kind]:
        raise LlamaError(
            f"{directory} is not there: the {kind} has {injections[kind]:,} injections, "
            f"{shard_size:,} per shard, counted from 0; correct the number"
        )
    return match[1], kind, number


def trigger_p_astro(study: str, p_astro: float) -> float:
    """Return p_astro as an alert brings it, to the last bit: 1 - Terrestrial."""
    classes, group = _classification(study, p_astro)
    return float(p_astro_content(classes, None, _RATE_HZ, group)["p_astro"])


def open_injection(
    event_dir: Path,
    study: str,
    number: int,
    *,
    maps: list[Path],
    site: Site,
    search: Mapping[str, Any],
    seed: int,
    p_astro: float,
    skip_broken: bool,
    kind: str = "background",
) -> None:
    """Write the event files of an injection; equal ones stay, and so does the user's flags.json."""
    params = study_parameters(search, study, site.response)
    draws = Draws(seed, kind, site.events(), site.response, params, site.truth())
    path, content, tiles = _skymap(maps, draws, number, skip_broken)
    gps = trigger_gps(split_class(study)[2], tiles)
    response = response_at(site.response, gps)
    draws, sources = draws._replace(response=response), None
    if draws.is_weighted:
        cells = build_cells(draws.events, response, params)
        tilt = tilt_map(prepare_skymap(tiles, area_of(response), params), draws, cells)
        _, columns, _ = draw_weighted(draws, np.array([number]), cells, tilt)
    else:
        _, columns, sources = draw_neutrinos(draws, np.array([number]), tiles)
    origin = {"kind": kind, "seed": seed, "skymap": str(path)}
    if sources is not None:
        origin |= {
            **{name: float(values[0]) for name, values in directions(sources.vectors).items()},
            "distance_mpc": float(sources.distance_mpc[0]),
        }
    columns["gps"] = gps + columns["dt_s"]
    names = response.names if isinstance(response, Network) else ()
    _write_event(event_dir, study, number, gps, p_astro, (path, content), columns, origin, names)


def open_pair(
    event_dir: Path,
    study: str,
    number: int,
    *,
    pairs: Pairs,
    artifacts: Artifacts,
    skymaps: list[Path],
    p_astro: float,
) -> None:
    """Write the same of a pair of superevent and neutrino list; `skymaps` of all superevents."""
    if number >= len(pairs):
        raise LlamaError(
            f"{event_dir} is not there: {study} has {len(pairs):,} pairs; correct the number"
        )
    index = int(pairs.skymaps(np.array([number]))[0])
    graceid = list(artifacts.superevents)[index]
    skymap = (skymaps[index], content_of(skymaps[index]))
    _, columns = pairs.neutrinos(np.array([number]))
    origin = {"kind": "background", "superevent": graceid, "skymap": str(skymaps[index])}
    origin["list"] = pairs.list_name(number)
    _write_event(event_dir, study, number, artifacts.gps, p_astro, skymap, columns, origin)


def _write_event(
    event_dir: Path,
    study: str,
    number: int,
    gps: float,
    p_astro: float,
    skymap: tuple[Path, bytes],
    columns: Columns,
    origin: Mapping[str, object],
    detectors: Sequence[str] = (),
) -> None:
    path, content = skymap
    graceid, time = f"M{number}", gps_to_iso(gps)
    alert_file, neutrino_file = "alerts/1-Preliminary.json", "alerts/1-neutrinos.json"
    skymap_file = f"alerts/1-Preliminary.fits{'.gz' if content.startswith(_GZIP) else ''}"
    classification, group = _classification(study, p_astro)
    _, level, _, waves = split_class(study)
    info = EventInfo(
        alert_type="injection",
        graceid=graceid,
        event_time=time,
        gps_time=gps,
        far_hz=_RATE_HZ * (1 - p_astro) / p_astro,
        pipeline="INJECTION",
        group=group,
        search="EarlyWarning" if level == EARLY else "MDC",
        instruments=re.findall("[A-Z][0-9]", waves),
        significant=level != LOW,
        role="test",
        retracted=False,
        internal=False,
        skymap_filename=re.sub(r"\s", "_", path.name)[-200:],
        skymap_sha256=sha256_bytes(content),
        skymap_file=skymap_file,
        skymap_alert_file=None,
        alert_file=alert_file,
        event_alert_file=alert_file,
        neutrino_file=neutrino_file,
        gracedb_service_url=None,
        notice_time=time,
        notice=f"{graceid}-1-Preliminary",
        revision=1,
        others={"injection": {"study": study, "number": number, **origin}},
    )
    neutrinos: Any = [neutrino.row() for neutrino in from_columns(columns, "simulated")]
    if detectors:
        numbers = columns["detector"].tolist()
        rows = zip(neutrinos, numbers, strict=True)
        events = [row | {"detector": detectors[number]} for row, number in rows]
        neutrinos = {"detectors": list(detectors), "events": events}
    files = {
        alert_file: dump_json(_alert(info, classification)).encode(),
        skymap_file: content,
        neutrino_file: dump_json(neutrinos).encode(),
        FILE_NAME: dump_json(check_info(info.as_json(), str(event_dir)).as_json()).encode(),
    }
    if not (event_dir / "flags.json").exists():
        write_flags(event_dir, {})
    for name, new in files.items():
        if not (event_dir / name).exists() or (event_dir / name).read_bytes() != new:
            write_bytes(event_dir / name, new)


def _skymap(
    maps: list[Path], draws: Draws, number: int, skip_broken: bool
) -> tuple[Path, bytes, SkyTiles]:
    broken: set[int] = set()
    while len(broken) < len(maps):
        drawn = draw_skymaps(draws.seed, draws.code, np.array([number]), len(maps), broken)
        index = int(drawn[0])
        content = content_of(maps[index])
        try:
            return maps[index], content, read_skymap(content, str(maps[index]))
        except LlamaError:
            if not skip_broken:
                raise
            broken.add(index)
    raise LlamaError("all sky maps of the list are broken; replace them")


def _classification(study: str, p_astro: float) -> tuple[dict[str, float], str]:
    """Return the classes of an alert whose population and p_astro are the study's; its group."""
    population = split_class(study)[0]
    name = _CLASSES.get(population, population.upper())
    return {name: p_astro, "Terrestrial": 1 - p_astro}, "Burst" if population == "burst" else "CBC"


def _alert(info: EventInfo, classification: Mapping[str, float]) -> dict[str, Any]:
    return {
        "alert_type": "PRELIMINARY",
        "time_created": info.notice_time,
        "superevent_id": info.graceid,
        "urls": {},
        "event": {
            "time": info.event_time,
            "far": info.far_hz,
            "significant": info.significant,
            "instruments": info.instruments,
            "group": info.group,
            "pipeline": info.pipeline,
            "search": info.search,
            "classification": classification,
            "properties": {},
            "skymap": None,
        },
        "external_coinc": None,
    }
