"""A study launched from a list, and the guide's chapter 'Collecting results', as typed."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import preloaded
import pytest
from artifact_samples import write_artifacts
from study_samples import STUDY, gate, larger, wait_for_work
from workspace import Workspace

from llama.locks import holder, wait_until

SECRET = "canary/secret+of/spaces0123456789abcdefg"  # noqa: S105


@pytest.fixture
def head(
    study: Workspace, s3: Any, s3_endpoint: str, request: pytest.FixtureRequest
) -> Iterator[Workspace]:
    """A machine with a bucket, a profile that takes the place of Slurm's, and a list.

    60 injections of the list's study are there, which the settings do not name.
    """
    bucket = request.node.name.replace("_", "-")
    s3.create_bucket(Bucket=bucket)
    keys = study.root / "keys"
    keys.touch(0o600)
    keys.write_text(f"[default]\naws_access_key_id = a\naws_secret_access_key = {SECRET}\n")
    config = study.clone / "config.yaml"
    text = config.read_text()
    (maps,) = re.findall(rf"{STUDY}: {{skymaps: (.*)}}}}\n", text)
    text = text.replace(f"{{{STUDY}: {{skymaps: {maps}}}}}", "{}")
    text = text.replace("  bucket: null", f"  bucket: {bucket}")
    text = text.replace("https://nyc3.digitaloceanspaces.com", s3_endpoint)
    config.write_text(text.replace("credentials_file: null", f"credentials_file: {keys}"))
    profile = study.clone / "profiles" / "here"
    profile.mkdir()
    (profile / "config.yaml").write_text("cores: 2\n")
    skymaps = study.root / "bns-o4" / "H1L1.csv"
    skymaps.parent.mkdir()
    names = Path(maps).read_text().split()
    skymaps.write_text("".join(f"{Path(maps).parent / name}\n" for name in names))
    yield study
    for lock in (study.output / "fleet" / "launches").glob("*.lock"):
        if pid := holder(lock):
            os.killpg(pid, signal.SIGKILL)


def launch(head: Workspace, *words: str, code: int = 0, before: tuple[str, ...] = ()) -> str:
    skymaps = str(head.root / "bns-o4" / "H1L1.csv")
    return head.run(*before, "llama", "dev", "dv", "launch", "bg", skymaps,
                    "--profile", "profiles/here", *words, code=code)  # fmt: skip


def done_bg(head: Workspace) -> str:
    return head.run("llama", "dev", "dv", "done", "bg")


def started(told: str) -> int:
    found = re.search(r"launched, pid (\d+); log: \S+/launch\.log; how far it is: llama", told)
    assert found, told
    return int(found[1])


def lock_of(head: Workspace, study: str = STUDY) -> Path:
    return head.output / "fleet" / "launches" / f"{study}.lock"


def ended(head: Workspace, study: str = STUDY) -> None:
    log = head.output / "logs" / "studies" / study / "launch.log"
    assert wait_until(lambda: holder(lock_of(head, study)) is None, 600), log.read_text()
    assert re.search(rf"{study} .* done\n", done_bg(head)), log.read_text()


def test_launch(head: Workspace, s3: Any) -> None:
    assert "no studies: name their sky maps under background.studies" in done_bg(head)
    background = head.output / "studies" / STUDY / "background"
    dates = {path: path.stat().st_mtime_ns for path in background.glob("*.hdf5")}
    with preloaded.typed(head.typed), gate(head) as open_gate:
        told = launch(head, "--n", "80")
        assert f"{STUDY}: 3 sky maps, 80 injections in 4 shards" in told
        pid = started(told)
        wait_for_work(head.output / "studies", 3)
        assert f"{STUDY} is running already with pid {pid}; see " in launch(head, code=1)
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert SECRET.encode() not in environment
        assert b"AWS_SECRET_ACCESS_KEY" not in environment
        assert b"AWS_SHARED_CREDENTIALS_FILE=" in environment
        # the shard at work tells how far it is, after its first injection and every two seconds
        told = done_bg(head)
        assert re.search(rf"{STUDY} +background +(6[1-9]|7\d|80) +80 +\d+% +\S+ Hz +", told)
        open_gate()
        ended(head)
    assert re.search(rf"{STUDY} +background +80 +80 +100% +\S+( Hz)? +done", done_bg(head))
    shards = sorted(background.glob("*.hdf5"))
    assert [h5py.File(path)["injections"].size for path in shards] == [20, 20, 20, 20]
    assert len(dates) == 3
    assert {path: path.stat().st_mtime_ns for path in shards[:3]} == dates
    plan = json.loads((background / "plan.json").read_text())
    assert plan == {"injections": 80, "shard_size": 20}
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket="test-launch")["Contents"]]
    assert keys == [".llama"]


def test_a_launch_is_ended_and_gone_on_with(head: Workspace) -> None:
    background = larger(head, 60, 10)
    studies = head.output / "studies"

    def shards() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in background.glob("shard-*.hdf5")}

    in_the_background = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    log = head.output / "logs" / "studies" / STUDY / "launch.log"
    with preloaded.typed(head.typed), gate(head, 1) as open_gate:
        started(launch(head, before=in_the_background))
        wait_for_work(studies, 1, at_work=2)
        done = shards()
        with ThreadPoolExecutor() as pool:
            ending = pool.submit(launch, head, "-k")
            # Snakemake waits for the shards at work, one per core
            assert wait_until(lambda: "Terminating processes" in log.read_text(), 300)
            open_gate()
            assert f"ended {STUDY} with pid" in ending.result()
        assert "not at work" in done_bg(head)
        left = shards()
        assert len(left) == 3
        assert "is not running; there is nothing to end" in launch(head, "-k", code=1)
    with preloaded.typed(head.typed), gate(head):
        pid = started(launch(head))
        wait_for_work(studies, at_work=2)
        os.killpg(pid, signal.SIGKILL)
        assert wait_until(lambda: holder(lock_of(head)) is None, 300)
    # one that was killed leaves nothing that would stop the next
    with preloaded.typed(head.typed):
        started(launch(head))
        ended(head)
    assert len(shards()) == 6
    # at most the shards at work are made again
    assert done.items() <= shards().items()
    assert len(left.items() - shards().items()) <= 2


def test_what_cannot_be_launched(head: Workspace, s3: Any) -> None:
    lists = head.root / "bns-o4"
    (lists / "maps.csv").touch()
    (lists / "H1.csv").write_text("nothing.fits\n")
    for words, said in (
        (["launch", "bg", str(lists / "none.csv")], "there is no list"),
        (["launch", "bg", str(lists / "maps.csv")], "does not tell its class"),
        (["launch", "bg", str(lists / "H1.csv")], "1 of 1 sky maps of"),
        (["batch"], "no study of artifacts is named in the settings"),
    ):
        printed = head.run("llama", "dev", "dv", *words, code=1)
        assert said in printed
        assert "Traceback" not in printed
    head.run("llama", "dev", "dv", "launch", "bg", str(lists / "H1L1.csv"), "--n", "0", code=2)
    head.set("  bucket: test-what-cannot-be-launched", "  bucket: tset")
    assert "there is no bucket tset; correct spaces.bucket" in launch(head, code=1)
    assert "tset" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert not (head.output / "fleet" / "launches").exists()


@pytest.fixture
def laptop(study: Workspace) -> Iterator[Path]:
    """A home directory where what is typed is forked."""
    with preloaded.typed(study.typed):
        yield study.root / "laptop"


def test_collecting_results(study: Workspace, laptop: Path, s3: Any, s3_endpoint: str) -> None:
    """Command by command as in the guide, on another machine than the one that has the results."""
    s3.create_bucket(Bucket="llama")
    for path in (study.output / "studies").rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            key = str(path.relative_to(study.output))
            s3.upload_file(str(path), "llama", key)
    keys = laptop / "config" / "llama" / "spaces-credentials"
    keys.parent.mkdir(parents=True)
    keys.touch(0o600)
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    config = laptop / "config.yaml"
    text = (study.clone / "config.yaml").read_text().replace("  bucket: null", "  bucket: llama")
    text = text.replace("https://nyc3.digitaloceanspaces.com", s3_endpoint)
    config.write_text(text.replace("output_dir: null", f"output_dir: {laptop / 'data'}"))
    here = laptop / "here"
    here.mkdir()

    def typed(line: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        environment = study.environment
        environment |= {"LLAMA_CONFIG": str(config), "XDG_CONFIG_HOME": str(laptop / "config")}
        environment["PATH"] = f"{study.typed}{os.pathsep}{environment['PATH']}"
        return subprocess.run(["bash", "-c", line], cwd=here, env=environment, text=True,
                              input=answer, capture_output=True, timeout=300)  # fmt: skip

    done = typed("llama dev dv done bg")
    assert re.search(rf"{STUDY} +background +60 +60 +100% +- +done", done.stdout), done
    done = typed("llama dev dv pull")
    assert done.returncode == 0, done
    assert re.match(r"\d+ files fetched \(\d.*\d MB\), 0 already here; next: llama dev background",
                    done.stderr)  # fmt: skip
    pulled = {path.relative_to(here) for path in (here / "studies").rglob("*.hdf5")}
    assert {Path(f"studies/{STUDY}/background/shard-000{k}.hdf5") for k in range(3)} <= pulled
    assert not (here / "studies" / STUDY / "skymaps").exists()  # inputs stay where they are
    done = typed(f"llama dev background table {STUDY}.txt")
    assert done.stdout == f"{STUDY}.txt: 60 injections\n"
    expected = (study.output / "studies" / f"{STUDY}.txt").read_text()
    assert (here / f"{STUDY}.txt").read_text() == expected
    head = typed(f"head {STUDY}.txt").stdout.splitlines()
    assert head[0].split() == ["EVENT-ODDS-RATIO", "N", "SOURCE-DIRECTORY", "SKYMAP-FILENAME"]
    assert len(head) == 10
    done = typed("llama dev background pvalue")
    assert done.stdout == f"{STUDY}: 60 injections\n"
    with h5py.File(here / "populations.hdf5") as file:
        assert file[STUDY.replace("-", "/")].size == 60
    done = typed("tar -czf studies.tar.gz studies; llama dev upload studies.tar.gz")
    entry = json.loads(done.stdout.splitlines()[1])
    body = s3.get_object(Bucket="llama", Key=entry["key"])["Body"].read()
    assert body == (here / "studies.tar.gz").read_bytes()
    # again: nothing to do; a file of one's own is not overwritten in silence
    assert "0 files fetched (0.0 MB), " in typed("llama dev dv pull").stderr
    shard = here / "studies" / STUDY / "background" / "shard-0001.hdf5"
    original = shard.read_bytes()
    shard.write_bytes(b"mine")
    for answer, code, content in (("", 1, b"mine"), ("n\n", 1, b"mine"), ("y\n", 0, original)):
        done = typed(f"llama dev dv pull {STUDY}", answer)
        assert (done.returncode, shard.read_bytes()) == (code, content), done
        assert f"studies/{STUDY}/background/shard-0001.hdf5\n" in done.stdout
        assert "Not as in Spaces; replace 1 file? [y/N]" in done.stderr
    assert "there are no results of bns-o9-H1 in s3://llama/studies" in (
        typed("llama dev dv pull bns-o9-H1").stderr
    )


def test_batch(head: Workspace, s3: Any) -> None:
    """The study of artifacts in the bucket, read with the keys of Spaces and no others."""
    root = write_artifacts(head.root / "artifacts")
    for path in root.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "test-batch", f"llama/artifacts/{path.relative_to(root)}")
    study = "cbc-o3-H1L1"
    source = "s3://test-batch/llama/artifacts"
    head.set("  studies: {}", f"  studies: {{{study}: {{artifacts: {source}}}}}")
    with preloaded.typed(head.typed):
        told = head.run("llama", "dev", "dv", "batch", "--profile", "profiles/here")
        assert f"{study}: {source}, at most 60 injections in 3 shards" in told
        started(told)
        ended(head, study)
    assert re.search(rf"{study} +background +15 +15 +100%", done_bg(head))
