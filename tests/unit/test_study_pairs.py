"""Pairs of superevent and neutrino list: each once, and the odds those of that pair."""

import json
from pathlib import Path

import numpy as np
import pytest
from artifact_samples import GPS, GRACEIDS, neutrinos, write_artifacts
from hypothesis import given
from hypothesis import strategies as st
from stats_samples import parameters

from llama.background.draws import Draws
from llama.errors import LlamaError
from llama.event.prepared import prepare_columns, prepare_skymap
from llama.neutrinos.given import PER_SIGMA, read_given
from llama.neutrinos.table import Neutrino, from_columns, to_columns
from llama.sky import read_skymap
from llama.stats.odds import event_odds
from llama.study.bank import Bank, build_bank, link_banks
from llama.study.injections import run_shard
from llama.study.pairs import Lists, Pairs, pair, write_lists
from llama.study.plan import broken_files, most_injections
from llama.times import gps_to_mjd, mjd_to_gps

PARAMS, P_ASTRO = parameters(), 0.99
LISTS = 7


@given(st.integers(1, 40), st.integers(1, 40))
def test_each_pair_comes_once_and_all_pieces_alike(superevents, lists):
    every = np.arange(superevents * lists)
    first, second = pair(every, superevents, lists)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {
        (s, b) for s in range(superevents) for b in range(lists)
    }
    for k in (1, 5, every.size // 2, every.size):
        for which, count in ((first, superevents), (second, lists)):
            used = np.bincount(which[:k], minlength=count)
            # a list may come twice where the diagonals change, never more
            assert used.max() - used.min() <= 2


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_artifacts(tmp_path_factory.mktemp("artifacts") / "here", lists=LISTS)


@pytest.fixture(scope="module")
def maps(root):
    return [root / "superevents" / g / "bayestar.multiorder.fits" for g in GRACEIDS]


@pytest.fixture(scope="module")
def lists(root, tmp_path_factory):
    """The lists in two parts."""
    directory = tmp_path_factory.mktemp("lists")
    paths = [root / "bklist" / f"{k}.json" for k in range(LISTS)]
    for part, some in enumerate((paths[:4], paths[4:])):
        assert write_lists(some, GPS, directory / f"part-{part}.hdf5") == []
    return Lists([directory / "part-0.hdf5", directory / "part-1.hdf5"])


@pytest.fixture(scope="module")
def bank(maps, tmp_path_factory, archive):
    path = tmp_path_factory.mktemp("bank") / "skymaps.hdf5"
    build_bank(maps, path, archive.response(), PARAMS)
    with Bank(path) as opened:
        yield opened


def test_lists_are_read_as_given(lists):
    assert [len(json.loads(Path(name).read_bytes())) for name in lists.names] == list(range(LISTS))
    counts, columns = lists.take(np.array([5, 0, 2]))
    assert counts.tolist() == [5, 0, 2]
    rows = [sorted(neutrinos(k, k), key=lambda row: row["mjd"]) for k in (5, 2)]
    expected = [row["ra"] for some in rows for row in some]
    assert columns["ra_deg"].tolist() == expected
    times = [float(mjd_to_gps(row["mjd"])) for some in rows for row in some]
    assert columns["gps"].tolist() == times


def test_the_odds_of_a_row_are_those_of_the_pair(bank, lists, maps, archive):
    pairs, response = Pairs(3, frozenset(), lists, GPS), archive.response()
    assert len(pairs) == 3 * LISTS
    draws = Draws(1, "background", archive.events(), response, PARAMS)
    rows, single = run_shard(bank, draws, P_ASTRO, range(100), pairs=pairs)
    assert rows.size == len(pairs)  # there are no more
    superevents, which = pair(np.arange(rows.size), 3, LISTS)
    assert rows["skymap"].tolist() == superevents.tolist()
    assert rows["neutrinos"].tolist() == which.tolist()  # list k has k neutrinos
    first = 0
    for k in range(rows.size):
        tiles = read_skymap(maps[superevents[k]].read_bytes(), "a map")
        given = read_given(json.dumps(neutrinos(int(which[k]), int(which[k]))).encode(), "a list")
        for row in given:
            row["gps"] = float(mjd_to_gps(row["mjd"]))
        given.sort(key=lambda row: row["gps"])
        columns = to_columns([Neutrino.of(row) for row in given])
        odds = event_odds(
            prepare_skymap(tiles, response.area_relative, PARAMS),
            prepare_columns(columns["gps"] - GPS, columns, response, PARAMS),
            P_ASTRO, PARAMS, response.area_relative,
        )  # fmt: skip
        assert rows["odds"][k] == odds.odds_ratio
        np.testing.assert_array_equal(single[first : first + len(given)], odds.single_odds)
        first += len(given)
    # nothing depends on the division, nor on the seed
    parts = [
        run_shard(bank, draws._replace(seed=2), P_ASTRO, numbers, pairs=pairs)[0]
        for numbers in (range(8), range(8, 16), range(16, 24), range(24, 32))
    ]
    assert np.concatenate(parts).tobytes() == rows.tobytes()


def test_lists_without_energies_or_with_times_relative_to_the_event(tmp_path, bank, archive):
    """An energy that is not known stays so in the bank, and in an injection that is opened."""
    (tmp_path / "a.csv").write_text("dt,ra,dec,r90\n-37,40,20,0.9\n")
    mjd = float(gps_to_mjd(GPS - 37.0))
    row = {"mjd": mjd, "ra": 40.0, "dec": 20.0, "sigma": 0.9 / PER_SIGMA["r90"], "energy": None}
    (tmp_path / "b.json").write_text(json.dumps([row]))
    assert write_lists([tmp_path / "a.csv", tmp_path / "b.json"], GPS, tmp_path / "l.hdf5") == []
    pairs = Pairs(3, frozenset(), Lists([tmp_path / "l.hdf5"]), GPS)
    counts, columns = pairs.neutrinos(np.arange(6))
    assert counts.tolist() == [1] * 6
    assert np.isnan(columns["energy_gev"]).all()
    assert columns["dt_s"] == pytest.approx([-37.0] * 6, abs=1e-4)
    opened = [neutrino.row() for neutrino in from_columns(columns, "simulated")]
    assert [row["energy"] for row in opened] == [None] * 6
    json.dumps(opened, allow_nan=False)
    response = archive.response()
    draws = Draws(1, "background", archive.events(), response, PARAMS)
    rows, _ = run_shard(bank, draws, P_ASTRO, range(6), pairs=pairs)
    assert np.isfinite(rows["odds"]).all()
    assert (rows["odds"] > 0).all()


def test_broken_pieces_are_in_no_pair(lists):
    pairs = Pairs(3, frozenset({1}), lists, GPS)
    assert len(pairs) == 2 * LISTS
    assert set(pairs.skymaps(np.arange(2 * LISTS)).tolist()) == {0, 2}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"bad\.json is not a CSV table"),
        (b'[{"mjd": 58727.0}]', r"bad\.json, row 1 has no ra"),
        (
            json.dumps([row | {"mjd": row["mjd"] + 30} for row in neutrinos(3, 3)]).encode(),
            r"bad\.json has its neutrinos (29\.9|30\.0) days from the event_time of the template",
        ),
    ],
)
def test_broken_lists_are_told_and_judged(root, maps, tmp_path, content, says):
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    (problem,) = write_lists([root / "bklist" / "3.json", bad], GPS, tmp_path / "lists.hdf5")
    lists = Lists([tmp_path / "lists.hdf5"])
    assert (lists.broken, lists.problems) == ([1], [problem])
    build_bank(maps, tmp_path / "part.hdf5")
    bank = tmp_path / "skymaps.hdf5"
    with pytest.raises(LlamaError, match=f"1 of 2 neutrino lists are broken: .*{says}.*: skip"):
        link_banks([tmp_path / "part.hdf5"], bank, "fail", lists)
    assert link_banks([tmp_path / "part.hdf5"], bank, "skip", lists) == [problem]
    assert broken_files(bank) == [str(bad)]
    assert most_injections(bank) == 3
    assert len(Pairs(3, frozenset(), lists, GPS)) == 3


def test_a_list_that_is_gone_is_broken(tmp_path):
    (problem,) = write_lists([tmp_path / "gone.json"], GPS, tmp_path / "lists.hdf5")
    assert "gone.json cannot be read (No such file or directory)" in problem


def test_the_same_lists_give_the_same_bytes(root, tmp_path):
    paths = [root / "bklist" / f"{k}.json" for k in range(3)]
    for name in ("a", "b"):
        write_lists(paths, GPS, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert Lists([tmp_path / "a"]).sha256 != Lists([tmp_path / "a", tmp_path / "b"]).sha256
