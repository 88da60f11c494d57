"""What can be typed after `llama dev`, `llama com` and `llama fleet`: studies, droplets, files."""

import argparse
from pathlib import Path

from llama.cli.parsers import Subparsers, add_command, add_group, add_switch, commands_of

# what -C may name, of a droplet and of a snapshot
DROPLET = (
    *("name", "status", "ip", "size", "region", "image", "created"),  # shown if not asked for
    *("id", "private_ip", "tags", "vcpus", "memory_mb", "disk_gb", "usd_per_hour"),
)
IMAGE = ("name", "id", "created", "size_gb", "min_disk_gb", "regions")


def add_commands(top: Subparsers) -> None:
    """Add `llama dev`, `llama com do` and `llama fleet`."""
    _add_dev(top)
    _add_com(top)
    _add_fleet(top)


def _add_dev(top: Subparsers) -> None:
    group = add_group(top, "dev", "background studies, their droplets, tables and sky-map lists")
    _add_dv(group)

    background = add_group(group, "background", "tables of background odds and their p-values")
    command = add_command(
        background, "table", "collate the injections of a study in a table", "dev.table"
    )
    table = "table to write, such as bns-o3-H1L1V1.txt"
    command.add_argument("file", metavar="FILE.txt", type=Path, help=table)
    which = "study to collate (default: the name of FILE.txt, else the only one)"
    command.add_argument("study", metavar="STUDY", nargs="?", help=which)
    all_tables = "make populations.hdf5 from all tables in the current directory"
    add_command(background, "pvalue", all_tables, "dev.pvalue")

    skymaps = add_group(group, "skymaps", "lists of simulated sky maps")
    command = add_command(
        skymaps, "lists", "list the sky maps of a simulation by their detectors", "dev.list_maps"
    )
    command.add_argument("coincs", metavar="COINCS.DAT", type=Path, help="table of coincidences")
    command.add_argument("--out", type=Path, required=True, help="directory for the lists")
    command.add_argument(
        "--maps", type=Path, help="directory of the maps (default: that of COINCS.DAT)"
    )
    command = add_command(
        skymaps, "pack", "compress sky maps into one archive, DIR.tar.gz", "dev.pack_maps"
    )
    command.add_argument("directory", metavar="DIR", type=Path, help="directory of the maps")

    command = add_command(
        group,
        "upload",
        "put files into Spaces; print URL and cache entry of each",
        "uploads.upload",
    )
    command.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="file to put there")
    command = add_command(
        group,
        "uploads",
        "list what was uploaded to Spaces, or fetch it by its name",
        "uploads.list_or_fetch",
    )
    name = "file to fetch into this directory (default: list)"
    command.add_argument("names", metavar="NAME", nargs="*", help=name)


def _add_dv(dev: Subparsers) -> None:
    parser = add_command(dev, "dv", "droplets at work, all at once")
    which = "only droplets of the fleet whose names match (wildcards as the shell's)"
    parser.add_argument("-p", "--pattern", default="*", help=which)
    group = commands_of(parser)
    launch = add_command(
        group,
        "launch",
        "start the background study of a list of sky maps on the fleet",
        "dv_study.launch_list",
    )
    launch.add_argument("what", choices=["bg"], help="bg: background injections")
    launch.add_argument("skymaps", metavar="LIST.csv", type=Path, help="one sky map per line")
    batch = add_command(
        group,
        "batch",
        "start the study of superevents and lists made before (O3B)",
        "dv_study.launch_batch",
    )
    batch.add_argument("study", metavar="STUDY", nargs="?", help="which, if there are several")
    for command in (launch, batch):
        injections = "injections (default: background.injections)"
        command.add_argument("--n", type=_count, metavar="N", help=injections)
        add_switch(command, "wait for its end", "-F", "--foreground")
        add_switch(command, "end it", "-k", "--kill")
        command.add_argument("--profile", default="do-cluster", help=argparse.SUPPRESS)
    done = add_command(
        group, "done", "tell injections done, rate, time left and cost", "dv_study.done"
    )
    done.add_argument("what", choices=["bg"], help="bg: background and signal injections")
    command = add_command(
        group, "pull", "fetch results from Spaces into ./studies", "dv_study.pull_results"
    )
    command.add_argument("studies", metavar="STUDY", nargs="*", help="which (default: all)")
    keys = "learn the host keys of all droplets; asks for unknown ones"
    add_command(group, "init", keys, "dv.init")
    add_command(group, "ls-procs", "list LLAMA's processes on all droplets", "dv.ls_procs")
    add_command(group, "tail", "show the last lines of the newest log of each droplet", "dv.tail")
    add_command(group, "killall", "end LLAMA's processes on all droplets", "dv.killall")
    command = add_command(group, "eval", "run any command on all droplets", "dv.evaluate")
    command.add_argument("command", metavar="CMD", nargs="+", help="the command; quote it")


def _count(text: str) -> int:
    count = int(text.replace("_", ""))
    if not 1 <= count <= 10**10:
        raise ValueError
    return count


def _add_com(top: Subparsers) -> None:
    group = add_group(top, "com", "droplets and snapshots on DigitalOcean")
    parser = add_command(group, "do", "list, make and destroy droplets on DigitalOcean", "com.run")
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


def _add_fleet(top: Subparsers) -> None:
    group = add_group(top, "fleet", "the head of the droplets that studies run on")
    up = add_command(group, "up", "make this machine the fleet's head, or renew it", "fleet.up")
    address = "address at which droplets reach this machine (default: asked for)"
    up.add_argument("--address", help=address)
    add_switch(up, "install the Debian packages that are missing", "--install")
    wheel = "wheel that workers install, when fleet.image is Debian's and no snapshot"
    up.add_argument("--wheel", type=Path, metavar="FILE", help=wheel)
    lines = "lines for slurm.conf in place of ours"
    up.add_argument("--slurm-conf", type=Path, metavar="FILE", help=lines)
    add_command(group, "status", "tell workers, jobs, cost and budget", "fleet.status")
    down = add_command(
        group, "down", "end all jobs, destroy all workers, stop the head", "fleet.down"
    )
    add_switch(down, "do not ask", "--yes")
