"""A small study of three maps: its inputs, its numbers."""

import shutil
import subprocess
import time
from pathlib import Path

import h5py
from workspace import Workspace, skymap_fits

STUDY = "bns-o4-H1L1"
DIRECTORY = f"studies/{STUDY}"
TABLE = f"{DIRECTORY}.txt"


def write_maps(directory: Path) -> Path:
    """Write three maps and return their list."""
    directory.mkdir()
    for k in range(3):
        content = skymap_fits(ra=40.0 + 100 * k, dec=20.0 - 20 * k, sigma_deg=4.0 + 3 * k)
        (directory / f"{k}.fits").write_bytes(content)
    (directory / "maps.csv").write_text("0.fits\n1.fits\n2.fits\n")
    return directory / "maps.csv"


def remove_study(study: Workspace) -> None:
    shutil.rmtree(study.output / DIRECTORY)
    for name in ("populations.hdf5", "populations.json", TABLE):
        (study.output / name).unlink(missing_ok=True)


def numbers(workspace: Workspace, directory: str = DIRECTORY) -> tuple[bytes, bytes]:
    """Return all rows and single odds of the study, shard after shard."""
    rows, single = b"", b""
    for path in sorted((workspace.output / directory / "background").glob("shard-*.hdf5")):
        with h5py.File(path) as file:
            rows += file["injections"][()].tobytes()
            single += file["single"][()].tobytes()
    return rows, single


def larger(study: Workspace, injections: int, size: int) -> Path:
    """Take the study back to its beginning, with more injections; return the shards' directory."""
    remove_study(study)
    study.set("  injections: 60", f"  injections: {injections}")
    study.set("  shard_size: 20", f"  shard_size: {size}")
    return study.output / DIRECTORY / "background"


def wait_for_work(run: "subprocess.Popen[str]", studies: Path, done: int) -> None:
    """Wait until so many shards are there and one more is at work."""
    deadline = time.monotonic() + 300
    while (
        len(list(studies.glob("*/background/shard-*"))) < done
        or not list(studies.glob("*/background/.shard-*.progress.json"))
    ):  # fmt: skip
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.01)
