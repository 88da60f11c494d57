"""Studies as typed: same bits whatever the division, faults, resumption, and what is remade."""

import os
import re
import signal
import time

import h5py
from study_samples import DIRECTORY, STUDY, TABLE, numbers, remove_study, write_maps
from workspace import Workspace, jobs, sentence, strict_json

from llama.event.populations import read_background

DONE = ("llama", "dev", "dv", "done", "bg")


def test_a_study_from_its_list_to_tables_and_an_event_of_any_row(study: Workspace) -> None:
    assert study.plan("populations.hdf5", TABLE) == []
    one = numbers(study)
    populations = (study.output / "populations.hdf5").read_bytes()
    background = read_background(study.output / "populations.hdf5", STUDY)
    assert background["odds"].size == 60
    # the guide's commands give the same
    assert "60 injections" in study.run("llama", "dev", "background", "table", f"{STUDY}.txt")
    made = (study.clone / f"{STUDY}.txt").read_bytes()
    assert made == (study.output / TABLE).read_bytes()
    assert re.search(rf"{STUDY} +background +60 +60 +100% +- +done", study.run(*DONE))
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
    assert (study.output / "populations.hdf5").read_bytes() == populations


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
        ("  ratebgnu: null", "  ratebgnu: 0.0035", {"inject"}),
    ):
        study.set(old, new)
        assert set(study.plan("populations.hdf5")) == remade | {"collate_populations"}
        study.set(new, old)
    # more injections: those already made stay
    study.set("  injections: 60", "  injections: 75")
    assert jobs(study.snakemake("populations.hdf5")) == ["collate_populations", "inject"]
    assert all(new.startswith(old) for new, old in zip(numbers(study), before, strict=True))


def test_a_killed_study_is_taken_up_where_it_stopped(study: Workspace) -> None:
    remove_study(study)
    study.set("  injections: 60", "  injections: 3000")
    study.set("  shard_size: 20", "  shard_size: 1000")
    shards = study.output / DIRECTORY / "background"
    with study.started("snakemake", "populations.hdf5", "--cores", "1") as run:
        deadline = time.monotonic() + 300
        # one shard is there, and the next one is at work
        while not (list(shards.glob("shard-*")) and list(shards.glob(".shard-*.progress.json"))):
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGSTOP)  # so that it has not ended when the other shell asks
        at_work = study.run(*DONE)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(10)
    assert re.search(rf"{STUDY} +background +[12],\d+ +3,000 +\d\d% +[\d,.]+ Hz +\d+ \w+", at_work)
    complete = {path.name: path.stat().st_mtime_ns for path in shards.glob("shard-*")}
    study.snakemake("populations.hdf5")
    resumed = numbers(study)
    populations = (study.output / "populations.hdf5").read_bytes()
    assert len(list(shards.glob("shard-*"))) == 3
    assert all((shards / name).stat().st_mtime_ns == date for name, date in complete.items())
    remove_study(study)
    study.set("  shard_size: 1000", "  shard_size: 3000")
    study.snakemake("populations.hdf5")
    assert numbers(study) == resumed
    assert (study.output / "populations.hdf5").read_bytes() == populations


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
