"""Where a product comes from: code, settings and inputs, as hashes."""

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import llama
from llama.files import dump_json, sha256_file


class Provenance(TypedDict):
    """The block `provenance` of a file: its inputs' sha256 by their names, and what made it."""

    software: str
    inputs: dict[str, str]
    settings_sha256: str | None
    seed: int | None


def provenance(
    inputs: Mapping[str, str | os.PathLike[str]],
    settings: Mapping[str, object] | None = None,
    seed: int | None = None,
) -> Provenance:
    """Return the block `provenance` of a derived JSON file; equal inputs give equal bytes.

    inputs: name to path of every file read; settings: the values that were used.
    """
    return {
        "software": software(),
        "inputs": {name: sha256_file(path) for name, path in sorted(inputs.items())},
        "settings_sha256": settings_hash(settings) if settings is not None else None,
        "seed": seed,
    }


def settings_hash(settings: Mapping[str, object]) -> str:
    """Return the sha256 of settings, independent of their order."""
    return hashlib.sha256(dump_json(dict(settings)).encode()).hexdigest()


@functools.cache
def software() -> str:
    """Return name, version and, in a clone, the commit: `llama 0.1.0+g1a2b3c4d`."""
    commit = _commit(Path(__file__).resolve().parents[3] / ".git")
    return f"llama {llama.__version__}" + (f"+g{commit[:8]}" if commit else "")


@functools.cache
def code_sha256(top: Path = Path(llama.__file__).parent) -> str:
    """Return the sha256 of the package's code: another with changes that are in no commit."""
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        digest.update(f"{path.relative_to(top).as_posix()} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _commit(git: Path) -> str:
    try:
        if git.is_file():  # a worktree: its own HEAD is elsewhere, its branches elsewhere again
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir: ").strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / "commondir").exists():
            git = git / (git / "commondir").read_text().strip()
        if (git / name).exists():
            return (git / name).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except OSError:
        return ""
