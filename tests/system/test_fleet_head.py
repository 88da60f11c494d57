"""`llama fleet`: what it refuses, in a sentence; nothing is started here."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from do_double import Cloud
from needs import SLURM
from shell import TOKEN, Bash, change

from llama.cli.main import main
from llama.running.watch import begin_watch, words_of_fleet
from llama.settings import load

pytestmark = pytest.mark.needs(*SLURM)


@pytest.fixture
def bucket(settings_file: Path, s3: object, tmp_path: Path) -> Path:
    """Settings with a bucket that is there, and its key."""
    s3.create_bucket(Bucket="head-bucket")  # type: ignore[attr-defined]
    key = tmp_path / "credentials"
    key.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = secret-canary\n")
    key.chmod(0o600)
    url = s3.meta.endpoint_url  # type: ignore[attr-defined]
    change(settings_file, bucket="head-bucket", endpoint_url=url, credentials_file=key)
    return key


UP = "llama fleet up --address 127.0.0.1"


def test_up_without_a_bucket(account: Cloud, settings_file: Path, bash: Bash) -> None:
    done = bash(UP)
    assert done.returncode == 1
    assert "there is no bucket yet" in done.stderr


def test_up_with_a_mistyped_bucket(account: Cloud, settings_file: Path, bucket: Path, bash: Bash):
    change(settings_file, bucket="haed-bucket")
    done = bash(UP)
    assert done.returncode == 1
    assert "there is no bucket haed-bucket" in done.stderr
    assert "secret-canary" not in done.stderr


def test_up_with_a_key_that_others_may_read(account: Cloud, bucket: Path, bash: Bash) -> None:
    bucket.chmod(0o640)
    assert "chmod 600" in bash(UP).stderr


def test_up_with_a_plain_image_and_nothing_to_install(account: Cloud, bucket: Path, bash: Bash):
    done = bash(UP)
    assert done.returncode == 1
    assert "debian-12-x64 (fleet.image) is a plain system without LLAMA" in done.stderr


def test_up_where_no_droplet_is_this_machine(account: Cloud, bucket: Path, bash: Bash) -> None:
    done = bash("llama fleet up")
    assert done.returncode == 1
    assert "give with --address" in done.stderr


def test_up_within_no_budget_at_all_says_so(
    account: Cloud, settings_file: Path, bucket: Path, bash: Bash
):
    change(settings_file, size="s-9vcpu-none")
    assert "there is no size s-9vcpu-none" in bash(UP).stderr


def test_status_before_up(account: Cloud, settings_file: Path, bash: Bash) -> None:
    done = bash("llama fleet status")
    assert done.returncode == 1
    assert "head      down: munged, slurmctld, keeper not running" in done.stdout
    assert "start it with: llama fleet up" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_status_says_loudly_what_it_cannot_see(
    account: Cloud, settings_file: Path, bash: Bash, monkeypatch: pytest.MonkeyPatch
):
    account.control({"droplets": [{"name": "llama-worker-000", "tags": ["llama"]}]})
    done = bash("llama fleet status")
    assert "droplets  1 active\n          1 worker without a node" in done.stdout
    assert "cost      1 droplet of at most 100, $0.0089 per hour" in done.stdout
    account.token = TOKEN[::-1]  # ours has been revoked
    done = bash("llama fleet status")
    assert done.returncode == 1
    assert "droplets  NOT KNOWN: DigitalOcean does not know this token" in done.stdout
    assert "1 droplet when they were last counted, and billed since" in done.stdout
    assert "export a token that is valid as DIGITALOCEAN, then llama fleet up" in done.stderr
    monkeypatch.setattr("llama.cli.fleet._PATIENCE_S", 0.5)
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", "http://127.0.0.1:9/v2/")
    assert main(["fleet", "status"]) == 1


def test_down_before_up_is_done_at_once(account: Cloud, settings_file: Path, bash: Bash) -> None:
    done = bash("llama fleet down")
    assert (done.returncode, done.stdout) == (0, "the head is down, no worker is left\n")


@pytest.fixture
def mute_controller(settings_file: Path) -> Iterator[Path]:
    """A head whose slurmctld is there and answers nothing."""
    directory = load().output_dir / "fleet/slurm"
    directory.mkdir(parents=True)
    with subprocess.Popen(["bash", "-c", "exec -a slurmctld sleep 600"]) as process:
        (directory / "slurmctld.pid").write_text(f"{process.pid}\n")
        (directory / "slurm.conf").write_text("no line of Slurm's\n")
        begin_watch(directory)
        yield directory
        process.kill()


def test_status_tells_what_is_billed_although_slurm_does_not_answer(
    account: Cloud, mute_controller: Path, bash: Bash
):
    account.control({"droplets": [{"name": "llama-worker-000", "tags": ["llama"]}]})
    done = bash("llama fleet status")
    assert done.returncode == 1
    assert "workers   NOT KNOWN: scontrol refuses: " in done.stdout
    assert f"see {mute_controller}/log" in done.stdout
    assert "droplets  1 active\ncost      1 droplet of at most" in done.stdout


def test_down_destroys_droplets_although_slurm_does_not_answer(
    account: Cloud, mute_controller: Path, bash: Bash
):
    account.control({"droplets": [{"name": "llama-worker-000", "tags": ["llama"]}]})
    done = bash("llama fleet down --yes")
    assert "jobs are left in the queue: squeue refuses: " in done.stderr
    assert (done.returncode, done.stdout) == (0, "the head is down, no worker is left\n")
    assert account.droplets == {}
    assert words_of_fleet(mute_controller) == (True, [])


def test_down_that_loses_the_api_says_that_workers_are_billed(
    account: Cloud, mute_controller: Path, bash: Bash
):
    account.control({"droplets": [{"name": "llama-worker-000", "tags": ["llama"]}]})
    account.control({"faults": [{"match": "DELETE", "status": 401, "times": 99}]})
    done = bash("llama fleet down --yes")
    assert (done.returncode, "workers are left" in done.stdout) == (1, True)
    assert words_of_fleet(mute_controller)[1]  # somebody has to look after them
