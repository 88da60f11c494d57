"""Once a day: what killed processes have left behind, and Snakemake's old logs."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from llama.errors import LlamaError
from llama.files import is_unfinished, remove_older
from llama.layout import find_workflow
from llama.listening.spool import Spool

_DAY_S = 86_400.0
_LOGS_KEPT_S = 7 * _DAY_S
_LARGE = {"gcn", ".snakemake"}  # the spool looks after the one, the other has nothing of ours


def tidy(output_dir: Path) -> None:
    """Tidy up unless that was done within the last day; what cannot be removed stays.

    Goes what was being written a day ago and never got its name; `.snakemake/log` and
    `.snakemake/scripts` of workflow and output directory after a week; and what `Spool.tidy` says.
    """
    stamp, now = output_dir / "runner" / "tidied", time.time()
    with contextlib.suppress(OSError):
        if 0 <= now - stamp.stat().st_mtime < _DAY_S:
            return
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    Spool(output_dir).tidy()
    for path in _unfinished(output_dir):
        remove_older(path, now - _DAY_S)
    places = [output_dir]
    with contextlib.suppress(LlamaError):
        places.append(find_workflow())
    for place in places:
        for kind in ("log", "scripts"):
            for path in (place / ".snakemake" / kind).glob("*"):
                remove_older(path, now - _LOGS_KEPT_S)


def _unfinished(output_dir: Path) -> Iterator[Path]:
    for directory, inside, names in os.walk(output_dir):
        if Path(directory) == output_dir:
            inside[:] = [name for name in inside if name not in _LARGE]
        yield from (Path(directory) / name for name in names if is_unfinished(name))
