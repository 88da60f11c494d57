"""A shard as a job without a shared file system: what is said of it, and how it is run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from llama.errors import LlamaError
from llama.fleet import job, worker
from llama.fleet.head import number_of, override
from llama.fleet.parcels import Parcels, read_credentials

SCRIPT = """\
from pathlib import Path
shard = sum(int(Path(name).read_text()) for name in snakemake.input.parts)
shard *= snakemake.params.numbers[1]
Path(snakemake.output[0]).write_text(f"{snakemake.wildcards.study} {shard}")
print("done", snakemake.input.bank, len(snakemake.input))
Path(snakemake.log[0]).write_text("log")
"""


@pytest.fixture
def properties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.chdir(tmp_path)
    Path("scripts").mkdir()
    Path("scripts/add.py").write_text(SCRIPT)
    for name, text in (("bank", "0"), ("a", "1"), ("b", "2")):
        Path(name).write_text(text)
    return {
        "rule": "add", "output": ["out/sum"], "log": ["logs/add.log"], "threads": 1,
        "params": {"numbers": [0, 7]}, "wildcards": {"study": "bns-o4-H1"}, "resources": {},
    }  # fmt: skip


NAMED: dict[str, str | list[str]] = {"bank": "bank", "parts": ["a", "b"], "lists": []}


def _document(properties: dict[str, object]) -> dict[str, object]:
    sha256 = dict.fromkeys(("bank", "a", "b"), "0" * 64)
    return job.describe(properties, NAMED, sha256, Path("scripts"))


def test_the_digest_tells_all_that_a_result_depends_on(properties: dict[str, object]) -> None:
    first = _document(properties)["digest"]
    assert _document(properties)["digest"] == first
    assert _document(properties | {"params": {"numbers": [0, 8]}})["digest"] != first
    Path("scripts/add.py").write_text(SCRIPT + "#\n")
    assert _document(properties)["digest"] != first


def test_a_worker_runs_the_rules_script_with_names(properties: dict[str, object]) -> None:
    Path("job.json").write_text(json.dumps(_document(properties)))
    Path("logs").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "llama.fleet.worker", "script"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "done bank 3\n"), done.stderr
    assert Path("out/sum").read_text() == "bns-o4-H1 21"


def test_another_revision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    worker._check_revision(worker.revision())
    with pytest.raises(worker.UnfitError, match="another LLAMA"):
        worker._check_revision("0123456789abcdef")


def test_a_full_disk_is_the_droplets_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker._check_space(tmp_path)
    monkeypatch.setattr(worker.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(worker.UnfitError, match="disk is full"):
        worker._check_space(tmp_path)


def test_text_of_any_kind_survives_the_job_script(properties: dict[str, object]) -> None:
    document = _document(properties) | {"script": "'\"$HOME`id`\\n\nEND OF JOB\n"}
    script = job._script(document).replace(f"{sys.executable} -m llama.fleet.worker", "cat")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert json.loads(done.stdout) == document


@pytest.mark.parametrize("text", ["", "[other]\na=b\n", "[default]\naws_access_key_id=x\n", "\0"])
def test_a_file_without_key_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(LlamaError, match="holds no key to Spaces"):
        read_credentials(path)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id=x\naws_secret_access_key=y\n")
    path.chmod(0o644)
    with pytest.raises(LlamaError, match="chmod 600"):
        read_credentials(path)


@pytest.fixture
def parcels(s3: object, tmp_path: Path) -> Parcels:
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id=x\naws_secret_access_key=y\n")
    path.chmod(0o600)
    return Parcels(os.environ["AWS_ENDPOINT_URL"], "parcels-bucket", path, patience_s=1)


def test_a_mistyped_bucket_is_an_error_and_never_made(parcels: Parcels, s3: object) -> None:
    with pytest.raises(LlamaError, match="there is no bucket parcels-bucket"):
        parcels.about("key")
    buckets = [b["Name"] for b in s3.list_buckets()["Buckets"]]  # type: ignore[attr-defined]
    assert "parcels-bucket" not in buckets


def test_what_arrives_is_what_was_put(parcels: Parcels, s3: object, tmp_path: Path) -> None:
    s3.create_bucket(Bucket="parcels-bucket")  # type: ignore[attr-defined]
    sent = tmp_path / "sent"
    sent.write_bytes(os.urandom(10_000))
    assert parcels.about("key") is None
    parcels.put(sent, "key", job="digest")
    about = parcels.about("key")
    assert about is not None
    assert about["job"] == "digest"
    parcels.get("key", tmp_path / "got", about["sha256"])
    assert (tmp_path / "got").read_bytes() == sent.read_bytes()
    with pytest.raises(LlamaError, match="not what was put there"):
        parcels.get("key", tmp_path / "other", "0" * 64)
    assert not (tmp_path / "other").exists()


def test_lines_of_ones_own_replace_those_of_slurm_conf() -> None:
    conf = override("A=1\nSuspendTime=600\n# SuspendTime=\nB=2\n", "suspendtime=8\n\nC=3\n")
    assert conf == "A=1\n# SuspendTime=\nB=2\nsuspendtime=8\nC=3\n"
    assert number_of("ResumeTimeout=60\nResumeTimeout=40\n", "ResumeTimeout") == 40
