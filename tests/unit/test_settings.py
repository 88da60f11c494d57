"""Settings: what is right is read, what is wrong is answered with lines that put it right."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from settings_samples import changed

from llama.errors import LlamaError
from llama.settings import default_yaml, from_dict
from llama.settings.problems import find_problems, repaired
from llama.settings.render import defaults

CLONE = Path(__file__).parents[2]


def complaint(raw):
    """Return the sentences and the lines to paste that `raw` is answered with."""
    with pytest.raises(LlamaError) as caught:
        from_dict(raw)
    sentences, _, lines = str(caught.value).partition("\n\n")
    return sentences, lines


# -- what is right ----


def test_defaults_are_the_published_ones():
    search = from_dict(yaml.safe_load(default_yaml())).search_parameters()
    from_the_archive = [name for name, value in search.items() if value is None]
    assert from_the_archive == ["nu_51_100", "ratebgnu", "sigma_floor_deg"]
    assert search["fb"] == 10
    assert (search["Enumin"], search["Enumax"]) == (1e-6, 0.1)
    # the published value is in Mpc^-3 s^-1
    assert search["ndotgwnu_gpc3_yr"] / (1e9 * 365 * 86400) == pytest.approx(
        7.578640284119736e-16, rel=1e-12
    )
    # FAR 3.85e-5 Hz was published with the odds 1.6823e-3 of an astrophysical origin
    assert search["far_signal_rate_hz"] / 3.850215515788559e-05 == pytest.approx(1.68e-3, rel=0.01)
    assert search["assumed_horizon_mpc"]["bns"] == 200
    assert json.loads(json.dumps(search, allow_nan=False)) == search


def test_yaml_numbers_survive_every_yaml_reader():
    # "1e-06" without a point is a text in YAML 1.1, and Snakemake's --config may give texts
    assert isinstance(yaml.safe_load(default_yaml())["search"]["Enumin"], float)
    assert from_dict(changed({"search.Enumin": "1e-7"})).search.Enumin == 1e-7


@given(value=st.floats(1e-30, 1e6, exclude_min=True))
def test_written_numbers_are_read_back_exactly(value):
    raw = repaired(changed({"grb.rate_hz": value}), [])
    assert raw["grb"]["rate_hz"] == (value if value <= 1 else 7.5e-6)


def test_output_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert from_dict(defaults()).output_dir == tmp_path / "llama"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/nobody")
    assert from_dict(defaults()).output_dir == Path("/home/nobody/.local/share/llama")
    assert from_dict(changed({"output_dir": "~/x"})).output_dir == Path("/home/nobody/x")


def test_settings_are_read_only():
    with pytest.raises(ValueError, match="frozen"):
        from_dict(defaults()).search.fb = 1.0


def test_a_study():
    skymaps = {"skymaps": "/data/bns.csv"}
    read = from_dict(changed({"background.studies": {"bns-o3-H1L1V1": skymaps}}))
    assert read.background.studies["bns-o3-H1L1V1"].skymaps == Path("/data/bns.csv")
    for source, kept in (("s3://llama/mid-o3/", "s3://llama/mid-o3"), ("/data/o3", "/data/o3")):
        read = from_dict(changed({"background.studies": {"cbc-o3-H1L1": {"artifacts": source}}}))
        assert read.background.studies["cbc-o3-H1L1"].artifacts == kept


# -- what is wrong ----


_OFTEN = {"efficiency": 0.6, "rate_hz": 1e-5}


@pytest.mark.parametrize(
    ("changes", "sentence", "remedy"),
    [
        ({"search.fb": "ten"}, "search.fb is 'ten', but should be a valid number", "fb: 10.0"),
        ({"search.fb": 0.5}, "search.fb is 0.5, but should be greater than or equal to 1", "fb:"),
        ({"search.fb": True}, "search.fb is True, but should be a number", "fb: 10.0"),
        ({"search.fb": float("nan")}, "search.fb is nan, but should be a finite number", "fb: 10"),
        ({"search.fb": float("inf")}, "search.fb is inf, but should be a finite number", "fb: 10"),
        ({"search.fb": None}, "search.fb is None, but should be a valid number", "fb: 10.0"),
        ({"search.fb": ..., "search.fbb": 7}, "fbb is not a setting, it looks like search.fb", "7"),
        ({"fb": 7}, "fb is not a setting, it looks like search.fb; delete it", ""),
        ({"workers": 7}, "workers is not a setting; delete it", ""),
        ({"search": []}, "search is [], but should be a block of settings", "ratebgnu: null"),
        ({"search.max_set_size": 5}, "should be less than or equal to 4", "max_set_size: 4"),
        ({"background.seed": 1.5}, "seed is 1.5, but should be a valid integer", "seed: 20261122"),
        ({"output_dir": "data"}, "should be an absolute path or start with ~", "output_dir: null"),
        ({"output_dir": "~no-such-user/x"}, "should be an absolute path or st", "output_dir: null"),
        (
            {"output_dir": "/data/\0"},
            "should be an absolute path or start with",
            "output_dir: null",
        ),
        ({"neutrinos.archive": "../x"}, "is '../x', but should look like icecube", "archive:"),
        ({"gracedb.service_url": "ftp://x/"}, "should look like https://gracedb", "service_url:"),
        ({"background.run": "O3!"}, "background.run is 'O3!', but should look like o3", "o3"),
        (
            {"grb.rate_hz": 1.0, "grb.delay_max_s": 10.0},
            "expect at most 10 chance bursts",
            "rate_hz",
        ),
        (
            {"grb.instruments": dict.fromkeys(("svom", "fermi_gbm"), _OFTEN)},
            "should have efficiencies whose sum is below 1",
            "svom: {",
        ),
        (
            {"grb.instruments": {"svom": _OFTEN | {"rate_hz": 1}}, "grb.delay_max_s": 10.0},
            "expect at most 10 chance bursts",
            "rate_hz",
        ),
        ({"search.k0": 1190.0}, "search.k0 of the original LLAMA is gone", ""),
        ({"search.Egwmin": 18.7}, "search.Egwmin of the original LLAMA is gone", ""),
        ({"search.δω": 2.57}, "search.δω of the original LLAMA is gone", ""),
        (
            {"search.εmin": 100, "search.epsilon_min_gev": ...},
            "search.εmin of the original LLAMA is now search.epsilon_min_gev",
            "epsilon_min_gev: 100.0",
        ),
        (
            {"search.nu51_100": 1.2, "search.nu_51_100": ...},
            "search.nu51_100 of the original LLAMA is now search.nu_51_100",
            "nu_51_100: 1.2",
        ),
        (
            {"search.ndotgwnu": 7.578640284119736e-16, "search.ndotgwnu_gpc3_yr": ...},
            "search.ndotgwnu of the original LLAMA is now search.ndotgwnu_gpc3_yr",
            "ndotgwnu_gpc3_yr: 23.9",
        ),
        (
            {"background.studies": {"BNS": {"skymaps": "/x"}}},
            "background.studies.BNS is 'BNS', but should look like bns-o3-H1L1V1",
            "bns-o3-H1L1V1:",
        ),
        (
            {"background.studies": {"bbh-o4-H1L1": {"skymaps": "/good"}, "bns-o3-H1": {}}},
            "background.studies.bns-o3-H1 is {}, but should name either skymaps or artifacts",
            'bbh-o4-H1L1: {"skymaps": "/good"}',
        ),
        (
            {"background.studies": {"cbc-o3-H1L1": {"artifacts": "s3://llama"}, "bns-o3-H1": 1}},
            "background.studies.bns-o3-H1 is 1, but should be a block of settings",
            'cbc-o3-H1L1: {"artifacts": "s3://llama"}',
        ),
        (
            {"background.studies": {"cbc-o3-H1L1": {"artifacts": "s3://LLAMA_/x"}}},
            "artifacts is 's3://LLAMA_/x', but should look like s3://bucket/prefix",
            "bns-o3-H1L1V1:",
        ),
        (
            {"background.studies": {"cbc-o3-H1L1": {"artifacts": "here"}}},
            "artifacts is 'here', but should be an absolute path or start with ~",
            "bns-o3-H1L1V1:",
        ),
    ],
)
def test_wrong_settings_are_answered(changes, sentence, remedy):
    sentences, lines = complaint(changed(changes))
    assert sentence in sentences
    assert sentences.count("\n  - ") == 1
    assert remedy in lines
    assert bool(lines) == bool(remedy)
    # pasted, the lines put it right
    raw = changed(changes)
    assert not find_problems(repaired(raw, find_problems(raw)))


@pytest.mark.parametrize(
    ("place", "given", "shown"),
    [
        ("listen.alarm_slack", "xoxb-123456-abcdef", "'xoxb-***'"),
        ("fleet.region", "dop_v1_" + "0123456789abcdef" * 4, "'dop_v1_***'"),
        ("publish.test.webhook", "https://me:secret-abcdef@example.org/", "'https://***@example"),
    ],
)
def test_a_secret_in_the_place_of_a_setting_is_not_shown(place, given, shown):
    sentences, lines = complaint(changed({place: given}))
    assert f"{place} is {shown}" in sentences
    assert "abcdef" not in sentences + lines


def test_pasted_lines_are_in_place_with_default_and_comment():
    _, lines = complaint(changed({"search.assumed_horizon_mpc.bns": -1}))
    assert "\n  assumed_horizon_mpc:\n    # Two neutron stars [Mpc]. Default: 200.0.\n" in lines
    assert yaml.safe_load(lines) == {"search": {"assumed_horizon_mpc": {"bns": 200.0}}}
    assert lines.startswith("# The astrophysical model")


def test_a_misspelt_block_keeps_its_values():
    raw = changed({"search.fb": 3})
    raw["serach"] = raw.pop("search")
    sentences, lines = complaint(raw)
    assert sentences.count("\n  - ") == 1
    assert yaml.safe_load(lines)["search"]["fb"] == 3


def test_a_range_the_wrong_way_round():
    sentences, lines = complaint(changed({"search.Enumax": 1e-7}))
    assert "search.Enumax is 1e-07, but should be greater than Enumin = 1e-06" in sentences
    assert yaml.safe_load(lines) == {"search": {"Enumax": 0.1}}
    # here the default of one end does not go with what the other is set to
    _, lines = complaint(changed({"search.Enumin": 5, "search.Enumax": 2}))
    assert yaml.safe_load(lines) == {"search": {"Enumin": 1e-6, "Enumax": 0.1}}


def leaf_and_block_names(raw):
    for name, value in raw.items():
        yield name
        if isinstance(value, dict):
            yield from leaf_and_block_names(value)


NAMES = st.sampled_from(
    [*leaf_and_block_names(defaults()), "k0", "ndotgwnu", "εmax", "serach", "[key]"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    VALUES, lambda inner: st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=8)
)


@settings(max_examples=30)
@given(raw=st.dictionaries(NAMES | st.text(max_size=5), ANYTHING, max_size=8), whole=st.booleans())
def test_whatever_is_given_the_remedy_is_right(raw, whole):
    raw = defaults() | raw if whole else raw
    before = copy.deepcopy(raw)
    problems = find_problems(raw)
    assert repr(raw) == repr(before)
    mended = repaired(raw, problems)
    assert not find_problems(mended)
    from_dict(mended)
