"""`llama cron`: LLAMA by itself every minute, and the same for systemd."""

import argparse

from llama.cli.common import say
from llama.running import cron, units
from llama.settings import load


def install(options: argparse.Namespace) -> None:
    """Run `llama cron install`."""
    settings = load()
    line, replaced = cron.install(settings)
    print(line)
    if replaced:
        say(f"in the place of the earlier line: {replaced}")
    say(f"cron calls it every minute; log: {settings.output_dir / 'logs' / 'cron.log'}")


def show(options: argparse.Namespace) -> int:
    """Run `llama cron show`."""
    line = cron.installed()
    if line is None:
        say("the crontab does not call llama; let it with llama cron install")
        return 1
    print(line)
    return 0


def remove(options: argparse.Namespace) -> None:
    """Run `llama cron remove`."""
    line = cron.remove()
    say("the crontab did not call llama; nothing to remove" if line is None else f"removed: {line}")


def write_units(options: argparse.Namespace) -> None:
    """Run `llama cron units`."""
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
