"""The output directory and the links that lead to its events."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from llama.errors import LlamaError, system_errors
from llama.layout import IN_WHEEL
from llama.settings import load


def prepare(output_dir: Path, workflow: Path, say: Callable[[str], None]) -> None:
    """Make the output directory, with `events` in it as a link to `current_run`.

    So is `events` in the workflow's directory, unless that is a wheel's, which many may share.
    `say` is told what was changed or is in the way there; `LlamaError` for the rest.
    """
    what = f"cannot use the output directory {output_dir}"
    with system_errors(what, "correct output_dir in config.yaml"):
        run_dir = output_dir / "current_run"
        if run_dir.is_symlink() and not run_dir.exists():
            raise LlamaError(
                f"{run_dir} is a link to {run_dir.readlink()}, which is not there; mount its disk "
                "or correct the link"
            )
        run_dir.mkdir(parents=True, exist_ok=True)
        events = output_dir / "events"
        _link(events, Path("current_run"), say)
        if not events.is_symlink():
            raise LlamaError(_no_link(events, output_dir))
        if workflow.name == IN_WHEEL or not os.access(workflow, os.W_OK):  # systemd's sandbox
            return
        if load(workflow / "config.yaml").output_dir == output_dir:
            _link(workflow / "events", run_dir, say)
            if not (workflow / "events").is_symlink():
                no_link = _no_link(workflow / "events", output_dir)
                say(f"llama: {no_link}: what is in it is not looked at")


def _link(link: Path, target: Path, say: Callable[[str], None]) -> None:
    if link.is_symlink() and os.path.realpath(link) != os.path.realpath(link.parent / target):
        say(f"llama: {link} leads to {target} from now on; it had led to {link.readlink()}")
        link.unlink()
    with contextlib.suppress(FileExistsError):  # two runs may start at once
        link.symlink_to(target)


def _no_link(link: Path, output_dir: Path) -> str:
    return (
        f"{link} is no link to {output_dir}/current_run, where the events of this output directory "
        "are; move its events there and remove it"
    )
