"""The fleet's results from Spaces into `studies/` of the current directory."""

import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError, system_errors
from llama.fleet.spaces import Spaces
from llama.fleet.transfer import is_same
from llama.locks import only_one
from llama.s3 import Stored, in_threads

STUDIES = "studies"  # keys of results are their paths in the output directory
_AT_ONCE = 8
# inputs of a study, which are larger than its results and of no use to tables
_INPUTS = re.compile(r"[^/]+/(?:skymaps|lists|artifacts)/")


class Pulled(NamedTuple):
    """What a pull has done: files fetched, bytes, and files that were there and are the same.

    different: files here that are other than in the bucket, and have been left as they are;
    unsure: files of which the store knows the size only.
    """

    fetched: int
    size: int
    same: int
    different: list[Path]
    unsure: int


def pull(
    spaces: Spaces,
    studies: Path,
    wanted: Collection[str] = (),
    replace: Callable[[list[Path]], bool] = lambda paths: False,
    progress: Callable[[str, int], Callable[[int], object]] = lambda what, total: lambda done: None,
) -> Pulled:
    """Bring `studies` to what is in the bucket; of the studies `wanted`, or of all.

    Nothing is removed. `replace` is asked before files that differ are fetched over them.
    `progress` is given "compared" with the number of files, then "fetched" with that of bytes, and
    returns what hears, from threads, how many more are done.
    `LlamaError` when another pull is at work there, or the disk is too small.
    """
    with only_one(studies / ".pull.lock", "llama dev dv pull", "wait until it has ended"):
        found = _listed(spaces, wanted)
        absent = sorted(set(wanted) - {_study(stored.key) for stored in found})
        if absent or not found:
            what = f"of {' and '.join(absent)} " if absent else ""
            raise LlamaError(
                f"there are no results {what}in s3://{spaces.name}/{STUDIES}; "
                "see llama dev dv done bg"
            )
        paths = {stored.key: _place(studies, stored.key) for stored in found}
        compared = progress("compared", len(found))

        def compare(listed: Stored) -> tuple[Stored, str]:
            stored = spaces.find(listed.key)  # a list does not tell the sha256
            if stored is None:
                raise LlamaError(
                    f"{listed.key} was removed from s3://{spaces.name} meanwhile; "
                    "run the same command again"
                )
            path, state = paths[listed.key], "missing"
            if os.path.lexists(path):
                with system_errors(f"cannot read {path}", "move it away"):
                    state = "different" if is_same(path, stored) is False else "same"
            compared(1)
            return stored, state

        of_state: dict[str, list[Stored]] = {"missing": [], "different": [], "same": []}
        for stored, state in in_threads(compare, found, _AT_ONCE):
            of_state[state].append(stored)
        different = sorted(paths[stored.key] for stored in of_state["different"])
        replaced = bool(different) and replace(different)
        missing = of_state["missing"] + (of_state["different"] if replaced else [])
        size = sum(stored.size for stored in missing)
        if size > (free := shutil.disk_usage(studies).free):
            raise LlamaError(
                f"the results take {size / 1e9:.1f} GB, and {studies.resolve()} has room for "
                f"{free / 1e9:.1f} GB; pull in a directory on a larger disk"
            )
        fetched = progress("fetched", size)
        in_threads(lambda s: spaces.download(s, paths[s.key], fetched), missing, _AT_ONCE)
        unsure = sum(is_same(paths[stored.key], stored) is None for stored in missing)
    left = [] if replaced else different
    return Pulled(len(missing), size, len(of_state["same"]), left, unsure)


def finished_shards(spaces: Spaces, study: str, kind: str) -> dict[int, float]:
    """Return {number: date [Unix s]} of a study's shards that are in the bucket."""
    found = {}
    for stored in spaces.objects(f"{STUDIES}/{study}/{kind}/shard-"):
        if match := re.fullmatch(r".*/shard-(\d+)\.hdf5", stored.key):
            found[int(match[1])] = stored.modified
    return found


def _listed(spaces: Spaces, wanted: Collection[str]) -> list[Stored]:
    return [
        stored
        for stored in spaces.objects(f"{STUDIES}/")
        if (path := stored.key.removeprefix(f"{STUDIES}/"))
        and not (path.endswith("/") or _INPUTS.match(path))
        and (not wanted or _study(stored.key) in wanted)
    ]


def _study(key: str) -> str:
    return key.removeprefix(f"{STUDIES}/").split("/")[0].partition(".")[0]


def _place(studies: Path, key: str) -> Path:
    """Return where an object belongs; `LlamaError` for a name that would lead out of `studies`."""
    parts = key.removeprefix(f"{STUDIES}/").split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts):
        raise LlamaError(f"the bucket has an object {key[:80]!r}, which is no result; remove it")
    return studies.joinpath(*parts)
