"""Upper limits of one event: closed form, coverage, and what cannot be limited."""

import functools
import itertools

import numpy as np
import pytest

from llama.background.draws import KINDS, SOURCES, Draws
from llama.errors import LlamaError
from llama.event.detectors import open_site
from llama.event.parameters import search_parameters
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap, to_fits
from llama.study.bank import Bank, build_bank
from llama.study.efficiency import (
    CONFIDENCE,
    Injections,
    efficiency,
    inject_on_map,
    live_fraction,
    upper_limit,
)
from llama.study.injections import run_shard

SEARCH = from_dict(defaults(), "defaults").search_parameters()
P_ASTRO, SIZE = 0.9, 300


@pytest.fixture(scope="module")
def skymap(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "lvc_skymap.fits"
    tiles = mock_skymap(80.0, 30.0, (6.0, 4.0), (100.0, 1.0))
    path.write_bytes(to_fits(tiles, "2019-04-01T00:00:00"))
    return path


def event(odds, p_astro=P_ASTRO, **changes):
    return {
        "odds_ratio": odds,
        "p_value": None,
        "p_astro": p_astro,
        "distance": "map",
        "inputs": {"search_parameters": {"population": "bns", "ratebgnu": 0.0064}},
    } | changes


def site_of(archive):
    return open_site(archive.directory / "response.hdf5", SEARCH)


@pytest.fixture(scope="module")
def limit(archive, skymap):
    """Injections do not depend on the observed odds, and are made once for each seed."""
    site = site_of(archive)

    @functools.cache
    def rows(seed, size):
        return inject_on_map(
            skymap, event(0.1), site, SEARCH, seed, injections=dict.fromkeys(SOURCES, size)
        )

    def of(odds, seed=1, size=SIZE, live=1.0, **changes):
        return upper_limit(rows(seed, size), event(odds, **changes), site, SEARCH, live)

    return of


@pytest.fixture(scope="module")
def rows(archive, skymap, tmp_path_factory):
    """Injections on the event's map with a seed of their own, of all kinds."""
    path = tmp_path_factory.mktemp("bank") / "skymap.hdf5"
    response = archive.response()
    params = search_parameters(SEARCH, "bns", response)
    build_bank([skymap], path, response, params)
    made = {}
    with Bank(path) as bank:
        for kind in KINDS:
            draws = Draws(99, kind, archive.events(), response, params)
            made[kind], _ = run_shard(bank, draws, P_ASTRO, range(SIZE))
    return made


def test_without_any_neutrino_it_is_that_of_zero_counts(limit, rows):
    """90 % of the sources must give a neutrino: < 1 - exp(-mu) > = 0.9, mu = 2.3 for equal ones."""
    found = limit(0.0)
    assert found["reason"] is None
    assert found["exceeding"] == {"1": 1.0, "2": 1.0, "4": 1.0}
    expected = np.concatenate([rows[kind]["expected"] for kind in SOURCES])
    mu = expected * found["e_iso_erg"] / 1e51
    # both are samples of sources, some of them in the one per cent that is all over the sky
    assert -np.expm1(-mu).mean() == pytest.approx(CONFIDENCE, abs=0.01)
    assert found["e_iso_low_erg"] < found["e_iso_erg"] < found["e_iso_high_erg"]
    assert found["distance_mpc"]["median"] == pytest.approx(100, rel=0.02)
    # the sky average is nu_51_100 = 1.1 at 100 Mpc; this declination is seen better than most
    typical = np.median(expected)
    assert found["e_iso_erg"] == pytest.approx(2.303 / typical * 1e51, rel=0.3)


def test_who_did_not_observe_limits_nothing(limit):
    found = limit(0.0, live=0.0)
    assert found["e_iso_erg"] is found["e_iso_low_erg"] is found["e_iso_high_erg"] is None
    assert "did not observe" in found["reason"]


def test_half_of_the_window_observed_needs_twice_the_energy(archive, skymap):
    site, few, found = site_of(archive), dict.fromkeys(SOURCES, 50), []
    listed = {"events": [], "livetime_s": 500.0}
    for live in (1.0, live_fraction(listed, 1000.0)):
        rows = inject_on_map(skymap, event(0.1), site, SEARCH, 1, live, few)
        found.append(upper_limit(rows, event(0.1), site, SEARCH, live)["e_iso_erg"])
    assert found[1] == pytest.approx(2 * found[0], rel=1e-6)
    assert live_fraction({"events": [], "livetime_s": None}, 1000.0) == 1.0


def test_the_more_significant_the_event_the_higher_the_limit(limit):
    limits = [limit(odds)["e_iso_erg"] for odds in (0.0, 1.0, 1e2)]
    assert all(low < high for low, high in itertools.pairwise(limits))


def test_it_covers(limit, rows):
    """Of sources with a given energy, at least 90 % get a limit above it."""
    energy = 4e51
    odds = np.sort(np.concatenate([rows[kind]["odds"] for kind in SOURCES]))

    def exceeding(threshold):
        kinds = [
            Injections(KINDS[k], rows[k]["expected"], rows[k]["odds"] > threshold) for k in SOURCES
        ]
        return efficiency(kinds, energy)

    shares = np.array([exceeding(x)[0] for x in odds])
    critical = odds[np.flatnonzero(shares >= CONFIDENCE)[-1]]
    _, error = exceeding(critical)
    below, above = (odds[np.argmin(np.abs(shares - s))] for s in (0.9 + 4 * error, 0.9 - 4 * error))
    assert below < critical < above
    # another seed: the limit of less convincing events is lower, that of others is higher
    assert (
        limit(float(below), seed=2)["e_iso_erg"] < energy < limit(float(above), seed=2)["e_iso_erg"]
    )


def test_equal_input_gives_equal_bits(archive, skymap):
    few = dict.fromkeys(SOURCES, 50)
    made = [
        inject_on_map(skymap, event(0.1), site_of(archive), SEARCH, 1, injections=few)
        for _ in range(2)
    ]
    for kind in SOURCES:
        assert made[0][kind].tobytes() == made[1][kind].tobytes()


def test_bursts_do_not_count_as_the_injections_have_none(limit):
    plain = limit(0.1, p_value=0.2)
    alone = {"odds_ratio": 0.1, "p_value": 0.2}
    assert limit(1e4, without_bursts=alone) == plain
    assert plain["p_value"] == 0.2
    assert limit(1e4)["e_iso_erg"] != plain["e_iso_erg"]


def test_no_limit_comes_with_its_reason(limit):
    found = limit(1e30, size=50)
    assert found["e_iso_erg"] is None
    assert "the event itself looks like a common source" in found["reason"]


def test_a_broken_map_is_named(archive, tmp_path):
    broken = tmp_path / "lvc_skymap.fits"
    broken.write_bytes(b"<html>")
    with pytest.raises(LlamaError, match=r"lvc_skymap\.fits"):
        inject_on_map(broken, event(0.1), site_of(archive), SEARCH, 1, injections={})
