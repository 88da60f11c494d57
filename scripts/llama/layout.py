"""Where the workflow is: around the package in a clone, beside it where a wheel is installed.

A workflow directory holds Snakefile, config.yaml and profiles. It is a clone, the wheel's own, or
one that `llama init` has made, whose Snakefile includes that of the installed LLAMA. setup.py
reads this module, too: it needs nothing but Python.
"""

import os
import sys
from pathlib import Path

from llama.errors import LlamaError

IN_WHEEL = "llama_workflow"
_PACKAGE = Path(__file__).resolve().parent
COMMIT = "commit"  # what a wheel or a source archive was made from, at its workflow's top


def clone_directory() -> Path:
    """Return the directory that is the clone's top when the package is installed from a clone."""
    return _PACKAGE.parents[1]


def own_workflow() -> Path:
    """Return the workflow that belongs to this package, read-only if it is a wheel's."""
    installed = _PACKAGE.parent / IN_WHEEL
    return installed if installed.is_dir() else clone_directory()


def is_workflow(directory: Path) -> bool:
    """Tell whether a directory is one of LLAMA's workflow, not of another one."""
    try:
        named = b"llama" in (directory / "Snakefile").read_bytes()
    except OSError:
        return False
    return named and (directory / "config.yaml").is_file()


def find_workflow() -> Path:
    """Return the workflow directory that counts: the working directory, else the package's own."""
    for directory in (Path.cwd(), own_workflow()):
        if is_workflow(directory):
            return directory
    raise LlamaError(
        "the workflow is missing beside this LLAMA; install it again, or run the command in the "
        "directory of its Snakefile"
    )


def find_profile(name: str, workflow: Path) -> str:
    """Return the path of a profile of Snakemake that is here or the workflow's, else the name."""
    places = (Path.cwd(), workflow, workflow / "profiles")
    return next((str(at / name) for at in places if (at / name / "config.yaml").is_file()), name)


def snakemake(workflow: Path, *words: str) -> list[str]:
    """Return the command that runs Snakemake on a workflow, from whichever directory."""
    profile = workflow / "profiles/default"
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(workflow / "Snakefile")),
        *("--workflow-profile", str(profile), *words),
    ]


def path_variable() -> str:
    """Return $PATH with this Python's programs first, for what is started by us."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def to_type(target: str = "") -> str:
    """Return what is to be typed here to have Snakemake make a target."""
    program = "snakemake" if is_workflow(Path.cwd()) else "llama snakemake"
    return f"{program} {target}".rstrip()


def commit_of(top: Path) -> str:
    """Return the commit of a clone, or what a wheel or a source archive was made from; "" if none.

    Read without git, which refuses clones of other users and is not on every machine.
    """
    git = top / ".git"
    try:
        if not git.exists():
            return (top / COMMIT).read_text(encoding="utf-8").strip()
        if git.is_file():  # a worktree: its own HEAD is elsewhere, its branches elsewhere again
            git = top / git.read_text(encoding="utf-8").removeprefix("gitdir: ").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / "commondir").exists():
            git = git / (git / "commondir").read_text(encoding="utf-8").strip()
        if (git / name).exists():
            return (git / name).read_text(encoding="utf-8").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except OSError:
        return ""
