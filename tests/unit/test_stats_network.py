"""Several detectors as one: calibrated, symmetric, and nothing new for one detector alone."""

import dataclasses

import numpy as np
import proofs
import pytest
from stats_samples import near_blob, parameters, prepare_tiles, steep_response, worst_deviation
from stats_simulation import simulate_network

from llama.stats.network import Member, network_area, prepare_in_network
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.windows import odds_of_windows

P_ASTRO = 0.7
SEED, WHOLE = 20261130, 150_000
TRIGGERS = proofs.size(WHOLE, 15_000)


def southern_response():
    """The other hemisphere, on other energies, where the first detector sees least."""
    north = steep_response()
    tables = {
        field.name: np.flip(getattr(north, field.name), axis=-1).copy()
        for field in dataclasses.fields(north)
        if field.name not in ("sin_dec", "log10_energy")
    }
    return dataclasses.replace(north, log10_energy=north.log10_energy + 0.6, **tables)


MEMBERS = (Member(steep_response(), 1.1, 0.0012, 0.2), Member(southern_response(), 0.5, 0.002, 0.1))
SIGMAS = (0.4, 1.5), (0.15, 0.6)
PARAMS = parameters(
    fb=3.0,
    Enumin=1e-3,
    Enumax=0.1,
    ndotgwnu=1e-30,
    epsilon_min_gev=100.0,
    nu_51_100=sum(member.nu_51_100 for member in MEMBERS),
    ratebgnu=sum(member.ratebgnu for member in MEMBERS),
)
MAPS = (near_blob(50.0, 20.0, 5.0, 40.0, 5.0), near_blob(220.0, -20.0, 12.0, 40.0, 10.0))


@pytest.fixture(scope="module")
def triggers():
    """Map, truth, where each trigger's neutrinos end, their detectors and columns."""
    detectors = [
        (member.nu_51_100, member.response, member.ratebgnu, sigma)
        for member, sigma in zip(MEMBERS, SIGMAS, strict=True)
    ]
    rng = np.random.default_rng(SEED)
    p_astro = np.full(TRIGGERS, P_ASTRO)
    which, true, detector, trigger, *columns = simulate_network(
        PARAMS, detectors, MAPS, p_astro, rng
    )
    along = np.argsort(trigger, kind="stable")
    ends = np.searchsorted(trigger[along], np.arange(TRIGGERS), side="right")
    return which, true, ends, detector[along], [column[along] for column in columns]


def odds_of(triggers, neutrinos, area):
    which, _, ends, *_ = triggers
    found = np.zeros(which.size)
    counts = np.diff(ends, prepend=0)
    for number, map_ in enumerate(MAPS):
        prepared = prepare_tiles(*map_, area, PARAMS)
        own = np.repeat(which == number, counts)
        stops = np.cumsum(counts[which == number])
        some = type(neutrinos)(*(column[own] for column in neutrinos))
        odds = odds_of_windows(prepared, some, stops, P_ASTRO, PARAMS, area)
        found[which == number] = odds.odds_ratio
    return found


@pytest.mark.proof
def test_odds_of_two_unequal_detectors_are_calibrated(triggers, proven):
    _, true, _, detector, columns = triggers
    area, fractions = network_area(MEMBERS)
    right = prepare_in_network(columns, detector, MEMBERS, fractions, PARAMS)
    odds = odds_of(triggers, right, area)
    worst, decades = worst_deviation(odds, true)
    assert decades >= 4
    assert worst < (3 if proofs.WHOLE else 3.5)
    # without f_d, and with that of the other detector
    for wrong in (np.ones_like(fractions), fractions[::-1])[: 2 if proofs.WHOLE else 1]:
        neutrinos = prepare_in_network(columns, detector, MEMBERS, wrong, PARAMS)
        assert worst_deviation(odds_of(triggers, neutrinos, area), true)[0] > 5
    proven(SEED, WHOLE, worst_deviation_sigma=round(worst, 3), decades_of_odds=decades)


COLUMNS = [
    np.array([0.0, 120.0, -40.0, 10.0]),
    np.array([50.0, 51.0, 50.3, 230.0]),
    np.array([20.0, 21.0, 19.6, -25.0]),
    np.array([0.5, 0.9, 0.3, 0.2]),
    np.array([3e3, 2e4, np.nan, 1e5]),
]


def one_event(members, detector, map_=MAPS[0]):
    area, fractions = network_area(members)
    params = dataclasses.replace(
        PARAMS,
        nu_51_100=sum(member.nu_51_100 for member in members),
        ratebgnu=sum(member.ratebgnu for member in members),
    )
    neutrinos = prepare_in_network(COLUMNS, np.array(detector), members, fractions, params)
    prepared = prepare_tiles(*map_, area, params)
    return event_odds(prepared, neutrinos, P_ASTRO, params, area)


def test_one_detector_is_itself_to_the_bit():
    member = MEMBERS[0]
    params = member.parameters(PARAMS)
    area = member.response.area_relative
    alone = prepare_neutrinos(*COLUMNS, member.response, params)
    expected = event_odds(prepare_tiles(*MAPS[0], area, params), alone, P_ASTRO, params, area)
    found = one_event([member], [0, 0, 0, 0])
    assert found.odds_ratio == expected.odds_ratio > 0
    assert found.sets == expected.sets
    assert (found.single_odds == expected.single_odds).all()


def test_a_detector_that_sees_no_source_only_changes_nothing():
    """f_d -> 1 for the other; neutrinos of its own say nothing."""
    blind = MEMBERS[1]._replace(nu_51_100=1e-12)
    alone, both = one_event([MEMBERS[0]], [0] * 4), one_event([MEMBERS[0], blind], [0] * 4)
    assert both.odds_ratio == pytest.approx(alone.odds_ratio, rel=1e-9)
    mine = one_event([MEMBERS[0], blind], [0, 0, 0, 1])
    assert mine.single_odds[3] < 1e-9 * mine.single_odds[0]


def test_equal_detectors_share_what_one_of_twice_the_size_has():
    """A detector in two halves, of half the rate each, is the whole."""
    whole = MEMBERS[0]
    half = whole._replace(nu_51_100=whole.nu_51_100 / 2, ratebgnu=whole.ratebgnu / 2)
    odds = one_event([half, half], [0, 1, 0, 1]).odds_ratio
    assert odds == pytest.approx(one_event([whole], [0] * 4).odds_ratio, rel=1e-12)


@pytest.mark.parametrize("map_", MAPS)
def test_the_order_of_detectors_does_not_matter(map_):
    first = one_event(MEMBERS, [0, 1, 0, 1], map_)
    second = one_event(MEMBERS[::-1], [1, 0, 1, 0], map_)
    assert second.odds_ratio == pytest.approx(first.odds_ratio, rel=1e-12)
    assert second.single_odds == pytest.approx(first.single_odds, rel=1e-12)


def test_neutrinos_of_no_detector_and_other_declinations_are_refused():
    with pytest.raises(ValueError, match="of a detector of the network"):
        one_event(MEMBERS, [0, 1, 2, 0])
    other = dataclasses.replace(MEMBERS[1].response, sin_dec=np.linspace(-1, 1, 41))
    with pytest.raises(ValueError, match="same declinations"):
        network_area([MEMBERS[0], MEMBERS[1]._replace(response=other)])
