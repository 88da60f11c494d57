"""Sets of neutrinos where responses jump: the product at each direction, against brute force."""

import itertools

import numpy as np
import pytest
from stats_samples import blob_map, brute_force, contrast_map, parameters, vmf_exponent

from llama.stats.healpix import unit_vectors
from llama.stats.messengers import Messenger
from llama.stats.odds import Neutrinos, event_odds
from llama.stats.overlap import log_vmf_norm, prepare_map

NODES = np.linspace(-1, 1, 201)
PARAMS = parameters()


def stepped(rng, lowest=-5.0):
    """Areas in bins, as those of low energies in the south: decades from bin to bin."""
    edges = np.sort(rng.uniform(-1, 1, 24))
    return 10.0 ** rng.uniform(lowest, 0, 25)[np.searchsorted(edges, NODES)]


def steep(rng):
    return 0.01 + 1 / (1 + np.exp(-rng.uniform(15, 60) * (NODES - rng.uniform(-0.6, 0.6))))


def blind(rng):
    """Nothing south of some declination."""
    return np.where(np.arange(201) < rng.integers(2, 60), 0.0, 1.0)


def exact(map_, neutrinos, nside):
    """Return sum_k p_k <prod_i s_i>_k, each s_i interpolated by itself; None: too many pixels."""
    order, ipix, prob = map_
    kappas = neutrinos.kappa[:, 0]
    centre = kappas @ neutrinos.vectors
    kappa = np.linalg.norm(centre)
    scale = sum(log_vmf_norm(k) - k for k in kappas) + kappa

    def product(z):
        return np.prod([np.interp(z, NODES, table) for table in neutrinos.intensity[:, 0]], axis=0)

    found = brute_force(order, ipix, prob, vmf_exponent(kappa, centre / kappa), product, nside)
    return None if found is None or found[1] > 0.2 else found[0] * np.exp(scale)


def one_component(sigma_deg, tables):
    return np.radians(sigma_deg)[:, None] ** -2, np.array(tables)[:, None, :]


def check(map_, neutrinos, nside, tolerance=0.01):
    """Return the number of sets compared, each by its value in `event_odds`."""
    order, ipix, prob = map_
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    found = event_odds(prepared, neutrinos, 0.5, PARAMS, np.ones(201), left_out=0.0)
    compared = 0
    n = neutrinos.dt_s.size
    for size in range(2, n + 1):
        for which in itertools.combinations(range(n), size):
            right = exact(map_, Neutrinos(*(c[list(which)] for c in neutrinos)), nside)
            if right is None or right < 1e-60:
                continue
            # all at the time of the GW: T_S = 500^-|S|; Q = 1
            value = found.sets.get(which, 0.0) * PARAMS.fb * 500.0**size
            assert value == pytest.approx(right, rel=tolerance), which
            compared += 1
    return compared


def random_neutrinos(rng, ra, dec, tables, sigmas):
    n = len(tables)
    sigma = rng.choice(sigmas, n)
    away = rng.normal(0, 0.7 * sigma.max(), (2, n))
    ras = ra + away[0] / np.cos(np.radians(dec))
    vectors = unit_vectors(ras, np.clip(dec + away[1], -89.9, 89.9))
    return Neutrinos(np.zeros(n), vectors, *one_component(sigma, tables))


def test_southern_pair_where_areas_jump():
    """Two neutrinos 0.5 deg apart: their nodes' products, interpolated, were 82 % too high."""
    edge = (np.sin(np.radians(-33.3)) + 1) * 100
    for offset in (0.0, 0.3, 0.7):
        at = np.arange(201) + offset > edge
        tables = [np.where(at, 1.0, 1e-3), np.where(at, 2.0, 1e-4)]
        vectors = unit_vectors(np.array([357.3564, 357.8564]), np.array([-33.4765, -33.1765]))
        pair = Neutrinos(np.zeros(2), vectors, *one_component([0.6, 0.8], tables))
        assert check(blob_map(0.0, -30.0, 12.0, coarsest=5), pair, 2048) == 1


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("sigmas", [(0.3, 0.6), (1.0, 2.0), (3.0, 8.0)], ids=str)
@pytest.mark.parametrize("kind", [stepped, steep, blind])
def test_random_sets_against_brute_force(kind, sigmas, size):
    rng = np.random.default_rng([size, int(10 * sigmas[0]), len(kind.__name__)])
    nside = 2048 if sigmas[0] < 1 else 512
    compared = 0
    for map_ in (blob_map(40.0, -25.0, 6.0), blob_map(39.5, 50.0, 3.0), contrast_map()):
        for dec in (-71.0, -33.0, 12.0):
            # also at a node, where two bins meet
            place = np.degrees(np.arcsin(np.round(np.sin(np.radians(dec)), 2)))
            tables = [kind(rng) for _ in range(size)]
            centre = rng.choice([dec, place])
            compared += check(map_, random_neutrinos(rng, 40.0, centre, tables, sigmas), nside)
    assert compared >= 4


def test_a_neutrino_and_another_messenger_where_areas_jump():
    rng = np.random.default_rng(5)
    order, ipix, prob = map_ = blob_map(40.0, -25.0, 6.0)
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    for _ in range(8):
        tables = [stepped(rng), stepped(rng)]
        both = random_neutrinos(rng, 40.0, -25.0, tables, (0.6, 1.5))
        one = Neutrinos(*(column[:1] for column in both))
        # its time says as little as that of a neutrino at the time of the GW
        times = np.array([-250.0]), np.array([250.0]), np.array([500.0])
        other = Messenger(*times, *(column[1:] for column in both[1:]), 0.3)
        found = event_odds(prepared, one, 0.5, PARAMS, np.ones(201), [other], left_out=0.0)
        right = exact(map_, both, 1024)
        value = found.sets[0, 1] * PARAMS.fb * 500.0**2 / other.efficiency
        assert value == pytest.approx(right, rel=0.01)


def test_no_set_is_lost_where_the_nodes_products_are_zero():
    """One sees only north of a node, one only south of the next: they meet between the two."""
    north, south = np.zeros(201), np.zeros(201)
    north[101:], south[:101] = 1.0, 1.0
    vectors = unit_vectors(np.array([40.0, 40.1]), np.array([0.3, 0.25]))
    pair = Neutrinos(np.zeros(2), vectors, *one_component([0.4, 0.4], [north, south]))
    assert check(blob_map(40.0, 0.0, 3.0), pair, 2048) == 1
