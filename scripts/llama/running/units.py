"""Units for systemd: the listener, `llama run` as a daemon, and one pass of it by a timer."""

import getpass
import re
import sys
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import write_bytes
from llama.running.cron import variables
from llama.settings import Settings
from llama.settings.load import find_clone

CREDENTIALS = "/etc/llama"
# unit: its template, and whether it makes one pass only
_UNITS = {
    "llama-listen.service": ("llama-listen.service", False),
    "llama-run.service": ("run.service", False),
    "llama-pass.service": ("run.service", True),
    "llama-pass.timer": ("llama-pass.timer", True),
}


def write_units(directory: Path, settings: Settings) -> list[Path]:
    """Write the units for this user, clone and settings into `directory`; return their paths.

    `LlamaError` for names that systemd would read as something else.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("llama.alerts"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 (no HTML; `_values` refuses what is special to systemd)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = _values(settings)
    contents = {
        name: environment.get_template(f"{template}.j2").render(values, once=once)
        for name, (template, once) in _UNITS.items()
    }
    # systemd starts nothing whose ReadWritePaths are not there
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes(directory / name, content.encode())
    return [directory / name for name in contents]


def _values(settings: Settings) -> dict[str, Any]:
    values = {
        "user": getpass.getuser(),
        "home": str(Path.home()),
        "clone": str(find_clone()),
        "output_dir": str(settings.output_dir),
        "python": sys.executable,
        "credentials": CREDENTIALS,
    }
    for value in [*values.values(), *variables().values()]:
        if not re.fullmatch(r"[A-Za-z0-9_./:+@=~,-]*", value):
            raise LlamaError(
                f"systemd would misread {value[:100]!r}; choose a name of letters, digits and "
                "_ . + @ = ~ , - for it"
            )
    return values | {"variables": variables(), "alarms": settings.listen.alarm_slack is not None}
