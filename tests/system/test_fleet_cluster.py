"""A study on two droplets: real Slurm, munge, sshd and S3; only the cloud's API is a double.

The tests share one head, in any order. Root and namespaces are needed; without,
`test_fleet_without_root.py` runs the same on process groups.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cluster_setup
import namespaces
import pytest
from cluster import BUCKET, TOKEN, Fleet, at_most, one_test
from needs import SLURM
from s3_server import SECRET

from llama.files import sha256_file

pytestmark = [
    pytest.mark.needs(*SLURM, "ip"),
    pytest.mark.skipif(not namespaces.possible(), reason="needs root, namespaces and overlays"),
]
RUN = ("snakemake", "--profile", "do-cluster")
ONE_AT_A_TIME = ("--set-resources", "inject:mem_mb=3000")  # on each droplet, which has 3.6 GB
SHARDS = 4


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A head without droplets; its disk is not seen by them."""
    root = tmp_path_factory.mktemp("fleet")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(root)], check=True)
    try:
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
            with at_most(600):  # when another fleet of this machine has to end first
                made = stack.enter_context(cluster_setup.fleet(root, patch))
            yield made
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


@pytest.fixture
def fleet(head: Fleet) -> Iterator[Fleet]:
    """The head for one test."""
    with one_test(head):
        yield head


def test_a_study_on_two_droplets_is_the_local_one_bit_for_bit(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    local = fleet.local_run()
    created, spent, asked = fleet.cloud.created, fleet.spent(), len(fleet.s3.requests())
    fleet.idle_s(60)  # none goes while a slow machine submits
    # a full queue asks for all of them at once, however slow this machine submits
    fleet.run("scontrol", "update", "PartitionName=llama", "State=DOWN")
    run = fleet.start(*RUN)
    try:
        fleet.wait(lambda: len(fleet.jobs("PD")) >= SHARDS)
    finally:  # the other tests have the same partition
        fleet.run("scontrol", "update", "PartitionName=llama", "State=UP")
    assert fleet.wait_for(run, 400) == 0
    assert fleet.numbers() == local
    assert fleet.shards() == SHARDS
    assert fleet.cloud.peak == 2
    log = next((fleet.workspace.output / "logs").glob("studies/*/inject-background-0003.log"))
    assert "Traceback" not in log.read_text()
    assert "Nothing to be done" in fleet.run(*RUN)
    _assert_what_a_droplet_got(fleet, fleet.s3.requests()[asked:])
    _assert_files_are_the_same_ones(fleet)
    fleet.let_go()
    assert fleet.cloud.created == fleet.cloud.deleted == created + 2
    fleet.wait(fleet.all_down)  # Slurm takes a node for powered down some seconds later
    status = fleet.run("llama", "fleet", "status")
    assert "workers   none" in status
    assert "jobs      none" in status
    assert "bns-o4-H1L1: $" in status
    assert fleet.spent() == pytest.approx(spent + 2 * 0.03571, abs=0.02)


def test_droplets_that_die_or_do_not_boot_or_have_no_disk_and_spaces_away(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    local = fleet.local_run()
    fleet.cloud.boot_fail = {"llama-worker-000"}
    fleet.droplets.small.append("llama-worker-001")
    fleet.warm(1, 2, 3, but=0)
    run = fleet.start(*RUN)
    job, node = fleet.wait(lambda: _running(fleet, but="llama-worker-001"))[0].split()
    fleet.droplets.kill(node)
    time.sleep(1)
    with fleet.s3.away():
        fleet.boots_within_s(1)
        fleet.wait(lambda: "failed llama-worker-000" in fleet.hooks_log())
        fleet.boots_within_s(cluster_setup.BOOTS_WITHIN_S)
        fleet.cloud.boot_fail = set()
        time.sleep(30)
    assert fleet.wait_for(run, 240) == 0
    assert fleet.numbers() == local
    assert _restarts(fleet, job)
    assert "the disk is full" in fleet.said()
    fleet.let_go()


def test_snakemake_killed_and_slurmctld_restarted(fleet: Fleet) -> None:
    fleet.another_study(SHARDS, "weighted")
    local = fleet.local_run()
    before = len(fleet.s3.requests())
    fleet.warm(0, 1)
    run = fleet.start(*RUN, forked=False)
    fleet.wait(lambda: _running(fleet))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    os.kill(fleet.head_pid("slurmctld"), signal.SIGKILL)
    run = fleet.start(*RUN, forked=False)  # with the controller away
    time.sleep(3)
    assert "slurmctld not running" in fleet.run("llama", "fleet", "status", code=1)
    fleet.up()
    assert fleet.wait_for(run, 240) == 0
    assert fleet.numbers() == local
    made = [
        line
        for line in fleet.s3.requests()[before:]
        if f"PUT /{BUCKET}/studies/" in line and "/shard-" in line
    ]
    assert len(made) == SHARDS, made  # nothing was computed twice


def test_a_budget_that_is_reached_stops_the_fleet_and_a_larger_one_resumes_it(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    local = fleet.local_run()
    fleet.warm(0)
    spent, created = fleet.spent(), fleet.cloud.created
    fleet.change("max_usd_per_day", f"{spent + 0.01:.4f}")  # no droplet more
    run = fleet.start(*RUN, *ONE_AT_A_TIME)  # not all done when the budget is reached
    fleet.wait(lambda: "above fleet.max_usd_per_day" in fleet.hooks_log())
    assert fleet.cloud.created == created
    fleet.change("max_usd_per_day", f"{spent / 2:.4f}")
    fleet.wait(lambda: not fleet.names())
    assert run.poll() is None
    status = fleet.run("llama", "fleet", "status")
    assert "waiting   " in status
    assert "above fleet.max_usd_per_day" in status
    fleet.change("max_usd_per_day", "50.0")
    assert fleet.wait_for(run, 240) == 0
    assert fleet.numbers() == local


def test_the_api_is_away_or_over_its_rate_and_names_are_there_twice(fleet: Fleet) -> None:
    fleet.cloud.control({"faults": [{"match": ".", "times": 10_000, "status": 503}]})
    jobs = fleet.run("sbatch", "--parsable", "--array=1-4", "--output=/dev/null", "--wrap=:")
    time.sleep(20)
    assert not fleet.names()
    fleet.cloud.control({"faults": [{"match": ".", "times": 8, "status": 429}]})
    # another droplet of the same name, as a lost answer leaves it
    name = fleet.wait(fleet.names)[0]
    fleet.cloud.control({"faults": [], "droplets": [{"name": name, "tags": ["llama"]}]})
    fleet.wait(lambda: _done(fleet, jobs) == 4)
    fleet.let_go()


def test_a_fleet_whose_head_is_gone_ends_itself(fleet: Fleet) -> None:
    fleet.warm(0, 1)
    for name in ("keeper", "slurmctld"):
        os.kill(fleet.head_pid(name), signal.SIGKILL)
    fleet.wait(lambda: not fleet.droplets.alive())
    assert fleet.names()  # off, and still paid for
    reaped = fleet.run("bash", "-c", "echo y | llama com do --reap")
    assert "destroyed" in reaped, reaped
    assert not fleet.names()


def test_down_leaves_nothing(fleet: Fleet) -> None:
    fleet.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 300")
    fleet.wait(fleet.names)
    assert "no worker is left" in fleet.run("llama", "fleet", "down", "--yes")
    assert not fleet.names()
    fleet.wait(lambda: not fleet.droplets.alive())
    assert not any(fleet.head_pid(name) for name in ("munged", "slurmctld", "keeper"))
    # lines of another fleet, whose tests were killed, are not ours
    assert str(fleet.slurm) not in Path("/etc/hosts").read_text()


def _assert_what_a_droplet_got(fleet: Fleet, requests: list[str]) -> None:
    """The bank came once per droplet, the token never, and the key in no job's script."""
    scripts = "".join(
        path.read_text(errors="replace") for path in fleet.slurm.rglob("state/**/script")
    )
    scripts += (fleet.slurm / "log/jobcomp.log").read_text()
    assert SECRET not in scripts
    assert TOKEN not in scripts
    about = json.loads((fleet.slurm / "droplet.json").read_text())
    assert TOKEN not in about["user_data"]
    assert (fleet.slurm / "token").stat().st_mode & 0o777 == 0o600
    gets = [line for line in requests if f"GET /{BUCKET}/objects/" in line]
    # five inputs, once for each droplet, though both make two shards
    assert 5 <= len(gets) <= 10, gets
    objects = fleet.s3.client().list_objects_v2(Bucket=BUCKET)["Contents"]
    kinds = [entry["Key"].split("/")[0] for entry in objects]
    counted = [kinds.count(kind) for kind in ("studies", "logs", "objects")]
    assert counted == [SHARDS + 1, SHARDS, 5]


def _assert_files_are_the_same_ones(fleet: Fleet) -> None:
    """What came back from Spaces are the files that the droplets made."""
    for entry in fleet.s3.client().list_objects_v2(Bucket=BUCKET, Prefix="studies/")["Contents"]:
        head = fleet.s3.client().head_object(Bucket=BUCKET, Key=entry["Key"])
        assert head["Metadata"]["sha256"] == sha256_file(fleet.workspace.output / entry["Key"])


def _running(fleet: Fleet, but: str = "-") -> list[str]:
    return [line for line in fleet.jobs("R") if not line.endswith(but)]


def _restarts(fleet: Fleet, job: str) -> bool:
    return f"Requeuing JobId={job}" in (fleet.slurm / "log/slurmctld.log").read_text()


def _done(fleet: Fleet, jobs: str) -> int:
    return fleet.run("squeue", "-h", "-t", "CD", "-j", jobs.strip(), "-o", "%i", code=None).count(
        "\n"
    )
