"""Studies on an HTCondor pool: a real one on this machine, with what goes wrong there."""

import os
import re
import signal
from collections.abc import Iterator

import preloaded
import psutil
import pytest
from condor_pool import Pool, pool
from study_samples import DIRECTORY, gate, larger, numbers
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


def jobs(condor: Pool) -> list[str]:
    """Return the jobs that run."""
    return condor.ask("condor_q", "-constraint", "JobStatus == 2", "-af", "ClusterId").split()


def test_what_may_happen_to_jobs_changes_no_bit(
    condor: Pool, site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are carried. One job is evicted, one held, one killed; then schedd and Snakemake."""
    local = numbers(site)
    larger(site, 60, 20)
    site.snakemake(f"{DIRECTORY}/skymaps.hdf5", "--cores", "1")
    for name, value in TAGS.items():
        monkeypatch.setenv(name, value)
    words = (
        "timeout",
        "-k",
        "5",
        "240",
        "env",
        "LLAMA_CONDOR=carry",
        f"{site.typed}/snakemake",
        *PROFILE,
    )
    with preloaded.typed(site.typed), gate(site) as open_gate:
        with site.started(*words) as run:
            assert wait_until(lambda: len(at_work(condor)) == 3, 120)
            evicted, held, killed = sorted(jobs(condor), key=int)
            whose = condor.ask("condor_q", "-af", "AcctGroup", "AcctGroupUser", "RequestMemory")
            assert set(whose.splitlines()) == {" ".join([*TAGS.values(), "2000"])}
            os.kill(at_work(condor)[killed], signal.SIGKILL)
            condor.ask("condor_vacate_job", evicted)
            condor.ask("condor_hold", held)
            said = "-"
            while said and "is held" not in said:
                said = run.stdout.readline() if run.stdout else ""
            assert re.search(
                rf"llama: job {held} is held: via condor_hold .*; condor_release", said
            )
            condor.ask("condor_release", held)
            # a fourth job has taken the place of the one that was killed
            assert wait_until(
                lambda: len(found := at_work(condor)) == 3 and killed not in found, 120
            )
            assert {evicted, held} < set(jobs(condor))
            assert "4000" in condor.ask("condor_q", "-af", "RequestMemory").split()  # as retried
            assert "\n004 (" in (site.output / f"logs/htcondor-{evicted}.events").read_text()
            before = condor.pid("schedd")
            os.kill(before, signal.SIGKILL)
            assert wait_until(lambda: condor.pid("schedd") != before, 60)
        with site.started(*words) as run:
            again = set[str]()
            while len(again) < 3:
                line = run.stdout.readline() if run.stdout else ""
                assert line
                again |= set(re.findall(r"external jobid '(\d+)'", line))
            assert again == set(jobs(condor))
            open_gate()
            printed = run.communicate(timeout=240)[0]
            assert run.returncode == 0, printed
    assert numbers(site) == local


def at_work(condor: Pool) -> dict[str, int]:
    """Return {job: process} of the shards that wait at the gate."""
    found = {}
    for told in (condor.place / "execute").glob(
        "dir_*/studies/*/background/.shard-*.progress.json"
    ):
        scratch = told.parents[3]
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if process.info["cwd"] == str(scratch) and "script" in process.info["cmdline"]:
                ad = (scratch / ".job.ad").read_text()
                found[re.findall(r"(?m)^ClusterId = (\d+)", ad)[0]] = process.pid
    return found


def test_all_rules_as_jobs_where_the_file_system_is_shared(condor: Pool, site: Workspace) -> None:
    local, populations = numbers(site), (site.output / "populations.hdf5").read_bytes()
    shards = larger(site, 60, 30)
    with preloaded.typed(site.typed):
        printed = site.run("env", f"{site.typed}/snakemake", *PROFILE)
    assert printed.count("Submitted job") == 5, printed
    assert len(list(shards.glob("*.hdf5"))) == 2
    assert (numbers(site), (site.output / "populations.hdf5").read_bytes()) == (local, populations)
