"""Neutrino lists of events: blinding, simulation, and the rules of completeness."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_samples import parameters

from llama.errors import LlamaError
from llama.files import dump_json
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import make_list, window_state
from llama.neutrinos.given import read_given
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.scramble import generator, scramble, seed_from, simulate
from llama.neutrinos.table import list_window
from llama.stats.window import PUBLISHED, search_window
from llama.times import gps_to_mjd, iso_to_gps

GPS = iso_to_gps("2019-04-25T08:18:05.017")
LATER = GPS + 1e6
MJD = float(gps_to_mjd(GPS))
ROW = {"mjd": MJD, "ra": 10.0, "dec": 20.0, "sigma": 0.5, "energy": 1000.0}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    directory = tmp_path_factory.mktemp("neutrinos")
    # as if measured: another season's name, so that the events count as observed
    write_mock_release(directory / "release", seed=3, n_events=20000)
    for path in (directory / "release").glob("*/MOCK_*"):
        path.rename(path.with_name(path.name.replace("MOCK", "IC86_IX")))
    import_release(directory / "release", directory, "toy")
    return Archive.open(directory / "toy")


@pytest.fixture(scope="module")
def mock_archive(tmp_path_factory):
    directory = tmp_path_factory.mktemp("mock")
    write_mock_release(directory / "release", seed=3, n_events=20000)
    import_release(directory / "release", directory, "toy")
    return Archive.open(directory / "toy")


def read(rows):
    return read_given(json.dumps(rows).encode(), "nu.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=200)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*ROW, "gps", "type", "run", "subevent", "zenith", "id", "other"]),
            json_values | st.floats(0, 360),
        ).map(lambda change: ROW | change),
        max_size=2,
    )
)
def test_any_json_gives_a_valid_list_or_a_sentence(rows):
    content = json.dumps(rows).encode()
    try:
        neutrinos = read_given(content, "nu")
    except LlamaError:
        return
    for neutrino in neutrinos:
        known = [neutrino[key] for key in ROW if key != "energy" or neutrino[key] is not None]
        assert all(map(math.isfinite, known))
        assert neutrino["sigma"] > 0
    made = make_list("S190425z", GPS, now_gps=LATER, given=neutrinos)
    assert read_given(dump_json(made).encode(), "again") == sorted(
        [
            {k: v for k, v in event.items() if v is not None or k == "energy"}
            for event in made["events"]
        ],
        key=lambda event: event["gps"],
    )


def test_given_list_marks_what_is_outside_and_measures_dt():
    shifts = (-500.5, -499.5, 0.0, 499.5, 500.5)
    rows = [ROW | {"mjd": float(gps_to_mjd(GPS + dt)), "gps": GPS + dt} for dt in shifts[::-1]]
    made = make_list("S190425z", GPS, now_gps=LATER, given=read(rows), given_name="nu.csv")
    assert [event["dt"] for event in made["events"]] == list(shifts)
    assert [event["in_window"] for event in made["events"]] == [False, True, True, True, False]
    assert {event["type"] for event in made["events"]} == {"observation"}
    assert len({event["id"] for event in made["events"]}) == 5
    assert made["source"] == {"kind": "file", "name": "nu.csv"}
    assert made["window"]["start"] == "2019-04-25T08:09:45.017000Z"
    for event in made["events"]:
        assert 0 <= event["zenith"] <= 180
        assert event["zenith"] == pytest.approx(90 + event["dec"], abs=0.2)


def test_given_list_keeps_its_types_numbers_and_local_angles():
    rows = [
        ROW | {"type": "blinded", "run": 5, "event": 7, "zenith": 1.0, "azimuth": 2.0},
        ROW | {"run": 5, "event": 7, "subevent": 1, "ra": 11.0},
        ROW | {"run": 5, "event": 7, "ra": 12.0, "id": "mine"},
        ROW | {"run": 5, "event": 7, "ra": 13.0},
    ]
    events = make_list("S190425z", GPS, now_gps=LATER, given=read(rows))["events"]
    assert [event["id"] for event in events] == ["5_7", "5_7_1", "mine", "5_7-2"]
    assert [event["type"] for event in events] == ["blinded", *["observation"] * 3]
    assert (events[0]["zenith"], events[0]["azimuth"]) == (1.0, 2.0)
    assert events[3]["subevent"] is None


def test_an_asymmetric_window_holds_the_neutrinos_that_its_background_has(archive):
    search = {"tgwminus": -250.0, "tgwplus": 250.0, "tnuminus": -1000.0, "tnuplus": 250.0}
    window = search_window(search)
    assert window == parameters(**search).window == (-1250.0, 500.0)
    made = make_list("S190425z", GPS, now_gps=LATER, archive=archive, window=window)
    assert (made["window"]["start_gps"], made["window"]["stop_gps"]) == (GPS - 1250, GPS + 500)
    assert list_window(made["window"]) == window
    found = archive.query(GPS - 1250, GPS + 500)["gps"]
    assert [event["gps"] for event in made["events"]] == found.tolist()
    assert any(event["dt"] < -500 for event in made["events"])
    assert all(event["in_window"] for event in made["events"])
    assert window_state(GPS, GPS + 499.9, window) == "open"
    assert window_state(GPS, GPS + 500.0, window) == "closed"
    drawn = simulate(archive.events(), 1, GPS, window, 1.0)["gps"] - GPS
    assert (drawn.min() < -1200, drawn.max() > 450) == (True, True)
    assert len(drawn) == pytest.approx(1750, abs=5 * math.sqrt(1750))
    shifts = (-1250.5, -1249.5, 499.5, 500.5)
    rows = [ROW | {"mjd": float(gps_to_mjd(GPS + dt)), "gps": GPS + dt} for dt in shifts]
    for blinded in (False, True):
        made = make_list(
            *("S190425z", GPS), now_gps=LATER, given=read(rows), window=window, blinded=blinded
        )
        assert [e["in_window"] for e in made["events"]] == [False, True, True, False]


def test_window_and_completeness_of_a_given_list():
    assert window_state(GPS, GPS + 499.9) == "open"
    assert window_state(GPS, GPS + 500.0) == "closed"
    for now, state, complete in ((GPS, "open", False), (LATER, "closed", True)):
        made = make_list("S190425z", GPS, now_gps=now, given=[])
        assert (made["window_state"], made["complete"], made["events"]) == (state, complete, [])


def test_archive_list_is_the_query(archive):
    made = make_list("S190425z", GPS, now_gps=LATER, archive=archive)
    columns = archive.query(GPS - 500, GPS + 500)
    assert len(made["events"]) == len(columns["gps"]) > 0
    for key, name in (("ra", "ra_deg"), ("zenith", "zenith_deg"), ("energy", "energy_gev")):
        assert [event[key] for event in made["events"]] == columns[name].tolist()
    assert {event["type"] for event in made["events"]} == {"observation"}
    assert all(event["run"] is None for event in made["events"])
    assert made["complete"]
    assert made["livetime_s"] == pytest.approx(1000, abs=61)
    assert made["source"]["identity"] == archive.identity
    assert not make_list("S190425z", GPS, now_gps=GPS, archive=archive)["complete"]
    dump_json(made)


def test_a_toy_archive_never_passes_for_observation(mock_archive):
    events = make_list("S190425z", GPS, now_gps=LATER, archive=mock_archive)["events"]
    assert {event["type"] for event in events} == {"simulated"}


def test_the_end_of_the_archive_is_not_the_end_of_the_neutrinos(archive):
    last = archive.about["last_gps"]
    made = make_list("S190530z", last, now_gps=last + 1e6, archive=archive)
    assert (made["window_state"], made["complete"]) == ("closed", False)
    assert made["livetime_s"] < 1000


@pytest.mark.parametrize("graceid", ["S170104a", "MS170104a"])
def test_no_source_names_both_remedies(archive, graceid):
    gps = iso_to_gps("2017-01-04T10:11:58.6")
    remedy = r"skymap_info --neutrinos FILE.*llama neutrinos import PATH"
    with pytest.raises(LlamaError, match=remedy):
        make_list(graceid, gps, now_gps=LATER)
    if graceid[0] != "M":
        with pytest.raises(LlamaError, match=rf"covers {graceid} .*{remedy}"):
            make_list(graceid, gps, now_gps=LATER, archive=archive)


def test_blinding_leaves_no_direction_no_time_and_no_name(archive):
    plain = make_list("S190425z", GPS, now_gps=LATER, archive=archive)["events"]
    made = make_list("S190425z", GPS, now_gps=LATER, archive=archive, blinded=True)
    triples = [
        sorted((e["dec"], e["energy"], e["sigma"]) for e in x) for x in (plain, made["events"])
    ]
    assert triples[0] == triples[1]
    for key in ("ra", "gps", "azimuth", "id"):
        assert not {e[key] for e in plain} & {e[key] for e in made["events"]}
    assert [e["id"] for e in made["events"]] == [f"blinded-{k + 1}" for k in range(len(plain))]
    assert {e["type"] for e in made["events"]} == {"blinded"}
    assert all(e["in_window"] for e in made["events"])
    assert made["seed"] == seed_from("S190425z blinded")
    assert made == make_list("S190425z", GPS, now_gps=LATER, archive=archive, blinded=True)


def test_blinding_a_given_list_drops_what_could_tell():
    away = ROW | {"mjd": MJD + 0.5, "run": 1, "event": 2, "true_ra": 10.0, "zenith": 1, "id": "x"}
    given = read([away, ROW | {"sigma": 0.1}])
    events = make_list("S190425z", GPS, now_gps=LATER, given=given, blinded=True)["events"]
    assert [event["in_window"] for event in events] == [True, False]
    assert all("true_ra" not in event and event["run"] is None for event in events)
    assert all(event["ra"] != 10.0 for event in events)
    assert events[0]["sigma"] == 0.1
    assert make_list("S190425z", GPS, now_gps=LATER, given=[], blinded=True)["events"] == []


@pytest.mark.parametrize("graceid", ["M3", "T3", "TS190425z"])
def test_a_test_event_takes_no_real_neutrinos(archive, graceid):
    made = make_list(graceid, GPS, now_gps=LATER, archive=archive, rate_hz=0.05)
    assert {event["type"] for event in made["events"]} == {"simulated"}


def test_mock_events_get_simulated_neutrinos(archive):
    made = make_list("MS190425z", GPS, now_gps=LATER, archive=archive, rate_hz=0.05)
    assert {event["type"] for event in made["events"]} == {"simulated"}
    assert 20 < len(made["events"]) < 80
    assert made["seed"] == seed_from("MS190425z")
    assert made == make_list("MS190425z", GPS, now_gps=LATER, archive=archive, rate_hz=0.05)
    other = make_list("MS190425y", GPS, now_gps=LATER, archive=archive, rate_hz=0.05)
    assert other["events"] != made["events"]
    # far from the archive's time too
    assert make_list("MS260101a", GPS + 2e8, now_gps=LATER + 2e8, archive=archive)["complete"]


def test_scramble_keeps_triples_together_and_the_rest_uniform(archive):
    events = archive.events()
    drawn = scramble(events, 20000, generator(1), GPS, PUBLISHED)
    triples = set(zip(events["dec_deg"], events["energy_gev"], events["sigma_deg"], strict=True))
    assert triples.issuperset(
        zip(drawn["dec_deg"], drawn["energy_gev"], drawn["sigma_deg"], strict=True)
    )
    assert np.all(np.diff(drawn["gps"]) >= 0)
    for values, low, high in ((drawn["gps"] - GPS, -500, 500), (drawn["ra_deg"], 0, 360)):
        uniform = (np.sort(values) - low) / (high - low)
        steps = np.arange(1, 20001) / 20000
        assert np.abs(uniform - steps).max() < 1.63 / math.sqrt(20000)  # Kolmogorov, 1 %
    assert np.corrcoef(drawn["ra_deg"], drawn["dec_deg"])[0, 1] == pytest.approx(0, abs=0.03)
    assert drawn["dec_deg"].mean() == pytest.approx(events["dec_deg"].mean(), abs=1.5)


def test_simulated_numbers_are_poisson(archive):
    events = archive.events()
    counts = [len(simulate(events, seed, GPS, PUBLISHED, 0.0064)["gps"]) for seed in range(2000)]
    assert np.mean(counts) == pytest.approx(6.4, abs=0.2)
    assert np.var(counts) == pytest.approx(6.4, abs=0.7)
