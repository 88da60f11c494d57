"""The machine of an operator: a home directory with a clone, and doubles of all services.

DigitalOcean's API with an sshd for each droplet, an S3 server for Spaces, GraceDB over HTTPS, a
Kafka broker with heartbeats, a crontab. Only Slurm is missing: the profile `do-cluster` of this
clone runs jobs on this machine (tests/system/test_fleet_cluster.py has Slurm).
"""

import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import preloaded
import psutil
from alert_samples import RETRACTION, voevent
from artifact_samples import upload, write_artifacts
from broker import Broker
from do_double import Cloud
from do_server import running
from gracedb_server import FILES, SUPEREVENT, gracedb_server
from listening import beating
from needs import SSH, require
from standin import StandIns
from study_samples import STUDY
from workspace import GRACEID, NEUTRINOS, REPOSITORY, Workspace, alert, skymap_fits

from llama.locks import holder
from llama.neutrinos.mock import write_mock_release

TOKEN = "dop_v1_double0123456789abcdef"  # noqa: S105
NEW_GRACEID = "S240101cd"
IMAGES = ("llama-parallel-early-er14-o2-bg", "llama-parallel-bns-o3")
_CRONTAB = '#!/bin/sh\ncase $1 in -l) cat "$HOME/.crontab" ;; -) cat >"$HOME/.crontab" ;; esac\n'


def move_in(machine: Workspace, home: Path) -> None:
    """Make a home of a machine's clone and output directory, with what an operator has at hand."""
    home.mkdir()
    shutil.copytree(machine.clone, home / "llama", symlinks=True)
    (home / ".local/share").mkdir(parents=True)
    shutil.copytree(machine.output, home / ".local/share/llama", symlinks=True)
    (home / "llama/events").unlink()
    (home / "llama/events").symlink_to("../.local/share/llama/current_run")
    shutil.copy2(REPOSITORY / "Makefile", home / "llama")
    venv = home / "llama/.venv/bin"  # active already, and newer than any pyproject.toml
    venv.mkdir(parents=True)
    (venv / "activate").touch()
    (venv / ".installed").touch()
    (home / "llama/pyproject.toml").touch()
    os.utime(home / "llama/pyproject.toml", (0, 0))
    _write_inputs(home)
    _write_programs(home)


def _write_inputs(home: Path) -> None:
    here = home / "llama"
    (here / "alert.json").write_bytes(alert(graceid=NEW_GRACEID, skymap=skymap_fits()))
    update = alert("UPDATE", skymap=skymap_fits(sigma_deg=3.0), minute=40)
    (here / "update.json").write_bytes(update)
    (here / "retraction.json").write_bytes(RETRACTION)
    (here / "notice.xml").write_bytes(voevent({"GraceID": "S240101ef"}))
    (here / "skymap.fits").write_bytes(skymap_fits())
    (here / "neutrinos.csv").write_text(NEUTRINOS)
    release = home / "icecube-release"
    write_mock_release(release, n_events=300, mjd_start=60300.0, mjd_stop=60320.0)
    base = home / "pre-er14-background"
    maps = base / "skymaps/bns-o4"
    maps.mkdir(parents=True)
    for k in range(3):
        content = skymap_fits(ra=40.0 + 100 * k, dec=20.0 - 20 * k, sigma_deg=4.0 + 3 * k)
        (maps / f"{k}.fits").write_bytes(content)
    rows = "coinc_event_id\tifos\tsnr\n0\tH1,L1\t12.1\n1\tH1,L1\t9.3\n2\tH1,L1,V1\t15.8\n"
    (base / "skymaps/coincs-bns-o4.dat").write_text(rows)


def _write_programs(home: Path) -> None:
    (home / "bin").mkdir()
    (home / "bin/crontab").write_text(_CRONTAB)
    (home / "bin/crontab").chmod(0o755)
    (home / ".crontab").touch()
    profile = home / "llama/profiles/do-cluster"
    shutil.rmtree(profile)
    profile.mkdir()
    (profile / "config.yaml").write_text("cores: 2\n")
    (home / "llama/do-cluster").unlink(missing_ok=True)
    (home / "llama/do-cluster").symlink_to("profiles/do-cluster")
    conf = home / ".local/share/llama/fleet/slurm/slurm.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("# as left by llama fleet up\n")


@contextlib.contextmanager
def services(
    home: Path, scratch: Path, s3: Any, s3_endpoint: str, as_cloned: bool = False
) -> Iterator[dict[str, str]]:
    """Run everything that is not on an operator's machine; yield the environment of its shell.

    Settings name the doubles and two studies, or are those of a new clone.
    """
    require(*SSH)
    stand_ins = StandIns(scratch / "droplets")
    shutil.copytree(stand_ins.home / ".ssh", home / ".ssh")
    cloud = Cloud(TOKEN, boot=stand_ins.boot, halt=stand_ins.halt)
    for name in IMAGES:
        cloud.add_image(name)
    bucket = re.sub(r"[^a-z0-9]+", "-", f"spaces-{scratch.name}")[:60].strip("-")
    s3.create_bucket(Bucket=bucket)
    for path in (home / ".local/share/llama/studies").glob("*/background/[!.]*"):
        s3.upload_file(str(path), bucket, str(path.relative_to(home / ".local/share/llama")))
    records = {GRACEID: SUPEREVENT}
    files = {GRACEID: FILES[GRACEID] | {"bayestar.multiorder.fits": skymap_fits()}}
    with (
        running(cloud) as end_point,
        gracedb_server(records, files) as gracedb,
        Broker() as broker,
        beating(broker),
    ):
        cloud.control({"droplets": [{"name": "web-server"}]})
        if as_cloned:
            shutil.copy(REPOSITORY / "config.yaml", home / "llama")
        else:
            _write_settings(home, bucket, s3_endpoint, gracedb.url, s3)
        preloaded.write_commands(home / "bin")
        try:
            yield _environment(home, end_point, broker)
        finally:
            end_all(home)
            stand_ins.halt_all()


def _write_settings(home: Path, bucket: str, endpoint: str, gracedb: str, s3: Any) -> None:
    config = home / "llama/config.yaml"
    text = config.read_text()
    prefix = f"artifacts-{bucket}"[:60].strip("-")
    upload(s3, prefix, "llama/artifacts", write_artifacts(home.parent / "artifacts"))
    skymaps = home / "pre-er14-background/skymap-lists/bns-o4/H1L1.csv"
    skymaps.parent.mkdir(parents=True)
    maps = home / "pre-er14-background/skymaps/bns-o4"
    skymaps.write_text(f"{maps}/0.fits\n{maps}/1.fits\n")
    studies = f"{{{STUDY}: {{skymaps: {skymaps}}}, "
    studies += f"cbclow-o3-H1L1: {{artifacts: s3://{prefix}/llama/artifacts}}}}"
    for old, new in (
        (r"  studies: \{.*\}", f"  studies: {studies}"),
        (r"  bucket: null", f"  bucket: {bucket}"),
        (r"  endpoint_url: .*", f"  endpoint_url: {endpoint}"),
        (r"  service_url: .*", f"  service_url: {gracedb}"),
    ):
        text, count = re.subn(f"(?m)^{old}$", lambda match, new=new: new, text)
        assert count == 1, old
    config.write_text(text)
    keys = home / ".config/llama/spaces-credentials"
    keys.parent.mkdir(parents=True)
    keys.touch(0o600)
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")


def _environment(home: Path, end_point: str, broker: Broker) -> dict[str, str]:
    own = ("AWS_", "XDG_", "LLAMA_", "SNAKEMAKE_", "PYTEST_", "GCN_", "KAFKA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    path = [str(home / "bin"), str(Path(sys.executable).parent), kept.get("PATH", "")]
    return kept | {
        "HOME": str(home),
        "PATH": os.pathsep.join(path),
        "DIGITALOCEAN_END_POINT": end_point,
        "DIGITALOCEAN": TOKEN,
        "LLAMA_CONFIG": str(home / "llama/config.yaml"),
        "LLAMA_TEST_TYPED": str(home / "bin"),
        "KAFKA": broker.address,
        # the mock cluster answers a waiting fetch at its end only
        "KAFKA_FETCH_WAIT_MAX_MS": "10",
    }


def end_all(home: Path) -> None:
    """End what commands have left running in the background: listener, daemon, studies."""
    for lock in (home / ".local/share/llama").rglob("*.lock"):
        if (pid := holder(lock)) and pid != os.getpid():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                for child in psutil.Process(pid).children(recursive=True):
                    child.kill()
                os.kill(pid, signal.SIGKILL)


__all__ = ["STUDY", "TOKEN", "end_all", "move_in", "services"]
