"""Weighted studies: their shards, tables and populations, and the p-values of events in them."""

import json

import h5py
import numpy as np
import pytest
from event_samples import GPS, INFO, P_ASTRO, toy_archive
from sky_samples import multiorder, random_tiles

from llama.background.draws import Draws
from llama.errors import LlamaError
from llama.event.populations import (
    class_versions,
    numbers_sha256,
    read_background,
    with_events,
)
from llama.event.significance import compute_significance
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.study.bank import Bank, build_bank
from llama.study.injections import (
    run_shard,
    run_without_energy,
    study_parameters,
    write_shard,
)
from llama.study.populations import collate, write_populations
from llama.study.tables import read_table, table_class, write_table

SEARCH = from_dict(defaults(), "defaults").search_parameters()
NAME, SEED, P, N = "bns-o3-H1L1", 7, 0.99, 600
KINDS = {"plain": "background", "weighted": "weighted"}
SIZES = {"plain": (2400,), "weighted": (N,), "divided": (250, 50, 300)}


class Site:
    """A study, plain and weighted, the latter also in other shards: files and populations."""

    def __init__(self, root):
        self.root, self.archive = root, toy_archive(root)
        self.response = self.archive.response()
        self.params = study_parameters(SEARCH, NAME, self.response)
        maps = [root / f"{k}.fits" for k in range(3)]
        for k, path in enumerate(maps):
            path.write_bytes(multiorder(random_tiles(k, distance=k != 2)))
        build_bank(maps, root / "skymaps.hdf5", self.response, self.params)
        with Bank(root / "skymaps.hdf5") as self.bank:
            self.tiles = [self.bank.tiles(k) for k in range(3)]
            self.shards = {how: self.write(how) for how in SIZES}
        for how, shards in self.shards.items():
            write_populations(root / f"{how}.hdf5", {NAME: collate(shards)})

    def write(self, how):
        kind = KINDS.get(how, "weighted")
        draws = Draws(SEED, kind, self.archive.events(), self.response, self.params)
        first, paths = 0, []
        for number, size in enumerate(SIZES[how]):
            numbers = range(first, first := first + size)
            rows, single = run_shard(self.bank, draws, P, numbers)
            path = self.root / how / NAME / f"background/shard-{number:04d}.hdf5"
            path.parent.mkdir(parents=True, exist_ok=True)
            hidden = run_without_energy(self.bank, draws, P, numbers)
            about = {"archive": self.archive.identity}
            arguments = self.bank.names, numbers.start, SEED, P, about, kind, hidden
            write_shard(path, rows, single, *arguments)
            paths.append(path)
        return paths

    def background(self, how):
        background = read_background(self.root / f"{how}.hdf5", NAME)
        if "weights" not in background:
            return background
        return with_events(background, str(self.archive.directory / "events.hdf5"))

    def significance(self, events, how, tiles=0):
        info = P_ASTRO | {"p_astro": P}
        given = {"events": events, "source": {"kind": "archive"}}
        background = self.background(how) if isinstance(how, str) else how
        arguments = self.response, SEARCH, background
        return compute_significance(self.tiles[tiles], INFO, info, given, *arguments)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("weighted"))


def rows(path, name="injections"):
    with h5py.File(path) as file:
        return file[name][()]


def test_shards_of_any_size_are_the_same_study(site):
    whole, parts = site.shards["weighted"][0], site.shards["divided"]
    for name in ("injections", "single", "injections_without_energy", "odds_without_energy"):
        joined = np.concatenate([rows(path, name) for path in parts])
        assert joined.tobytes() == rows(whole, name).tobytes()
    made = {how: (site.root / f"{how}.hdf5").read_bytes() for how in ("weighted", "divided")}
    assert made["weighted"] == made["divided"]
    write_populations(site.root / "turned.hdf5", {NAME: collate(parts[::-1])})
    assert (site.root / "turned.hdf5").read_bytes() == made["weighted"]


@pytest.mark.parametrize("name", ["injections", "injections_without_energy"])
def test_the_mean_weight_is_one(site, name):
    weight = rows(site.shards["weighted"][0], name)["weight"]
    assert (weight > 0).all()
    assert abs(weight.mean() - 1) < 4 * weight.std() / weight.size**0.5
    assert weight.max() / weight.min() > 1e6


def test_populations_have_the_weight_of_every_number(site):
    shard = site.shards["weighted"][0]
    background = site.background("weighted")
    given = background["weights"]
    for group, table, alone in (
        ("", rows(shard), rows(shard, "single")),
        (
            "/without_energy",
            rows(shard, "injections_without_energy"),
            rows(shard, "single_without_energy"),
        ),
    ):
        under = group.replace("/", "_")
        expected = sorted(zip(table["odds"], table["weight"], table["skymap"], strict=True))
        names = background[f"odds{under}"], given[f"weights{group}"], given[f"maps{group}"]
        assert sorted(zip(*names, strict=True)) == expected
        assert (np.diff(names[0]) >= 0).all()
        weights = np.repeat(table["weight"], table["neutrinos"])
        numbers = background[f"single{under}"], given[f"weights{group}/single"]
        assert sorted(zip(*numbers, strict=True)) == sorted(zip(alone, weights, strict=True))
    path = site.root / "weighted.hdf5"
    index = json.loads(path.with_suffix(".json").read_text())[NAME]
    assert (index["sampling"], index["archive"]) == ("weighted", site.archive.identity)
    assert class_versions(path, "-o3-H1L1") == {NAME: numbers_sha256(background)}
    # and they are part of the sum
    other = given | {"weights": given["weights"] * 2}
    assert numbers_sha256(background | {"weights": other}) != numbers_sha256(background)


def lists(site, hidden=False):
    """Yield a neutrino list of each of some ranks of the plain background, and its map."""
    along = np.argsort(rows(site.shards["plain"][0])["odds"])
    numbers = along[[-20, -60, -300]]
    draws = Draws(SEED, "background", site.archive.events(), site.response, site.params)
    from llama.study.injections import draw_neutrinos

    for number in numbers:
        _, columns, _ = draw_neutrinos(draws, np.array([number]), None)
        events = [
            {"id": str(k), "gps": GPS + dt, "mjd": 58000.0, "ra": ra, "dec": dec, "sigma": sigma}
            | {"energy": None if hidden else energy}
            for k, (dt, ra, dec, sigma, energy) in enumerate(
                zip(*(values.tolist() for values in columns.values()), strict=True)
            )
        ]
        yield events, int(rows(site.shards["plain"][0])["skymap"][number])


@pytest.mark.parametrize("hidden", [False, True])
def test_p_values_are_those_of_the_plain_background(site, hidden):
    for events, tiles in lists(site, hidden):
        plain, weighted = (site.significance(events, how, tiles) for how in KINDS)
        assert plain["odds_ratio"] == weighted["odds_ratio"]
        assert weighted["n_background"] == (N // 10 if hidden else N)
        p = np.array([found["p_value"] for found in (plain, weighted)])
        # a jackknife over only three sky maps gives a poor estimate of the error
        errors = [max(found["p_value_error"], found["p_value"] / 10) for found in (plain, weighted)]
        assert abs(p[0] - p[1]) < 4 * np.hypot(*errors)
        assert weighted["p_value_effective"] > (1 if hidden else 10)
        for one, other in zip(plain["single_neutrino"], weighted["single_neutrino"], strict=True):
            assert abs(np.log(one["p_value"] / other["p_value"])) < 1.5


def test_a_plain_p_value_has_its_error(site):
    events, tiles = next(lists(site))
    found = site.significance(events, "plain", tiles)
    assert found["p_value"] == 21 / 2401
    assert found["p_value_effective"] == 20
    assert found["p_value_error"] == pytest.approx((21 * (1 - 21 / 2401)) ** 0.5 / 2401)


def test_an_event_far_beyond_the_background_has_a_p_value(site):
    ra, dec = (float(x) for x in site.significance([], "plain")["most_probable_direction"].values())
    best = [
        {"id": f"{k}", "gps": GPS + k, "mjd": 58000.0, "ra": ra, "dec": dec, "sigma": 0.2}
        | {"energy": 3e6}
        for k in range(3)
    ]
    plain, weighted = (site.significance(best, how) for how in KINDS)
    assert plain["p_value"] == 1 / 2401
    assert 0 < weighted["p_value"] < 1e-7
    assert site.significance([], "weighted")["p_value"] == 1.0


def test_the_background_of_another_archive_gives_no_p_value(site):
    background = read_background(site.root / "weighted.hdf5", NAME)
    events, _ = next(lists(site))
    other = background | {"archive": "0"}
    other = with_events(other, str(site.archive.directory / "events.hdf5"))
    found = site.significance(events, other)
    assert found["p_value"] is found["p_value_error"] is found["p_value_effective"] is None
    assert "is weighted, and of another neutrino archive" in found["p_value_reason"]


def test_a_table_has_one_more_column(site):
    shard = site.shards["weighted"][0]
    table = site.root / "weighted" / f"{NAME}.txt"
    assert write_table([shard], table) == N
    header, _, *lines = table.read_text().splitlines()
    assert header.split()[4:] == ["WEIGHT"]
    made = rows(shard)
    np.testing.assert_allclose([float(line.split()[4]) for line in lines], made["weight"], 1e-9)
    np.testing.assert_allclose(read_table(table), made["odds"], 1e-9)
    content = table_class(table, site.root / "weighted" / NAME, P)
    assert content.about["sampling"] == "weighted"
    with pytest.raises(LlamaError, match="has weights, of which p-values need the shards, too"):
        table_class(table, site.root / "elsewhere", P)


def test_plain_and_weighted_shards_are_not_one_study(site):
    plain, weighted = site.shards["plain"][0], site.shards["weighted"][0]
    with pytest.raises(LlamaError, match="different settings or twice"):
        collate([plain, weighted])
