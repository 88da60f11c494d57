"""What is made of a smearing matrix, on a detector known in closed form."""

import numpy as np
import pytest
from scipy.special import erf
from smearing_samples import (
    FAR,
    FAR_SHARE,
    PROXY_WIDTH,
    analytic_matrix,
    closer,
    flat_area,
    proxy_mean,
)

from llama.errors import LlamaError
from llama.neutrinos import mixture
from llama.neutrinos.detector import Detector, background_angerr, build_detector
from llama.neutrinos.mixture import MULTIPLES, concentrations
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, build_response
from llama.neutrinos.simulation import ANGERR, ANGERR_STEP, LOG10_RANGE, PROXY
from llama.neutrinos.truth import UNIFORMS, Sampler
from llama.stats.overlap import log_vmf_norm


@pytest.fixture(scope="module")
def matrix():
    return analytic_matrix()


@pytest.fixture(scope="module")
def events():
    """Background: soft, better known in the north."""
    rng = np.random.default_rng(2)
    s = rng.uniform(-1, 1, 20_000)
    x = rng.normal(3.2, 0.5, s.size)
    return x, 10 ** rng.normal(-0.1 - 0.2 * s, 0.2), s


@pytest.fixture(scope="module")
def detector(matrix, events):
    x, sigma, s = events
    dec = np.degrees(np.arcsin(s))
    response = build_response(flat_area(), 10**x, dec)
    return build_detector(matrix, flat_area(), response, 10**x, dec, np.maximum(sigma, 0.2))


@pytest.mark.parametrize("sin_dec", [-0.5, 0.5])
def test_signal_of_the_proxy_is_the_analytic_one(detector, sin_dec):
    low = np.arange(LOG10_RANGE[0] + 1, LOG10_RANGE[1], 0.5)
    weight = 10**-low - 10 ** -(low + 0.5)
    mean = proxy_mean(low + 0.25, sin_dec)
    spread = PROXY_WIDTH * np.sqrt(2)
    truth = erf((LOG10_ENERGY[:, None] - mean) / spread) @ weight / weight.sum() / 2 + 0.5
    found = detector.signal_per_dex[:, np.argmin(np.abs(SIN_DEC - sin_dec))]
    below = np.concatenate([[0], np.cumsum((found[1:] + found[:-1]) / 2 * np.diff(LOG10_ENERGY))])
    np.testing.assert_allclose(below, truth, atol=0.02)  # bins are 0.15 dex wide


def test_norms_and_bounds(detector):
    one = np.trapezoid(detector.signal_per_dex, LOG10_ENERGY, axis=0)
    np.testing.assert_allclose(one, 1, atol=1e-12)
    for table in (detector.signal_angerr, detector.background_angerr):
        np.testing.assert_allclose(table.sum(axis=1) * ANGERR_STEP, 1, atol=1e-12)
        assert table.min() > 0
    assert detector.background_per_dex.min() > 0
    assert detector.weights.min() >= 0
    np.testing.assert_allclose(detector.weights.sum(axis=2), 1, atol=1e-12)


@pytest.mark.parametrize("error", [5, 6, 8])
@pytest.mark.parametrize("sin_dec", [-0.7, 0.3])
def test_mixture_is_the_analytic_point_spread(detector, error, sin_dec):
    sigma = 10 ** ANGERR[error]
    x = proxy_mean(np.linspace(2.25, 3.5, 6), sin_dec)
    found = detector.neutrinos(x, np.full(x.size, sigma), np.full(x.size, sin_dec))
    node = np.argmin(np.abs(SIN_DEC - sin_dec))
    weight = found.ratio[:, :, node] / found.ratio[:, :, node].sum(axis=1, keepdims=True)
    angle = np.radians(np.geomspace(0.1, 60, 30))
    ours = mixture.distribution(angle, found.kappa[0]) @ weight.mean(axis=0)
    # 8,000 events in a cell, bins of 0.2 dex of the angle, and 6 is between two multiples
    np.testing.assert_allclose(ours, closer(angle, sigma), atol=0.05)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0, 7.0, 40.0, 150.0])
def test_components_have_integral_1_over_the_sphere(sigma):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.concatenate([[0], np.geomspace(1e-6, 2, 120)])  # of 1 - cos
    half = np.diff(edges)[:, None] / 2
    away, area = edges[:-1, None] + half * (1 + nodes), 2 * np.pi * half * weights
    for kappa in concentrations(np.array(sigma)):
        density = np.exp(log_vmf_norm(kappa) - kappa * away)
        assert (density * area).sum() == pytest.approx(1, abs=1e-6)
        assert mixture.distribution(np.array([np.pi]), kappa)[0] == pytest.approx(1, abs=1e-12)


def test_evaluation_is_the_product_of_the_tables(detector):
    p, e, s = 24, 6, 130
    x = np.argmin(np.abs(LOG10_ENERGY - PROXY[p]))
    found = detector.neutrinos(PROXY[p], 10 ** ANGERR[e], SIN_DEC[s])
    assert found.ratio.shape == (1, MULTIPLES.size, SIN_DEC.size)
    signal = detector.signal_per_dex[x] * detector.signal_angerr[p, e]
    background = detector.background_per_dex[x, s] * detector.background_angerr[p, e, s]
    np.testing.assert_allclose(found.ratio[0].sum(axis=0), 2 * np.pi * signal / background)
    np.testing.assert_allclose(found.kappa[0], concentrations(np.array(10 ** ANGERR[e])))


def test_outside_of_the_tables_their_edge_holds(detector):
    edge = detector.neutrinos([8.0, 1.0, 4.0, 4.0], [1.0, 1.0, 60.0, 0.2], [0.1] * 4)
    outside = detector.neutrinos([12.0, -3.0, 4.0, 4.0], [1.0, 1.0, 170.0, 0.01], [0.1] * 4)
    np.testing.assert_allclose(outside.ratio, edge.ratio)
    assert np.isfinite(outside.ratio).all()
    assert outside.kappa[3, 0] == pytest.approx(400 * edge.kappa[3, 0])  # its own width
    for bad in ((4.0, 0.0, 0.1), (4.0, np.nan, 0.1), (4.0, 1.0, 1.1), (4.0, 1.0, np.nan)):
        with pytest.raises(ValueError, match="AngErr > 0"):
            detector.neutrinos(*bad)


def test_unknown_energy_is_the_ratio_of_integrals(detector):
    """Never the mean of the ratio: its sums are those of many neutrinos with known energy."""
    sigma, s = 10 ** ANGERR[7], 0.3
    x = LOG10_ENERGY
    known = detector.neutrinos(x, np.full(x.size, sigma), np.full(x.size, s))
    column = np.argmin(np.abs(SIN_DEC - s))
    # b(x, a) from its tables by interpolation
    angerr = np.interp(x, PROXY, detector.background_angerr[:, 7, column])
    background = detector.background_per_dex[:, column] * angerr
    signal = np.trapezoid(known.ratio * background[:, None, None], x, axis=0)
    expected = signal / np.trapezoid(background, x)
    found = detector.neutrinos(np.nan, sigma, s).ratio[0]
    np.testing.assert_allclose(found.sum(axis=0), expected.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.002 * expected.max())


def test_background_without_dependence_is_the_same_everywhere():
    rng = np.random.default_rng(5)
    x, s = rng.uniform(2, 6, 400_000), rng.uniform(-1, 1, 400_000)
    sigma = 10 ** rng.uniform(ANGERR[3], ANGERR[13], x.size)
    found = background_angerr(x, sigma, s)
    inside = (PROXY > 2.5) & (PROXY < 5.5)
    inner = np.abs(SIN_DEC) < 0.95
    np.testing.assert_allclose(found[inside, 5:12][..., inner], 1.0, atol=0.3)
    assert found[inside, 5:12].mean() == pytest.approx(1.0, abs=0.01)
    assert found.min() > 0  # also where no event ever was


def test_tables_come_back(detector, tmp_path):
    detector.save(tmp_path / "d.hdf5")
    again = Detector.load(tmp_path / "d.hdf5")
    assert (again.season, again.gamma) == ("FLAT", 2.0)
    np.testing.assert_array_equal(again.weights, detector.weights)
    (tmp_path / "d.hdf5").unlink()
    with pytest.raises(LlamaError, match="not a detector's tables; make it again"):
        Detector.load(tmp_path / "d.hdf5")


def test_an_area_that_sees_nothing_is_refused(matrix):
    response = build_response(flat_area(), np.array([1e3]), np.array([0.0]))
    one = (np.array([1e3]), np.array([0.0]), np.array([1.0]))
    with pytest.raises(LlamaError, match=r"zero at all energies .*in cm\^2"):
        build_detector(matrix, flat_area(0.0), response, *one)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.2])
def test_draws_follow_the_analytic_detector(matrix, gamma):
    n = 40_000
    u = np.random.default_rng(4).uniform(size=(n, UNIFORMS))
    sampler = Sampler(matrix, flat_area(), gamma)
    drawn = sampler.draw(np.full(n, -1 / 30), u)  # the middle of a bin
    x = np.log10(drawn.true_energy_gev)
    edges = np.arange(2, 8.01, 0.5)
    flux = np.diff(edges) if gamma == 1 else np.diff(10 ** (edges * (1 - gamma)))
    counts, _ = np.histogram(x, edges)
    expected = n * flux / flux.sum()
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected) + 5).all()
    centre = 2.25 + 0.5 * np.floor((x - 2) / 0.5)
    pull = (np.log10(drawn.energy_gev) - proxy_mean(centre, -1)) / PROXY_WIDTH
    assert pull.mean() == pytest.approx(0, abs=0.03)
    assert pull.std() == pytest.approx(1, abs=0.03)
    scaled = drawn.angle_rad / np.radians(drawn.sigma_deg)
    far = (1 - FAR_SHARE) * np.exp(-12.5) + FAR_SHARE * np.exp(-12.5 / FAR**2)
    assert (scaled > 5).mean() == pytest.approx(far, abs=0.02)
    again = sampler.draw(np.full(n, -1 / 30), u)
    assert all((a == b).all() for a, b in zip(drawn, again, strict=True))
    alone = sampler.draw(np.full(1, -1 / 30), u[777:778])  # whoever draws it
    assert all(a[777] == b[0] for a, b in zip(drawn, alone, strict=True))


def test_draws_between_two_bins_are_of_both(matrix):
    u = np.random.default_rng(6).uniform(size=(40_000, UNIFORMS))
    sampler = Sampler(matrix, flat_area())
    mean = [
        np.log10(sampler.draw(np.full(len(u), s), u).energy_gev).mean()
        for s in (-1 / 30, -1 / 60, 0.0, 1 / 30)
    ]
    # 0.4 dex between the middles of the bins at the equator
    np.testing.assert_allclose(mean - mean[3], [0.4, 0.3, 0.2, 0], atol=0.02)
