"""The fleet without root: droplets are process groups, Slurm and S3 are real."""

import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator

import cluster_setup
import psutil
import pytest
from cluster import BUCKET, TOKEN, Fleet, at_most, one_test
from needs import SLURM
from study_samples import STUDY

from llama.fleet.head_files import override

pytestmark = pytest.mark.needs(*SLURM)
SHARDS = 2


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A head without droplets."""
    root = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        with at_most(600):  # when another fleet of this machine has to end first
            made = stack.enter_context(cluster_setup.fleet(root, patch, False))
        yield made


@pytest.fixture
def fleet(head: Fleet) -> Iterator[Fleet]:
    """The head for one test."""
    with one_test(head):
        yield head


def test_a_study_is_the_local_one_and_a_lost_droplet_costs_nothing(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    local = fleet.local_run()
    fleet.warm(0, 1)
    run = fleet.start("snakemake", "--profile", "do-cluster")
    node = fleet.wait(lambda: fleet.jobs("R"))[0].split()[1]
    fleet.droplets.kill(node)
    assert fleet.wait_for(run, 240) == 0
    assert fleet.numbers() == local
    key = f"studies/{STUDY}/background/plan.json"
    plan = fleet.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert json.loads(plan) == {"injections": 10 * SHARDS, "shard_size": 10}
    # results that somebody has removed, from the bucket too, come again with their plan
    shard = f"studies/{STUDY}/background/shard-0001.hdf5"
    (fleet.workspace.output / shard).unlink()
    fleet.forget()
    fleet.run("snakemake", shard, "--profile", "do-cluster")
    assert fleet.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read() == plan
    assert fleet.numbers() == local
    fleet.let_go()
    assert fleet.cloud.created == fleet.cloud.deleted


def test_a_head_whose_token_is_revoked_says_so_until_up_brings_another(fleet: Fleet) -> None:
    fleet.warm(1)
    assert "droplets  1 active" in fleet.run("llama", "fleet", "status")
    fleet.cloud.token = TOKEN[::-1]
    fleet.idle_s(4)
    # Slurm takes the node for gone, and its droplet is not
    status = fleet.wait(
        lambda: "workers   none" in (s := fleet.run("llama", "fleet", "status", code=1)) and s
    )
    assert "droplets  NOT KNOWN: DigitalOcean does not know this token" in status
    assert "KEEPER    it cannot look after the droplets since" in status
    assert "export a token that is valid as DIGITALOCEAN, then llama fleet up" in status
    assert fleet.names() == ["llama-worker-001"]
    environment = dict(fleet.environment)
    try:
        # the other place of a token, which comes before the head's own copy
        del fleet.environment["DIGITALOCEAN"]
        fleet.environment["XDG_CONFIG_HOME"] = str(fleet.workspace.root / "config")
        path = fleet.workspace.root / "config/llama/digitalocean-token"
        path.parent.mkdir(parents=True)
        path.touch(0o600)
        path.write_text(fleet.cloud.token)
        fleet.up()
        fleet.wait(lambda: not fleet.names())
        fleet.wait(lambda: "KEEPER" not in fleet.run("llama", "fleet", "status", code=None))
        assert "droplets  none" in fleet.run("llama", "fleet", "status")
    finally:
        fleet.cloud.token, fleet.environment = TOKEN, environment
        fleet.up()


def test_a_launch_that_is_ended_while_spaces_is_away_makes_no_droplet_later(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    fleet.forget_inputs()
    created = fleet.cloud.created
    config = (fleet.workspace.clone / "config.yaml").read_text()
    (skymaps,) = re.findall(rf"{STUDY}: {{skymaps: (.*)}}}}\n", config)
    launch = ("llama", "dev", "dv", "launch", "bg", skymaps)
    told = fleet.run(*launch)
    pid = int(told.partition("launched, pid ")[2].partition(";")[0])
    try:
        with fleet.s3.away():
            fleet.wait(lambda: any("job submit" in words for words in _group(pid)))
            assert f"ended {STUDY} with pid {pid}" in fleet.run(*launch, "-k")
            # nothing is left that could submit anything when Spaces is back
            assert _group(pid) == []
        assert fleet.run("squeue", "-h") == ""
        assert "there is nothing to end" in fleet.run(*launch, "-k", code=1)
        # jobs that a launch has left, as one that was killed does, are ended by the same command
        left = ("sbatch", "--parsable", "--hold", f"--comment={STUDY}", "--output=/dev/null")
        fleet.run(*left, "--wrap=:")
        other = fleet.run(*left[:3], "--comment=bbh-o4-H1", *left[4:], "--wrap=:").strip()
        assert "1 of its jobs in Slurm's queue" in fleet.run(*launch, "-k")
        assert fleet.run("squeue", "-h", "-t", "PD", "-o", "%i").strip() == other
        assert fleet.cloud.created == created
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def test_a_snakemake_that_is_interrupted_while_spaces_is_away_submits_nothing(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    fleet.forget_inputs()
    with fleet.s3.away():
        words = ("env", "--default-signal=INT", "snakemake", "--profile", "do-cluster")
        run = fleet.start(*words, forked=False)
        fleet.wait(lambda: any("job submit" in words for words in _group(run.pid)))
        os.kill(run.pid, signal.SIGINT)
        fleet.wait(lambda: run.poll() is not None)
        fleet.wait(lambda: not _group(run.pid))
    assert fleet.run("squeue", "-h") == ""


def _group(pid: int) -> list[str]:
    """Return the commands of all processes of a group that are alive."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(one.pid) == pid and one.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(one.cmdline()))
    return found


def test_the_same_rules_on_a_site_with_a_shared_file_system(fleet: Fleet) -> None:
    fleet.another_study(SHARDS)
    local = fleet.local_run()
    shutil.rmtree(fleet.workspace.output / "studies", ignore_errors=True)
    fleet.warm(0, 1)
    fleet.run("snakemake", "--profile", "profiles/slurm")
    assert fleet.numbers() == local
    # the bank was a job, too
    jobs = (fleet.slurm / "log/jobcomp.log").read_text().splitlines()
    for rule in ("build_bank", "inject", "collate_populations"):
        assert any(f"Name=llama-{rule} " in j and "JobState=COMPLETED" in j for j in jobs), jobs


def test_a_site_that_keeps_no_account_of_jobs(fleet: Fleet) -> None:
    """Its controller has forgotten the jobs when Snakemake asks again: what they left counts."""
    fleet.another_study(SHARDS)
    shutil.rmtree(fleet.workspace.output / "logs", ignore_errors=True)
    conf = fleet.slurm / "slurm.conf"
    before = conf.read_text()
    lines = [line for line in before.splitlines() if not line.startswith("JobComp")]
    conf.write_text(override("\n".join(lines), "MinJobAge=2\nJobCompType=jobcomp/none"))
    _restart_controller(fleet)
    try:
        assert "accounting storage is disabled" in fleet.run("sacct", "-j", "1", code=1)
        fleet.warm(0)
        shard = f"studies/{STUDY}/background/shard-0000.hdf5"
        words = ("snakemake", shard, "--profile", "profiles/slurm", "--retries", "0")
        run = fleet.start(*words, forked=False)
        fleet.wait(lambda: fleet.jobs("R"))
        run.send_signal(signal.SIGSTOP)
        numbers = [job.split()[0] for job in fleet.jobs("all")]
        fleet.wait(lambda: all(_is_forgotten(fleet, number) for number in numbers), 240)
        run.send_signal(signal.SIGCONT)
        assert fleet.wait_for(run, 300) == 0
        assert fleet.shards() == 1
        assert "sacct" not in fleet.said()
    finally:
        conf.write_text(before)
        _restart_controller(fleet)


def _is_forgotten(fleet: Fleet, number: str) -> bool:
    return "Invalid job id" in fleet.run("scontrol", "show", "job", number, code=None)


def _restart_controller(fleet: Fleet) -> None:
    fleet.run("scontrol", "shutdown", "slurmctld")
    fleet.wait(lambda: not fleet.head_pid("slurmctld"))
    slurmctld = shutil.which("slurmctld", path="/usr/sbin:/sbin:/usr/bin")
    fleet.run(str(slurmctld), "-f", str(fleet.slurm / "slurm.conf"))
    fleet.wait(lambda: "UP" in fleet.run("scontrol", "ping", code=None))
