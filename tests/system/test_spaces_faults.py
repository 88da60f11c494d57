"""What happens to uploads and downloads on the way, with a real S3 server."""

import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bucket_samples import PART, a_file, stored, unfinished
from s3_faults import Fault, FaultyS3

import llama.s3
from llama.at_hand import at_hand
from llama.errors import LlamaError
from llama.fleet import transfer
from llama.fleet.spaces import Spaces
from llama.settings import load
from llama.study.store import open_store


def test_a_body_that_breaks_off_goes_on_where_it_was(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path
):
    path, _ = a_file(tmp_path / "a", PART + 1000)
    found = bucket.upload(path)
    spaces.faults = [Fault("GET .*/a", cut=3 << 20), Fault("GET .*/a", cut=100)]
    counted: list[int] = []
    bucket.download(found, tmp_path / "back", counted.append)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert sum(counted) == found.size  # nothing came twice
    assert [fault.times for fault in spaces.faults] == [0, 0]


def test_an_outage_is_waited_for_and_told(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, _ = a_file(tmp_path / "a", 1000)
    said: list[str] = []
    patient = Spaces(load().spaces, said.append)
    spaces.away_for(2)
    found = patient.upload(path)
    spaces.away_for(2)
    patient.download(found, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert said
    reasons = r"S3 does not answer as it should \((503|ServiceUnavailable)\); again in \d s"
    assert all(re.fullmatch(reasons, line) for line in said), said


def test_the_default_patience_outlasts_half_a_minute(monkeypatch: pytest.MonkeyPatch):
    """The pauses are added up, not waited for."""
    now = [0.0]
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda s: now.__setitem__(0, now[0] + s))

    def away() -> str:
        if now[0] < 30:
            raise ConnectionClosedError(endpoint_url="x")
        return "back"

    from botocore.exceptions import ConnectionClosedError

    bucket = llama.s3.Bucket(None, "llama", llama.s3.Remedies("", "", ""))
    assert bucket.patiently(away) == "back"
    now[0] = -1000.0
    with pytest.raises(LlamaError, match=r"s3://llama cannot be reached \(.*closed"):
        bucket.patiently(away)
    assert -1000 + llama.s3.PATIENCE_S <= now[0] < -900


def test_no_end_of_an_outage_is_a_sentence(
    spaces: FaultyS3, bucket: Spaces, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(llama.s3, "PATIENCE_S", 0.6)
    spaces.away_for(600)
    with pytest.raises(LlamaError, match=r"S3 fails at s3://.* \((503|ServiceUnavailable)\); run"):
        bucket.check()


def test_what_changes_on_the_way_is_not_taken(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, _ = a_file(tmp_path / "a", 1000)
    found = bucket.upload(path)
    spaces.faults = [Fault("GET .*/a", flip=True)]
    with pytest.raises(LlamaError, match="did not arrive as the bucket describes it"):
        bucket.download(found, tmp_path / "back")
    assert sorted(tmp_path.glob("*back*")) == []
    bucket.download(found, tmp_path / "back")
    # and with another sha256 than the caller wants
    with pytest.raises(LlamaError, match=r"a did not arrive as the job needs it"):
        at_hand("a", "0" * 64, partial(bucket.fetch, found.key), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*a*"))


def test_a_truncated_object_of_another_program(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    """The sha256 that was put with it is of the whole file."""
    path, digest = a_file(tmp_path / "a", 1000)
    spaces.s3.put_object(
        Bucket=spaces.bucket, Key="k", Body=path.read_bytes()[:900], Metadata={"sha256": digest}
    )
    found = bucket.find("k")
    assert found is not None
    with pytest.raises(LlamaError, match="did not arrive"):
        bucket.download(found, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_objects_without_a_sha256(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    """Those of boto3 and Snakemake: MD5, or MD5s of parts of 8 MiB; what is neither is unsure."""
    from boto3.s3.transfer import TransferConfig

    path, _ = a_file(tmp_path / "a", 11 << 20)
    odd = TransferConfig(multipart_threshold=1, multipart_chunksize=6 << 20)
    spaces.s3.upload_file(str(path), spaces.bucket, "parts")
    spaces.s3.upload_file(str(path), spaces.bucket, "odd", Config=odd)
    spaces.s3.put_object(Bucket=spaces.bucket, Key="whole", Body=path.read_bytes())
    other, _ = a_file(tmp_path / "b", 11 << 20)
    for key, same, differs in (
        ("whole", True, False), ("parts", True, None), ("odd", None, None)
    ):  # fmt: skip
        found = bucket.find(key)
        assert found is not None
        assert transfer.is_same(path, found) is same
        assert transfer.is_same(other, found) is differs
        bucket.download(found, tmp_path / key)


def test_an_object_that_is_replaced_meanwhile(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, _ = a_file(tmp_path / "a", 1000)
    found = bucket.put(path, "k")
    a_file(path, 1000)
    bucket.put(path, "k")
    with pytest.raises(LlamaError, match="has been replaced or removed meanwhile"):
        bucket.download(found, tmp_path / "back")
    spaces.s3.delete_object(Bucket=spaces.bucket, Key="k")
    with pytest.raises(LlamaError, match="has been replaced or removed meanwhile"):
        bucket.download(found, tmp_path / "back")


def killed_when(program: str, words: list[Any], ready: Any) -> None:
    """Run a Python program and kill it with -9 once `ready`."""
    with subprocess.Popen([sys.executable, "-c", program, *map(str, words)]) as process:
        deadline = time.monotonic() + 30
        while not ready():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()


PROGRAM = f"""
import sys; from pathlib import Path
from llama.settings import load
from llama.study.store import open_store
from llama.fleet import transfer
from llama.fleet.spaces import Spaces
transfer.PART = {PART}; transfer._AT_ONCE = 1
spaces = Spaces(load().spaces)
"""


def test_an_upload_killed_in_the_middle_is_gone_on_with(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path
):
    path, _ = a_file(tmp_path / "a", 4 * PART)
    spaces.faults = [Fault("PUT .*partNumber=3", hang_s=20)]
    killed_when(
        PROGRAM + "spaces.upload(Path(sys.argv[1]))",
        [path],
        lambda: any("partNumber=3" in line for line in spaces.requests),
    )
    assert unfinished(spaces) == 1
    spaces.faults.clear()
    spaces.requests.clear()
    found = bucket.upload(path)
    assert stored(spaces) == {found.key: path.read_bytes()}
    assert unfinished(spaces) == 0
    assert sum("partNumber=" in line for line in spaces.requests) == 2  # 1 and 2 were there


def test_a_damaged_part_of_an_earlier_upload_is_sent_again(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path
):
    path, digest = a_file(tmp_path / "a", 2 * PART)
    place = {"Bucket": spaces.bucket, "Key": f"objects/{digest}/a"}
    upload = spaces.s3.create_multipart_upload(**place, Metadata={"sha256": digest})["UploadId"]
    spaces.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=os.urandom(PART))
    found = bucket.upload(path)
    assert stored(spaces) == {found.key: path.read_bytes()}


def test_a_file_that_changes_while_it_is_read(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, _ = a_file(tmp_path / "a", 2 * PART)

    def change(_: int) -> None:
        path.write_bytes(b"other")

    with pytest.raises(LlamaError, match="has changed while it was read"):
        bucket.upload(path, change)
    assert stored(spaces) == {}


def test_a_download_killed_in_the_middle_is_gone_on_with(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path
):
    path, _ = a_file(tmp_path / "a", 3 * PART)
    found = bucket.upload(path)
    spaces.requests.clear()
    spaces.faults = [Fault("GET .*/a"), Fault("GET .*/a", hang_s=20)]
    back = tmp_path / "deep" / "back"
    killed_when(
        PROGRAM + "spaces.download(spaces.find(sys.argv[1]), Path(sys.argv[2]))",
        [found.key, back],
        lambda: sum(line.startswith("GET") for line in spaces.requests) == 2,
    )
    assert not back.exists()
    spaces.faults.clear()
    spaces.requests.clear()
    bucket.download(found, back)
    assert back.read_bytes() == path.read_bytes()
    assert sum(line.startswith("GET") for line in spaces.requests) == 2  # the first part was there
    assert [p.name for p in back.parent.iterdir()] == ["back"]


def test_the_jobs_of_a_machine_fetch_once(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, digest = a_file(tmp_path / "bank.hdf5", 1000)
    found = bucket.upload(path)
    spaces.requests.clear()
    spaces.faults = [Fault("GET .*bank", hang_s=1.0)]
    program = PROGRAM + (
        "from functools import partial; from llama.at_hand import at_hand\n"
        "fetch = partial(spaces.fetch, sys.argv[1])\n"
        "path = at_hand('bank.hdf5', sys.argv[2], fetch, Path(sys.argv[3]))\n"
        "assert path.read_bytes() == Path(sys.argv[4]).read_bytes()"
    )
    words = [sys.executable, "-c", program, found.key, digest, tmp_path / "cache", path]
    jobs = [subprocess.Popen(words) for _ in range(4)]
    assert [job.wait() for job in jobs] == [0, 0, 0, 0]
    assert sum(line.startswith("GET") for line in spaces.requests) == 1
    with pytest.raises(LlamaError, match="there is no objects/none in"):
        bucket.fetch("objects/none", tmp_path / "none")


def test_artifacts_are_read_through_bad_weather(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Studies read theirs with the same patience, with the keys that boto3 finds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", spaces.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "spaces-credentials"))
    path, _ = a_file(tmp_path / "a", 100_000)
    bucket.put(path, "in/maps/a")
    spaces.faults = [
        Fault("GET .*list-type", status=503, times=3),
        Fault("GET .*/a", status=500, code="InternalError", times=3),
        Fault("GET .*/a", cut=10_000, times=7),  # more than boto3 bears with
    ]
    store = open_store(f"s3://{spaces.bucket}/in", tmp_path / "cache")
    (fetched,) = store.fetch(list(store.files("maps").values()))
    assert fetched.read_bytes() == path.read_bytes()
    assert [fault.times for fault in spaces.faults] == [0, 0, 0]
