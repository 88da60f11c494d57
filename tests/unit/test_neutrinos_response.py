"""Signal and background tables: norms, limits, and known numbers."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import EffectiveArea, read_area, read_release
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response, build_response

# n = fluence normalisation x A: 1e51 erg in E^-2 from 1e2 to 1e8 GeV, seen from 100 Mpc
ERG_GEV, MPC_CM = 624.150907, 3.0856775814913673e24
FLUENCE = 1e51 * ERG_GEV / (4 * np.pi * (100 * MPC_CM) ** 2) / np.log(1e6)


def toy_area(area_cm2, log10_energy=(1.0, 8.0)):
    n = len(area_cm2)
    return EffectiveArea(
        "toy",
        np.linspace(*log10_energy, n + 1),
        np.degrees(np.arcsin(np.linspace(-1, 1, np.shape(area_cm2)[1] + 1))),
        np.asarray(area_cm2, dtype=float),
    )


FLAT = toy_area(np.full((7, 4), 10.0))
NO_EVENTS = (np.array([]), np.array([]))


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    write_mock_release(directory, seed=3, n_events=5000)
    return read_release(directory)


@pytest.fixture(scope="module")
def response(mock):
    return build_response(mock.areas[0], mock.events["energy_gev"], mock.events["dec_deg"])


def integral(table):
    return np.trapezoid(np.trapezoid(table, SIN_DEC, axis=1), LOG10_ENERGY)


def test_grid():
    assert (LOG10_ENERGY[0], LOG10_ENERGY[-1], len(LOG10_ENERGY)) == (1.0, 8.0, 351)
    assert (SIN_DEC[0], SIN_DEC[100], SIN_DEC[-1], len(SIN_DEC)) == (-1.0, 0.0, 1.0, 201)


def test_norms(response):
    np.testing.assert_allclose(
        np.trapezoid(response.signal_per_dex, LOG10_ENERGY, axis=0), 1.0, atol=1e-14
    )
    assert integral(response.background_per_dex) == pytest.approx(1.0, abs=1e-14)
    assert np.trapezoid(response.area_relative, SIN_DEC) / 2 == pytest.approx(1.0, abs=1e-14)
    assert response.background_per_dex.min() > 0
    assert all(np.isfinite(table).all() for table in response.tables.values())


def test_flat_area_has_the_analytic_integral():
    response = build_response(FLAT, *NO_EVENTS)
    # int E^-2 dE from 10 to 1e8; the trapezoid in x overestimates e^(-x ln 10) by h^2/12
    exact = 10.0 * (0.1 - 1e-8)
    np.testing.assert_allclose(response.flux_area_cm2_gev, exact, rtol=(0.02 * np.log(10)) ** 2)
    np.testing.assert_allclose(response.area_relative, 1.0, rtol=1e-14)
    expected = np.log(10) * 10.0 ** (1.0 - LOG10_ENERGY)
    np.testing.assert_allclose(response.signal_per_dex[:, 7], expected, rtol=1e-3)


def test_area_is_bilinear_between_centres_clamped_in_dec_and_zero_outside_its_energies():
    slope = np.add.outer([3.5, 4.5, 5.5], 10 * np.array([-0.5, 0.5])) + 20.0  # x + 10 s + 20
    response = build_response(toy_area(slope, (3.0, 6.0)), *NO_EVENTS)
    x, s = LOG10_ENERGY[:, None], SIN_DEC[None, :]
    expected = np.clip(x, 3.5, 5.5) + 10 * np.clip(s, -0.5, 0.5) + 20
    expected = np.where((x >= 3.0) & (x <= 6.0), expected, 0.0)
    np.testing.assert_allclose(response.effective_area_cm2, expected, atol=1e-12)


def test_blind_declinations_have_no_signal_and_no_nan():
    area = np.full((7, 4), 10.0)
    area[:, 0] = 0.0
    response = build_response(toy_area(area), *NO_EVENTS)
    assert response.area_relative[0] == 0
    assert not response.signal_per_dex[:, 0].any()
    assert np.isfinite(response.signal_per_dex).all()


def test_area_that_sees_nothing_is_refused():
    with pytest.raises(LlamaError, match=r"is zero from 10 GeV .*in cm\^2"):
        build_response(toy_area(np.ones((2, 2)), (8.5, 9.5)), *NO_EVENTS)


def test_background_without_events_is_even():
    np.testing.assert_allclose(build_response(FLAT, *NO_EVENTS).background_per_dex, 1 / 14)


def test_even_events_give_an_even_background_up_to_the_edges():
    x, s = np.meshgrid(
        1 + 7 * (np.arange(1400) + 0.5) / 1400, -1 + (np.arange(800) + 0.5) / 400, indexing="ij"
    )
    response = build_response(FLAT, 10 ** x.ravel(), np.degrees(np.arcsin(s.ravel())))
    np.testing.assert_allclose(response.background_per_dex, 1 / 14, rtol=1e-9)


@settings(max_examples=15)
@given(x=st.floats(2.0, 7.0), s=st.floats(-0.8, 0.8), n=st.integers(1, 1000))
def test_one_direction_is_smeared_by_the_documented_widths(x, s, n):
    response = build_response(FLAT, np.full(n, 10.0**x), np.full(n, np.degrees(np.arcsin(s))))
    density = response.background_per_dex * (n + 1) - 1 / 14  # without the event spread evenly
    in_x = np.trapezoid(density, SIN_DEC, axis=1) / n
    in_s = np.trapezoid(density, LOG10_ENERGY, axis=0) / n
    for nodes, part, centre, width in ((LOG10_ENERGY, in_x, x, 0.1), (SIN_DEC, in_s, s, 0.04)):
        assert np.trapezoid(part * nodes, nodes) == pytest.approx(centre, abs=0.011)
        variance = np.trapezoid(part * (nodes - centre) ** 2, nodes)
        assert np.sqrt(variance) == pytest.approx(width, rel=0.06)


def test_background_follows_the_events(mock, response):
    low = (LOG10_ENERGY <= 4.0)[:, None] & (SIN_DEC >= 0.0)[None, :]
    share = integral(np.where(low, response.background_per_dex, 0.0))
    events = (mock.events["energy_gev"] <= 1e4) & (mock.events["dec_deg"] >= 0)
    assert share == pytest.approx(events.mean(), abs=0.02)


def test_save_and_load(response, tmp_path):
    response.save(tmp_path / "response.hdf5")
    begun = time.perf_counter()
    loaded = Response.load(tmp_path / "response.hdf5")
    assert time.perf_counter() - begun < 0.2  # measured: 2 ms
    assert loaded.season == "MOCK"
    for name, table in response.tables.items():
        np.testing.assert_array_equal(loaded.tables[name], table)
        assert loaded.tables[name].dtype == np.float64


@pytest.mark.parametrize("content", [None, b"not HDF5"])
def test_unreadable_tables_are_explained(tmp_path, content):
    path = tmp_path / "response.hdf5"
    if content:
        path.write_bytes(content)
    with pytest.raises(
        LlamaError, match=r"response.hdf5 is missing or not a detector.s tables; make"
    ):
        Response.load(path)


def test_toy_release_is_about_as_sensitive_as_icecube(response):
    mean = np.trapezoid(response.flux_area_cm2_gev, SIN_DEC) / 2
    assert mean * FLUENCE == pytest.approx(1.1, abs=0.1)


def test_public_area_gives_the_published_count(shared_data):
    irfs = shared_data / "icecube" / "icecube_10year_ps" / "irfs"
    response = build_response(read_area(irfs / "IC86_II_effectiveArea.csv"), *NO_EVENTS)
    mean = np.trapezoid(response.flux_area_cm2_gev, SIN_DEC) / 2
    # 1.17 by bins (invariant 27); between bin centres +1 %
    assert mean * FLUENCE == pytest.approx(1.17, abs=0.02)
    peak = SIN_DEC[np.argmax(response.area_relative)]
    assert 0 <= peak < 0.15
