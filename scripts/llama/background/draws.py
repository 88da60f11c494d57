"""What an injection draws: its sky map, its background neutrinos, and those of a source.

The source is where and as far as the sky map says. It is drawn from the map's posterior, not
weighted with the brightness that a detection would favour: a row keeps the count that its source is
expected to give, and every isotropic energy E is then a weight, Poisson(n | expected E / 1e51 erg),
on the same injections.

Random numbers are those of `llama.background.philox`.
"""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.background.emission import Emission, quantiles
from llama.background.philox import fill
from llama.background.turned import turned_ra_deg
from llama.neutrinos.network import EVENTS, Network, area_of
from llama.neutrinos.table import Columns
from llama.neutrinos.truth import Sampler
from llama.sky import SkyTiles
from llama.stats.area import area_in
from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import njit
from llama.stats.cosmology import grid, log_gain, source_density
from llama.stats.distance import distance_nodes
from llama.stats.healpix import directions_deg, sphere_point, tile_position
from llama.stats.parameters import SearchParameters

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

# with so many neutrinos of the source
KINDS = {"background": 0, "signal": 1, "doublet": 2, "quadruplet": 4}
SOURCES = tuple(kind for kind, neutrinos in KINDS.items() if neutrinos)
WEIGHTED = "weighted"  # background of `llama.background.tilts`
CODES = KINDS | {WEIGHTED: 16}  # of random numbers

ONE_WITHOUT_ENERGY_IN = 10  # injections: for events of which an energy is not known
TRIGGER, BACKGROUND, SOURCE, SIGNAL = range(4)  # streams
_CHOICE = 7  # number of a neutrino of a source that chooses its detector
_TICKS_PER_S = 2.0**20
_NODES = 512  # of the distance's distribution


class Draws(NamedTuple):
    """What injections of one kind are drawn from: an archive, its response, and the model."""

    seed: int
    kind: str  # of CODES
    events: Columns
    response: "AnyResponse"
    params: SearchParameters
    # what draws a source's neutrinos, by default the response; of a network one for each member
    truth: Sampler | tuple[Sampler | None, ...] | None = None
    hides_energy: bool = False  # of all neutrinos, as lists of circulars do

    @property
    def code(self) -> int:
        """Number of the kind in random numbers."""
        return CODES[self.kind]

    @property
    def is_weighted(self) -> bool:
        """Whether it is background whose injections have weights."""
        return self.kind == WEIGHTED

    @property
    def has_sources(self) -> bool:
        """Whether injections have neutrinos of a source."""
        return self.kind in SOURCES

    def uniforms(self, stream: int, numbers: Integers, blocks: int) -> Floats:
        """Return the first blocks of a stream as `uniforms` does."""
        return uniforms(self.seed, self.code, stream, numbers, blocks)


class Sources(NamedTuple):
    """Sources of n injections: unit vectors (n, 3), distance [Mpc], when the GW left [s].

    expected: count of neutrinos from 1e51 erg (isotropic-equivalent) at that place.
    """

    vectors: Floats
    distance_mpc: Floats
    gw_time_s: Floats
    expected: Floats


def draw_skymaps(
    seed: int, kind: int, numbers: Integers, n_maps: int, broken: Collection[int] = ()
) -> Integers:
    """Return the index of the sky map of each injection, uniform in those that are not broken.

    A broken map is drawn again, so that injections with other maps stay what they are.
    """
    bad = np.array(sorted(broken), dtype=np.int64)
    index = np.full(numbers.size, -1, dtype=np.int64)
    again, attempt = np.arange(numbers.size), 0
    while again.size:
        u = uniforms(seed, kind, TRIGGER, numbers[again], 2 + attempt)[:, 1 + attempt, 0]
        index[again] = np.minimum((u * n_maps).astype(np.int64), n_maps - 1)
        again, attempt = again[np.isin(index[again], bad)], attempt + 1
    return index


def draw_background(draws: Draws, numbers: Integers) -> tuple[Integers, Columns]:
    """Return how many background neutrinos each injection has, and all of them one after another.

    The number is Poisson at `ratebgnu` in the window of the search (1000 s). Columns
    dt_s (t_nu - t_gw [s], see `whole_ticks`), ra_deg, dec_deg, sigma_deg, energy_gev; the last
    three are drawn together from the archive's `events`, RA and time are uniform; of a detector
    that sees the sky turn, RA follows from what it sees at the time of the trigger.
    """
    window, events = draws.params.window, draws.events
    mean = draws.params.ratebgnu * window.length_s
    counts = poisson(mean, draws.uniforms(TRIGGER, numbers, 1)[:, 0, 0])
    drawn = np.empty((int(counts.sum()), 4))
    ends = np.cumsum(counts)
    fill(draws.seed, draws.code, BACKGROUND, numbers.astype(np.uint64), ends, drawn)
    size = len(events["dec_deg"])
    which = np.minimum((drawn[:, 0] * size).astype(np.int64), size - 1)
    columns = {"dt_s": whole_ticks(window.start_s + window.length_s * drawn[:, 1])}
    columns["ra_deg"] = 360.0 * drawn[:, 2]
    for name in drawn_names(events):
        columns[name] = events[name][which]
    if isinstance(draws.response, Network) and draws.response.turned:
        columns["ra_deg"] = turned_ra_deg(draws.response, columns, drawn[:, 2])
    return counts, columns


def drawn_names(events: Columns) -> list[str]:
    """Return what is drawn together of an archive's event; of a network's, its detector too."""
    return [name for name in EVENTS if name in events]


def poisson(mean: float, u: Floats) -> Integers:
    """Return numbers at quantiles u of the Poisson distribution."""
    n = range(int(mean + 12 * math.sqrt(mean)) + 30)  # as far as probabilities are below 1
    chances = np.exp([i * math.log(mean) - mean - math.lgamma(i + 1) for i in n])
    return np.searchsorted(np.cumsum(chances), u, side="right")


def draw_sources(draws: Draws, numbers: Integers, tiles: SkyTiles) -> Sources:
    """Return the sources of injections that all have the sky map `tiles`.

    A tile by its probability, a point uniform in it, a distance from its distribution; where
    the map tells none, uniform in comoving volume and source time to `assumed_horizon_mpc`.
    """
    u, params = draws.uniforms(SOURCE, numbers, 2), draws.params
    cumulative = np.cumsum(tiles.prob)
    which = np.searchsorted(cumulative, u[:, 0, 0] * cumulative[-1], side="right")
    which = np.minimum(which, tiles.prob.size - 1)
    vectors = _points(tiles.order[which], tiles.ipix[which], u[:, 0, 1], u[:, 0, 2])
    quantile = 1 - u[:, 0, 3]  # never 0: no source is here
    distance = _assumed(params, quantile)
    if tiles.distmu is not None and tiles.distsigma is not None:
        known = np.isfinite(tiles.distmu[which])
        mu, sigma = (c[which][known, None] for c in (tiles.distmu, tiles.distsigma))
        r, density = distance_nodes(mu, sigma, np.sqrt(np.linspace(0, 1, _NODES)), 1.0)
        distance[known] = quantiles(r, density, quantile[known])
    area = area_in(area_of(draws.response), vectors)
    gain = np.exp(np.interp(np.log(distance), grid()[0], log_gain(params.events_by_redshift)))
    return Sources(
        vectors,
        distance,
        params.tgwminus + (params.tgwplus - params.tgwminus) * u[:, 1, 0],
        params.nu_51_100 * (100 / distance) ** 2 * area * gain,
    )


def _assumed(params: SearchParameters, quantile: Floats) -> Floats:
    """Return distances [Mpc] of sources whose map tells none."""
    farthest = params.assumed_horizon_mpc
    if not params.events_by_redshift:
        return np.asarray(farthest * quantile ** (1 / 3))
    r = np.linspace(0, farthest, 16 * _NODES)
    within = np.cumsum(source_density(r))
    return np.interp(quantile * within[-1], within, r)


def draw_signal(draws: Draws, numbers: Integers, sources: Sources) -> tuple[Integers, Columns]:
    """Return how many neutrinos of its source each injection has (`KINDS`), and all of them.

    Energies follow A_eff E^-2 at the source's declination, sigma is that of an archive event of
    like energy, the direction is von Mises-Fisher about the source; with `truth`, all of these are
    as simulated. Emission times are uniform in their window. Columns as `draw_background`. In a
    network, each is in the detector that the shares f_d at the source choose.
    """
    count, params, response = KINDS[draws.kind], draws.params, draws.response
    if isinstance(response, Network) and response.locals and not response.turned:
        raise ValueError("detectors that see the sky turn need the time of the trigger")
    u = draws.uniforms(SIGNAL, numbers, 2 * count).reshape(-1, 8)
    true = np.repeat(sources.vectors, count, axis=0)
    detector = np.zeros(u.shape[0], dtype=np.int64)
    if isinstance(response, Network):
        below = np.cumsum(response.fractions_in(true), axis=0)[:-1]
        detector = (below <= u[:, _CHOICE]).sum(axis=0)
    energy, sigma, seen = np.empty(u.shape[0]), np.empty(u.shape[0]), np.empty_like(true)
    for number, emission in enumerate(_emissions(draws)):
        own = detector == number
        along = true[own, 2]
        if isinstance(response, Network) and response.turned:
            along = response.turned[number].along(true[own])
        drawn = emission.draw(true[own], along, u[own, 1:_CHOICE])
        energy[own], sigma[own], seen[own] = drawn
    emitted = params.tnuminus + (params.tnuplus - params.tnuminus) * u[:, 0]
    columns = {
        "dt_s": whole_ticks(emitted - np.repeat(sources.gw_time_s, count)),
        **directions(seen),
        "sigma_deg": sigma,
        "energy_gev": energy,
    }
    if isinstance(response, Network):
        columns["detector"] = detector
    return np.full(numbers.size, count), columns


def _emissions(draws: Draws) -> list[Emission]:
    """Return what draws a source's neutrinos in each detector."""
    response, events = draws.response, draws.events
    if not isinstance(response, Network):
        truth = draws.truth if isinstance(draws.truth, Sampler) else None
        return [Emission(events, response, draws.params.sigma_floor_deg, truth)]
    found = []
    truths = draws.truth if isinstance(draws.truth, tuple) else [None] * len(response.names)
    tables = response.seeing
    for number, (member, truth) in enumerate(zip(response.members, truths, strict=True)):
        some: Columns = {}
        if truth is None:
            own = events["detector"] == number
            some = {name: events[name][own] for name in ("sigma_deg", "energy_gev")}
        found.append(Emission(some, tables[number], member.sigma_floor_deg, truth))
    return found


def whole_ticks(dt_s: Floats) -> Floats:
    """Return times cut to multiples of 2^-20 s.

    Added to a GPS time in whole seconds and taken off again they are the same to the bit, so that
    an injection opened as an event has the very same odds.
    """
    return np.asarray(np.floor(dt_s * _TICKS_PER_S) / _TICKS_PER_S)


def directions(vectors: Floats) -> Columns:
    """Return ra_deg (0 to 360) and dec_deg of unit vectors (n, 3)."""
    return dict(zip(("ra_deg", "dec_deg"), directions_deg(vectors), strict=True))


def uniforms(seed: int, kind: int, stream: int, numbers: Integers, blocks: int) -> Floats:
    """Return uniform numbers, shape (injections, blocks, 4), the first blocks of a stream."""
    drawn = np.empty((numbers.size * blocks, 4))
    ends = np.arange(1, numbers.size + 1) * blocks
    fill(seed, kind, stream, numbers.astype(np.uint64), ends, drawn)
    return drawn.reshape(numbers.size, blocks, 4)


def join(parts: list[tuple[Integers, Columns]]) -> tuple[Integers, Columns]:
    """Return the neutrinos of several draws of the same injections, ascending in time in each."""
    owners = np.concatenate([np.repeat(np.arange(counts.size), counts) for counts, _ in parts])
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([columns[name] for _, columns in parts]) for name in parts[0][1]
    }
    along = np.lexsort((columns["dt_s"], owners))
    counts = np.asarray(sum(counts for counts, _ in parts))
    return counts, {name: column[along] for name, column in columns.items()}


@njit()
def _points(order, ipix, u, v):  # type: ignore[no-untyped-def]
    """Return the unit vectors of points u, v (0 to 1) of NESTED tiles; equal areas."""
    vectors = np.empty((order.size, 3))
    for k in range(order.size):
        face, x, y = tile_position(np.int64(order[k]), ipix[k])
        side = 1.0 / (1 << np.int64(order[k]))
        vectors[k] = sphere_point(face, x + (u[k] - 0.5) * side, y + (v[k] - 0.5) * side)
    return vectors
