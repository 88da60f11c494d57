"""Studies as typed: same bits whatever the division, faults, resumption, and what is remade."""

import fcntl
import os
import re
import shutil
import signal
import time
from pathlib import Path

import h5py
import pytest
from workspace import Workspace, sentence, skymap_fits, strict_json

from llama.event.populations import read_background

STUDY = "bns-o4-H1L1"
DIRECTORY = f"studies/{STUDY}"


DONE = ("llama", "dev", "dv", "done", "bg")
TABLE = f"{DIRECTORY}.txt"


@pytest.fixture(scope="session")
def finished_study(machine: Workspace, shared_tmp: Path) -> Workspace:
    """A machine with a study of three maps, 60 injections in shards of 20. Read-only: copy it."""
    with (shared_tmp / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = shared_tmp / "study"
        if not root.exists():
            made = machine.copy(shared_tmp / "study-in-the-making")
            maps = write_maps(shared_tmp / "study-maps")
            made.set("  studies: {}", f"  studies: {{{STUDY}: {{skymaps: {maps}}}}}")
            made.set("  injections: 20000", "  injections: 60")
            made.set("  shard_size: 10000", "  shard_size: 20")
            made.snakemake("populations.hdf5", TABLE, "--cores", "2")
            made.root.rename(root)
        return Workspace(root, machine.home)


@pytest.fixture
def study(finished_study: Workspace, tmp_path: Path) -> Workspace:
    return finished_study.copy(tmp_path / "study")


def write_maps(directory: Path) -> Path:
    """Write three maps and return their list."""
    directory.mkdir()
    for k in range(3):
        content = skymap_fits(ra=40.0 + 100 * k, dec=20.0 - 20 * k, sigma_deg=4.0 + 3 * k)
        (directory / f"{k}.fits").write_bytes(content)
    (directory / "maps.csv").write_text("0.fits\n1.fits\n2.fits\n")
    return directory / "maps.csv"


def remove_study(study: Workspace) -> None:
    shutil.rmtree(study.output / DIRECTORY)
    for name in ("populations.hdf5", "populations.json", TABLE):
        (study.output / name).unlink(missing_ok=True)


def numbers(workspace: Workspace) -> tuple[bytes, bytes]:
    """Return all rows and single odds of the study, shard after shard."""
    rows, single = b"", b""
    for path in sorted((workspace.output / DIRECTORY / "background").glob("shard-*.hdf5")):
        with h5py.File(path) as file:
            rows += file["injections"][()].tobytes()
            single += file["single"][()].tobytes()
    return rows, single


def test_a_study_from_its_list_to_tables_and_an_event_of_any_row(study: Workspace) -> None:
    assert study.plan("populations.hdf5", TABLE) == []
    one = numbers(study)
    background = read_background(study.output / "populations.hdf5", STUDY)
    assert background["odds"].size == 60
    # the guide's commands give the same
    assert "60 injections" in study.run("llama", "dev", "background", "table", f"{STUDY}.txt")
    made = (study.clone / f"{STUDY}.txt").read_bytes()
    assert made == (study.output / TABLE).read_bytes()
    assert re.search(rf"{STUDY} +background +60 +60 100% +- +done", study.run(*DONE))
    # an injection as an event: its odds are those of its row
    event = f"{DIRECTORY}/shard-0001/injection-13"
    study.snakemake(f"{event}/significance_lvc-i3.json")
    with h5py.File(study.output / DIRECTORY / "background/shard-0001.hdf5") as file:
        row = file["injections"][13]
    found = strict_json(study.output / event / "significance_lvc-i3.json")
    assert found["odds_ratio"] == row["odds"]
    assert (found["p_value_population"], found["n_background"]) == (STUDY, 60)
    assert {"write_summary", "write_manifest"} <= set(study.plan(f"{event}/all"))
    assert "is not there" in sentence(study.snakemake(f"{event}99/all", code=1))
    # another division, another number of cores: the same bits
    study.set("  shard_size: 20", "  shard_size: 7")
    study.snakemake("populations.hdf5", "--cores", "1")
    seven = study.output / DIRECTORY / "background"
    assert len(list(seven.glob("*.hdf5"))) == 9
    assert numbers(study) == one


def test_only_what_a_setting_changes_is_made_again(study: Workspace) -> None:
    before = numbers(study)
    unchanged = {
        "    bbh: 2000.0": "    bbh: 1000.0",
        "  far_signal_rate_hz: 6.5e-08": "  far_signal_rate_hz: 1.0e-08",
        "  signal_injections: 10000": "  signal_injections: 10",
        '  broken_maps: "fail"': '  broken_maps: "skip"',
    }
    for old, new in unchanged.items():
        study.set(old, new)
    assert study.plan("populations.hdf5") == []
    for old, new, remade in (
        ("  fb: 10.0", "  fb: 20.0", {"build_bank", "link_bank", "inject"}),
        ("  ratebgnu: 0.0064", "  ratebgnu: 0.0035", {"inject"}),
    ):
        study.set(old, new)
        assert set(study.plan("populations.hdf5")) == remade | {"collate_populations"}
        study.set(new, old)
    # more injections: those already made stay
    study.set("  injections: 60", "  injections: 75")
    assert study.plan("populations.hdf5") == ["collate_populations", "inject"]
    study.snakemake("populations.hdf5")
    assert all(new.startswith(old) for new, old in zip(numbers(study), before, strict=True))


def test_a_killed_study_is_taken_up_where_it_stopped(study: Workspace) -> None:
    remove_study(study)
    study.set("  injections: 60", "  injections: 3000")
    study.set("  shard_size: 20", "  shard_size: 1000")
    shards = study.output / DIRECTORY / "background"
    with study.started("snakemake", "populations.hdf5", "--cores", "1") as run:
        deadline = time.monotonic() + 60
        # one shard is there, and the next one is at work
        while not (list(shards.glob("shard-*")) and list(shards.glob(".shard-*.progress.json"))):
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.01)
        at_work = study.run(*DONE)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(10)
    assert re.search(rf"{STUDY} +background +[12],\d+ +3,000 +\d\d% +[\d,]+ Hz +\d+ min", at_work)
    complete = {path.name: path.stat().st_mtime_ns for path in shards.glob("shard-*")}
    study.snakemake("populations.hdf5")
    resumed = numbers(study)
    assert len(list(shards.glob("shard-*"))) == 3
    assert all((shards / name).stat().st_mtime_ns == date for name, date in complete.items())
    remove_study(study)
    study.set("  shard_size: 1000", "  shard_size: 3000")
    study.snakemake("populations.hdf5")
    assert numbers(study) == resumed


def test_lists_and_maps_that_are_broken(study: Workspace) -> None:
    whole_study = numbers(study)
    remove_study(study)
    listed = write_maps(study.root / "maps")
    config = study.clone / "config.yaml"
    config.write_text(re.sub(r"skymaps: [^}]+", f"skymaps: {listed}", config.read_text()))
    text, third = listed.read_text(), listed.with_name("2.fits")
    for content, says in (
        ("# nothing\n", "lists no sky maps"),
        (text + "9.fits\n", r"1 of 4 sky maps of .*maps.csv do not exist: .*/9\.fits"),
    ):
        listed.write_text(content)
        assert re.search(says, sentence(study.snakemake("populations.hdf5", code=1)))
    listed.write_text(text)
    whole = third.read_bytes()
    third.write_bytes(whole[:4000])
    printed = study.snakemake("populations.hdf5", code=1)
    assert re.search(r"1 of 3 sky maps are broken: .*/2\.fits .*broken_maps: skip", printed)
    assert "Traceback" not in printed
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    study.snakemake("populations.hdf5")
    log = study.output / "logs" / DIRECTORY / "link_bank.log"
    assert re.search(r"1 sky maps are broken and left out\n.*/2\.fits", log.read_text())
    assert numbers(study) != whole_study
    third.write_bytes(whole)
    study.snakemake("populations.hdf5")
    assert numbers(study) == whole_study
