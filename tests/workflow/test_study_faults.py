"""Studies that are disturbed: by another run, a full disk, a changed setting, a broken map."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from study_samples import DIRECTORY, STUDY, numbers, remove_study, write_maps
from workspace import Workspace, sentence

BBH = "bbh-o4-H1L1"


def larger(study: Workspace, injections: int = 3000, size: int = 1000) -> Path:
    """Take the study back to its beginning, with more injections; return the shards' directory."""
    remove_study(study)
    study.set("  injections: 60", f"  injections: {injections}")
    study.set("  shard_size: 20", f"  shard_size: {size}")
    return study.output / DIRECTORY / "background"


def wait_for_work(run: "subprocess.Popen[str]", studies: Path, done: int) -> None:
    """Wait until so many shards are there and one more is at work."""
    deadline = time.monotonic() + 60
    while (
        len(list(studies.glob("*/background/shard-*"))) < done
        or not list(studies.glob("*/background/.shard-*.progress.json"))
    ):  # fmt: skip
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.01)


def test_a_second_run_on_the_same_study_is_refused(study: Workspace) -> None:
    larger(study)
    with study.started("snakemake", "populations.hdf5", "--cores", "1") as run:
        wait_for_work(run, study.output / "studies", 0)
        for target in ("populations.hdf5", f"{DIRECTORY}/background/shard-0002.hdf5"):
            printed = study.snakemake(target, code=1)
            assert f"llama: {DIRECTORY} is being processed by another run of snakemake" in printed
            assert "Traceback" not in printed
        assert run.wait(60) == 0
    assert study.plan("populations.hdf5") == []
    # the lock has gone with the run
    remove_study(study)
    study.snakemake(f"{DIRECTORY}/background/shard-0002.hdf5")


FULL = {
    # a file system of 300 kB: room for one shard; and the same one with room
    "no space": """
mount -t tmpfs -o size=300k none {shards}
snakemake {target} --cores 1 && exit 3
ls {shards}; mount -o remount,size=9m {shards}
snakemake {target} --cores 1
cp -a {shards} {shards}.kept""",
    # files of 100 kB at most: room for the last shard only
    "too large": """
mkdir -p {shards}.kept
(ulimit -f 100; snakemake {target} --cores 1) && exit 3
ls {shards}
snakemake {target} --cores 1
cp {shards}/*.hdf5 {shards}.kept""",
}


@pytest.mark.parametrize("how", FULL)
def test_a_disk_full_in_the_middle_of_a_shard(study: Workspace, how: str) -> None:
    command = ["bash", "-c"]
    if how == "no space":
        command = ["unshare", "--map-root-user", "--mount", *command]
        if subprocess.run([*command, "true"], capture_output=True).returncode:
            pytest.skip("this machine gives no name spaces of its own")
    shards = larger(study, 3300, 1500)
    shards.mkdir(parents=True)
    target = " ".join(f"{DIRECTORY}/background/shard-000{k}.hdf5" for k in range(3))
    printed = study.run(*command, FULL[how].format(shards=shards, target=target))
    reason = {"no space": "No space left on device", "too large": "File too large"}[how]
    assert re.search(
        rf"cannot write .*/shard-000\d\.hdf5: {reason}; free some space or correct", printed
    )
    assert "Traceback" not in printed
    # what had found room stayed, half a shard is nowhere
    listed = re.findall(r"^\.?shard.*", printed, re.MULTILINE)
    assert len(listed) in (1, 2)
    assert all(re.fullmatch(r"shard-000\d\.hdf5", name) for name in listed)
    kept = sorted(shards.with_name("background.kept").glob("*"))
    assert [path.name for path in kept] == [f"shard-000{k}.hdf5" for k in range(3)]
    # and nothing differs from a study that had room
    for path in shards.glob("*"):
        path.unlink()
    for path in kept:
        path.rename(shards / path.name)
    resumed = numbers(study)
    remove_study(study)
    study.snakemake(*target.split())
    assert numbers(study) == resumed


def test_a_setting_changed_in_the_middle_of_two_studies(study: Workspace) -> None:
    larger(study)
    maps = write_maps(study.root / "maps")
    config = study.clone / "config.yaml"
    more = f"{{{BBH}: {{skymaps: {maps}}}, {STUDY}:"
    config.write_text(config.read_text().replace(f"{{{STUDY}:", more))
    with study.started("snakemake", "populations.hdf5", "--cores", "2") as run:
        wait_for_work(run, study.output / "studies", 3)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(10)
    study.set("    bbh: 2000.0", "    bbh: 1000.0")
    done = list((study.output / DIRECTORY / "background").glob("shard-*"))
    dates = {path: path.stat().st_mtime_ns for path in done}
    study.snakemake("populations.hdf5")
    assert {path: path.stat().st_mtime_ns for path in done} == dates
    resumed = [numbers(study, f"studies/{name}") for name in (STUDY, BBH)]
    # from the beginning, with the new setting and other shards
    remove_study(study)
    for path in (study.output / "studies" / BBH).rglob("*.hdf5"):
        path.unlink()
    study.set("  shard_size: 1000", "  shard_size: 1700")
    study.snakemake("populations.hdf5")
    assert [numbers(study, f"studies/{name}") for name in (STUDY, BBH)] == resumed


def test_broken_maps_that_are_no_longer_to_be_left_out(study: Workspace) -> None:
    maps = write_maps(study.root / "maps")
    config = study.clone / "config.yaml"
    config.write_text(re.sub(r"skymaps: [^}]+", f"skymaps: {maps}", config.read_text()))
    third = maps.with_name("2.fits")
    whole = third.read_bytes()
    third.write_bytes(whole[:4000])
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    study.snakemake("populations.hdf5")
    without = numbers(study)
    study.set('  broken_maps: "skip"', '  broken_maps: "fail"')
    for _ in range(2):
        said = sentence(study.snakemake("populations.hdf5", code=1))
        assert re.search(rf"1 files of {STUDY} are broken, such as .*/2\.fits; replace them", said)
    # nothing was lost
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    assert study.plan("populations.hdf5") == []
    assert numbers(study) == without
    # and a whole map is all that it takes
    study.set('  broken_maps: "skip"', '  broken_maps: "fail"')
    third.write_bytes(whole)
    study.snakemake("populations.hdf5")
    assert numbers(study) != without
