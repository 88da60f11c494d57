"""Uploads, downloads and keys against a real S3 server."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from bucket_samples import PART, a_file, stored, unfinished
from s3_faults import KEY, SECRET, FaultyS3
from shell import Bash

import llama.s3
from llama.errors import LlamaError
from llama.fleet.spaces import Spaces, environment
from llama.settings import load


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 12345])
def test_there_and_back(spaces: FaultyS3, bucket: Spaces, tmp_path: Path, size: int):
    path, digest = a_file(tmp_path / "a b.tar.gz", size)
    seen: list[int] = []
    found = bucket.upload(path, seen.append)
    assert (found.key, found.size, found.sha256) == (f"objects/{digest}/a b.tar.gz", size, digest)
    assert stored(spaces) == {found.key: path.read_bytes()}
    assert (sum(seen), unfinished(spaces)) == (size, 0)
    bucket.download(found, tmp_path / "back", seen.append)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert sum(seen) == 2 * size
    # it is there already
    spaces.requests.clear()
    assert bucket.upload(path) == found
    assert [line.split()[0] for line in spaces.requests] == ["HEAD"]


def test_notes_go_with_an_object(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    for content in (b"one", os.urandom(PART + 1)):
        (tmp_path / "shard").write_bytes(content)
        assert bucket.put(tmp_path / "shard", "studies/x/shard", job="7").notes["job"] == "7"
        found = bucket.find("studies/x/shard")
        assert found is not None
        assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert stored(spaces) == {"studies/x/shard": content}
    assert bucket.find("studies/y") is None


def test_a_bucket_is_never_made_and_never_empty(
    spaces: FaultyS3, bucket: Spaces, settings_file: Path
):
    bucket.check()
    assert list(stored(spaces)) == [".llama"]
    spaces.requests.clear()
    bucket.check()
    assert {line.split()[0] for line in spaces.requests} == {"HEAD"}
    settings_file.write_text(settings_file.read_text().replace(spaces.bucket, "lama"))
    before = [b["Name"] for b in spaces.s3.list_buckets()["Buckets"]]
    with pytest.raises(LlamaError, match=r"there is no bucket lama; correct spaces\.bucket"):
        Spaces(load().spaces).check()
    assert [b["Name"] for b in spaces.s3.list_buckets()["Buckets"]] == before
    # nothing that we have asked for in this module would have made or deleted one
    sent = [line for line in spaces.requests if line.split()[0] in ("PUT", "DELETE")]
    assert sent == []


def test_keys_are_where_nobody_else_reads_and_are_never_shown(
    spaces: FaultyS3, bash: Bash, tmp_path: Path
):
    keys, output = tmp_path / "spaces-credentials", tmp_path / "out"
    given = tmp_path / "here" / "a"
    given.write_text("a")
    good = keys.read_text()
    for text, mode, said in (
        (good, 0o644, "others may read or write"),
        (good.replace(KEY, "OTHER0KEY"), 0o600, "does not let us use"),
        (good.replace("[default]\n", ""), 0o600, "does not hold keys of Spaces"),
        (good.replace("aws_secret_access_key =", "oops"), 0o600, "does not hold keys of Spaces"),
        (good.replace("aws_access_key_id", "id"), 0o600, "does not hold keys of Spaces"),
        (good.replace(SECRET, f"{SECRET} x"), 0o600, "does not hold keys of Spaces"),
    ):
        keys.write_text(text)
        keys.chmod(mode)
        done = bash("llama dev upload a")
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr
        logs = "".join(path.read_text() for path in output.rglob("*.log"))
        assert logs  # with tracebacks
        for secret in (SECRET, KEY):
            assert secret not in done.stderr + done.stdout + logs
    keys.unlink()
    done = bash("llama dev upload a")
    assert f"there are no keys for Spaces in {keys}" in done.stderr
    assert repr(llama.s3.Keys(KEY, SECRET)) == "Keys(...)"
    settings = load()
    assert SECRET not in json.dumps(environment(settings.spaces))
    assert stored(spaces) == {}


def test_uploading_as_typed(spaces: FaultyS3, bash: Bash, tmp_path: Path):
    here = tmp_path / "here"
    one, digest = a_file(here / "BNS_O3.tar.gz", 1000)
    a_file(here / "two", 10)
    done = bash("llama dev upload BNS_O3.tar.gz two")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"http://{spaces.bucket}.{spaces.url[7:]}/objects/{digest}/BNS_O3.tar.gz"
    entry = json.loads(lines[1])
    assert entry == {"key": f"objects/{digest}/BNS_O3.tar.gz", "sha256": digest, "size": 1000}
    assert len(lines) == 4
    assert stored(spaces)[entry["key"]] == one.read_bytes()
    for line, said in (
        ("mkdir d; llama dev upload d", "d is a directory; pack it first: tar -czf d.tar.gz d"),
        ("llama dev upload none", "cannot read none (No such file or directory)"),
    ):
        done = bash(line)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_uploads_are_listed_and_fetched_by_name(
    spaces: FaultyS3, bucket: Spaces, bash: Bash, tmp_path: Path
):
    for line in ("echo old >a.txt; llama dev upload a.txt", "echo b >'b c'; llama dev upload b*"):
        assert bash(line).returncode == 0
    bucket.put(tmp_path / "here/a.txt", "studies/bns-o3-H1.txt")
    spaces.s3.put_object(Bucket=spaces.bucket, Key="objects/other/x", Body=b"x")
    time.sleep(1.1)  # S3 dates are whole seconds
    assert bash("echo newer >a.txt; llama dev upload a.txt; rm *").returncode == 0
    done = bash("llama dev uploads")
    assert done.returncode == 0
    digest = hashlib.sha256(b"newer\n").hexdigest()
    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    assert sorted((line[2], line[4]) for line in lines[:2]) == [("2", "b c"), ("4", "a.txt")]
    assert lines[2][2:] == ["6", digest[:12], "a.txt"]
    assert "3 files; fetch one with" in done.stderr
    done = bash("llama dev uploads a.txt 'b c'")
    assert (done.returncode, done.stdout) == (0, "a.txt\nb c\n")
    assert (tmp_path / "here/a.txt").read_text() == "newer\n"
    done = bash("echo mine >a.txt; llama dev uploads a.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Replace a.txt, which differs?" in done.stderr
    assert (tmp_path / "here/a.txt").read_text() == "mine\n"
    assert bash("llama dev uploads a.txt", "y\n").returncode == 0
    assert (tmp_path / "here/a.txt").read_text() == "newer\n"
    done = bash("llama dev uploads a.txt c ../b")
    assert done.returncode == 1
    assert "is called c, ../b; llama dev uploads lists what there is" in done.stderr
