"""The code of an earlier commit, beside the clone that has it."""

import re
import subprocess
from pathlib import Path

from llama.errors import LlamaError
from llama.event.provenance import software
from llama.layout import clone_directory


def check_out(name: str, directory: Path) -> Path:
    """Copy the commit in a name like `llama 0.1.0+g1a2b3c4d` into `directory`."""
    clone, match = clone_directory(), re.search(r"\+g([0-9a-f]{7,40})$", name)
    if match is None:
        raise LlamaError(
            f"the code: it was made by {name}, which names no commit, and {software()} is other "
            "code; install that version and call it"
        )
    if not (clone / ".git").exists():
        raise LlamaError(
            f"the code: it was made by {name}, which is other code than this ({software()}); only "
            "a clone has earlier code: call llama rebuild there"
        )
    try:
        commit = _git(clone, "rev-parse", "--verify", "--quiet", f"{match[1]}^{{commit}}").strip()
    except LlamaError as error:
        raise LlamaError(
            f"the code: it was made by {name}, which is not in the clone {clone}; "
            f"fetch it there with git fetch {error}".rstrip()
        ) from error
    tree = directory / commit
    # a clone, not a worktree: nothing stays behind in the user's when this is killed
    _git(directory, "clone", "--quiet", "--shared", "--no-checkout", str(clone), str(tree))
    _git(tree, "-c", "advice.detachedHead=false", "checkout", "--quiet", commit)
    return tree / "scripts"


def _git(directory: Path, *words: str) -> str:
    try:
        return subprocess.run(
            ["git", *words], cwd=directory, check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError as error:
        raise LlamaError("(and there is no git here; install it)") from error
    except subprocess.CalledProcessError as error:
        raise LlamaError(error.stderr.strip()) from error
