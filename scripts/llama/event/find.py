"""Which event directories a user means by RUN/GLOB."""

import re
from pathlib import Path

from llama.errors import LlamaError
from llama.event.names import GRACEID_PATTERN
from llama.event.skymap_info import FILE_NAME


def find_events(output_dir: Path, pattern: str | None) -> list[Path]:
    """Return the event directories that `RUN/GLOB` names, in the order of their names.

    Either part may be left out: `MS*` is of the current run, None is all of it. A relative RUN is
    below the output directory; `events` is the current run. `LlamaError` when there is none.
    """
    run, _, name = (pattern or "*").rstrip("/").rpartition("/")
    run_dir = output_dir / (run.replace("current_run", "events", 1) or "events")
    if run in ("", "events", "./events", "current_run"):
        run_dir = output_dir / "current_run"
    found = sorted(
        path
        for path in (run_dir.glob(name) if name not in ("", ".", "..") else ())
        if re.fullmatch(GRACEID_PATTERN, path.name) and (path / FILE_NAME).exists()
    )
    if not found:
        what = f"no event {name}" if pattern else "no event"
        raise LlamaError(f"there is {what} in {run_dir}; make one with skymap_info")
    return found
