"""Studies on an HTCondor pool: a real one on this machine, with what goes wrong there."""

import os
import re
import signal
from collections.abc import Iterator

import preloaded
import psutil
import pytest
from condor_pool import Pool, pool
from study_samples import DIRECTORY, gate, larger, numbers, wait_for_work
from workspace import Workspace

from llama.locks import wait_until

pytestmark = pytest.mark.needs("mmdebstrap", "unshare")
PROFILE = ("--profile", "profiles/htcondor", "--seconds-between-status-checks", "1")
TAGS = {
    "_CONDOR_ACCOUNTING_GROUP": "igwn.dev.o4.test",
    "_CONDOR_ACCOUNTING_USER": "albert.einstein",
}


@pytest.fixture(scope="module")
def condor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("condor")) as made:
        yield made


@pytest.fixture
def site(condor: Pool, study: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A machine from which the pool is used."""
    monkeypatch.setenv("PATH", str(condor.bin), prepend=os.pathsep)
    return study


def jobs(condor: Pool, state: int, name: str = "ClusterId") -> list[str]:
    """Return an attribute of the jobs in a state: 1 idle, 2 running, 5 held."""
    return condor.ask("condor_q", "-constraint", f"JobStatus == {state}", "-af", name).split()


def test_jobs_that_are_evicted_held_killed_or_without_schedd(
    condor: Pool, site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are carried; each of three shards meets something else, and then the schedd is killed."""
    local = numbers(site)
    larger(site, 60, 20)
    site.snakemake(f"{DIRECTORY}/skymaps.hdf5", "--cores", "1")
    for name, value in TAGS.items():
        monkeypatch.setenv(name, value)
    with (
        preloaded.typed(site.typed),
        gate(site),
        site.started("env", "LLAMA_CONDOR=carry", f"{site.typed}/snakemake", *PROFILE) as run,
    ):
        assert wait_until(lambda: len(at_work(condor)) == 3, 120)
        evicted, held, killed = sorted(jobs(condor, 2), key=int)
        whose = condor.ask("condor_q", "-af", "AcctGroup", "AcctGroupUser", "RequestMemory")
        assert set(whose.splitlines()) == {" ".join([*TAGS.values(), "2000"])}
        os.kill(at_work(condor)[killed], signal.SIGKILL)
        condor.ask("condor_vacate_job", evicted)
        condor.ask("condor_hold", held)
        assert run.stdout is not None
        said = ""
        while "is held" not in said:
            said = run.stdout.readline()
        assert re.search(rf"llama: job {held} is held: via condor_hold .*; condor_release {held}", said)
        condor.ask("condor_release", held)
        # a fourth job has taken the place of the one that was killed
        assert wait_until(lambda: len(found := at_work(condor)) == 3 and killed not in found, 120)
        assert {evicted, held} < set(jobs(condor, 2))
        assert "\n004 (" in (site.output / f"logs/htcondor-{evicted}.events").read_text()
        before = condor.pid("schedd")
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: condor.pid("schedd") != before, 60)
        (site.gate).rename(site.gate.with_name("open"))
        printed = run.communicate(timeout=240)[0]
        assert run.returncode == 0, printed
    assert numbers(site) == local


def at_work(condor: Pool) -> dict[str, int]:
    """Return {job: process} of the shards that wait at the gate."""
    found = {}
    for told in (condor.place / "execute").glob("dir_*/studies/*/background/.shard-*.progress.json"):
        scratch = told.parents[3]
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if process.info["cwd"] == str(scratch) and "script" in process.info["cmdline"]:
                ad = (scratch / ".job.ad").read_text()
                found[re.findall(r"(?m)^ClusterId = (\d+)", ad)[0]] = process.pid
    return found


def test_all_rules_as_jobs_and_a_snakemake_that_is_killed(condor: Pool, site: Workspace) -> None:
    """The file system is shared; jobs go on without Snakemake, and the next one finds them."""
    local, populations = numbers(site), (site.output / "populations.hdf5").read_bytes()
    shards = larger(site, 60, 30)
    with preloaded.typed(site.typed):
        with gate(site), site.started(f"{site.typed}/snakemake", *PROFILE) as run:
            wait_for_work(site.output / "studies", 0, at_work=2)
            run.kill()
        with site.started(f"{site.typed}/snakemake", *PROFILE) as run:
            printed = run.communicate(timeout=240)[0]
            assert run.returncode == 0, printed
    assert printed.count("Resuming incomplete job") == 2, printed
    assert len(list(shards.glob("*.hdf5"))) == 2
    assert (numbers(site), (site.output / "populations.hdf5").read_bytes()) == (local, populations)
