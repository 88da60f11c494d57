"""Events and injections of an archive that has the detector's simulation."""

import dataclasses
import json
import shutil

import healpy
import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, neutrino
from figure_samples import form
from scipy.stats import ks_2samp
from smearing_samples import add_detector
from stats_samples import parameters

from llama.background.draws import Draws, draw_signal, draw_sources
from llama.event.page_files import EventFiles
from llama.event.prepared import prepare_columns
from llama.event.results import Classification, Distances, NeutrinoList, Significance
from llama.event.significance import compute_significance
from llama.figures.explain import explain
from llama.files import dump_json
from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import Detector
from llama.neutrinos.event_list import make_list
from llama.neutrinos.mixture import radii_deg
from llama.neutrinos.response import (
    LOG10_ENERGY,
    SIN_DEC,
    Response,
    load_response,
    response_file,
)
from llama.neutrinos.simulation import ANGERR, PROXY
from llama.neutrinos.truth import UNIFORMS, archive_truth
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.healpix import unit_vectors
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard

PARAMS = parameters(assumed_horizon_mpc=200.0)
SKYMAP = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


@pytest.fixture(scope="module")
def simulated(archive, tmp_path_factory):
    """The mock archive with tables from the public matrix."""
    directory = tmp_path_factory.mktemp("archives") / "toy"
    shutil.copytree(archive.directory, directory)
    add_detector(directory)
    return Archive.open(directory)


@pytest.fixture(scope="module")
def detector(simulated):
    return load_response(simulated.directory / response_file(simulated.directory, "matrix"))


@pytest.fixture(scope="module")
def truth(simulated, detector):
    return archive_truth(simulated.directory, detector)


def test_the_settings_choose_the_tables(archive, simulated, detector):
    assert isinstance(detector, Detector)
    assert response_file(simulated.directory, "published") == "response.hdf5"
    assert response_file(archive.directory, "matrix") == "response.hdf5"
    assert isinstance(load_response(archive.directory / "response.hdf5"), Response)
    assert archive_truth(archive.directory, archive.response()) is None
    np.testing.assert_array_equal(detector.area_relative, archive.response().area_relative)


def test_an_events_odds_say_what_they_are_from(archive, detector):
    search = from_dict(defaults(), "defaults").search_parameters()
    listed = make_list("S190404a", GPS, now_gps=GPS + 9e5, archive=archive)
    unknown = {**listed["events"][0], "energy": None, "id": "unknown"}
    content = {"events": [*listed["events"], unknown]}
    results = [
        compute_significance(SKYMAP, INFO, P_ASTRO, content, tables, search, NONE)
        for tables in (detector, archive.response())
    ]
    assert [(r["energy_response"], r["psf"]) for r in results] == [
        ("smearing", "mixture"),
        ("area at the reconstructed energy", "gaussian"),
    ]
    for result in results:
        json.loads(dump_json(result))
        assert sum(result["posterior"].values()) == pytest.approx(1, abs=1e-12)
    ranges = [r["neutrino_flux_sensitivity_range"] for r in results]
    assert ranges[0] == ranges[1]  # of true energies
    factors = results[0]["explanation"]["factors"].values()
    assert np.prod(list(factors)) == pytest.approx(results[0]["odds_ratio"], rel=1e-9)
    mixture, gaussian = ([one["radius_90_deg"] for one in r["single_neutrino"]] for r in results)
    sigma = [one["sigma"] for one in results[1]["single_neutrino"]]
    sigma = np.maximum(sigma, PARAMS.sigma_floor_deg)
    np.testing.assert_allclose(gaussian, 2.145966 * sigma, rtol=1e-3)
    assert sum(mixture) > 1.1 * sum(gaussian)


@pytest.mark.parametrize("dec_deg", [(-85, -30), (-30, -5), (-5, 5), (5, 30), (30, 80)])
def test_circles_hold_nine_in_ten_simulated_neutrinos(archive, detector, truth, dec_deg):
    rng = np.random.default_rng(3)
    n = 8000
    sin_dec = rng.uniform(*np.sin(np.radians(dec_deg)), n)
    drawn = truth.draw(sin_dec, rng.random((n, UNIFORMS)))
    turn, away = rng.uniform(0, 2 * np.pi, n), drawn.angle_rad
    seen = sin_dec * np.cos(away) + np.sqrt(1 - sin_dec**2) * np.sin(away) * np.cos(turn)
    columns = {
        "ra_deg": np.zeros(n),
        "dec_deg": np.degrees(np.arcsin(seen)),
        "sigma_deg": drawn.sigma_deg,
        "energy_gev": drawn.energy_gev,
    }
    held = []
    for tables in (detector, archive.response()):
        given = prepare_columns(np.zeros(n), columns, tables, PARAMS)
        radius = radii_deg(given.kappa, given.shares, given.vectors[:, 2], 0.9)
        held.append((np.degrees(away) < radius).mean())
    assert held[0] == pytest.approx(0.9, abs=0.02)
    assert held[1] < 0.86  # Gaussians of the stated errors


def explained(events, tables):
    """Return the factors of the odds, and the explanation."""
    search = from_dict(defaults(), "defaults").search_parameters()
    result = compute_significance(SKYMAP, INFO, P_ASTRO, {"events": events}, tables, search, NONE)
    files = (SKYMAP.summary(), Distances), ({"events": events}, NeutrinoList)
    forms = (form(*file) for file in (*files, (json.loads(dump_json(result)), Significance)))
    return result, explain(EventFiles(INFO, {}, Classification(), *forms))


NO_ENERGY, NEAR_BY = neutrino(energy=None), neutrino(20.0, 61.2, 24.1, energy=2.5e6)


@pytest.mark.parametrize(
    ("events", "by_matrix", "published"),
    [
        (
            [neutrino(energy=6.1e4)],
            "61 TeV proxy: {} an energy and error here",
            "61 TeV: {} an energy here",
        ),
        (
            [neutrino(), NEAR_BY],
            "5 TeV and 2.5 PeV proxies: {} energies and errors here",
            "5 TeV and 2.5 PeV: {} energies here",
        ),
        ([NO_ENERGY], "Energy not known: {} an error here", None),
        (
            [NO_ENERGY, NEAR_BY],
            "2.5 PeV proxy, one not known: {} an energy and errors here",
            "2.5 PeV, one not known: {} an energy here",
        ),
    ],
)
def test_energies_in_words(archive, detector, events, by_matrix, published):
    for tables, says in ((detector, by_matrix), (archive.response(), published)):
        result, why = explained(events, tables)
        assert len(result["explanation"]["members"]) == len(events)
        (row,) = [row for row in why["factors"] if row.title == "Energy"]
        if says is None:
            assert row.words.endswith("averaged over all energies.")
            continue
        start = f"{says.format('a source gives such')} "
        assert row.words.startswith(start)
        number, rest = row.words.removeprefix(start).split(" ", 1)
        assert rest == "times as often as background."
        factor = result["explanation"]["factors"]["energy"]
        assert float(number.replace(",", "")) == pytest.approx(factor, rel=5e-3)
        assert row.factor == f"× {number}"


def test_factors_of_energy_and_position_are_ratios_of_counts(detector, truth):
    """Against sources of the map whose neutrinos IceCube simulated, and a known background."""
    x, a = LOG10_ENERGY[:, None], ANGERR[None, :, None]
    spectrum = np.exp(-0.5 * ((x - 3.5) / 0.6) ** 2) / (0.6 * np.sqrt(2 * np.pi))
    errors = np.exp(-0.5 * ((a - 0.1) / 0.4) ** 2)
    errors /= errors.sum() * 0.1
    tables = dataclasses.replace(
        detector,
        background_per_dex=np.repeat(spectrum / 2, SIN_DEC.size, axis=1),
        background_angerr=np.tile(errors, (PROXY.size, 1, SIN_DEC.size)),
    )
    rng = np.random.default_rng(4)
    weight = SKYMAP.prob * np.interp(
        np.cos(healpy.pix2ang(2 ** SKYMAP.order.astype(int), SKYMAP.ipix, nest=True)[0]),
        SIN_DEC,
        detector.area_relative,
    )
    place, circle = unit_vectors(np.array(61.0), np.array(24.0)), np.cos(np.radians(2.5))
    inside, near_by, n = 0, 0, 1_200_000
    for _ in range(n // 40_000):
        tile = rng.choice(weight.size, 40_000, p=weight / weight.sum())
        depth = 12 - SKYMAP.order[tile].astype(int)
        ipix = (SKYMAP.ipix[tile] << 2 * depth) + (rng.random(tile.size) * 4.0**depth).astype(int)
        source = np.stack(healpy.pix2vec(2**12, ipix, nest=True), axis=1)
        drawn = truth.draw(source[:, 2], rng.random((tile.size, UNIFORMS)))
        such = np.abs(np.log10(drawn.energy_gev / 1e4)) < 0.1
        such &= np.abs(np.log10(drawn.sigma_deg / 0.8)) < 0.1
        source, away = source[such], drawn.angle_rad[such][:, None]
        east = np.cross([0.0, 0.0, 1.0], source)
        east /= np.linalg.norm(east, axis=1, keepdims=True)
        turn = rng.uniform(0, 2 * np.pi, away.shape)
        side = np.cos(turn) * east + np.sin(turn) * np.cross(source, east)
        seen = np.cos(away) * source + np.sin(away) * side
        inside += such.sum()
        near_by += (seen @ place > circle).sum()
    # the mean over the circle is that of four places within it, up to the third order
    step = 2.5 / np.sqrt(2)
    places = [(61 + i * step / np.cos(np.radians(24)), 24.0) for i in (-1, 1)]
    places += [(61.0, 24 + i * step) for i in (-1, 1)]
    told = [explained([neutrino(ra=ra, dec=dec, energy=1e4)], tables)[0] for ra, dec in places]
    position, energy = (
        np.mean([one["explanation"]["factors"][name] for one in told])
        for name in ("position", "energy")
    )
    background = np.interp(4.0, LOG10_ENERGY, spectrum[:, 0])
    background *= np.interp(np.log10(0.8), ANGERR, errors[0, :, 0])
    # tables are smoothed over 0.2 dex of the proxy, counts over the box
    assert energy == pytest.approx(inside / n / 0.2**2 / background, rel=0.12)
    assert position == pytest.approx(near_by / inside / ((1 - circle) / 2), rel=0.08)


def test_signal_neutrinos_are_as_simulated(archive, detector, truth):
    numbers = np.arange(4000)
    draws = Draws(1, "signal", archive.events(), detector, PARAMS, truth)
    sources = draw_sources(draws, numbers, SKYMAP)
    counts, columns = draw_signal(draws, numbers, sources)
    assert counts.sum() == numbers.size
    seen = unit_vectors(columns["ra_deg"], columns["dec_deg"])
    angle = 2 * np.arcsin(np.linalg.norm(seen - sources.vectors, axis=1) / 2)
    u = np.random.default_rng(2).random((numbers.size, UNIFORMS))
    other = truth.draw(sources.vectors[:, 2], u)
    for ours, theirs in (
        (angle, other.angle_rad),
        (columns["energy_gev"], other.energy_gev),
        (columns["sigma_deg"], other.sigma_deg),
        (angle / columns["sigma_deg"], other.angle_rad / other.sigma_deg),
    ):
        assert ks_2samp(ours, theirs).pvalue > 1e-3
    # around the source: no direction is better than another
    east = np.cross([0, 0, 1], sources.vectors)
    north = np.cross(sources.vectors, east)
    turn = np.arctan2((seen * north).sum(axis=1), (seen * east).sum(axis=1))
    assert np.hypot(np.cos(turn).mean(), np.sin(turn).mean()) < 4 / np.sqrt(numbers.size)


def test_the_division_into_shards_changes_nothing(archive, detector, truth, tmp_path):
    (tmp_path / "map.fits").write_bytes(to_fits(SKYMAP, "2019-04-25"))
    build_bank([tmp_path / "map.fits"], tmp_path / "maps", detector, PARAMS)
    with Bank(tmp_path / "maps") as bank:

        def run(numbers, kind):
            draws = Draws(7, kind, archive.events(), detector, PARAMS, truth)
            return run_shard(bank, draws, 0.99, numbers)

        for kind in ("background", "doublet"):
            rows, single = run(range(12), kind)
            parts = [run(range(k, k + 4), kind) for k in (0, 4, 8)]
            assert np.concatenate([part[0] for part in parts]).tobytes() == rows.tobytes()
            assert np.concatenate([part[1] for part in parts]).tobytes() == single.tobytes()
            assert np.isfinite(rows["odds"]).all()
