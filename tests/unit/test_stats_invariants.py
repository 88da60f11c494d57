"""Limits, symmetries and known values of the statistic, numbered.

Those of the overlap (7, 8), the weights (15, 16, 25) and the p-value (23) are tested there. What
assumes a Gaussian point spread (4 to 6, 11, 14, 26) is said of a single density and of a mixture:
sums over its components, and tails that reach everywhere.
"""

import itertools
import json
import math

import numpy as np
import pytest
from stats_samples import blob_map, flat_response, parameters, steep_response

from llama.stats.direction import joint_p_astro, most_probable_direction
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import log_vmf_norm, overlap, prepare_map
from llama.stats.weights import tile_weights

PARAMS = parameters(ndotgwnu=1e-30)
FLAT, STEEP = flat_response(), steep_response()
A = (0.0, 0.0, 0.0, 0.5)  # dt [s], ra, dec, sigma [deg]: case A of the reference


def prepared(map_, r_mpc=100.0, params=PARAMS, response=FLAT):
    order, ipix, prob = map_
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    distance = np.full(prob.size, float(r_mpc)), np.full(prob.size, 1e-6 * r_mpc)
    weights = tile_weights(prob, sin_dec, *distance, response.area_relative, params)
    return prepare_map(order, ipix, weights)


def neutrinos(rows, energy_gev=1e3, params=PARAMS, response=FLAT):
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    energies = np.broadcast_to(np.asarray(energy_gev, dtype=float), columns.shape[1])
    return prepare_neutrinos(*columns, energies, response, params)


def odds(rows, map_, p_astro=0.5, params=PARAMS, response=FLAT, energy_gev=1e3):
    return event_odds(
        map_, neutrinos(rows, energy_gev, params, response), p_astro, params, response.area_relative
    )


WIDTHS_DEG, SHARES = np.array([0.5, 1.5, 30.0]), np.array([0.6, 0.3, 0.1])


def mixed(rows, params=PARAMS):
    """The neutrinos with three components each, whatever their sigmas."""
    given = neutrinos(rows, params=params)
    kappa = np.tile(np.radians(WIDTHS_DEG) ** -2.0, (given.dt_s.size, 1))
    return given._replace(kappa=kappa, intensity=given.intensity * SHARES[:, None])


def densities(given, positions):
    """Intensity times point spread [s] of neutrinos that are alike at all declinations."""
    away = positions @ given.vectors.T - 1
    total = np.zeros_like(away)
    for kappa, height in zip(given.kappa.T, given.intensity[:, :, 0].T, strict=True):
        total += height * kappa / (2 * np.pi * -np.expm1(-2 * kappa)) * np.exp(kappa * away)
    return total


@pytest.fixture(scope="module")
def blob():
    """A Gaussian of 1 deg at RA 0, dec 0, in tiles so fine that they do not widen it."""
    return blob_map(0.0, 0.0, 1.0, finest=10, floor=0.0, fineness=12)


@pytest.fixture(scope="module")
def near(blob):
    return prepared(blob)


GOLDEN = {
    "A": (100, [A], 9.511131374, 0.9925431138, 4.773362899),
    "B": (100, [(250, 0, 0, 0.5)], 4.755565687, 0.9925431138, 2.386681450),
    "C": (200, [A], 3.427752292, 0.9977660818, 1.715792616),
    "D": (100, [A, (100, 0.5, 0, 0.5)], 11871.87831, 0.9925431138, 5958.153794),
    "E": (100, [(0, 0, 3, 0.5)], 0.2598795138, 0.9925431138, 0.1304260430),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_values(blob, case):
    r, rows, lambda_s, lambda_cgw, total = GOLDEN[case]
    found = odds(rows, prepared(blob, r))
    # the reference is planar; at 3 deg that and the width of the tiles are what differs
    assert found.lambda_s == pytest.approx(lambda_s, rel=4e-3 if case == "E" else 1e-3)
    assert found.lambda_cgw == pytest.approx(lambda_cgw, rel=1e-7)
    assert found.odds_ratio == pytest.approx(total, rel=4e-3 if case == "E" else 1e-3)


def test_01_identity_of_the_odds(near, shared_data):
    found = odds([A, (3, 1, 1, 1)], near)
    both = found.lambda_cgw + found.lambda_cnu
    assert found.odds_ratio == pytest.approx(found.lambda_s / (1 + both), rel=1e-14)
    assert sum(found.posterior().values()) == pytest.approx(1, rel=1e-14)
    published = json.loads(
        (shared_data / "llama" / "significance_subthreshold_lvc-i3.json").read_text()
    )
    assert published["p_h_c"] >= published["p_h_s2"]
    identity = published["p_h_s1"] / (published["p_h_0"] + published["p_h_c"])
    assert published["odds_ratio"] == pytest.approx(identity, rel=1e-12)


def test_02_without_neutrinos(near):
    found = odds([], near, p_astro=0.7)
    assert (found.odds_ratio, found.lambda_s, found.sets) == (0, 0, {})
    q = 0.7 / 0.3
    survive = near.weights[0].sum()
    assert found.lambda_cgw == pytest.approx(q * (0.9 + survive / 10), rel=1e-12)
    assert found.lambda_cgw <= q


def test_03_flat_map_knows_no_direction():
    map_ = np.full(768, 3, np.int8), np.arange(768), np.full(768, 1 / 768)
    rng = np.random.default_rng(1)
    one = prepared(map_)
    values = [
        odds([(0, *rng.uniform([0, -90], [360, 90]), s)], one).lambda_s
        for s in (0.2, 1, 10, 40)
        for _ in range(5)
    ]
    np.testing.assert_allclose(values, values[0], rtol=3e-3)
    steep = prepared(map_, response=STEEP)
    values = [odds([(0, ra, 35, 3)], steep, response=STEEP).lambda_s for ra in range(0, 360, 45)]
    np.testing.assert_allclose(values, values[0], rtol=3e-3)


def test_04_single_tile_is_the_psf_at_its_separation():
    centre = unit_vectors(np.array(0.0), np.array(0.0))
    order, ipix = np.full(12 * 4**2, 2, np.int8), np.arange(12 * 4**2)
    k = int(np.argmax(tiles_geometry(order, ipix)[0] @ centre))
    tile = np.array([14], np.int8), np.array([(k << 24) + (3 << 22)]), np.ones(1)
    where = tiles_geometry(*tile[:2])[0][0]
    one = prepared(tile)
    for offset, sigma in ((0.0, 0.5), (1.0, 0.5), (3.0, 2.0)):
        v = unit_vectors(
            np.degrees(np.arctan2(where[1], where[0])), np.degrees(np.arcsin(where[2])) + offset
        )
        kappa = 1 / np.radians(sigma) ** 2
        density = overlap(one, 1, kappa, v, np.ones((1, 2)), 0.0) * math.exp(log_vmf_norm(kappa))
        planar = math.exp(-0.5 * (offset / sigma) ** 2) / (2 * math.pi * np.radians(sigma) ** 2)
        assert density / one.weights[1, 0] == pytest.approx(planar, rel=2e-3)


def test_05_gaussian_with_gaussian(blob):
    order, ipix, prob = blob
    one = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    for sigma, offset in itertools.product((0.3, 1.0, 2.0), (0.0, 0.7, 2.0)):
        kappa = 1 / np.radians(sigma) ** 2
        v = unit_vectors(np.array(0.6 * offset), np.array(0.8 * offset))
        value = overlap(one, 1, kappa, v, np.ones((1, 2)), 0.0) * math.exp(log_vmf_norm(kappa))
        both = 1 + sigma**2
        planar = math.exp(-0.5 * offset**2 / both) / (2 * math.pi * both * np.radians(1) ** 2)
        assert value == pytest.approx(planar, rel=4e-3)


@pytest.mark.parametrize("offset", [0.0, 2.0, 8.0, 60.0, 180.0])
def test_04_05_06_gaussian_with_a_mixture(near, offset):
    """The map's width is added to that of each component; for the widest the map is a point."""
    given = mixed([(0, offset, 0, 1)])
    found = event_odds(near, given, 0.5, PARAMS, FLAT.area_relative).lambda_s
    both = 1 + WIDTHS_DEG[:2] ** 2
    planar = np.exp(-0.5 * offset**2 / both) / (2 * math.pi * both * np.radians(1) ** 2)
    kappa = np.radians(WIDTHS_DEG[2]) ** -2
    tail = math.exp(log_vmf_norm(kappa) + kappa * (math.cos(math.radians(offset)) - 1))
    right = SHARES @ [*planar, tail] / (1 / (2 * math.pi * 1.25 * np.radians(1) ** 2))
    assert found == pytest.approx(GOLDEN["A"][2] * right, rel=6e-3)


def test_06_limits_of_sigma(blob):
    order, ipix, prob = blob
    one = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    k = int(np.argmax(prob * 4.0**order))
    area = np.pi / 3 * 4.0 ** -float(order[k])
    kappa = 1 / np.radians(0.001) ** 2
    inside = one.vectors[np.argmin(((one.vectors - tiles_geometry(order, ipix)[0][k]) ** 2).sum(1))]
    value = overlap(one, 1, kappa, inside, np.ones((1, 2)), 0.0) * math.exp(log_vmf_norm(kappa))
    assert value == pytest.approx(prob[k] / area, rel=1e-3)
    wide = overlap(one, 1, 1e-6, inside, np.ones((1, 2)), 0.0) * math.exp(log_vmf_norm(1e-6))
    assert wide == pytest.approx(1 / (4 * math.pi), rel=1e-3)


def test_09_rotation_about_the_axis_of_the_earth():
    rows = [(0, 100.0, 33.0, 1.0), (40, 101.5, 33.5, 2.0)]
    turned = [(dt, (ra + 90) % 360, dec, sigma) for dt, ra, dec, sigma in rows]
    order, ipix, prob = blob_map(100.0, 33.0, 2.0)
    # a quarter turn moves a tile to the same place in the next face
    face = ipix >> (2 * order.astype(np.int64))
    inside = ipix - (face << (2 * order.astype(np.int64)))
    next_ = 4 * (face // 4) + (face % 4 + 1) % 4
    after = (next_ << (2 * order.astype(np.int64))) + inside
    one, other = (prepared((order, i, prob), response=STEEP) for i in (ipix, after))
    a, b = odds(rows, one, response=STEEP), odds(turned, other, response=STEEP)
    assert a.odds_ratio > 1
    assert b.odds_ratio == pytest.approx(a.odds_ratio, rel=1e-3)


def test_10_order_of_neutrinos_and_those_outside_the_window(near):
    rows = [A, (100, 0.5, 0, 0.5), (-300, 1, 1, 1), (20, 90, 40, 1)]
    base = odds(rows, near)
    for other in itertools.permutations(rows):
        assert odds(other, near).odds_ratio == pytest.approx(base.odds_ratio, rel=1e-9)
    for dt in (500.0, -500.0, 501.0, -1e6):
        found = odds([*rows, (dt, 0, 0, 0.5)], near)
        assert found.odds_ratio == base.odds_ratio
        assert found.single_odds[-1] == 0


def test_11_more_neutrinos_never_lower_lambda_s(near):
    base = odds([A], near)
    far = odds([A, (0, 180, 0, 0.5)], near)
    assert far.lambda_s == base.lambda_s
    assert far.single_odds[1] == 0
    assert odds([A, (0, 3, 2, 1)], near).lambda_s > base.lambda_s


def test_11_the_tail_of_a_mixture_reaches_everywhere(near):
    base, far = mixed([A]), mixed([A, (0, 180, 0, 0.5)])
    base, far = (event_odds(near, x, 0.5, PARAMS, FLAT.area_relative) for x in (base, far))
    tail = densities(mixed([(0, 180, 0, 1)]), np.array([[1.0, 0.0, 0.0]]))[0, 0]
    expected = tail / neutrinos([A]).intensity[0, 0, 0] * 2 * math.pi * 1.25 * np.radians(1) ** 2
    assert far.sets[1,] == pytest.approx(GOLDEN["A"][2] * expected, rel=6e-3)
    assert far.lambda_s > base.lambda_s
    assert far.single_odds[0] == pytest.approx(base.odds_ratio, rel=1e-9)


def test_12_time_of_one_neutrino(near):
    base = odds([A], near).lambda_s
    for dt in (-499, -400, -1, 250, 430):
        found = odds([(dt, 0, 0, 0.5)], near).lambda_s
        assert found == pytest.approx(base * (500 - abs(dt)) / 500, rel=1e-12)
    dt = np.linspace(-500, 500, 4001)
    assert np.trapezoid((500 - abs(dt)) / 500**2, dt) == pytest.approx(1, abs=1e-12)
    skewed = parameters(ndotgwnu=1e-30, tgwminus=0, tgwplus=100, tnuminus=-50, tnuplus=450)
    rates = [odds([(d, 0, 0, 0.5)], near, params=skewed).lambda_s for d in range(-170, 470, 20)]
    assert rates[0] == rates[-1] == 0
    assert sum(rates) * 20 == pytest.approx(base * 500, rel=1e-9)


def test_13_times_of_two_neutrinos_by_simulation(near):
    together = odds([A, (0, 0.5, 0, 0.5)], near).sets[0, 1] * 500.0**2
    rng = np.random.default_rng(2)
    t_s = rng.uniform(-250, 250, 400_000)  # relative to t_gw
    for one, two in ((100, -100), (-300, -200), (0, 420), (-260, 230)):
        rows = [(one, 0, 0, 0.5), (two, 0.5, 0, 0.5)]
        found = odds(rows, near).sets.get((0, 1), 0.0)
        allowed = (abs(one - t_s) < 250) & (abs(two - t_s) < 250)
        expected = together * allowed.mean() / 500**2
        assert found == pytest.approx(expected, rel=0.02)
    assert (0, 1) not in odds([(-260, 0, 0, 0.5), (245, 0.5, 0, 0.5)], near).sets


@pytest.mark.parametrize(
    ("n", "kind"), [*((n, neutrinos) for n in (2, 3, 4, 8)), (2, mixed), (3, mixed)]
)
def test_14_subset_sum_is_the_product_form(blob, n, kind):
    """Equation 6.4, integrated over energy, source time and position by another road."""
    params = parameters(ndotgwnu=1e-30, ratebgnu=0.0064 if n < 8 else 10.0)
    r = 100.0 if n < 8 else 400.0
    rng = np.random.default_rng(n)
    rows = np.column_stack(
        [rng.uniform(-240, 240, n), rng.normal(0, 0.7, (n, 2)), rng.uniform(0.8, 2, n)]
    )
    given = kind(rows, params=params)
    found = event_odds(prepared(blob, r, params), given, 0.5, params, FLAT.area_relative)
    order, ipix, prob = blob
    positions, _ = tiles_geometry(order, ipix)
    log_e, share = np.polynomial.legendre.leggauss(16)
    mu = params.nu_51_100 * 10 ** (2.5 * log_e - 2.5) * (100 / r) ** 2
    space = densities(given, positions)
    edges = np.unique(np.clip(np.concatenate([given.dt_s - 250, given.dt_s + 250]), -250, 250))
    total = 0.0
    for low, high in itertools.pairwise([-250, *edges, 250]):
        on = np.abs(given.dt_s - 0.5 * (low + high)) < 250
        for m, part in zip(mu, share / 2, strict=True):
            product = np.prod(1 + m * space * on / 500, axis=1) - 1
            total += (high - low) / 500 * part * np.exp(-m) * (prob @ product)
    assert found.lambda_s == pytest.approx(total / params.fb, rel=0.01)


def test_17_beaming(blob):
    one = parameters(ndotgwnu=1e-30, fb=5, Enumin=2e-6, Enumax=0.2)
    base = odds([A], prepared(blob)).lambda_s
    assert odds([A], prepared(blob, params=one), params=one).lambda_s == pytest.approx(
        2 * base, rel=1e-9
    )


def test_18_19_better_gravitational_waves(near):
    values = [odds([A], near, p_astro=p).odds_ratio for p in (0, 1e-6, 0.01, 0.5, 0.99, 1 - 1e-9)]
    assert values[0] == 0
    assert (np.diff(values) > 0).all()
    found = odds([A], near)
    assert values[-1] == pytest.approx(found.lambda_s / found.lambda_cgw, rel=1e-6)


def test_20_higher_energies_count_more():
    near = prepared(blob_map(0.0, 0.0, 1.0), response=STEEP)
    energies = 10 ** np.linspace(2.2, 5.5, 12)
    values = [odds([A], near, energy_gev=e, response=STEEP).lambda_s for e in energies]
    assert (np.diff(values) > 0).all()


def test_21_background_rate(near):
    base = odds([A], near).lambda_s
    double = parameters(ndotgwnu=1e-30, ratebgnu=0.0128)
    assert odds([A], near, params=double).lambda_s == pytest.approx(base / 2, rel=1e-12)


def test_22_units():
    given = neutrinos([(12.0, 90.0, 30.0, 2.0), (0, 0, 0, 0.01)])
    assert given.kappa[0] ** -0.5 == pytest.approx(2 * math.pi / 180, rel=1e-15)
    assert given.kappa[1] ** -0.5 == pytest.approx(0.2 * math.pi / 180, rel=1e-15)  # the floor
    np.testing.assert_allclose(given.vectors[0], [0, math.sqrt(0.75), 0.5], atol=1e-15)
    # isotropic signal over isotropic background: 4 pi sr over the rate
    np.testing.assert_allclose(given.intensity, 4 * math.pi / 0.0064, rtol=1e-12)


def test_24_elevated_p_astro(near):
    for p in (1e-6, 0.1, 0.9):
        found = odds([A], near, p_astro=p)
        ratio = (found.lambda_cgw + found.lambda_s) / (p / (1 - p))
        joint = joint_p_astro(p, ratio)
        posterior = found.posterior()
        assert joint == pytest.approx(posterior["coincidence"] + posterior["gw_only"], rel=1e-9)
        assert p < joint < 1
        assert joint_p_astro(p, 1.0) == pytest.approx(p, rel=1e-15)
    nothing = odds([], near, p_astro=0.5)
    assert 0.49 < joint_p_astro(0.5, nothing.lambda_cgw) < 0.5


@pytest.mark.parametrize("sigma", [0.2, 0.5, 0.9])
def test_26_point_spread_function_is_a_gaussian(sigma):
    kappa = 1 / np.radians(sigma) ** 2
    psi = np.radians(np.linspace(0, 3 * sigma, 20))
    vmf = np.exp(log_vmf_norm(kappa) + kappa * (np.cos(psi) - 1))
    np.testing.assert_allclose(vmf, kappa / (2 * np.pi) * np.exp(-0.5 * kappa * psi**2), rtol=1e-3)


def test_28_single_neutrinos_are_part_of_the_whole(near):
    found = odds([A, (100, 0.5, 0, 0.5), (0, 4, 1, 1)], near)
    assert found.single_odds.sum() < found.odds_ratio
    alone = odds([A], near)
    assert found.single_odds[0] == pytest.approx(alone.odds_ratio, rel=1e-12)


def test_ordering_of_scenarios(blob, near):
    broad = prepared(blob_map(0.0, 0.0, 10.0))
    a = odds([A], near).odds_ratio
    late = odds([(400, 0, 0, 0.5)], near).odds_ratio
    assert late == pytest.approx(0.2 * a, rel=1e-9)
    assert odds([(500, 0, 0, 0.5)], near).odds_ratio == odds([], near).odds_ratio == 0
    off = odds([(0, 2.5, 0, 0.5)], near).odds_ratio
    assert a > late > 0
    assert a > off > 1e6 * odds([(0, 15, 0, 0.5)], near).odds_ratio
    assert a > odds([A], broad).odds_ratio
    assert a > odds([(0, 0, 0, 5.0)], near).odds_ratio
    assert a > odds([A], prepared(blob, 300)).odds_ratio
    assert a > odds([A], near, p_astro=0.1).odds_ratio
    assert odds([A, (100, 0.5, 0, 0.5)], near).odds_ratio > 100 * a
    assert odds([A, (100, 120, 50, 0.5)], near).odds_ratio == pytest.approx(a, rel=1e-9)
    d, b, c, e = (
        odds(rows, prepared(blob, r)).odds_ratio for r, rows, *_ in map(GOLDEN.get, "DBCE")
    )
    assert d > a > b > c > e


def test_cnu_is_counted_for_neutrinos_in_the_window_only(near):
    params = parameters()
    found = odds([A, (600, 0, 0, 0.5)], near, params=params)
    alone = odds([A], near, params=params)
    assert 0 < found.lambda_cnu == alone.lambda_cnu < 1e-3


def test_most_probable_direction(near):
    rows = [(0, 1.0, 0.0, 1.0)]
    given = neutrinos(rows)
    found = event_odds(near, given, 0.5, PARAMS, FLAT.area_relative)
    ra, dec = most_probable_direction(near, given, found.sets)
    assert ra == pytest.approx(0.5, abs=0.1)  # half way between two Gaussians of 1 deg
    assert dec == pytest.approx(0.0, abs=0.1)
    ra, dec = most_probable_direction(near, given, {})
    assert min(ra, 360 - ra) < 0.2
    assert abs(dec) < 0.2
