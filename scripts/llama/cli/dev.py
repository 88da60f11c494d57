"""`llama dev`: background studies, their tables, lists of sky maps; droplets at work are in dv."""

import argparse
import os
import sys
from pathlib import Path

from llama.cli.common import ask, plural, say
from llama.errors import LlamaError
from llama.settings import load
from llama.study.plan import PartialError, read_plan
from llama.study.populations import write_populations
from llama.study.skymaps import count_without_distance, pack, read_coincs, write_lists
from llama.study.tables import is_told_whole, study_shards, table_class, tables_of, write_table


def table(options: argparse.Namespace) -> int:
    """Run `llama dev background table`."""
    studies = _studies()
    directory = studies / (options.study or _study_for(options.file, studies))
    shards, plan = study_shards(directory), read_plan(directory)
    try:
        count = write_table(shards, options.file, plan)
    except PartialError as error:
        say(f"{directory}: {error}")
        if ask("Collate what is here? [y/N]") != "y":
            say("nothing was written")
            return 1
        count = write_table(shards, options.file, plan, partial=True)
    if plan is None:
        say(f"{directory} has no plan.json: nothing tells how many shards there should be")
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
    say(f"the study is {there[0]}, the only one in {studies}")
    return there[0]


def pvalue(options: argparse.Namespace) -> None:
    """Run `llama dev background pvalue`."""

    p_astro, studies = load().background.p_astro, _studies()
    classes = {}
    for name, path in tables_of(Path()).items():
        told = is_told_whole(path)
        classes[name] = table_class(path, studies / name, p_astro)
        if not told and not classes[name].single.size:
            say(f"{name}: nothing beside {path} tells whether it is whole")
    write_populations("populations.hdf5", classes)
    for name, content in classes.items():
        print(f"{name}: {content.odds.size:,} injections")
        if not content.single.size:
            say(f"{name}: no p-values of single neutrinos, a table does not hold them")


def list_maps(options: argparse.Namespace) -> None:
    """Run `llama dev skymaps lists`."""

    maps = options.maps or options.coincs.parent
    for detectors, count in write_lists(read_coincs(options.coincs), maps, options.out).items():
        without = count_without_distance(options.out / f"{detectors}.csv")
        note = f", {without:,} of them without distance" if without else ""
        print(f"{options.out / detectors}.csv: {plural(count, 'sky map')}{note}")


def pack_maps(options: argparse.Namespace) -> None:
    """Run `llama dev skymaps pack`."""

    directory = Path(os.path.realpath(options.directory))
    if not directory.name:
        raise LlamaError(f"{directory} names no archive; give the directory of the sky maps")
    archive = directory.with_name(f"{directory.name}.tar.gz")
    count = 0
    for count, path in enumerate(pack(directory, archive), 1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count:,} {path.name}\x1b[K")
    if sys.stderr.isatty():
        say("")
    print(f"{archive}: {plural(count, 'sky map')}")


def _studies() -> Path:
    """Return the studies of this directory, as `pull` leaves them, else the output directory's."""
    for directory in (Path("studies"), Path()):
        if any(directory.glob("*/background/shard-*.hdf5")):
            return directory
    return load().output_dir / "studies"
