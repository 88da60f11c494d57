"""The options of `llama dev`, `llama com` and `llama fleet`: studies, droplets, files."""

import argparse
from pathlib import Path

from llama.cli.parsers import Parser, Parsers, add_switch

# what -C may name, of a droplet and of a snapshot
DROPLET = (
    *("name", "status", "ip", "size", "region", "image", "created"),  # shown if not asked for
    *("id", "private_ip", "tags", "vcpus", "memory_mb", "disk_gb", "usd_per_hour"),
)
IMAGE = ("name", "id", "created", "size_gb", "min_disk_gb", "regions")


def add_options(parsers: Parsers) -> None:
    """Add the options of `llama dev`, `llama com do` and `llama fleet`."""
    _add_dv(parsers)
    _add_dev(parsers)
    _add_com(parsers["com do"])
    _add_fleet(parsers)


def _add_dv(parsers: Parsers) -> None:
    which = "only droplets of the fleet whose names match (wildcards as the shell's)"
    parsers["dev dv"].add_argument("-p", "--pattern", default="*", help=which)
    launch, batch = parsers["dev dv launch"], parsers["dev dv batch"]
    launch.add_argument("what", choices=["bg"], help="bg: background injections")
    launch.add_argument("skymaps", metavar="LIST.csv", type=Path, help="one sky map per line")
    batch.add_argument("study", metavar="STUDY", nargs="?", help="which, if there are several")
    for command in (launch, batch):
        injections = "injections (default: background.injections)"
        command.add_argument("--n", type=_count, metavar="N", help=injections)
        add_switch(command, "wait for its end", "-F", "--foreground")
        add_switch(command, "end it", "-k", "--kill")
        command.add_argument("--profile", default="do-cluster", help=argparse.SUPPRESS)
    kinds = "bg: background and signal injections"
    parsers["dev dv done"].add_argument("what", choices=["bg"], help=kinds)
    which = "which (default: all)"
    parsers["dev dv pull"].add_argument("studies", metavar="STUDY", nargs="*", help=which)
    command = parsers["dev dv eval"]
    command.add_argument("command", metavar="CMD", nargs="+", help="the command; quote it")


def _count(text: str) -> int:
    count = int(text.replace("_", ""))
    if not 1 <= count <= 10**10:
        raise ValueError
    return count


def _add_dev(parsers: Parsers) -> None:
    command = parsers["dev background table"]
    table = "table to write, such as bns-o3-H1L1V1.txt"
    command.add_argument("file", metavar="FILE.txt", type=Path, help=table)
    which = "study to collate (default: the name of FILE.txt, else the only one)"
    command.add_argument("study", metavar="STUDY", nargs="?", help=which)
    command = parsers["dev skymaps lists"]
    command.add_argument("coincs", metavar="COINCS.DAT", type=Path, help="table of coincidences")
    command.add_argument("--out", type=Path, required=True, help="directory for the lists")
    maps = "directory of the maps (default: that of COINCS.DAT)"
    command.add_argument("--maps", type=Path, help=maps)
    command = parsers["dev skymaps pack"]
    command.add_argument("directory", metavar="DIR", type=Path, help="directory of the maps")
    command = parsers["dev upload"]
    command.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="file to put there")
    name = "file to fetch into this directory (default: list)"
    parsers["dev uploads"].add_argument("names", metavar="NAME", nargs="*", help=name)


def _add_com(parser: Parser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "columns of -D: " + ", ".join(DROPLET) + "\n"
        "columns of -S: " + ", ".join(IMAGE) + "\n\n"
        "The token comes from $DIGITALOCEAN, $DIGITALOCEAN_ACCESS_TOKEN or a file of mode 600,\n"
        "~/.config/llama/digitalocean-token. The header goes to stderr: -D | wc -l counts.\n"
        "Quote wildcards where files may have such names: llama com do -D 'llama*'"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    which = "list droplets, or those whose names match; wildcards as the shell's"
    what.add_argument("-D", "--droplets", nargs="*", metavar="PATTERN", help=which)
    add_switch(what, "list snapshots, newest first", "-S", "--snapshots")
    what.add_argument("-c", "--create", nargs="+", metavar="NAME", help="make droplets; asks first")
    destroyed = "destroy droplets; lists and asks"
    what.add_argument("-d", "--destroy", nargs="+", metavar="PATTERN", help=destroyed)
    what.add_argument("--snapshot", metavar="NAME", help="take a snapshot of the droplet -i")
    add_switch(what, "destroy the fleet's droplets that nobody owns; asks", "--reap")
    parser.add_argument("-C", "--columns", metavar="COLUMN[,COLUMN..]", help="columns to list")
    add_switch(parser, "list without the header", "-n", "--no-header")
    image = "snapshot or public image for -c (default: fleet.image); droplet for --snapshot"
    parser.add_argument("-i", "--image", help=image)
    parser.add_argument("--size", help="size for -c (default: fleet.size)")
    parser.add_argument("--region", help="region for -c (default: fleet.region)")


def _add_fleet(parsers: Parsers) -> None:
    up = parsers["fleet up"]
    address = "address at which droplets reach this machine (default: asked for)"
    up.add_argument("--address", help=address)
    add_switch(up, "install the Debian packages that are missing", "--install")
    wheel = "wheel that workers install, when fleet.image is Debian's and no snapshot"
    up.add_argument("--wheel", type=Path, metavar="FILE", help=wheel)
    lines = "lines for slurm.conf in place of ours"
    up.add_argument("--slurm-conf", type=Path, metavar="FILE", help=lines)
    add_switch(parsers["fleet down"], "do not ask", "--yes")
