"""A shard as a job without a shared file system: what is said of it, and how it is run."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from msgspec.structs import replace

from llama.errors import LlamaError
from llama.fleet import job, slurm, worker
from llama.fleet.head_files import number_of, override
from llama.fleet.spaces import Place

SCRIPT = """\
from pathlib import Path
shard = sum(int(Path(name).read_text()) for name in snakemake.input.parts)
shard *= snakemake.params.numbers[1]
Path(snakemake.output[0]).write_text(f"{snakemake.wildcards.study} {shard}")
print("done", snakemake.input.bank, len(snakemake.input))
Path(snakemake.log[0]).write_text("log")
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> worker.Job:
    monkeypatch.chdir(tmp_path)
    Path("scripts").mkdir()
    Path("scripts/add.py").write_text(SCRIPT)
    for name, text in (("bank", "0"), ("a", "1"), ("b", "2")):
        Path(name).write_text(text)
    told = {
        "rule": "add", "input": ["bank", "a", "b"], "output": ["out/sum"], "log": ["logs/add.log"],
        "threads": 1, "params": {"numbers": [0, 7]}, "wildcards": {"study": "bns-o4-H1"},
        "resources": {},
    }  # fmt: skip
    return msgspec.convert(told, worker.Job)


NAMED: worker.Named = {"bank": "bank", "parts": ["a", "b"], "lists": []}


def _job(asked: worker.Job) -> worker.Job:
    sha256 = dict.fromkeys(("bank", "a", "b"), "0" * 64)
    return job.describe(asked, NAMED, sha256, Path("scripts"), Place("b", "", ""))


def test_the_digest_tells_all_that_a_result_depends_on(asked: worker.Job) -> None:
    first = _job(asked).digest
    assert _job(asked).digest == first
    assert _job(replace(asked, params={"numbers": [0, 8]})).digest != first
    Path("scripts/add.py").write_text(SCRIPT + "#\n")
    assert _job(asked).digest != first


SLOW = """\
import sys, time
from pathlib import Path
from llama.study.plan import Progress
print("begun")
with Progress(snakemake.output[0], 7) as progress:
    for _ in range(3):
        progress.tick()
    while not Path("go").exists():
        time.sleep(0.01)
sys.exit("ended badly")
"""
RUN = """\
import msgspec, sys
from pathlib import Path
from llama.fleet import worker
worker._TELL_EVERY_S = 0.02
worker._run(msgspec.json.decode(sys.argv[1], type=worker.Job), Path("place"))
"""


def test_lines_of_a_running_job_come_as_it_says_them(asked: worker.Job) -> None:
    slow = replace(_job(asked), script=SLOW)
    place = Path("place")
    place.mkdir()
    words = [sys.executable, "-c", RUN, msgspec.json.encode(slow).decode()]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "begun\n"
        while (line := running.stderr.readline()) != "sum: 1 of 7 injections\n":
            assert line, "no line of progress"
        assert running.poll() is None
        (place / "go").touch()
        said = running.stderr.read()
    assert running.returncode == 1
    assert said.rstrip().endswith("llama.errors.LlamaError: ended badly")
    assert (place / "logs/add.log").read_text() == "begun\nended badly\n"


def test_a_worker_runs_the_rules_script_with_names(asked: worker.Job) -> None:
    Path("job.json").write_bytes(msgspec.json.encode(_job(asked)))
    Path("logs").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "llama.fleet.worker", "script"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "done bank 3\n"), done.stderr
    assert Path("out/sum").read_text() == "bns-o4-H1 21"


def test_another_revision_is_refused() -> None:
    worker._check_revision(worker.revision())
    with pytest.raises(LlamaError, match="another LLAMA"):
        worker._check_revision("0123456789abcdef")


def test_a_full_disk_is_the_droplets_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker._check_space(tmp_path)
    monkeypatch.setattr(worker.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(worker.UnfitError, match="disk is full"):
        worker._check_space(tmp_path)


def test_text_of_any_kind_survives_the_job_script(asked: worker.Job) -> None:
    odd = replace(_job(asked), script="'\"$HOME`id`\\n\nEND OF JOB\n")
    with job.script(odd) as path:
        script = path.read_text().replace(f"{sys.executable} -m llama.fleet.worker", "cat")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert msgspec.json.decode(done.stdout, type=worker.Job) == odd


def test_lines_of_ones_own_replace_those_of_slurm_conf() -> None:
    conf = override("A=1\nSuspendTime=600\n# SuspendTime=\nB=2\n", "suspendtime=8\n\nC=3\n")
    assert conf == "A=1\n# SuspendTime=\nB=2\nsuspendtime=8\nC=3\n"
    assert number_of("ResumeTimeout=60\nResumeTimeout=40\n", "ResumeTimeout") == 40


@pytest.mark.parametrize(
    ("squeue", "state", "on_site"),
    [
        ("echo RUNNING", "running", "running"),
        ("echo TIMEOUT", "failed", "failed"),
        ("echo COMPLETED", "success", "success"),
        (":", "forgotten", "success"),
        (
            "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
            "forgotten",
            "success",
        ),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "running", "running"),
    ],
)
def test_what_became_of_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, state: str, on_site: str
) -> None:
    (tmp_path / "squeue").write_text(f"#!/bin/sh\n{squeue}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    Path("logs/slurm-7.log").write_text("llama: exit code 0\n")
    Path("logs/slurm-8.log").write_text("llama: exit code 0\nllama: exit code 1\n")
    assert slurm.job_state("7") == state
    assert slurm.state_on_site("7") == on_site
    failing = "failed" if state == "forgotten" else on_site
    assert [slurm.state_on_site(number) for number in ("8", "9")] == [failing, failing]
