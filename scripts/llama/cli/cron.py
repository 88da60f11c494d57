"""`llama cron`: LLAMA by itself every minute, and the same for systemd."""

import argparse
from pathlib import Path

from llama.cli.common import say
from llama.cli.parsers import Subparsers, add_command, add_group


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama cron` with its commands."""
    group = add_group(subparsers, "cron", "have cron or systemd keep the newest events up to date")
    add_command(group, "install", "let cron call llama run -o every minute", _install)
    add_command(group, "show", "print the line in the crontab; exit 1 if there is none", _show)
    add_command(group, "remove", "take the line out of the crontab", _remove)
    command = add_command(group, "units", "write units for systemd: listener, run, timer", _units)
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to write them"
    )


def _install(options: argparse.Namespace) -> None:
    from llama.running import cron
    from llama.settings import load

    settings = load()
    line, replaced = cron.install(settings)
    print(line)
    if replaced:
        say(f"in the place of the earlier line: {replaced}")
    say(f"cron calls it every minute; log: {settings.output_dir / 'logs' / 'cron.log'}")


def _show(options: argparse.Namespace) -> int:
    from llama.running import cron

    line = cron.installed()
    if line is None:
        say("the crontab does not call llama; let it with llama cron install")
        return 1
    print(line)
    return 0


def _remove(options: argparse.Namespace) -> None:
    from llama.running import cron

    line = cron.remove()
    say("the crontab did not call llama; nothing to remove" if line is None else f"removed: {line}")


def _units(options: argparse.Namespace) -> None:
    from llama.running import units
    from llama.settings import load

    paths = units.write_units(options.out, load())
    for path in paths:
        print(path)
    say(
        f"then, as root: put client id and secret of GCN into {units.CREDENTIALS}, and\n"
        f"  cp {' '.join(str(path) for path in paths)} /etc/systemd/system/\n"
        "  systemctl daemon-reload\n"
        "  systemctl enable --now llama-listen llama-run\n"
        "llama-pass.timer, a pass every minute, is for those who want no second daemon."
    )
