"""`llama com do`: DigitalOcean's droplets and snapshots, listed, made and destroyed."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama.cli.common import ask, counter, plural, print_table, say
from llama.cli.parsers import Subparsers, add_command, add_group
from llama.errors import LlamaError

if TYPE_CHECKING:
    from llama.fleet.cloud import Cloud
    from llama.fleet.crew import Crew
    from llama.fleet.records import Balance, Droplet

_DROPLET: dict[str, Callable[[Any], str]] = {
    "name": lambda d: d.name,
    "status": lambda d: d.status,
    "ip": lambda d: d.ip,
    "size": lambda d: d.size,
    "region": lambda d: d.region,
    "image": lambda d: d.image,
    "created": lambda d: d.created,
    "id": lambda d: str(d.id),
    "private_ip": lambda d: d.private_ip,
    "tags": lambda d: ",".join(d.tags),
    "vcpus": lambda d: str(d.vcpus),
    "memory_mb": lambda d: str(d.memory_mb),
    "disk_gb": lambda d: str(d.disk_gb),
    "usd_per_hour": lambda d: "" if d.price_hourly_usd is None else f"{d.price_hourly_usd:.5f}",
}
_SHOWN = list(_DROPLET)[:7]
_IMAGE: dict[str, Callable[[Any], str]] = {
    "name": lambda image: image.name,
    "id": lambda image: str(image.id),
    "created": lambda image: image.created,
    "size_gb": lambda image: f"{image.size_gb or 0:.1f}",
    "min_disk_gb": lambda image: str(image.min_disk_gb),
    "regions": lambda image: ",".join(image.regions),
}


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama com do`."""
    group = add_group(subparsers, "com", "droplets and snapshots on DigitalOcean")
    parser = add_command(group, "do", "list, make and destroy droplets on DigitalOcean", _do)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "columns of -D: " + ", ".join(_DROPLET) + "\n"
        "columns of -S: " + ", ".join(_IMAGE) + "\n\n"
        "The token comes from $DIGITALOCEAN, $DIGITALOCEAN_ACCESS_TOKEN or a file of mode 600,\n"
        "~/.config/llama/digitalocean-token. The header goes to stderr: -D | wc -l counts.\n"
        "Quote wildcards where files may have such names: llama com do -D 'llama*'"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "-D", "--droplets", nargs="*", metavar="PATTERN",
        help="list droplets, or those whose names match; wildcards as the shell's",
    )  # fmt: skip
    what.add_argument("-S", "--snapshots", action="store_true", help="list snapshots, newest first")
    what.add_argument("-c", "--create", nargs="+", metavar="NAME", help="make droplets; asks first")
    what.add_argument(
        "-d", "--destroy", nargs="+", metavar="PATTERN", help="destroy droplets; lists and asks"
    )
    what.add_argument("--snapshot", metavar="NAME", help="take a snapshot of the droplet -i")
    what.add_argument(
        "--reap", action="store_true", help="destroy the fleet's droplets that nobody owns; asks"
    )
    parser.add_argument("-C", "--columns", metavar="COLUMN[,COLUMN..]", help="columns to list")
    parser.add_argument("-n", "--no-header", action="store_true", help="list without the header")
    parser.add_argument(
        "-i", "--image",
        help="snapshot or public image for -c (default: fleet.image); droplet for --snapshot",
    )  # fmt: skip
    parser.add_argument("--size", help="size for -c (default: fleet.size)")
    parser.add_argument("--region", help="region for -c (default: fleet.region)")


def _do(options: argparse.Namespace) -> int | None:
    known = _IMAGE if options.snapshots else _DROPLET
    columns = options.columns.split(",") if options.columns else None
    unknown = [column for column in columns or [] if column not in known]
    if unknown:
        sys.stderr.write(f"llama com do: no column {unknown[0]}; choose of {', '.join(known)}\n")
        return 2
    from llama.fleet.cloud import Cloud
    from llama.fleet.crew import Crew
    from llama.fleet.records import matching
    from llama.fleet.token import find_token
    from llama.settings import load

    if options.snapshot and not options.image:
        sys.stderr.write("llama com do: --snapshot needs -i, the droplet to take it of\n")
        return 2
    cloud = Cloud(find_token(), tell=say)
    header = not options.no_header
    if options.droplets is not None:
        found = matching(cloud.droplets(), options.droplets or ["*"])
        _hint(options.droplets, found)
        _table(columns or _SHOWN, _DROPLET, found, header)
        return None
    if options.snapshots:
        _table(columns or list(_IMAGE), _IMAGE, cloud.snapshots(), header)
        return None
    if options.snapshot:
        return _snapshot(cloud, options.snapshot, options.image)
    crew = Crew(load(), cloud)
    if options.create:
        return _create(crew, options)
    if options.destroy:
        return _destroy(crew, options.destroy)
    return _reap(crew)


def _table(
    columns: list[str], known: dict[str, Callable[[Any], str]], rows: Iterable[Any], header: bool
) -> None:
    """Print what is known of each; the header goes to stderr: it is not data."""
    lines = [[known[column](row) or "-" for column in columns] for row in rows]
    print_table([columns] * header + lines, header_apart=header)


def _hint(patterns: list[str], found: list["Droplet"]) -> None:
    """Say which patterns match nothing; a file of that name tells that the shell was quicker."""
    from llama.fleet.records import matching

    for pattern in patterns:
        if not matching(found, [pattern]):
            files = "; the shell has put files of this directory here, quote the wildcard"
            sys.stderr.write(f"no droplet matches {pattern}{files * Path(pattern).exists()}\n")


def _create(crew: "Crew", options: argparse.Namespace) -> int:
    from llama.fleet.crew import LATE_S
    from llama.fleet.hostkeys import host_key_user_data
    from llama.fleet.records import check_names, expand

    size, region = options.size or crew.limits.size, options.region or crew.limits.region
    names = list(dict.fromkeys(name for typed in options.create for name in expand(typed)))
    check_names(names)
    there = {droplet.name for droplet in crew.droplets()}
    wanted = [name for name in names if name not in there]
    if len(wanted) < len(names):
        sys.stderr.write(f"{len(names) - len(wanted)} of {len(names)} are there already\n")
    if not wanted:
        return 0
    offer = crew.offer(len(wanted), options.image or crew.limits.image, size, region)
    cost = crew.cost()
    last = wanted[-1] if len(wanted) == 1 else f"{wanted[0]} .. {wanted[-1]}"
    lasts = "a day or more" if offer.hours_left == float("inf") else f"{offer.hours_left:.1f} h"
    sys.stderr.write(
        f"{len(wanted)} x {size} in {region} from {offer.image.name} ({offer.image.created[:10]}):"
        f" {last}\n"
        f"${offer.usd_per_hour:,.4f} per hour, with {plural(cost.droplets, 'droplet')} there now "
        f"${offer.usd_per_hour + cost.usd_per_hour:,.4f}; ${cost.usd_of_day:,.2f} spent in the "
        f"last 24 hours;\nthe limit of ${crew.limits.max_usd_per_day:,.2f} per day lasts {lasts}\n"
        f"(limits count what this output directory orders, {crew.directory.parent},\n"
        f"and what has the tag {crew.limits.tag} now; the account as a whole:\n"
        f"{_account_line(crew, offer.usd_per_hour + cost.usd_per_hour)})\n"
    )
    if ask("Make them? [y/N]") != "y":
        sys.stderr.write("nothing was made\n")
        return 1
    made = crew.create(
        wanted,
        offer,
        user_data=host_key_user_data(crew.directory),
        progress=counter("made", len(wanted)),
    )
    if made.unanswered:
        say(f"DigitalOcean left an order unanswered; looking for what comes late, {LATE_S:.0f} s")
        made = crew.look_again(made)
    sys.stderr.write(f"{len(made.new)} made; llama com do -D tells when they are active\n")
    if made.missing:
        reason = next(iter(made.missing.values()))
        raise LlamaError(f"{len(made.missing)} not made, from {min(made.missing)} on: {reason}")
    return 0


def _account_line(crew: "Crew", usd_per_hour: float) -> str:
    """Return what DigitalOcean tells of the account; its credit lasts for so much per hour."""
    from llama.fleet.connection import CloudError

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


def _balance_words(balance: "Balance | None", usd_per_hour: float) -> list[str]:
    if balance is None:
        return ["its balance is not shown to this token"]
    used = f"${balance.month_usd:,.2f} used this month"
    if balance.due_usd >= 0:
        return [used, f"${balance.due_usd:,.2f} due"]
    hours = f", {-balance.due_usd / usd_per_hour:,.0f} h" if usd_per_hour else ""
    return [used, f"${-balance.due_usd:,.2f} of credit left{hours}"]


def _destroy(crew: "Crew", patterns: list[str]) -> int:
    from llama.fleet.records import matching

    for pattern in patterns:
        if pattern != "*" and not pattern.strip("*?"):
            raise LlamaError(f"{pattern} matches anything; write '*' if you mean every droplet")
    everything = crew.cloud.droplets()
    chosen = matching(everything, patterns)
    _hint(patterns, chosen)
    if not chosen:
        raise LlamaError("nothing to destroy; see llama com do -D")
    _table(_SHOWN, _DROPLET, chosen, header=True)
    sys.stdout.flush()
    if "*" in patterns:
        sys.stderr.write("These are ALL droplets of the account, whoever made them.\n")
        good = ask("Type their number to destroy them for ever:") == str(len(chosen))
    else:
        of_all = " (all of the account)" if len(chosen) == len(everything) else ""
        good = ask(f"Destroy these {plural(len(chosen), 'droplet')}{of_all} for ever? [y/N]") == "y"
    return _destroy_these(crew, chosen, good)


def _destroy_these(crew: "Crew", chosen: list["Droplet"], good: bool) -> int:
    if not good:
        sys.stderr.write("nothing was destroyed\n")
        return 1
    crew.reconcile()
    failed = crew.destroy(chosen, progress=counter("destroyed", len(chosen)))
    sys.stderr.write(f"{len(chosen) - len(failed)} destroyed\n")
    if failed:
        name, reason = next(iter(failed.items()))
        raise LlamaError(
            f"{len(failed)} could not be destroyed and cost money, among them {name}: {reason}"
        )
    return 0


def _reap(crew: "Crew") -> int:
    from llama.fleet.crew import orphans

    found = orphans(crew)
    if not found:
        sys.stderr.write("no droplet to reap\n")
        return 0
    why = {droplet.id: reason for droplet, reason in found}
    known = {**_DROPLET, "why": lambda d: why[d.id]}
    _table(["name", "status", "ip", "created", "why"], known, [d for d, _ in found], header=True)
    return _destroy_these(
        crew, [d for d, _ in found], ask(f"Destroy these {len(found)} for ever? [y/N]") == "y"
    )


def _snapshot(cloud: "Cloud", name: str, droplet: str | None) -> int:
    from llama.fleet.cloud import take_snapshot

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
    sys.stderr.write(f"{name} is ready\n")
    return 0
