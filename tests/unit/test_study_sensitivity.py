"""What a study can see, on a small study of mock neutrinos: it orders and calibrates as it must."""

import json

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sky_samples import multiorder, random_tiles
from stats_samples import parameters

from llama.background.draws import KINDS, SOURCES, Draws
from llama.errors import LlamaError
from llama.figures.study_page import study_content
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.pvalue import p_value, p_values
from llama.study.bank import Bank, build_bank
from llama.study.efficiency import poisson
from llama.study.injections import run_shard, write_shard
from llama.study.sensitivity import compute_sensitivity

PARAMS = parameters(assumed_horizon_mpc=200.0)
P_ASTRO, SEED = 0.99, 20261122
SIZES = {"background": 1200, "signal": 400, "doublet": 400, "quadruplet": 300}
MADE = {"archive": "a"}  # settings
DATE = "2019-04-01T00:00:00"


@pytest.fixture(scope="module")
def bank(tmp_path_factory, archive):
    """Three maps: two blobs, near and far, and a wild one whose distances are assumed."""
    directory = tmp_path_factory.mktemp("bank")
    contents = (
        to_fits(mock_skymap(80.0, 30.0, (5.0, 3.0), (60.0, 10.0)), DATE),
        to_fits(mock_skymap(200.0, -20.0, (12.0, 6.0), (240.0, 50.0)), DATE),
        multiorder(random_tiles(2, distance=False)),
    )
    maps = [directory / f"{k}.fits" for k in range(len(contents))]
    for path, content in zip(maps, contents, strict=True):
        path.write_bytes(content)
    build_bank(maps, directory / "skymaps.hdf5", archive.response(), PARAMS)
    with Bank(directory / "skymaps.hdf5") as opened:
        yield opened


@pytest.fixture(scope="module")
def injections(archive, bank):
    """Return a function that makes injections, and one that writes them as shards."""
    events, response = archive.events(), archive.response()

    def make(kind, numbers, seed=SEED):
        return run_shard(bank, Draws(seed, kind, events, response, PARAMS), P_ASTRO, numbers)

    return make


@pytest.fixture(scope="module")
def shards(injections, bank, tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    paths = {}
    for kind, size in SIZES.items():
        (directory / kind).mkdir()
        paths[kind] = [directory / kind / f"shard-{k}.hdf5" for k in range(2)]
        for k, path in enumerate(paths[kind]):
            numbers = range(k * size // 2, (k + 1) * size // 2)
            rows, single = injections(kind, numbers)
            write_shard(path, rows, single, bank.names, numbers[0], SEED, P_ASTRO, MADE, kind)
    return paths


@pytest.fixture(scope="module")
def weighted(injections, bank, tmp_path_factory):
    """The same study with a weighted background."""
    path = tmp_path_factory.mktemp("weighted") / "shard-0.hdf5"
    rows, single = injections("weighted", range(800))
    hidden = rows[:0], np.empty(0)
    write_shard(path, rows, single, bank.names, 0, SEED, P_ASTRO, MADE, "weighted", hidden)
    return path


@pytest.fixture(scope="module")
def study(shards, bank):
    return compute_sensitivity(shards, bank, triggers_per_year=10.0)


def rows_of(paths):
    import h5py

    parts = []
    for path in paths:
        with h5py.File(path) as file:
            parts.append(file["injections"][()])
    return np.concatenate(parts)


def curve(study, k=0):
    return np.array(study["thresholds"][k]["efficiency"]["value"])


def test_the_content_is_json_and_counts_what_was_made(study):
    assert json.loads(json.dumps(study, allow_nan=False)) == study
    assert study["injections"] == SIZES
    assert (study["skymaps"], study["broken_skymaps"], study["seed"]) == (3, 0, SEED)
    for name in ("by_neutrinos", "by_area_90_deg2"):
        for kind in KINDS:
            assert sum(entry[kind]["n"] for entry in study[name] if entry[kind]) == SIZES[kind]
        shares = [(e["background"]["n"], e["background"]["found"]["value"]) for e in study[name]]
        found = sum(n * share for n, share in shares) / SIZES["background"]
        assert found == pytest.approx(12 / 1201, abs=1.5 / 1201)


def test_many_equal_p_values_are_those_of_one(shards):
    table = np.sort(rows_of(shards["background"])["odds"])
    odds = np.concatenate([[0.0], table[::100], rows_of(shards["signal"])["odds"][:50]])
    assert p_values(odds, table).tolist() == [p_value(float(x), table) for x in odds]


def test_the_efficiency_is_that_of_its_rows(study, shards):
    """The sum over rows, written again from the definition."""
    table, k, expected = rows_of(shards["background"])["odds"], 25, 0.0
    energy = study["e_iso_erg"][k]
    pool = np.concatenate([rows_of(shards[kind])["expected"] for kind in SOURCES])
    for kind, weight in (("signal", (1, 2)), ("doublet", (2, 4)), ("quadruplet", (4, None))):
        rows = rows_of(shards[kind])
        p = np.array([(1 + (table >= odds).sum()) / (1 + table.size) for odds in rows["odds"]])
        found = (p < 0.01) & (rows["odds"] > 0)
        own, of_all = (poisson(e, energy, *weight) for e in (rows["expected"], pool))
        expected += float(of_all.mean() * np.average(found, weights=own))
    assert 0.01 < expected < 0.99
    assert curve(study)[k] == pytest.approx(expected, rel=1e-12)


def test_the_more_energetic_a_source_the_more_often_it_is_found(study):
    value = curve(study)
    assert value[0] < 0.02
    assert value[-1] > 0.95
    error = np.array(study["thresholds"][0]["efficiency"]["error"])
    assert (np.diff(value) > -3 * error[1:]).all()
    half, most = (study["thresholds"][0][f"e_iso_{k}"]["value_erg"] for k in (50, 90))
    assert half < most
    # a stricter criterion finds fewer
    assert (curve(study, 1) <= value).all()


def test_the_more_energetic_a_source_the_smaller_its_p_value(shards):
    """The median p-value of sources of one energy; one that gives no neutrino is background."""
    rows = {kind: rows_of(paths) for kind, paths in shards.items()}
    table = np.sort(rows["background"]["odds"])
    p = {kind: p_values(r["odds"], table) for kind, r in rows.items()}
    medians = []
    for energy in 10.0 ** np.arange(49.5, 53, 0.5):
        values, weights = [], []
        none = np.exp(-rows["signal"]["expected"] * energy / 1e51).mean()
        for kind, count in (("signal", (1, 2)), ("doublet", (2, 4)), ("quadruplet", (4, None))):
            weight = poisson(rows[kind]["expected"], energy, *count)
            values.append(p[kind])
            weights.append(weight / weight.size)
        values.append(p["background"])
        weights.append(np.full(p["background"].size, none / p["background"].size))
        along = np.argsort(np.concatenate(values))
        held = np.cumsum(np.concatenate(weights)[along])
        middle = np.searchsorted(held, 0.5 * held[-1])
        medians.append(np.concatenate(values)[along][middle])
    assert 0.3 < medians[0] < 0.6
    assert (np.diff(medians) <= 0).all()
    assert medians[-1] < 0.01


def test_the_doublet_study_beats_the_single_one(study):
    for threshold in study["thresholds"]:
        one, two, four = (
            threshold[f"efficiency_{kind}"] for kind in ("signal", "doublet", "quadruplet")
        )
        assert two["value"] - one["value"] > 5 * np.hypot(one["error"], two["error"])
        assert four["value"] > two["value"]
    shares = study["cumulative"]
    assert all(np.greater_equal(shares["doublet"], shares["signal"]))
    assert all(np.greater_equal(shares["quadruplet"], shares["doublet"]))


def test_near_sources_need_less_energy_than_far_ones(study):
    value = np.array(study["by_distance"][0]["value"])
    edges = study["by_distance"][0]["distance_mpc"]
    assert value.shape == (len(edges) - 1, len(study["e_iso_erg"]))
    k = int(np.argmin(np.abs(curve(study) - 0.5)))
    error = np.array(study["by_distance"][0]["error"])
    assert value[0, k] - value[-1, k] > 5 * np.hypot(error[0, k], error[-1, k])


def test_p_values_of_a_second_independent_background_are_uniform(study, injections, shards):
    """Another seed, against the study's own background: two samples of one distribution."""
    table = rows_of(shards["background"])["odds"]
    second = injections("background", range(1200), seed=7)[0]["odds"]
    assert not np.isin(second[second > 0], table).any()
    # ties at odds 0 make the test conservative, but there are few here
    assert (table == 0).mean() < 0.2
    assert ks_2samp(second, table).pvalue > 1e-3
    p = p_values(second, np.sort(table))
    for level in (0.01, 0.05, 0.2, 0.5):
        share, spread = (p <= level).mean(), np.sqrt(2 * level * (1 - level) / 1200)
        assert abs(share - level) < 4 * spread
    assert study["uniformity"]["ks_p_value"] > 1e-3


def test_signals_are_not_uniform(shards):
    table = rows_of(shards["background"])["odds"]
    assert ks_2samp(rows_of(shards["signal"])["odds"], table).pvalue < 1e-20


@pytest.mark.parametrize(
    ("rate", "p_needed", "reason"),
    [(1.0, 0.01, None), (100.0, 1e-4, "raise background.injections to 9,999"), (1e-6, 1, None)],
)
def test_a_joint_false_alarm_rate_that_the_background_cannot_reach(
    shards, bank, rate, p_needed, reason
):
    found = compute_sensitivity(shards, bank, rate)
    joint = found["thresholds"][1]
    assert joint["p_value"] == pytest.approx(p_needed)
    assert (joint["reason"] is None) == (reason is None)
    if reason:
        assert reason in joint["reason"]
        assert joint["efficiency_quadruplet"]["value"] == 0
        assert any(
            reason in value for _, value in study_content(found | {"study": "a"})["result"]["rows"]
        )


def test_shards_that_do_not_belong_together_are_refused(shards, bank, injections, tmp_path):
    rows, single = injections("doublet", range(5))
    other = tmp_path / "shard-0000.hdf5"
    write_shard(other, rows, single, bank.names, 0, SEED, P_ASTRO, MADE | {"a": 2}, "doublet")
    with pytest.raises(LlamaError, match="kinds of injections were made with different settings"):
        compute_sensitivity(shards | {"doublet": [other]}, bank, 10.0)
    with pytest.raises(LlamaError, match=r"shard-0\.hdf5 is no doublet"):
        compute_sensitivity(shards | {"doublet": shards["signal"]}, bank, 10.0)


def farthest(found, study):
    """How far a study is from the plain one at most, in standard errors."""
    one, other = (which["thresholds"][0] for which in (found, study))
    pairs = [(one[f"efficiency_{kind}"], other[f"efficiency_{kind}"]) for kind in SOURCES]
    for name in ("by_neutrinos", "by_area_90_deg2"):
        bins = zip(found[name], study[name], strict=True)
        pairs += [(a["background"]["found"], b["background"]["found"]) for a, b in bins]
    away = [abs(a["value"] - b["value"]) / np.hypot(a["error"], b["error"]) for a, b in pairs]
    for kind in KINDS:
        for p in (0.03, 0.1, 0.3):
            a, b = (
                np.interp(p, s["cumulative"]["p"], s["cumulative"][kind]) for s in (found, study)
            )
            away.append(abs(a - b) / (0.1 * b + np.sqrt(b * (1 - b) / 400)))  # p is not exact
    return max(away)


def test_a_weighted_background_finds_the_same_and_reaches_farther(
    shards, weighted, bank, study, monkeypatch
):
    of_both = shards | {"background": [weighted]}
    found = compute_sensitivity(of_both, bank, 1000.0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["sampling"], study["sampling"]) == ("weighted", "plain")
    assert farthest(found, study) < 4
    first, joint = found["thresholds"]
    assert (joint["p_value"], joint["reason"]) == (1e-5, None)
    assert first["background_effective"] > joint["background_effective"] > 10
    for kind in SOURCES:
        one, other = (threshold[f"efficiency_{kind}"]["value"] for threshold in (first, joint))
        assert 0.2 < other <= one
    assert min(found["cumulative"]["p"]) < 1e-8
    check = found["uniformity"]
    away = np.abs(np.array(check["fraction"]) - check["p"])
    assert (away < 4.5 * np.array(check["sigma"])).all()
    assert check["ks_p_value"] > 1e-3
    # what the weights are for
    monkeypatch.setattr("llama.study.sensitivity._weights", lambda rows: np.ones(rows.size))
    assert farthest(compute_sensitivity(of_both, bank, 1000.0), study) > 10


def test_background_paired_from_lists_has_settings_of_its_own(shards, bank, study, tmp_path):
    paired = tmp_path / "shard-0000.hdf5"
    rows, arguments = rows_of(shards["background"]), (np.empty(0), bank.names, 0)
    write_shard(paired, rows, *arguments, -1, P_ASTRO, {"lists": 1})
    found = compute_sensitivity(shards | {"background": [paired]}, bank, 10.0)
    assert found["thresholds"] == study["thresholds"]
    assert (found["seed"], found["settings_sha256"]) == (SEED, study["settings_sha256"])
    write_shard(paired, rows, *arguments, -1, 0.5, {"lists": 1})
    with pytest.raises(LlamaError, match="different settings"):
        compute_sensitivity(shards | {"background": [paired]}, bank, 10.0)


def test_a_detector_that_sees_no_source_is_named(shards, bank, tmp_path):
    blind = {}
    for kind in KINDS:
        rows = rows_of(shards[kind])
        if kind != "background":
            rows["expected"] = 0
        blind[kind] = [tmp_path / f"{kind}.hdf5"]
        write_shard(blind[kind][0], rows, np.empty(0), bank.names, 0, SEED, P_ASTRO, MADE, kind)
    with pytest.raises(LlamaError, match="sees no source of this study"):
        compute_sensitivity(blind, bank, 10.0)
