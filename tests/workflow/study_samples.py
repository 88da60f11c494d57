"""A small study of three maps: its inputs, its numbers."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
from workspace import Workspace, skymap_fits

from llama.locks import wait_until

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


@contextlib.contextmanager
def gate(study: Workspace, shards: int = 0) -> Iterator[Callable[[], None]]:
    """Let so many shards get their names; the others are at work until the gate is opened.

    What is yielded opens it, and so does the end.
    """
    study.gate.mkdir()
    for number in range(shards):
        (study.gate / str(number)).touch()

    def open_gate() -> None:
        with contextlib.suppress(FileNotFoundError):  # it is open already
            opened = study.gate.rename(study.gate.with_name("gate-opened"))
            shutil.rmtree(opened)

    try:
        yield open_gate
    finally:
        open_gate()


def wait_for_work(studies: Path, done: int | None = None, at_work: int = 1) -> None:
    """Wait until so many shards (None: any number) are there, and so many others are at work."""

    def is_so() -> bool:
        there = {path.with_suffix("") for path in studies.glob("*/background/shard-*")}
        told = studies.glob("*/background/.shard-*.progress.json")
        working = {path.with_name(path.name.split(".")[1]) for path in told} - there
        return len(working) == at_work and done in (None, len(there))

    assert wait_until(is_so, timeout_s=300)
