"""The compiler of the numeric core, with a cache that cannot be stale and may be elsewhere.

Numba renews a cached function when its own file changes, but not when a function that it calls
in another file does. The cache therefore lives in a directory named after all sources.
"""

import functools
import hashlib
import os

import numba
import numpy as np

_SOURCES = os.path.dirname(__file__)


def cache_directory() -> str:
    """Return where compiled code is kept: beside the sources; if read-only, in the user's cache."""
    digest = hashlib.sha256()
    for source in sorted(os.listdir(_SOURCES)):
        if source.endswith(".py"):
            digest.update(np.fromfile(os.path.join(_SOURCES, source), dtype=np.uint8).tobytes())
    beside = os.path.join(_SOURCES, "__pycache__")
    if not os.access(beside if os.path.exists(beside) else _SOURCES, os.W_OK):
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        beside = os.path.join(user, "llama")
    return os.path.join(beside, f"numba-{digest.hexdigest()[:16]}")


numba.config.CACHE_DIR = cache_directory()
njit = functools.partial(numba.njit, cache=True)
