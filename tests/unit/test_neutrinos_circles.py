"""The radius that holds 90 % of a neutrino's point spread, against sums over the sky."""

import healpy
import numpy as np
import pytest
from stats_samples import flat_response, parameters, steep_response

from llama.neutrinos.mixture import concentrations, radii_deg
from llama.stats.healpix import unit_vectors
from llama.stats.odds import Neutrinos, prepare_neutrinos

NODES = np.linspace(-1, 1, 201)


def of_mixture(share, sigma_deg, dec_deg=0.0, slope=0.0):
    """One neutrino whose components have so much of the intensity; slope: of the first, by dec."""
    share = np.array(share, float)
    table = np.repeat(share[:, None], NODES.size, axis=1)
    table[0] *= 1 + slope * NODES
    kappa = concentrations(np.array([sigma_deg]))[:, : share.size]
    vectors = unit_vectors(np.array([40.0]), np.array([dec_deg]))
    return Neutrinos(np.zeros(1), vectors, kappa, 123.4 * table[None])


def radius(neutrino, probability=0.9):
    s = neutrino.vectors[:, 2]
    return float(radii_deg(neutrino.kappa, neutrino.shares, s, probability)[0])


@pytest.mark.parametrize("sigma_deg", [0.2, 1.0, 4.0])
@pytest.mark.parametrize(
    "share", [[0.1, 0.2, 0.3, 0.2, 0.1, 0.06, 0.04], [0, 0, 1], [0, 0.5, 0, 0, 0, 0, 0.5]]
)
@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_the_sum_over_the_sky_within_it(share, sigma_deg, probability):
    neutrino = of_mixture(share, sigma_deg, dec_deg=30.0)
    found = radius(neutrino, probability)
    # pixels of a sixth of the narrowest width near by, coarse ones for the rest of the sky
    inside = near_by = 0.0
    for order, low, high in ((12, 0.0, 8.0), (8, 8.0, 180.0)):
        some = healpy.query_disc(1 << order, neutrino.vectors[0], np.radians(min(high + 1, 180)))
        pixels = np.stack(healpy.pix2vec(1 << order, some), axis=-1)
        away = 0.5 * ((pixels - neutrino.vectors[0]) ** 2).sum(axis=1)
        angle = np.degrees(np.arccos(1 - away))
        ring = (angle >= low) & (angle < high)
        area = 4 * np.pi / (12 * 4**order)
        for kappa, part in zip(neutrino.kappa[0], np.array(share) / np.sum(share), strict=True):
            height = kappa / (2 * np.pi * -np.expm1(-2 * kappa))
            density = height * np.exp(-kappa * away) * area
            near_by += part * density[ring].sum()
            inside += part * density[ring & (angle <= found)].sum()
    assert near_by == pytest.approx(1.0, abs=2e-3)
    assert inside == pytest.approx(probability, abs=3e-3)


@pytest.mark.parametrize("response", [flat_response(), steep_response()])
@pytest.mark.parametrize("sigma_deg", [0.05, 0.2, 0.9, 10.0, 60.0])
def test_of_a_single_density_it_is_its_own(response, sigma_deg):
    """cos r = 1 + ln(1 - 0.9 (1 - exp(-2 kappa))) / kappa, of sigma with its floor."""
    columns = (np.array([x]) for x in (0.0, 10.0, -20.0, sigma_deg, 1e4))
    one = prepare_neutrinos(*columns, response, parameters())
    kappa = np.radians(max(sigma_deg, 0.2)) ** -2.0
    cos = 1 + np.log1p(-0.9 * -np.expm1(-2 * kappa)) / kappa
    found = radius(one)
    assert found == pytest.approx(np.degrees(np.arccos(cos)), rel=1e-6)
    if sigma_deg < 1:
        assert found == pytest.approx(2.145966 * max(sigma_deg, 0.2), rel=1e-4)


def test_components_count_as_at_the_neutrinos_own_declination():
    """The first component has all in the south, and none in the north."""
    south, north = (of_mixture([1, 1], 2.0, dec, slope=-1.0) for dec in (-89.9, 89.9))
    wide, narrow = (radius(of_mixture(share, 2.0)) for share in ([0, 1], [2, 1]))
    assert radius(north) == pytest.approx(wide, rel=1e-4)
    assert radius(south) == pytest.approx(narrow, rel=1e-4)


def test_where_no_source_gives_such_a_neutrino_the_rest_of_the_sky_says():
    one = of_mixture([0.2, 0.8], 2.0, dec_deg=60.0)
    known = radius(one)
    table = one.intensity.copy()
    table[:, :, NODES > 0.5] = 0.0
    assert radius(one._replace(intensity=table)) == pytest.approx(known)
    assert np.isnan(radius(one._replace(intensity=0 * table)))
