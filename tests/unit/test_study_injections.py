"""Background injections: the same numbers however they are divided, and uniform p-values."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest
from sky_samples import multiorder, random_tiles
from stats_samples import parameters

from llama.background.draws import Draws, draw_background, draw_skymaps
from llama.errors import LlamaError
from llama.event.prepared import prepare_skymap
from llama.event.provenance import settings_hash, software
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.pvalue import p_value
from llama.study.bank import Bank, build_bank
from llama.study.injections import (
    DTYPE,
    SIGNAL_DTYPE,
    run_shard,
    run_without_energy,
    study_search,
    write_shard,
)

PARAMS = parameters(assumed_horizon_mpc=200.0)
P_ASTRO, SEED = 0.99, 20261122


@pytest.fixture(scope="module")
def bank(tmp_path_factory, archive):
    directory = tmp_path_factory.mktemp("bank")
    maps = [directory / f"{k}.fits" for k in range(4)]
    for k, path in enumerate(maps):
        path.write_bytes(multiorder(random_tiles(k, distance=k != 2)))
    build_bank(maps, directory / "skymaps.hdf5", archive.response(), PARAMS)
    with Bank(directory / "skymaps.hdf5") as opened:
        yield opened


@pytest.fixture(scope="module")
def shard(archive, bank):
    events, response = archive.events(), archive.response()

    def run(numbers, seed=SEED, params=PARAMS, kind="background", **more):
        draws = Draws(seed, kind, events, response, params)
        return run_shard(bank, draws, P_ASTRO, numbers, **more)

    return run


def draw(seed, k, n_maps, events, params):
    """Return the map and the neutrinos of one background injection."""
    numbers = np.array([k])
    counts, columns = draw_background(Draws(seed, "background", events, None, params), numbers)
    along = np.argsort(columns["dt_s"], kind="stable")
    assert counts.tolist() == [along.size]
    index = int(draw_skymaps(seed, 0, numbers, n_maps)[0])
    return index, {name: column[along] for name, column in columns.items()}


NUMBERS = range(300)


@pytest.fixture(scope="module")
def whole(shard):
    return shard(NUMBERS)


def test_a_row_for_every_injection(whole, bank, archive):
    rows, single = whole
    assert rows.dtype == DTYPE
    assert rows.size == len(NUMBERS)
    assert single.size == rows["neutrinos"].sum()
    for name in ("odds", "lambda_s", "lambda_cgw", "lambda_cnu"):
        assert np.isfinite(rows[name]).all()
        assert (rows[name] >= 0).all()
    assert set(rows["skymap"]) == set(range(len(bank.names)))
    # Poisson at 0.0064 Hz in 1000 s: the mean of 300 is 6.4 +- 0.15
    assert rows["neutrinos"].mean() == pytest.approx(6.4, abs=5 * np.sqrt(6.4 / 300))
    drawn = [draw(SEED, k, len(bank.names), archive.events(), PARAMS) for k in NUMBERS]
    assert [index for index, _ in drawn] == rows["skymap"].tolist()
    assert [columns["dt_s"].size for _, columns in drawn] == rows["neutrinos"].tolist()


def test_one_injection_in_ten_is_made_without_energies_too(bank, archive, whole):
    draws = Draws(SEED, "background", archive.events(), archive.response(), PARAMS)
    rows, single = run_without_energy(bank, draws, P_ASTRO, NUMBERS)
    parts = [
        run_without_energy(bank, draws, P_ASTRO, range(*ends)) for ends in ((0, 95), (95, 300))
    ]
    odds = rows["odds"]
    for whole_, column in ((rows, 0), (single, 1)):
        assert np.concatenate([part[column] for part in parts]).tobytes() == whole_.tobytes()
    assert odds.size == 30
    assert single.size == whole[0]["neutrinos"][::10].sum()
    assert np.isfinite(odds).all()
    index, columns = draw(SEED, 70, len(bank.names), archive.events(), PARAMS)
    columns["energy_gev"] = np.full(columns["dt_s"].size, np.nan)
    response = archive.response()
    prepared = prepare_skymap(bank.tiles(index), response.area_relative, PARAMS)
    names = ("dt_s", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")
    neutrinos = prepare_neutrinos(*(columns[name] for name in names), response, PARAMS)
    found = event_odds(prepared, neutrinos, P_ASTRO, PARAMS, response.area_relative)
    assert found.odds_ratio == odds[7] != whole[0]["odds"][70]


@pytest.mark.parametrize("size", [1, 7, 100, 299])
def test_the_division_into_shards_changes_nothing(shard, whole, size):
    numbers = NUMBERS[:40] if size == 1 else NUMBERS
    parts = [shard(numbers[k : k + size]) for k in range(0, len(numbers), size)]
    rows = np.concatenate([part[0] for part in parts])
    single = np.concatenate([part[1] for part in parts])
    assert rows.tobytes() == whole[0][: rows.size].tobytes()
    assert single.tobytes() == whole[1][: single.size].tobytes()


def test_the_order_changes_nothing(shard, whole):
    rows, single = whole
    turned, turned_single = shard(range(299, -1, -1))
    assert turned[::-1].tobytes() == rows.tobytes()
    ends = np.cumsum(turned["neutrinos"])
    pieces = np.split(turned_single, ends[:-1])[::-1]
    assert np.concatenate(pieces).tobytes() == single.tobytes()


@settings(max_examples=20)
@given(st.integers(0, 299))
def test_any_single_injection_can_be_made_again(archive, bank, whole, k):
    index, columns = draw(SEED, k, len(bank.names), archive.events(), PARAMS)
    response = archive.response()
    prepared = prepare_skymap(bank.tiles(index), response.area_relative, PARAMS)
    names = ("dt_s", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")
    neutrinos = prepare_neutrinos(*(columns[name] for name in names), response, PARAMS)
    odds = event_odds(prepared, neutrinos, P_ASTRO, PARAMS, response.area_relative)
    rows, single = whole
    assert (odds.odds_ratio, odds.lambda_s, odds.lambda_cgw) == tuple(
        rows[["odds", "lambda_s", "lambda_cgw"]][k]
    )
    first = rows["neutrinos"][:k].sum()
    assert odds.single_odds.tobytes() == single[first : first + rows["neutrinos"][k]].tobytes()


def test_injections_are_independent(archive, bank, whole, shard):
    times = [draw(SEED, k, 4, archive.events(), PARAMS)[1]["dt_s"] for k in range(50)]
    times += [draw(SEED + 1, k, 4, archive.events(), PARAMS)[1]["dt_s"] for k in range(50)]
    every = np.concatenate(times)
    assert np.unique(every).size == every.size
    assert np.abs(every).max() <= 500
    assert kstest(every, "uniform", (-500, 1000)).pvalue > 1e-3
    assert shard(range(20), seed=SEED + 1)[0].tobytes() != whole[0][:20].tobytes()


def test_progress_is_told_for_every_injection(shard):
    told = []
    shard(range(10, 25), tick=lambda: told.append(1))
    assert len(told) == 15


def test_no_injections_give_no_rows(shard):
    rows, single = shard(range(0))
    assert (rows.size, single.size, rows.dtype) == (0, 0, DTYPE)


def test_a_shard_is_written_with_what_made_it(whole, bank, tmp_path):
    search = {"fb": 10.0}
    for name in ("a.hdf5", "b.hdf5"):
        write_shard(tmp_path / name, *whole, bank.names, 0, SEED, P_ASTRO, search)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["injections"][()].tobytes() == whole[0].tobytes()
        np.testing.assert_array_equal(file["single"][()], whole[1])
        assert [name.decode() for name in file["skymaps"]] == bank.names
        hidden = {"odds_without_energy", "single_without_energy"}
        assert file.keys() == {"injections", "single", "skymaps"} | hidden
        assert dict(file.attrs) == {
            "kind": "background", "first": 0, "seed": SEED, "p_astro": P_ASTRO,
            "software": software(), "settings_sha256": settings_hash(search),
            "n_maps": len(bank.names),
        }  # fmt: skip


@pytest.mark.parametrize("kind", ["signal", "doublet"])
def test_signals_do_not_depend_on_the_division_either(shard, kind):
    whole, single = shard(range(40), kind=kind)
    parts = [shard(range(k, min(k + 7, 40)), kind=kind) for k in range(0, 40, 7)]
    assert np.concatenate([part[0] for part in parts]).tobytes() == whole.tobytes()
    assert np.concatenate([part[1] for part in parts]).tobytes() == single.tobytes()
    assert whole.dtype == SIGNAL_DTYPE
    assert (whole["expected"] > 0).all()
    assert (np.abs(whole["dec_deg"]) <= 90).all()


def test_a_second_neutrino_of_the_source_is_seen_better(shard):
    made = [shard(range(400), kind=kind)[0] for kind in ("background", "signal", "doublet")]
    medians = [np.median(np.log10(rows["odds"] + 1e-30)) for rows in made]
    assert medians[0] + 1 < medians[1]
    assert medians[1] + 0.5 < medians[2]
    # in more injections than not, two neutrinos of a source beat the best background of 400
    best = made[0]["odds"].max()
    assert (made[2]["odds"] > best).mean() > (made[1]["odds"] > best).mean()


def test_a_broken_map_changes_no_injection_of_another_map(bank, shard, whole):
    bank.broken = frozenset({1})
    try:
        rows, _ = shard(NUMBERS)
    finally:
        bank.broken = frozenset()
    same = whole[0]["skymap"] != 1
    assert 0 < same.sum() < same.size
    assert rows[same].tobytes() == whole[0][same].tobytes()
    assert not (rows["skymap"] == 1).any()


def test_a_bank_without_weights_gives_the_same_rows(bank, shard, whole):
    kept, bank.weights = bank.weights, ""
    try:
        rows, single = shard(range(60))
    finally:
        bank.weights = kept
    assert rows.tobytes() == whole[0][:60].tobytes()
    assert single.tobytes() == whole[1][: single.size].tobytes()


def test_a_class_that_no_event_has_is_a_sentence():
    search = from_dict(defaults(), "defaults").search_parameters()
    with pytest.raises(LlamaError, match=r"grb-o3-H1L1 is of population grb, .* name it after one"):
        study_search(search, "grb-o3-H1L1")


def test_the_class_of_a_study_chooses_its_parameters():
    search = from_dict(defaults(), "defaults").search_parameters()
    horizons = {
        c: study_search(search, f"{c}-o3-H1L1V1")["assumed_horizon_mpc"] for c in ("bns", "bbh")
    }
    assert horizons == {"bns": {"bns": 200.0}, "bbh": {"bbh": 2000.0}}


def test_p_values_of_held_out_background_are_uniform(shard):
    background, held_out = shard(range(1000, 3000)), shard(range(5000, 5600))
    for made, new in ((background[0]["odds"], held_out[0]["odds"]), (background[1], held_out[1])):
        ascending = np.sort(made)
        p = np.array([p_value(odds, ascending) for odds in new])
        # odds of 0 have p = 1, which holds the rest of the probability
        zeros = (made == 0).mean()
        assert binomtest(int((new == 0).sum()), new.size, max(zeros, 1e-3)).pvalue > 1e-3
        spread = np.random.default_rng(1).uniform(1 - zeros, 1, p.size)
        assert kstest(np.where(new == 0, spread, p), "uniform").pvalue > 1e-3
        # the test can fail: odds that are a few times larger than they should be
        inflated = np.array([p_value(odds * 5, ascending) for odds in new])
        assert kstest(np.where(new == 0, spread, inflated), "uniform").pvalue < 1e-3
