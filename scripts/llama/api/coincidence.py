"""The search: one wave and its neutrinos, by the functions that the rules of an event call."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Unpack

from llama.alerts.content import MOST_P_ASTRO
from llama.alerts.content import p_astro as p_astro_of
from llama.api.archive import Archive
from llama.api.border import to_gps, value_errors
from llama.api.neutrinos import Neutrinos
from llama.api.result import Result, Searched
from llama.api.settings import SearchSettings, search_block
from llama.api.skymap import SkyMap
from llama.errors import LlamaError
from llama.event.classes import class_end
from llama.event.detectors import Site, observing, open_site
from llama.event.map_background import background_of_map
from llama.event.parameters import SearchBlock
from llama.event.populations import (
    OF_MAP,
    PAstro,
    as_background,
    read_background,
    with_events,
)
from llama.event.significance import compute_significance
from llama.event.skymap_info import EventInfo
from llama.neutrinos.event_list import NeutrinoList, is_from_archive, make_list
from llama.neutrinos.network_list import Stream, make_network_list
from llama.neutrinos.response import response_file
from llama.stats.window import search_window
from llama.times import gps_to_iso, now_gps
from llama.typed import shown

if TYPE_CHECKING:
    from llama.api.border import Time
    from llama.api.tables import Table

_BACKGROUND_P_ASTRO = 0.99  # `background.p_astro`
_NAME = "the event"  # in sentences, and in figures if there is no other


@value_errors()
def search(
    skymap: SkyMap,
    time: "Time | None" = None,
    neutrinos: "Neutrinos | Table | None" = None,
    *,
    detectors: Archive | Mapping[str, Archive],
    p_astro: float | Mapping[str, float] | None = None,
    far_hz: float | None = None,
    population: str | None = None,
    name: str | None = None,
    injections: int = 2_500,
    seed: int = 20261122,
    threads: int = 2,
    **settings: Unpack[SearchSettings],
) -> Result:
    """Return odds ratio and p-value of a common source of a gravitational wave and neutrinos.

    skymap: of the wave. time: when it came, as GPS seconds, ISO text (UTC) or an astropy Time;
    by default what the map's header says. neutrinos: those around it, as of `Neutrinos`; by
    default the archive's own. detectors: the archive that background, effective area and point
    spread are from; of several in one likelihood a mapping by their names, each neutrino then with
    its `detector` (without, all are those of `icecube`, or of the first by name).

    p_astro: the probability that the wave is real, or the alert's probabilities of its classes
    ({"BNS": 0.9, "Terrestrial": 0.1}); without, it follows from far_hz, the false-alarm rate [Hz],
    as search.far_signal_rate_hz says; without either it is 0.99. population: class of the source
    (bns, nsbh, bbh, burst, cbc), of which assumed_horizon_mpc has a distance for maps without; by
    default by these classes, else cbc. name: for figures; by default the map's.

    injections: of the background of this sky map, which the p-value is from (docs/method.md,
    Weighted backgrounds); seed: of these; threads: the result does not depend on them. settings:
    those of the block `search` (docs/settings.md), with the same defaults. The result is that of
    the workflow to the last bit. ValueError says in a sentence what is wrong and what to do.

    >>> skymap = SkyMap.mock(60, 25, sigma_deg=(6, 3), distance_mpc=(120, 30))
    >>> table = [
    ...     {"dt": 30.0, "ra": 61.0, "dec": 24.0, "sigma": 0.8, "energy": 5e3},
    ...     {"dt": -200.0, "ra": 58.5, "dec": 26.0, "sigma": 1.5, "energy": 800.0},
    ... ]
    >>> archive = Archive.mock("toy")
    >>> result = search(skymap, 1238400000.0, table, detectors=archive, injections=200)
    >>> 0 < result.p_value < 0.05
    True
    >>> [round(one.dt_s) for one in result.neutrinos]
    [30, -200]
    >>> search(skymap, 1238400000.0, table, detectors=archive, fb=0.5)
    Traceback (most recent call last):
    ValueError: search.fb is 0.5, but should be greater than or equal to 1
    """
    if not isinstance(skymap, SkyMap):
        raise LlamaError(f"{shown(skymap)} is no SkyMap; read it with SkyMap.read")
    if time is None and skymap.time is None:
        raise LlamaError("the sky map does not say when the wave came; give its time")
    archives = {"": detectors} if isinstance(detectors, Archive) else dict(detectors)
    if not archives or not all(isinstance(one, Archive) for one in archives.values()):
        raise LlamaError("there is no detector; give one as detectors=Archive.open(NAME)")
    injections = _whole("injections", injections, 10, 10**7)
    seed, threads = _whole("seed", seed, 0, 2**63 - 1), _whole("threads", threads, 1, 1024)
    gps = to_gps(skymap.time if time is None else time)
    network = {key: one.directory.name for key, one in archives.items() if key}
    block = search_block(settings, network)
    astro = _p_astro(p_astro, far_hz, population, block)
    listed = _listed(gps, neutrinos, archives, block)
    site = _site(gps, archives, block, observing(listed))
    info = _info(skymap, gps, name or skymap.name or _NAME, astro["population"], far_hz)
    from_archive = not network and is_from_archive(listed["source"])
    drawn = seed, _BACKGROUND_P_ASTRO, injections, from_archive, threads
    classes, about = background_of_map(skymap.tiles, site, block, astro["population"], *drawn)
    own_map = with_events(as_background(OF_MAP, classes[OF_MAP], about), site)
    of_class = astro["population"] + class_end(info, None, observing(listed))
    content = compute_significance(
        skymap.tiles,
        info,
        astro,
        listed,
        site.response,
        block,
        read_background(None, of_class),
        own_map=own_map,
    )
    return Result(Searched(skymap.tiles, info, astro, listed, site, block), content)


def _whole(what: str, number: object, least: int, most: int) -> int:
    whole = int(number) if isinstance(number, Integral) else -1
    if not least <= whole <= most:
        raise LlamaError(f"{what} is {shown(number)}; give a whole number from {least:,}")
    return whole


def _p_astro(
    given: float | Mapping[str, float] | None,
    far_hz: float | None,
    population: str | None,
    block: SearchBlock,
) -> PAstro:
    """Return p_astro and population as p_astro.json has them."""
    known = list(block["assumed_horizon_mpc"])
    if population is not None and population not in known:
        raise LlamaError(f"the population is {shown(population)}; give one of {', '.join(known)}")
    if far_hz is not None and not 0 <= far_hz < math.inf:
        raise LlamaError(f"far_hz is {shown(far_hz)}; give a rate in Hz, 0 or more")
    if isinstance(given, Mapping) or (given is None and far_hz is not None):
        group = "Burst" if population == "burst" else "CBC"
        made = p_astro_of(given or {}, far_hz, block["far_signal_rate_hz"], group)
        return {"p_astro": made["p_astro"], "population": population or made["population"]}
    p = _BACKGROUND_P_ASTRO if given is None else given
    if not isinstance(p, Real) or not 0 <= p <= 1:
        raise LlamaError(f"p_astro is {shown(p)}; give a probability from 0 to 1")
    return {"p_astro": min(float(p), MOST_P_ASTRO), "population": population or "cbc"}


def _listed(
    gps: float,
    neutrinos: "Neutrinos | Table | None",
    archives: Mapping[str, Archive],
    block: SearchBlock,
) -> NeutrinoList:
    given = None
    if neutrinos is not None:
        checked = neutrinos if isinstance(neutrinos, Neutrinos) else Neutrinos(neutrinos, gps)
        given = checked.rows
    asked: dict[str, Any] = {"now_gps": now_gps(), "given": given, "window": search_window(block)}
    if "" in archives:
        return make_list(_NAME, gps, archive=archives[""].imported, **asked)
    streams = {key: Stream(one.imported, ()) for key, one in archives.items()}
    return make_network_list(_NAME, gps, streams, **asked)


def _site(gps: float, archives: Mapping[str, Archive], block: SearchBlock, on: list[str]) -> Site:
    at = [archives[key].imported.at(gps).directory for key in sorted(archives)]
    tables = [path / response_file(path, block["response"]) for path in at]
    return open_site(tables[0] if "" in archives else tables, block, on, gps)


def _info(
    skymap: SkyMap, gps: float, name: str, population: str, far_hz: float | None
) -> EventInfo:
    """Return what an alert would say of the event."""
    when = gps_to_iso(gps)
    return EventInfo(
        alert_type="manual",
        graceid=name,
        event_time=when,
        gps_time=gps,
        far_hz=far_hz,
        pipeline="",
        group="Burst" if population == "burst" else "CBC",
        search="",
        instruments=skymap.instruments,
        significant=True,
        role="test",
        retracted=False,
        internal=False,
        skymap_filename=None,
        skymap_sha256=None,
        skymap_file=None,
        skymap_alert_file=None,
        alert_file="",
        event_alert_file=None,
        neutrino_file=None,
        gracedb_service_url=None,
        notice_time=when,
        notice=name,
        revision=1,
    )
