"""The compiler of the numeric core, with a cache that cannot be stale and may be elsewhere.

Numba renews a cached function when its own file changes, but not when a function that it calls
in another file does. The cache therefore lives in a directory named after all sources.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time

import numba
import numpy as np

_SOURCES = os.path.dirname(__file__)
_KEPT_S = 7 * 86_400.0  # caches of other versions of the sources are removed when older


def cache_directory() -> str | None:
    """Return where compiled code is kept: beside the sources; if read-only, in the user's cache.

    None if neither can be written; then every process compiles for itself.
    """
    digest = hashlib.sha256()
    for source in sorted(os.listdir(_SOURCES)):
        if source.endswith(".py"):
            digest.update(np.fromfile(os.path.join(_SOURCES, source), dtype=np.uint8).tobytes())
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for place in (os.path.join(_SOURCES, "__pycache__"), os.path.join(user, "llama")):
        if _writable(place):
            return os.path.join(place, f"numba-{digest.hexdigest()[:16]}")
    return None


def take_shipped(directory: str) -> None:
    """Begin the cache `directory` with what a read-only install, such as an image, came with."""
    name = os.path.basename(directory)
    shipped = os.path.join(_SOURCES, "__pycache__", name)
    if not os.path.isdir(shipped):
        return
    # numba compiles what it does not find
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(directory), prefix=name) as half:
            whole = os.path.join(half, name)
            # a copy has the modes of new files: the install's allow no writing
            for place, _, files in os.walk(shipped):
                target = os.path.join(whole, os.path.relpath(place, shipped))
                os.makedirs(target)
                for file in files:
                    shutil.copyfile(os.path.join(place, file), os.path.join(target, file))
            os.rename(whole, directory)


def _writable(directory: str) -> bool:
    """Return whether a directory can be written, or made."""
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    return os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK)


def remove_old_caches(directory: str) -> None:
    """Remove caches beside `directory` that nothing was added to for a week.

    A process that still runs on one of them has its code in memory already; what it has not, it
    compiles anew and keeps again.
    """
    place = os.path.dirname(directory)
    for name in os.listdir(place) if os.path.isdir(place) else []:
        other = os.path.join(place, name)
        if name.startswith("numba-") and other != directory:
            try:
                old = time.time() - os.path.getmtime(other) > _KEPT_S
            except OSError:  # another process was faster
                continue
            if old:
                shutil.rmtree(other, ignore_errors=True)


_directory = cache_directory()
if _directory and not os.path.isdir(_directory):  # a new version of the sources
    remove_old_caches(_directory)
    take_shipped(_directory)
numba.config.CACHE_DIR = _directory or ""
njit = functools.partial(numba.njit, cache=_directory is not None, nogil=True)
# for what only compiled code calls: the way in from Python takes as long to compile as the code
inner = functools.partial(njit, no_cpython_wrapper=True, no_cfunc_wrapper=True)
# and allocates nothing: references to arrays are not counted, which can take half of the time
loop = functools.partial(inner, _nrt=False)
