"""Which event directories a user means by RUN/GLOB."""

import re
from pathlib import Path

from llama.errors import LlamaError
from llama.event.ref import run_named
from llama.event.skymap_info import FILE_NAME
from llama.graceid import GRACEID_PATTERN

_IS_ID = re.compile(GRACEID_PATTERN).fullmatch


def find_events(output_dir: Path, pattern: str | None) -> list[Path]:
    """Return the event directories that `RUN/GLOB` names, in the order of their names.

    Either part may be left out: `MS*` is of the current run, `past_runs/o3/` all of that run, None
    all of the current one. A relative RUN is below the output directory, and `events` is the
    current run. `LlamaError` when there is none.
    """
    given = (pattern or "*").rstrip("/")
    run, _, name = given.rpartition("/")
    run_dir, whole = output_dir / run_named(run), output_dir / run_named(given)
    if not _IS_ID(name) and whole.is_dir():
        run_dir, name = whole, "*"
    found = sorted(
        path
        for path in (run_dir.glob(name) if name not in ("", ".", "..") else ())
        if _IS_ID(path.name) and (path / FILE_NAME).exists()
    )
    if not found:
        what = f"no event {name}" if pattern else "no event"
        raise LlamaError(f"there is {what} in {run_dir}; make one with skymap_info")
    return found
