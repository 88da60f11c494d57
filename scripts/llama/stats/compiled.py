"""The compiler of the numeric core, with a cache that cannot be stale and may be elsewhere.

Numba renews a cached function when its own file changes, but not when a function that it calls
in another file does. The cache therefore lives in a directory named after all sources.
"""

import functools
import hashlib
import os
from pathlib import Path

import numba

_SOURCES = Path(__file__).parent


def cache_directory() -> Path:
    """Return where compiled code is kept: beside the sources, or for read-only installs in the user's cache."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.read_bytes())
    beside = _SOURCES / "__pycache__"
    if not os.access(beside if beside.exists() else _SOURCES, os.W_OK):
        beside = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llama"
    return beside / f"numba-{digest.hexdigest()[:16]}"


numba.config.CACHE_DIR = str(cache_directory())
njit = functools.partial(numba.njit, cache=True)
