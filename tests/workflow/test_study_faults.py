"""Studies that are disturbed: by another run, by a full disk."""

import os
import re
import subprocess

import preloaded
import proofs
import pytest
from study_samples import DIRECTORY, gate, larger, numbers, remove_study, wait_for_work
from workspace import Workspace


def test_a_second_run_on_the_same_study_is_refused(study: Workspace) -> None:
    larger(study, 30, 10)
    with (
        gate(study) as open_gate,
        preloaded.typed(study.typed),
        study.started(f"{study.typed}/snakemake", "populations.hdf5", "--cores", "1") as run,
    ):
        wait_for_work(study.output / "studies", 0)
        for target in ("populations.hdf5", f"{DIRECTORY}/background/shard-0002.hdf5"):
            printed = study.snakemake(target, code=1)
            assert f"llama: {DIRECTORY} is being processed by another run of snakemake" in printed
            assert "Traceback" not in printed
        open_gate()
        assert run.wait(300) == 0
    assert study.plan("populations.hdf5") == []
    # the lock has gone with the run
    remove_study(study)
    study.snakemake(f"{DIRECTORY}/background/shard-0002.hdf5")


FULL = {
    # a file system of 44 kB: room for one of the first two shards
    "no space": """
mount -t tmpfs -o size=44k none {shards}
snakemake {target} --cores 1 && exit 3
cp -a {shards}/. {left}""",
    # files of 18 kB at most: room for the last shard only
    "too large": """
(ulimit -f 18; snakemake {target} --cores 1) && exit 3
mv {shards}/* {left}""",
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
    shards = larger(study, 330, 150)
    study.snakemake(f"{DIRECTORY}/skymaps.hdf5")
    left = shards.with_name("left")
    for directory in (shards, left):
        directory.mkdir()
    targets = [f"{DIRECTORY}/background/shard-000{k}.hdf5" for k in range(3)]
    printed = study.run(
        *command, FULL[how].format(shards=shards, target=" ".join(targets), left=left)
    )
    reason = {"no space": "No space left on device", "too large": "File too large"}[how]
    assert re.search(
        rf"cannot write .*/shard-000\d\.hdf5: {reason}; free some space or correct", printed
    )
    assert "Traceback" not in printed
    # what had found room stayed, half a shard is nowhere
    names = [path.name for path in left.iterdir()]
    assert [name for name in names if not re.fullmatch(r"shard-000\d\.hdf5|plan\.json", name)] == []
    found = {path: path.stat().st_mtime_ns for path in left.glob("shard-*")}
    assert len(found) in (1, 2)
    # with room the others are made, and nothing differs from a study that had it from the beginning
    shards.rmdir()
    left.rename(shards)
    study.snakemake(*targets)
    for path, date in found.items():
        assert (shards / path.name).stat().st_mtime_ns == date
    resumed = numbers(study)
    remove_study(study)
    study.snakemake(*targets)
    assert numbers(study) == resumed
