"""Chance bursts of weighted backgrounds: weights are exact, p-values of chance are uniform."""

import functools

import numpy as np
import proofs
import pytest
from stats_samples import grb_parameters, parameters
from tilt_samples import make_release, prepare, worst_level

from llama.background.bursts import SHARE, Chance, Marks, Neighbors, Places, chance_bursts
from llama.background.cells import build_cells
from llama.background.draws import Draws, draw_background, join
from llama.background.tilts import tilt_map, weights
from llama.event.map_background import Stream, map_background
from llama.event.prepared import prepare_drawn
from llama.stats.healpix import unit_vectors
from llama.stats.odds import Neutrinos, event_odds
from llama.stats.pvalue import weighted_p_values

PARAMS = parameters()
OFTEN = grb_parameters(efficiency=0.6, rate_hz=0.05)  # 0.3 bursts by chance within the delays
ERRORS_DEG = [0.3, 3.0, 8.0]
SEED, WHOLE, P_ASTRO = 20261129, 60_000, 0.99
N = 20_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    release, response = make_release(tmp_path_factory.mktemp("release"), 20_000)
    return release.events, response


class Site:
    """A map, and what chance bursts are drawn from."""

    def __init__(self, site, name, model=OFTEN, errors=ERRORS_DEG):
        marks = errors if isinstance(errors, Marks) else Marks.of_errors(errors)
        self.draws = Draws(SEED, "weighted", *site, PARAMS)
        self.cells = build_cells(*site, PARAMS)
        self.prepared = prepare(name, site[1], PARAMS)
        self.chance = chance_bursts(self.prepared, self.cells, model, marks)
        self.stream = Stream(model, marks)


# -- the weights

NEAR = Neighbors(
    unit_vectors(np.array([62.0, 200.0]), np.array([-29.0, 0.0])), np.array([3.0, 1.0])
)
CAPS = {"map": (60.0, -30.0, 8.0), "neutrino": (200.0, 0.0, 2.0), "elsewhere": (300.0, 60.0, 30.0)}


def worst_cap(found, given):
    """How far the bursts of the injections are from uniform in a cap, of each error, in sigma."""
    owner = np.repeat(np.arange(N), [places.ra_deg.size for places in found])
    ra, dec, sigma, _ = np.concatenate(found, axis=1)
    deviations = [np.abs((given.mean() - 1) / (given.std() / N**0.5))]
    for center_ra, center_dec, radius in CAPS.values():
        cos = unit_vectors(ra, dec) @ unit_vectors(center_ra, center_dec)
        area = (1 - np.cos(np.radians(radius))) / 2
        for error in ERRORS_DEG:
            there = (cos > np.cos(np.radians(radius))) & (sigma == error)
            each = given * np.bincount(owner[there], minlength=N)
            expected = 0.3 * area / len(ERRORS_DEG)
            if there.sum() > 100:
                deviations.append(abs(each.mean() - expected) / (each.std() / N**0.5))
    return max(deviations)


WRONG = {
    "m left out": lambda _, n, h: 1 / (1 - SHARE + SHARE * h),
    "h left out": lambda m, n, h: 1 / (1 - SHARE + SHARE * n / m),
    "share left out": lambda m, n, h: 1 / (1 + h / m),
}


@pytest.mark.parametrize("near", [NEAR, Neighbors(np.empty((0, 3)), np.empty(0))])
def test_weighted_bursts_are_uniform_over_the_sky(site, near):
    some = Site(site, "small")
    found, given = some.chance.draw(some.draws, np.arange(N), [near] * N)
    assert worst_cap(found, given) < 4
    assert given.max() == pytest.approx(1 / (1 - SHARE))
    on_map = [(places.ra_deg.size, given[k]) for k, places in enumerate(found)]
    assert min(weight for count, weight in on_map if count) < 0.03
    tilts = [some.chance.tilt(places, near) for places in found]
    for what, wrong in WRONG.items():
        mistaken = np.array([wrong(some.chance.mean, h.size, h.sum()) for h in tilts])
        assert worst_cap(found, mistaken) > 6, what


def test_bursts_of_a_list_without_any_have_a_typical_error(site):
    some = Site(site, "wide", errors=[])
    found, _ = some.chance.draw(some.draws, np.arange(100), [NEAR] * 100)
    assert {*np.concatenate(found, axis=1)[2]} == {5.0}


def test_kinds_of_bursts_have_their_shares(site):
    marks = Marks(np.array([1.0, 6.0]), np.array([0.5, 2.0]), np.array([0.9, 0.1]))
    some = Site(site, "wide", errors=marks)
    found, given = some.chance.draw(some.draws, np.arange(N), [NEAR] * N)
    owner = np.repeat(np.arange(N), [places.ra_deg.size for places in found])
    *_, sigma, gain = np.concatenate(found, axis=1)
    for error, of_error, share in zip(*marks, strict=True):
        assert {*gain[sigma == error]} == {of_error}
        each = given * np.bincount(owner[sigma == error], minlength=N)
        assert abs(each.mean() - 0.3 * share) / (each.std() / N**0.5) < 4


# -- the background


def test_bits_are_the_same_with_more_threads_and_neutrinos_as_without_bursts(site):
    some = Site(site, "wide")
    one, two = (
        map_background(some.prepared, some.draws, P_ASTRO, 200, threads, some.stream)
        for threads in (1, 2)
    )
    alone = map_background(some.prepared, some.draws, P_ASTRO, 200, 2)
    assert alone.keys() == {"map"}
    assert one.keys() == two.keys() == {"map", "bursts"}
    for name, groups in (("bursts", one["bursts"]), ("map", one["map"]), ("map", alone["map"])):
        assert groups.keys() == two[name].keys()
        for group, values in groups.items():
            assert values.tobytes() == two[name][group].tobytes()


class Samples:
    """A background with bursts, and plain chance events of the same map."""

    def __init__(self, site, name, size):
        self.some, self.size = Site(site, name), size
        draws, prepared, area = self.some.draws, self.some.prepared, site[1].area_relative
        plain = draws._replace(kind="background")
        counts, columns = join([draw_background(plain, np.arange(size))])
        tilt = tilt_map(prepared, draws, self.some.cells)
        self.of_neutrinos = weights(draws, counts, columns, self.some.cells, tilt)
        neutrinos = prepare_drawn(plain, columns)
        rng, stops = np.random.default_rng(SEED), np.cumsum(counts)
        self.plain, self.drawn = np.empty(size), []
        for k, (first, stop) in enumerate(zip(stops - counts, stops, strict=True)):
            n = rng.poisson(0.3)
            u, z = rng.uniform(size=n), rng.uniform(-1, 1, n)
            bursts = Places(
                360 * u, np.degrees(np.arcsin(z)), rng.choice(ERRORS_DEG, n), np.ones(n)
            )
            mine = Neutrinos(*(column[first:stop] for column in neutrinos))
            given = [prepared, mine, P_ASTRO, PARAMS, area]
            messenger = bursts.messenger(OFTEN, PARAMS, area.size)
            self.plain[k] = event_odds(*given, [messenger]).odds_ratio
            odds = event_odds(*given).single_odds if n else np.empty(0)
            self.drawn.append((bursts, Neighbors(mine.vectors, odds)))

    def weigh(self):
        """Return odds and weights of the background, and the plain events' weights."""
        some = self.some
        given = some.prepared, some.draws, P_ASTRO, self.size // 2, 2, some.stream
        background = map_background(*given)["bursts"]
        own = self.of_neutrinos / (1 - SHARE)
        for k, (bursts, near) in enumerate(self.drawn):
            if bursts.ra_deg.size:
                own[k] = self.of_neutrinos[k] * some.chance.weight(bursts, near)
        return background[""], background["weights"], own


@pytest.fixture(scope="module")
def samples(site):
    """Samples of a map, made once: half of these of "wide" would not tell wrong factors."""
    parts = {"small": WHOLE // 20, "wide": WHOLE // 10}
    return functools.cache(lambda name: Samples(site, name, proofs.size(WHOLE, parts[name])))


@pytest.mark.proof
@pytest.mark.parametrize("name", ["small", "wide"])
def test_p_values_of_chance_events_with_bursts_are_uniform(samples, name, proven):
    some = samples(name)
    odds, given, own = some.weigh()
    deviation = (given.mean() - 1) / (given.std() / given.size**0.5)
    assert abs(deviation) < 4
    worst = worst_level(weighted_p_values(some.plain, own, odds, given))
    assert worst < 4
    proven(
        SEED,
        WHOLE,
        mean_weight_sigma=round(float(deviation), 2),
        worst_p_value_sigma=round(float(worst), 2),
    )


@pytest.mark.parametrize("wrong", ["m left out", "h left out"])
def test_with_a_wrong_factor_they_are_not(samples, monkeypatch, wrong):
    def mistaken(chance, places, near):
        h = chance.tilt(places, near)
        return WRONG[wrong](chance.mean, h.size, h.sum())

    monkeypatch.setattr(Chance, "weight", mistaken)
    some = samples("wide")
    odds, given, own = some.weigh()
    assert worst_level(weighted_p_values(some.plain, own, odds, given)) > 5
