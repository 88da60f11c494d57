"""Data at hand: what jobs need is found by its sha256 and fetched once for all jobs of a machine.

With a shared file system there is nothing to fetch. Without, how a file comes is the engine's
business: from a bucket on the fleet (`llama.fleet.worker`).
"""

import os
from collections.abc import Callable
from pathlib import Path

from llama.errors import LlamaError
from llama.files import sha256_file
from llama.locks import locked_file

CACHE = Path(os.environ.get("LLAMA_CACHE", "/var/cache/llama"))
_WITHIN_S = 3600.0


def at_hand(name: str, sha256: str, fetch: Callable[[Path], object], cache: Path = CACHE) -> Path:
    """Return the file `name` of this content in `cache`, which all jobs of a machine share.

    `fetch` brings it to the path that it is given, for the first job that asks; others wait for
    up to an hour. `LlamaError` if something else has come.
    """
    path = cache / sha256 / name
    if path.exists():
        return path
    with locked_file(
        path.with_name(".lock"),
        _WITHIN_S,
        lambda: f"another job has been fetching {path} for an hour; see what it does",
    ):
        if not path.exists():
            coming = path.with_name(f".{name}.coming")
            fetch(coming)
            if sha256_file(coming) != sha256:
                coming.unlink()
                raise LlamaError(f"{name} did not arrive as the job needs it (sha256 differs)")
            coming.rename(path)
    return path
