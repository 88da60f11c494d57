"""`llama dev`: background studies, their tables, lists of sky maps; droplets at work are in dv."""

import argparse
import sys
from pathlib import Path

from llama.cli import dv, uploads
from llama.cli.parsers import Subparsers, add_command, add_group
from llama.errors import LlamaError


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama dev` with its commands."""
    group = add_group(
        subparsers, "dev", "background studies, their droplets, tables and sky-map lists"
    )
    dv.add_parser(group)

    background = add_group(group, "background", "tables of background odds and their p-values")
    table = add_command(background, "table", "collate the injections of a study in a table", _table)
    table.add_argument(
        "file", metavar="FILE.txt", type=Path, help="table to write, such as bns-o3-H1L1V1.txt"
    )
    table.add_argument(
        "study",
        metavar="STUDY",
        nargs="?",
        help="study to collate (default: the name of FILE.txt, else the only one)",
    )
    add_command(
        background,
        "pvalue",
        "make populations.hdf5 from all tables in the current directory",
        _pvalue,
    )

    skymaps = add_group(group, "skymaps", "lists of simulated sky maps")
    lists = add_command(
        skymaps, "lists", "list the sky maps of a simulation by their detectors", _lists
    )
    lists.add_argument("coincs", metavar="COINCS.DAT", type=Path, help="table of coincidences")
    lists.add_argument("--out", type=Path, required=True, help="directory for the lists")
    lists.add_argument(
        "--maps", type=Path, help="directory of the maps (default: that of COINCS.DAT)"
    )
    pack = add_command(skymaps, "pack", "compress sky maps into one archive, DIR.tar.gz", _pack)
    pack.add_argument("directory", metavar="DIR", type=Path, help="directory of the maps")

    uploads.add_commands(group)


def _table(options: argparse.Namespace) -> int:
    from llama.cli.common import ask
    from llama.study.plan import PartialError, read_plan
    from llama.study.tables import study_shards, write_table

    studies = _studies()
    directory = studies / (options.study or _study_for(options.file, studies))
    shards, plan = study_shards(directory), read_plan(directory)
    try:
        count = write_table(shards, options.file, plan)
    except PartialError as error:
        sys.stderr.write(f"{directory}: {error}\n")
        if ask("Collate what is here? [y/N]") != "y":
            sys.stderr.write("nothing was written\n")
            return 1
        count = write_table(shards, options.file, plan, partial=True)
    if plan is None:
        sys.stderr.write(
            f"{directory} has no plan.json: nothing tells how many shards there should be\n"
        )
    of = f" of {plan.injections:,}" if plan and count < plan.injections else ""
    print(f"{options.file}: {count:,}{of} injections")
    return 0


def _study_for(table: Path, studies: Path) -> str:
    """Return the study of the table's name, else the only one that there is."""
    there = sorted({path.parents[1].name for path in studies.glob("*/background/shard-*.hdf5")})
    if table.stem in there or not there:
        return table.stem
    if len(there) > 1:
        raise LlamaError(
            f"{studies} has no {table.stem}; name the study after {table}: {', '.join(there)}"
        )
    sys.stderr.write(f"the study is {there[0]}, the only one in {studies}\n")
    return there[0]


def _pvalue(options: argparse.Namespace) -> None:
    from llama.settings import load
    from llama.study.populations import write_populations
    from llama.study.tables import is_told_whole, table_class, tables_of

    p_astro, studies = load().background.p_astro, _studies()
    classes = {}
    for name, path in tables_of(Path()).items():
        told = is_told_whole(path)
        classes[name] = table_class(path, studies / name, p_astro)
        if not told and not classes[name].single.size:
            sys.stderr.write(f"{name}: nothing beside {path} tells whether it is whole\n")
    write_populations("populations.hdf5", classes)
    for name, content in classes.items():
        print(f"{name}: {content.odds.size:,} injections")
        if not content.single.size:
            sys.stderr.write(
                f"{name}: no p-values of single neutrinos, a table does not hold them\n"
            )


def _lists(options: argparse.Namespace) -> None:
    from llama.cli.common import plural
    from llama.study.skymaps import count_without_distance, read_coincs, write_lists

    maps = options.maps or options.coincs.parent
    for detectors, count in write_lists(read_coincs(options.coincs), maps, options.out).items():
        without = count_without_distance(options.out / f"{detectors}.csv")
        note = f", {without:,} of them without distance" if without else ""
        print(f"{options.out / detectors}.csv: {plural(count, 'sky map')}{note}")


def _pack(options: argparse.Namespace) -> None:
    from llama.cli.common import plural
    from llama.study.skymaps import pack

    directory = options.directory.resolve()
    archive = directory.with_name(f"{directory.name}.tar.gz")
    count = 0
    for count, path in enumerate(pack(directory, archive), 1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count:,} {path.name}\x1b[K")
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    print(f"{archive}: {plural(count, 'sky map')}")


def _studies() -> Path:
    """Return the studies of this directory, as `pull` leaves them, else the output directory's."""
    from llama.settings import load

    for directory in (Path("studies"), Path()):
        if any(directory.glob("*/background/shard-*.hdf5")):
            return directory
    return load().output_dir / "studies"
