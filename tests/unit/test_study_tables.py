"""The tables of the operators' guide, and the populations that come out of them."""

import io
import re

import h5py
import numpy as np
import pytest

from llama.cli.main import main
from llama.errors import LlamaError
from llama.event.populations import read_background
from llama.files import read_json, sha256_file
from llama.study.injections import DTYPE, write_shard
from llama.study.plan import PartialError, Plan, check_whole, plan_path, write_plan
from llama.study.populations import collate, write_populations
from llama.study.tables import read_table, write_table

NAME = "bns-o3-H1L1V1"
MAPS = ["/maps/bns-o3/8937.fits.gz", "/maps/bns o3/2304.fits.gz"]
# the operators' guide, "Collecting Results"
GUIDE = """EVENT-ODDS-RATIO N SOURCE-DIRECTORY SKYMAP-FILENAME
=========================================================================================================================
+2.2912652264e-36 9 llama-bns-o3-65/events/injection-323 /home/vagrant/pre-er14-background/skymaps/bns-o3/8937.fits.gz
+2.673378655e-25 4 llama-bns-o3-65/events/injection-111 /home/vagrant/pre-er14-background/skymaps/bns-o3/2304.fits.gz
"""  # noqa: E501


def write_study(studies, name=NAME, shards=3, size=20):
    paths = []
    for k in range(shards):
        rng = np.random.default_rng(k)
        rows = np.zeros(size, dtype=DTYPE)
        rows["odds"] = rng.choice([0.0, 1.0], size, p=[0.1, 0.9]) * rng.lognormal(-30, 20, size)
        rows["neutrinos"] = rng.poisson(6.4, size)
        rows["skymap"] = rng.integers(2, size=size)
        single = rng.lognormal(-30, 20, rows["neutrinos"].sum())
        paths.append(studies / name / "background" / f"shard-{k:04d}.hdf5")
        write_shard(paths[-1], rows, single, MAPS, k * size, 7, 0.99, {"fb": 10.0})
    return paths


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with studies, as `llama dev dv pull` leaves them, and no settings but ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_study(tmp_path / "studies")
    return tmp_path


def test_a_table_is_that_of_the_guide(here):
    shards = sorted((here / "studies" / NAME / "background").iterdir())
    assert write_table(shards[::-1], here / "table.txt") == 60
    lines = (here / "table.txt").read_text().splitlines()
    assert lines[:2] == GUIDE.splitlines()[:2]
    pattern = rf"\+\d\.\d{{10}}e[+-]\d\d+ \d+ studies/{NAME}/shard-\d{{4}}/injection-\d+ /maps/.*"
    assert all(re.fullmatch(pattern, line) for line in lines[2:])
    with h5py.File(shards[1]) as file:
        row = file["injections"][3]
    odds, n, source, skymap = lines[2 + 23].split(maxsplit=3)
    assert float(odds) == pytest.approx(row["odds"], rel=1e-10)
    assert (int(n), skymap) == (row["neutrinos"], MAPS[row["skymap"]])
    assert source == f"studies/{NAME}/shard-0001/injection-3"


def test_a_table_can_be_read_again_whatever_its_spaces(here):
    path = here / "guide.txt"
    path.write_text(GUIDE)
    assert read_table(path).tolist() == [2.2912652264e-36, 2.673378655e-25]
    path.write_text(GUIDE.replace(" ", "   \t") + "\n")
    assert read_table(path).tolist() == [2.2912652264e-36, 2.673378655e-25]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("EVENT-ODDS-RATIO", "ODDS"),
        ("====", "----"),
        ("+2.673378655e-25", "nan"),
        ("+2.673378655e-25", "-1"),
        ("+2.673378655e-25", "inf"),
        (" 4 llama", " x llama"),
        ("2304.fits.gz\n", "2304.f"),
        (" 4 llama-bns-o3-65/events/injection-111", ""),
    ],
)
def test_what_is_no_table_is_a_sentence(here, old, new):
    (here / "t.txt").write_text(GUIDE.replace(old, new))
    with pytest.raises(LlamaError, match=r"t\.txt .* make it again"):
        read_table(here / "t.txt")


def test_the_commands_of_the_guide(here, capsys):
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 0
    assert capsys.readouterr().out == f"{NAME}.txt: 60 injections\n"
    assert main(["dev", "background", "pvalue"]) == 0
    # as the rules make it, from the same shards
    shards = sorted((here / "studies" / NAME / "background").iterdir())
    write_populations(here / "rules.hdf5", {NAME: collate(shards)})
    for kind in ("hdf5", "json"):
        made = (here / f"populations.{kind}").read_bytes()
        assert made == (here / f"rules.{kind}").read_bytes()


def test_tables_without_their_shards_give_p_values_of_events(here, capsys):
    shards = sorted((here / "studies" / NAME / "background").iterdir())
    write_table(shards, here / f"{NAME}.txt")
    (here / "studies").rename(here / "elsewhere")
    (here / "notes.txt").write_text("not a table, and not named like one")
    assert main(["dev", "background", "pvalue"]) == 0
    assert "no p-values of single neutrinos" in capsys.readouterr().err
    background = read_background(here / "populations.hdf5", NAME)
    exact = collate([here / "elsewhere" / NAME / "background" / path.name for path in shards])
    odds = np.sort(np.concatenate(list(exact.odds)))
    np.testing.assert_allclose(background["odds"], odds, rtol=1e-10)
    assert background["single"].size == 0
    assert background["p_astro"] == 0.99


def test_a_study_under_another_name(here, capsys):
    assert main(["dev", "background", "table", "out.txt", NAME]) == 0
    assert main(["dev", "background", "table", "out.txt", "bbh-o3-H1L1"]) == 1
    assert "bbh-o3-H1L1 has no background; bring it here" in capsys.readouterr().err
    assert len((here / "out.txt").read_text().splitlines()) == 62


def test_a_table_of_other_shards_is_refused(here, capsys):
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 0
    write_study(here / "studies", shards=2)
    (here / "studies" / NAME / "background" / "shard-0002.hdf5").unlink()
    assert main(["dev", "background", "pvalue"]) == 1
    assert "is not the table of the shards" in capsys.readouterr().err
    assert not (here / "populations.hdf5").exists()


def test_no_tables_are_a_sentence(here, capsys):
    assert main(["dev", "background", "pvalue"]) == 1
    assert "has no tables named like bns-o3-H1L1V1.txt" in capsys.readouterr().err


def test_a_broken_shard_is_named(here, capsys):
    broken = here / "studies" / NAME / "background" / "shard-0001.hdf5"
    broken.write_bytes(broken.read_bytes()[:2000])
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 1
    assert "shard-0001.hdf5 is broken; delete it" in capsys.readouterr().err
    assert not (here / f"{NAME}.txt").exists()


def test_what_is_left_of_another_division_is_not_counted_twice(here, capsys):
    directory = here / "studies" / NAME / "background"
    (directory / "shard-0003.hdf5").write_bytes((directory / "shard-0002.hdf5").read_bytes())
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 1
    assert "made with different settings or twice; delete them" in capsys.readouterr().err


def test_any_name_takes_the_only_study_there_is(here, capsys):
    assert main(["dev", "background", "table", "X.txt"]) == 0
    out, err = capsys.readouterr()
    assert out == "X.txt: 60 injections\n"
    assert f"the study is {NAME}, the only one in studies\n" in err
    # as typed in the guide, which has another class there than it has launched
    other = f"{NAME}V1"
    assert main(["dev", "background", "table", f"{other}.txt"]) == 0
    assert f"the study is {NAME}" in capsys.readouterr().err
    assert main(["dev", "background", "pvalue"]) == 1
    assert f"{other}.txt has the injections of {NAME}; call it {NAME}.txt" in (
        capsys.readouterr().err
    )
    (here / f"{other}.txt").rename(here / f"{NAME}.txt")
    assert main(["dev", "background", "pvalue"]) == 0
    (here / "studies" / "bbh-o3-H1" / "background").mkdir(parents=True)
    (here / "studies" / "bbh-o3-H1" / "background" / "shard-0000.hdf5").touch()
    assert main(["dev", "background", "table", "X.txt"]) == 1
    assert f"name the study after X.txt: bbh-o3-H1, {NAME}" in capsys.readouterr().err


def plan(here, injections=60):
    write_plan(here / "studies" / NAME, "background", Plan(injections, 20))


def test_a_table_that_was_cut_at_the_end_of_a_row_is_refused(here, capsys):
    plan(here)
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 0
    assert capsys.readouterr().err == ""
    about = read_json(here / f"{NAME}.txt.json")
    assert about == {
        "injections": 60, "rows": 60, "sha256": sha256_file(here / f"{NAME}.txt"),
    }  # fmt: skip
    (here / "studies").rename(here / "elsewhere")
    assert main(["dev", "background", "pvalue"]) == 0
    assert "tells whether it is whole" not in capsys.readouterr().err
    before = (here / "populations.hdf5").read_bytes()
    lines = (here / f"{NAME}.txt").read_text().splitlines(keepends=True)
    (here / f"{NAME}.txt").write_text("".join(lines[:40]))
    assert main(["dev", "background", "pvalue"]) == 1
    said = (
        f"{NAME}.txt is cut off or changed, it is not what {NAME}.txt.json tells of; make it again"
    )
    assert said in capsys.readouterr().err
    assert (here / "populations.hdf5").read_bytes() == before
    (here / f"{NAME}.txt.json").unlink()  # as of a table that another LLAMA has made
    assert main(["dev", "background", "pvalue"]) == 0
    assert f"nothing beside {NAME}.txt tells whether it is whole" in capsys.readouterr().err


@pytest.mark.parametrize(("gone", "said"), [
    (1, "40 of 60 injections are there, without 20 to 39; fetch them with llama dev dv pull"),
    (2, "40 of 60 injections are there, without 40 to 59; fetch them"),
])  # fmt: skip
def test_a_study_with_a_missing_shard_is_asked_about(here, capsys, monkeypatch, gone, said):
    plan(here)
    (here / "studies" / NAME / "background" / f"shard-000{gone}.hdf5").unlink()
    for answer in ("", "n\n", "yes\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert main(["dev", "background", "table", f"{NAME}.txt"]) == 1
        assert said in capsys.readouterr().err
    assert not list(here.glob(f"{NAME}.*"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 0
    assert capsys.readouterr().out == f"{NAME}.txt: 40 of 60 injections\n"
    assert main(["dev", "background", "pvalue"]) == 0  # it is what was asked for


def test_without_a_plan_a_gap_is_seen_and_an_end_is_not_taken_for_certain(
    here, capsys, monkeypatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    directory = here / "studies" / NAME / "background"
    (directory / "shard-0002.hdf5").unlink()
    assert main(["dev", "background", "table", f"{NAME}.txt"]) == 0
    assert "has no plan.json: nothing tells how many shards" in capsys.readouterr().err
    (directory / "shard-0000.hdf5").unlink()
    assert main(["dev", "background", "table", "other.txt", NAME]) == 1
    assert "20 of 40 injections are there, without 0 to 19" in capsys.readouterr().err
    with pytest.raises(PartialError):  # rules never take a part
        collate(list(directory.iterdir()))


def test_pairs_that_a_broken_map_leaves_out_are_not_missing(tmp_path):
    numbers = [(0, 20), (20, 33), (40, 40)]
    check_whole(numbers, False, Plan(60, 20))
    with pytest.raises(PartialError, match="20 of 60 injections are there, without 20 to 59"):
        check_whole([(0, 20), (60, 60)], True, Plan(60, 20))
    with pytest.raises(PartialError, match="without 40 to 59"):
        check_whole(numbers[:2], False, Plan(60, 20))
    with pytest.raises(PartialError, match="without 33 to 59"):
        check_whole(numbers, True, Plan(60, 20))
    with pytest.raises(PartialError, match="without 33 to 39"):
        check_whole([*numbers[:2], (40, 60)], False, None)


def test_what_is_no_plan_is_a_sentence(here, capsys):
    endless = '{"injections": 1000000000000000000, "shard_size": 1}'
    negative = '{"injections": -1, "shard_size": 1}'
    for content in ("[]", '{"injections": 60}', negative, endless, "{"):
        plan(here)
        plan_path(here / "studies" / NAME).write_text(content)
        assert main(["dev", "background", "table", f"{NAME}.txt"]) == 1
        assert re.search(r"plan\.json is not (the plan of a study|valid)", capsys.readouterr().err)
