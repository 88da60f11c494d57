"""`llama com do`: DigitalOcean's droplets and snapshots, listed, made and destroyed."""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from llama.cli.common import ask, counter, plural, print_table, say
from llama.cli.dev_parsers import DROPLET, IMAGE
from llama.errors import LlamaError
from llama.fleet.cloud import Cloud, take_snapshot
from llama.fleet.connection import CloudError
from llama.fleet.crew import LATE_S, Crew, orphans
from llama.fleet.hostkeys import user_data
from llama.fleet.records import Balance, Droplet, Image, check_names, expand, matching
from llama.fleet.token import find_token
from llama.settings import load

_SHOWN = DROPLET[:7]
_FIELDS = {"usd_per_hour": "price_hourly_usd"}
_FORMATS = {"usd_per_hour": ".5f", "size_gb": ".1f"}


def run(options: argparse.Namespace) -> int | None:
    """Run `llama com do`."""
    known = IMAGE if options.snapshots else DROPLET
    columns = options.columns.split(",") if options.columns else None
    unknown = [column for column in columns or [] if column not in known]
    if unknown:
        say(f"llama com do: no column {unknown[0]}; choose of {', '.join(known)}")
        return 2
    if options.snapshot and not options.image:
        say("llama com do: --snapshot needs -i, the droplet to take it of")
        return 2
    cloud = Cloud(find_token(), tell=say)
    header = not options.no_header
    if options.droplets is not None:
        found = matching(cloud.droplets(), options.droplets or ["*"])
        _hint(options.droplets, found)
        _table(columns or _SHOWN, found, header)
        return None
    if options.snapshots:
        _table(columns or IMAGE, cloud.snapshots(), header)
        return None
    if options.snapshot:
        return _snapshot(cloud, options.snapshot, options.image)
    crew = Crew(load(), cloud)
    if options.create:
        return _create(crew, options)
    if options.destroy:
        return _destroy(crew, options.destroy)
    return _reap(crew)


def _table(columns: Sequence[str], rows: Iterable[Droplet | Image], header: bool = True) -> None:
    """Print what is known of each; the header goes to stderr: it is not data."""
    print_table([columns] * header + [_cells(columns, row) for row in rows], header_apart=header)


def _cells(columns: Sequence[str], row: Droplet | Image) -> list[str]:
    return [_cell(getattr(row, _FIELDS.get(column, column)), column) for column in columns]


def _cell(value: object, column: str) -> str:
    if isinstance(value, tuple):
        value = ",".join(value)
    if column == "size_gb":
        value = value or 0.0
    return "-" if value in (None, "") else f"{value:{_FORMATS.get(column, '')}}"


def _hint(patterns: list[str], found: list[Droplet]) -> None:
    """Say which patterns match nothing; a file of that name tells that the shell was quicker."""
    for pattern in patterns:
        if not matching(found, [pattern]):
            files = "; the shell has put files of this directory here, quote the wildcard"
            say(f"no droplet matches {pattern}{files * Path(pattern).exists()}")


def _create(crew: Crew, options: argparse.Namespace) -> int:
    size, region = options.size or crew.limits.size, options.region or crew.limits.region
    names = list(dict.fromkeys(name for typed in options.create for name in expand(typed)))
    check_names(names)
    there = {droplet.name for droplet in crew.droplets()}
    wanted = [name for name in names if name not in there]
    if len(wanted) < len(names):
        say(f"{len(names) - len(wanted)} of {len(names)} are there already")
    if not wanted:
        return 0
    offer = crew.offer(len(wanted), options.image or crew.limits.image, size, region)
    cost = crew.cost()
    last = wanted[-1] if len(wanted) == 1 else f"{wanted[0]} .. {wanted[-1]}"
    lasts = "a day or more" if offer.hours_left == float("inf") else f"{offer.hours_left:.1f} h"
    say(
        f"{len(wanted)} x {size} in {region} from {offer.image.name} ({offer.image.created[:10]}):"
        f" {last}\n"
        f"${offer.usd_per_hour:,.4f} per hour, with {plural(cost.droplets, 'droplet')} there now "
        f"${offer.usd_per_hour + cost.usd_per_hour:,.4f}; ${cost.usd_of_day:,.2f} spent in the "
        f"last 24 hours;\nthe limit of ${crew.limits.max_usd_per_day:,.2f} per day lasts {lasts}\n"
        f"(limits count what this output directory orders, {crew.directory.parent},\n"
        f"and what has the tag {crew.limits.tag} now; the account as a whole:\n"
        f"{_account_line(crew, offer.usd_per_hour + cost.usd_per_hour)})"
    )
    if ask("Make them? [y/N]") != "y":
        say("nothing was made")
        return 1
    made = crew.create(
        wanted,
        offer,
        user_data=user_data(crew.directory),
        progress=counter("made", len(wanted)),
    )
    if made.unanswered:
        say(f"DigitalOcean left an order unanswered; looking for what comes late, {LATE_S:.0f} s")
        made = crew.look_again(made)
    say(f"{len(made.new)} made; llama com do -D tells when they are active")
    if made.missing:
        reason = next(iter(made.missing.values()))
        raise LlamaError(f"{len(made.missing)} not made, from {min(made.missing)} on: {reason}")
    return 0


def _account_line(crew: Crew, usd_per_hour: float) -> str:
    """Return what DigitalOcean tells of the account; its credit lasts for so much per hour."""
    account = crew.cloud.account()
    parts = [f"{account.droplets} of {plural(account.droplet_limit, 'droplet')}"]
    try:
        balance = crew.cloud.balance()
    except CloudError as error:  # it stops no order
        parts.append(f"its balance is not known: {error}")
    else:
        parts += _balance_words(balance, usd_per_hour)
    if account.status != "active":
        parts.append(f"status {account.status.upper()}: {account.message or 'no reason given'}")
    return ", ".join(parts)


def _balance_words(balance: Balance | None, usd_per_hour: float) -> list[str]:
    if balance is None:
        return ["its balance is not shown to this token"]
    used = f"${balance.month_usd:,.2f} used this month"
    if balance.due_usd >= 0:
        return [used, f"${balance.due_usd:,.2f} due"]
    hours = f", {-balance.due_usd / usd_per_hour:,.0f} h" if usd_per_hour else ""
    return [used, f"${-balance.due_usd:,.2f} of credit left{hours}"]


def _destroy(crew: Crew, patterns: list[str]) -> int:
    for pattern in patterns:
        if pattern != "*" and not pattern.strip("*?"):
            raise LlamaError(f"{pattern} matches anything; write '*' if you mean every droplet")
    everything = crew.cloud.droplets()
    chosen = matching(everything, patterns)
    _hint(patterns, chosen)
    if not chosen:
        raise LlamaError("nothing to destroy; see llama com do -D")
    _table(_SHOWN, chosen)
    sys.stdout.flush()
    if "*" in patterns:
        say("These are ALL droplets of the account, whoever made them.")
        good = ask("Type their number to destroy them for ever:") == str(len(chosen))
    else:
        of_all = " (all of the account)" if len(chosen) == len(everything) else ""
        good = ask(f"Destroy these {plural(len(chosen), 'droplet')}{of_all} for ever? [y/N]") == "y"
    return _destroy_these(crew, chosen, good)


def _destroy_these(crew: Crew, chosen: list[Droplet], good: bool) -> int:
    if not good:
        say("nothing was destroyed")
        return 1
    crew.reconcile()
    failed = crew.destroy(chosen, progress=counter("destroyed", len(chosen)))
    say(f"{len(chosen) - len(failed)} destroyed")
    if failed:
        name, reason = next(iter(failed.items()))
        raise LlamaError(
            f"{len(failed)} could not be destroyed and cost money, among them {name}: {reason}"
        )
    return 0


def _reap(crew: Crew) -> int:
    found = orphans(crew)
    if not found:
        say("no droplet to reap")
        return 0
    columns = ("name", "status", "ip", "created")
    lines = [[*_cells(columns, droplet), reason] for droplet, reason in found]
    print_table([[*columns, "why"], *lines], header_apart=True)
    return _destroy_these(
        crew, [d for d, _ in found], ask(f"Destroy these {len(found)} for ever? [y/N]") == "y"
    )


def _snapshot(cloud: Cloud, name: str, droplet: str | None) -> int:
    found = [d for d in cloud.droplets() if droplet in (d.name, str(d.id))]
    if len(found) != 1:
        problem = "names no" if not found else "is the name of more than one"
        raise LlamaError(f"-i {droplet} {problem} droplet; give the name or id of one (see -D)")

    def tick(seconds: float) -> None:
        if seconds == 0:
            say(f"snapshot {name} of {found[0].name}; this may take an hour")
        elif sys.stderr.isatty():
            sys.stderr.write(
                f"\r{name}: at work for {time.strftime('%H:%M:%S', time.gmtime(seconds))}"
            )
            sys.stderr.flush()

    take_snapshot(cloud, found[0], name, tick)
    say(f"{name} is ready")
    return 0
