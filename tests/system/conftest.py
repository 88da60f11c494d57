"""A cloud of one's own for each test: the double's end point, settings, and a token to look for."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import preloaded
import pytest
from broker import Broker
from bucket_samples import PART
from do_double import Cloud
from do_server import running
from needs import SSH, require
from s3_faults import KEY, SECRET, FaultyS3, faulty_s3
from shell import TOKEN, Bash, change
from standin import StandIns

import llama.s3
from llama.fleet import transfer
from llama.fleet.spaces import Spaces
from llama.settings import default_yaml, load


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings with an output directory of the test's own, found by commands and by `load`."""
    path = tmp_path / "config.yaml"
    path.write_text(default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}/out"))
    monkeypatch.setenv("LLAMA_CONFIG", str(path))
    return path


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The double, without stand-ins, and an environment that points at it."""
    with _account(Cloud(TOKEN), monkeypatch) as cloud:
        yield cloud


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """Makes an sshd for each droplet of `fleet`; its home has the key that opens them."""
    require(*SSH)
    stand_ins = StandIns(tmp_path / "droplets")
    monkeypatch.setenv("HOME", str(stand_ins.home))
    yield stand_ins
    stand_ins.halt_all()


@pytest.fixture
def fleet(
    stand_ins: StandIns, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """The double with stand-ins."""
    cloud = Cloud(TOKEN, boot=stand_ins.boot, halt=stand_ins.halt)
    with _account(cloud, monkeypatch) as account:
        yield account


@contextlib.contextmanager
def _account(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with running(cloud) as end_point:
        monkeypatch.setenv("DIGITALOCEAN_END_POINT", end_point)
        monkeypatch.setenv("DIGITALOCEAN", TOKEN)
        yield cloud


@pytest.fixture
def bash(tmp_path: Path) -> Bash:
    """Run a line in bash as typed, in an empty directory, with `answers` to its questions.

    Our commands are forked from a process that has imported what they need.
    """
    place, forked = tmp_path / "here", tmp_path / "forked"
    place.mkdir()
    forked.mkdir()
    preloaded.write_commands(forked)

    def run(line: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        path = f"{forked}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", line], input=answers, capture_output=True, text=True, timeout=120,
            cwd=place, env=os.environ | {"PATH": path},
        )  # fmt: skip

    return run


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A Kafka broker of one's own."""
    with Broker() as running:
        yield running


@pytest.fixture
def spaces(
    s3: Any,
    s3_endpoint: str,
    settings_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[FaultyS3]:
    """An S3 server behind a front that breaks what it is told to; settings and keys for it.

    Each test has a bucket of its own, `front.bucket`; `front.s3` sees it without faults.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    bucket = re.sub(r"[^a-z0-9]+", "-", f"t-{request.node.name}")[:60].strip("-")
    s3.create_bucket(Bucket=bucket)
    keys = tmp_path / "spaces-credentials"
    keys.touch(0o600)
    keys.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    with faulty_s3(s3_endpoint) as front:
        front.bucket, front.s3 = bucket, s3
        change(settings_file, bucket=bucket, endpoint_url=front.url, credentials_file=keys)
        yield front


@pytest.fixture
def bucket(spaces: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Spaces:
    """The bucket, with the smallest parts and little patience."""
    monkeypatch.setattr(transfer, "PART", PART)
    monkeypatch.setattr(llama.s3, "PATIENCE_S", 3.0)
    return Spaces(load().spaces)
