"""Gamma-ray bursts of an event: the list that people give, and what it does to the significance."""

import contextlib
import functools
import json

import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, THREE, made_up_background
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.event.bursts import Bursts, read_bursts
from llama.event.significance import compute_significance
from llama.files import dump_json
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.stats.parameters import GrbParameters

MODEL = {"efficiency": 0.6, "rate_hz": 7.5e-6, "delay_min_s": -1.0, "delay_max_s": 5.0}
ROW = {"gps_time": GPS + 1.7, "ra": 60.0, "dec": 25.0, "sigma": 5.0}


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_bursts(path, MODEL).events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fermi_grbs.json"


# -- the file


def test_both_forms_give_the_same(path):
    named = ROW | {"graceid": "E376578", "skymap_url": "https://example.org/glg_healpix_all.fit"}
    other = ROW | {"ra": 61}
    expected = [ROW | {"id": "E376578"}, other | {"id": "row 2"}]
    assert read(path, [named, other]) == expected
    assert read(path, {"events": [named, other], "author": "x"}) == expected
    assert read(path, []) == read(path, {"events": []}) == []
    assert read_bursts(path, MODEL).model == GrbParameters(**MODEL)


def test_units_are_converted_or_refused(path):
    rad = {
        "gps_time": ROW["gps_time"],
        "ra_rad": np.pi / 3,
        "dec [deg]": 25.0,
        "sigma [arcmin]": 300,
    }
    assert read(path, [rad])[0] == pytest.approx(ROW | {"id": "row 1"})
    apart = ROW | {"ra": np.pi / 3}
    assert read(path, {"units": {"ra": "rad"}, "events": [apart]})[0]["ra"] == pytest.approx(60)
    with pytest.raises(LlamaError, match="cannot convert: 'foo'"):
        read(path, {"units": {"ra": "foo"}, "events": [apart]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"gps_time": None}, "has no gps_time; give GPS seconds, e.g. 12402"),
        ({"gps_time": 58598.3}, "gps_time 58598.3 is out of range; give GPS seconds"),
        ({"gps_time": "2019-04-25T08:18:05"}, "gps_time '2019-04-25T08:18:05' is not a finite"),
        ({"gps_time": True}, "gps_time True is not a finite number"),
        ({"ra": -1}, "ra -1 is out of range; give right ascension in degrees"),
        ({"dec": 90.5}, "dec 90.5 is out of range; give declination"),
        ({"sigma": 0}, "sigma 0 is out of range; give the 1-sigma error radius in degrees"),
        ({"sigma": [5]}, r"sigma \[5\] is not a finite number"),
        ({"graceid": 376578}, "graceid 376578 is no id; correct it or leave it out"),
        ({"graceid": "<b>"}, "graceid '<b>' is no id"),
        ({"graceid": "x" * 65}, r"graceid 'xxx.*\.\.\. is no id"),
    ],
)
def test_wrong_values_name_the_row(path, change, sentence):
    with pytest.raises(LlamaError, match=rf"fermi_grbs\.json, row 2:? {sentence}") as error:
        read(path, [ROW, ROW | change])
    assert len(str(error.value)) < 250 + len(str(path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not valid JSON"),
        (b"[{", "is not valid JSON"),
        (
            b'[{"ra": 1' + b"0" * 400 + b"}]",
            r"is not valid JSON \(1000.*\.\.\. is no JSON number\)",
        ),
        (b"[" * 100_000, "is not valid JSON"),
        (b"\x89HDF\r\n", "is not valid JSON"),
        (b'[{"ra": NaN}]', "is not valid JSON"),
        (b"1", "holds no list of bursts; give a JSON list of objects with gps_time, ra, dec"),
        (b'{"events": {}}', "holds no list of bursts"),
        (b"[1]", "row 1 is 1, not an object"),
        (b" " * 20_000_001, "larger than 20 MB; give only the bursts around the event"),
        (json.dumps([ROW] * 10_001).encode(), "more than 10000 bursts"),
    ],
)
def test_wrong_files_are_refused(path, content, sentence):
    with pytest.raises(LlamaError, match=sentence) as error:
        read(path, content)
    assert "\n" not in str(error.value)


def test_a_burst_that_is_there_twice_is_refused(path):
    with pytest.raises(LlamaError, match="row 3 is the burst of row 1; keep the better position"):
        read(path, [ROW, ROW | {"ra": 11.0}, ROW | {"sigma": 9.0}])
    two = [ROW | {"graceid": "E1"}, ROW | {"graceid": "E1", "ra": 70.0}]
    with pytest.raises(LlamaError, match="row 2 is the burst of row 1"):
        read(path, two)


def test_a_file_that_is_not_there(path):
    with pytest.raises(LlamaError, match="does not exist"):
        read_bursts(path, MODEL)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(ROW)), inner),
    max_leaves=9,
)


@settings(max_examples=150)
@given(
    content=st.binary(max_size=99)
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.sampled_from([*ROW, "graceid"]), ANYTHING).map(
        lambda item: json.dumps([ROW | {item[0]: item[1]}]).encode()
    )
)
def test_any_content_gives_bursts_or_a_sentence(tmp_path_factory, response, content):
    with contextlib.suppress(LlamaError):
        read(tmp_path_factory.getbasetemp() / "fermi_grbs.json", content)
        bursts = read_bursts(tmp_path_factory.getbasetemp() / "fermi_grbs.json", MODEL)
        dump_json(significance(response, bursts))


# -- the significance

skymap = functools.cache(mock_skymap)
SEARCH = from_dict(defaults(), "defaults").search_parameters()


@pytest.fixture(scope="module")
def response(archive):
    return archive.response()


def significance(response, bursts=None, events=THREE, background=NONE):
    content = {"events": events}
    return compute_significance(
        skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0)),
        INFO,
        P_ASTRO,
        content,
        response,
        SEARCH,
        background,
        bursts,
    )


def listed(*rows, **changes):
    events = [{"id": f"row {k}", **ROW, **row} for k, row in enumerate(rows, 1)]
    return Bursts(events, GrbParameters(**MODEL | changes))


@pytest.fixture(scope="module")
def background():
    return made_up_background()


ONCE = ("single_neutrino", "distance", "neutrino_flux_sensitivity_range", "p_astro")


def test_what_the_event_has_without_bursts_stays(response, background):
    alone = significance(response, background=background)
    result = significance(response, listed({}), background=background)
    assert 0 < alone["p_value"] < 1
    assert "without_bursts" not in alone
    assert result["without_bursts"] == {name: alone[name] for name in result["without_bursts"]}
    assert result["without_bursts"].keys() >= {"odds_ratio", "posterior", "p_value", "n_background"}
    assert all(result[name] == alone[name] for name in ONCE)
    assert result.keys() - alone.keys() == {"without_bursts"}
    # there is neither a background of the map here
    assert result["p_value"] is result["p_value_odds"] is result["p_value_p_astro"] is None
    assert result["n_background"] == 0
    assert result["p_value_reason"] == "it has no background of its own map"
    assert result["inputs"]["burst_info"] == listed({}).events
    assert result["inputs"]["grb_parameters"] == MODEL
    json.loads(dump_json(result))


def test_bursts_move_the_odds_as_they_should(response):
    odds = {
        name: significance(response, bursts)["odds_ratio"]
        for name, bursts in {
            "off": None,
            "none": listed(),
            "here": listed({}),
            "late": listed({"gps_time": GPS + 30.0}),
            "common": listed({}, rate_hz=7.5e-3),
        }.items()
    }
    assert odds["here"] > 100 * odds["off"] > 0
    # a search that sees six in ten and has seen none
    assert odds["none"] == pytest.approx(0.4 * odds["off"], rel=0.1)
    assert odds["none"] < odds["off"]
    assert odds["late"] == pytest.approx(odds["none"], rel=1e-9)
    assert odds["common"] < 0.01 * odds["here"]


def test_a_burst_off_the_bulk_of_the_map_counts_by_what_the_map_has_there(response):
    result = significance(response, listed({"ra": 240.0, "dec": -25.0}))
    with_burst = [members for members in result["dump"]["sets"] if members["bursts"]]
    (alone,) = [members for members in with_burst if not members["neutrinos"]]
    # the mock map's even hundredth, against bursts at any place in 6 s
    expected = P_ASTRO["p_astro"] / (1 - P_ASTRO["p_astro"]) / 10 * 0.01 * 0.6 / (6 * 7.5e-6)
    assert alone["lambda_s"] == pytest.approx(expected, rel=0.05)
    assert sum(members["lambda_s"] for members in with_burst) < 1.001 * alone["lambda_s"]


def test_sets_name_their_bursts_and_the_direction_follows_them(response):
    found = listed({"gps_time": GPS + 900.0}, {"id": "E2", "ra": 63.0, "sigma": 0.3})
    result = significance(response, found)
    best = result["dump"]["sets"][0]
    assert (best["neutrinos"][:1], best["bursts"]) == ([THREE[0]["id"]], ["E2"])
    assert {tuple(members["bursts"]) for members in result["dump"]["sets"]} == {(), ("E2",)}
    direction = result["most_probable_direction"]
    assert direction["ra"] == pytest.approx(63.0, abs=0.6)
    assert significance(response)["most_probable_direction"]["ra"] < 62
    assert all("bursts" not in members for members in significance(response)["dump"]["sets"])


def test_a_burst_without_neutrinos_is_a_coincidence_too(response, background):
    result = significance(response, listed({}), [], background)
    assert result["odds_ratio"] > 10
    assert result["p_astro_joint"] > 0.9 > P_ASTRO["p_astro"]
    assert (result["without_bursts"]["odds_ratio"], result["without_bursts"]["p_value"]) == (0, 1)
    assert result["dump"]["sets"][0]["bursts"] == ["row 1"]
