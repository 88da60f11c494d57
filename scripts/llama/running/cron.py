"""What calls `llama run` unasked: a line of the user's crontab, or units for systemd.

python-crontab is not used: it writes other people's lines anew (blanks, order, what it does not
understand becomes a comment). Here every byte of them stays.
"""

import getpass
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from llama.errors import LlamaError, system_errors
from llama.files import rendered, write_bytes
from llama.layout import find_workflow, own_workflow
from llama.locks import try_lock
from llama.settings import Settings
from llama.settings.load import find_config

_MARK = b"# llama run -o, by llama cron install"
# Debian's cron takes no longer commands
_MAX_LENGTH = 998
_SKIPPED = 75  # flock's exit code when another pass is still at work

CREDENTIALS = "/etc/llama"
# unit: its template, and whether it makes one pass only
_UNITS = {
    "llama-listen.service": ("llama-listen.service", False),
    "llama-run.service": ("run.service", False),
    "llama-pass.service": ("run.service", True),
    "llama-pass.timer": ("llama-pass.timer", True),
}


def install(settings: Settings) -> tuple[str, str | None]:
    """Put the line into the crontab; return it and the one that it has replaced, if any.

    `LlamaError` where there are no cron or no locks, and for a line that cron would not take.
    """
    line = cron_line(settings).encode()
    lock = settings.output_dir / "logs" / "cron.lock"
    with system_errors(f"cannot write {lock}", "correct the permissions or output_dir"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as file:
            try_lock(file)  # better said now than by cron every minute
    before, ours, after = _read()
    if ours != [line]:
        _write([*before, line, *after])
    replaced = [old.decode() for old in ours if old != line]
    return line.decode(), replaced[0] if replaced else None


def installed() -> str | None:
    """Return the line as it is in the crontab, None if it is not there."""
    _, ours, _ = _read()
    return ours[0].decode() if ours else None


def remove() -> str | None:
    """Take the line out of the crontab and return it, None if it is not there."""
    before, ours, after = _read()
    if ours:
        _write([*before, *after])
    return ours[0].decode() if ours else None


def cron_line(settings: Settings) -> str:
    """Return the line: quiet while all is well or another pass is at work, one mail per failure.

    The file `cron.failed` remembers that the mail has been sent; the next success removes it.
    """
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables().items())
    command = (
        f"L={shlex.quote(str(settings.output_dir / 'logs' / 'cron'))}; "
        f"cd {shlex.quote(str(find_workflow()))} && {environment} "
        f'{_program("flock")} -n -E {_SKIPPED} "$L.lock" '
        f'{shlex.quote(sys.executable)} -m llama run -o >>"$L.log" 2>&1; '
        f'case $? in {_SKIPPED}) ;; 0) rm -f "$L.failed" ;; '
        '*) test -e "$L.failed" || { touch "$L.failed"; '
        'echo "llama run -o fails; no more mail until it has succeeded. End of $L.log:"; '
        'tail -n 5 "$L.log"; } ;; esac '
    )
    # for cron a percent sign ends the command, wherever it stands
    command = command.replace("%", "\\%") + _MARK.decode()
    if len(command) > _MAX_LENGTH or "\n" in command:
        raise LlamaError(
            f"cron takes lines of {_MAX_LENGTH} characters and no line breaks; "
            f"choose shorter names for output_dir and that of the workflow ({find_workflow()})"
        )
    return f"* * * * * {command}"


def variables() -> dict[str, str]:
    """Return the environment that a command needs which no shell of the user's starts."""
    config, data_home = find_config(), os.environ.get("XDG_DATA_HOME")
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        **({"LLAMA_CONFIG": str(config.resolve())} if config else {}),
        **({"XDG_DATA_HOME": data_home} if data_home else {}),
    }


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        package = {"crontab": "cron", "flock": "util-linux"}[name]
        raise LlamaError(
            f"this machine has no {name}; install it (package {package}), or let systemd call "
            "llama: see llama cron units"
        )
    return found


def _read() -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the crontab's lines before ours, ours (once, if all is well), and those after it."""
    done = subprocess.run([_program("crontab"), "-l"], capture_output=True)
    message = done.stderr.decode(errors="replace").strip()
    if done.returncode and not message.startswith("no crontab for"):
        raise LlamaError(f"the crontab cannot be read ({message[:200]}); ask who runs this machine")
    lines = done.stdout.removesuffix(b"\n").split(b"\n") if done.stdout else []
    ours = [number for number, line in enumerate(lines) if line.endswith(_MARK)]
    first = ours[0] if ours else len(lines)
    after = [line for number, line in enumerate(lines) if number > first and number not in ours]
    return lines[:first], [lines[number] for number in ours], after


def _write(lines: list[bytes]) -> None:
    words, content = ["-"], b"".join(line + b"\n" for line in lines)
    if not lines:
        words, content = ["-r"], b""
    done = subprocess.run([_program("crontab"), *words], input=content, capture_output=True)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise LlamaError(f"cron refuses the crontab ({message[:200]}); it is as it was")


def write_units(directory: Path, settings: Settings) -> list[Path]:
    """Write the units for this user, workflow and settings into `directory`; return their paths.

    `LlamaError` for names that systemd would read as something else.
    """
    alarms = settings.listen.alarm_slack is not None
    values = {**_values(settings), "alarms": alarms, "variables": variables()}
    contents = {
        name: rendered("llama.running", f"{template}.j2", once=once, **values)
        for name, (template, once) in _UNITS.items()
    }
    # systemd starts nothing whose ReadWritePaths are not there
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes(directory / name, content.encode())
    return [directory / name for name in contents]


def _values(settings: Settings) -> dict[str, str]:
    values = {
        "user": getpass.getuser(),
        "home": str(Path.home()),
        "workflow": str(find_workflow()),
        "pages": str(own_workflow() / "docs"),
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
    return values
