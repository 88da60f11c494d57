"""Studies that are disturbed: by another run, by a full disk."""

import os
import re
import signal
import subprocess

import proofs
import pytest
from study_samples import DIRECTORY, larger, numbers, remove_study, wait_for_work
from workspace import Workspace


def test_a_second_run_on_the_same_study_is_refused(study: Workspace) -> None:
    larger(study, 3000, 1000)
    with study.started("snakemake", "populations.hdf5", "--cores", "1") as run:
        wait_for_work(run, study.output / "studies", 0)
        os.killpg(run.pid, signal.SIGSTOP)  # so that it cannot have ended before the others look
        for target in ("populations.hdf5", f"{DIRECTORY}/background/shard-0002.hdf5"):
            printed = study.snakemake(target, code=1)
            assert f"llama: {DIRECTORY} is being processed by another run of snakemake" in printed
            assert "Traceback" not in printed
        os.killpg(run.pid, signal.SIGCONT)
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
snakemake {bank}
(ulimit -f 100; snakemake {target} --cores 1) && exit 3
ls {shards}
snakemake {target} --cores 1
cp {shards}/*.hdf5 {shards}.kept""",
}


@pytest.mark.proof
@pytest.mark.parametrize("how", list(FULL)[: proofs.size(2, 1)])
def test_a_disk_full_in_the_middle_of_a_shard(study: Workspace, how: str) -> None:
    command = ["bash", "-c"]
    if how == "no space":
        mapped = ["--map-root-user"] if os.geteuid() else []  # a chroot gives root none of users
        command = ["unshare", *mapped, "--mount", *command]
        if subprocess.run([*command, "true"], capture_output=True).returncode:
            pytest.skip("this machine gives no name spaces of its own")
    shards = larger(study, 3300, 1500)
    shards.mkdir(parents=True)
    target = " ".join(f"{DIRECTORY}/background/shard-000{k}.hdf5" for k in range(3))
    printed = study.run(
        *command, FULL[how].format(shards=shards, target=target, bank=f"{DIRECTORY}/skymaps.hdf5")
    )
    reason = {"no space": "No space left on device", "too large": "File too large"}[how]
    assert re.search(
        rf"cannot write .*/shard-000\d\.hdf5: {reason}; free some space or correct", printed
    )
    assert "Traceback" not in printed
    # what had found room stayed, half a shard is nowhere
    listed = re.findall(r"^\.?shard.*", printed, re.MULTILINE)
    assert len(listed) in (1, 2)
    assert all(re.fullmatch(r"shard-000\d\.hdf5", name) for name in listed)
    kept = sorted(shards.with_name("background.kept").glob("*.hdf5"))
    assert [path.name for path in kept] == [f"shard-000{k}.hdf5" for k in range(3)]
    # and nothing differs from a study that had room
    for path in shards.glob("*.hdf5"):
        path.unlink()
    for path in kept:
        path.rename(shards / path.name)
    resumed = numbers(study)
    remove_study(study)
    study.snakemake(*target.split())
    assert numbers(study) == resumed
