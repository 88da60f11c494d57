"""The collated tables of the operators' guide, one text file per study."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from llama.errors import LlamaError
from llama.files import atomic_path, read_json, reading_hdf5, sha256_file, write_json
from llama.stats.arrays import Floats
from llama.study.plan import Plan
from llama.study.populations import BROKEN, ClassOdds, collate

HEADER = "EVENT-ODDS-RATIO N SOURCE-DIRECTORY SKYMAP-FILENAME"
RULE = "=" * 121
WEIGHT = " WEIGHT"  # at the end of the header of weighted injections, which have one more column
STUDY_PATTERN = r"[a-z][a-z0-9]*-[a-z][a-z0-9]*-(?:[A-Z][0-9])+(?:-[a-z0-9]+(?:_[a-z0-9]+)*)?"


def write_table(
    shards: Sequence[Path], path: str | Path, plan: Plan | None = None, partial: bool = False
) -> int:
    """Write the table of a study's background shards; return the number of rows.

    A row's source directory is the injection's event directory, as Snakemake takes it; weighted
    injections have their weight at its end. Rows and sha256 are written beside it, in a file of
    its name and .json.
    LlamaError when a shard is broken or they do not belong together; `plan` and `partial` are those
    of `collate`.
    """
    # what is left of another division into shards must not count twice
    weighted = bool(collate(shards, plan, partial).weights)
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as table:
        table.write(f"{HEADER}{WEIGHT * weighted}\n{RULE}\n")
        for shard in sorted(shards, key=lambda path: int(re.sub(r"\D", "", path.stem) or 0)):
            with reading_hdf5(shard, BROKEN.format(shard)) as file:
                rows = file["injections"][()]
                names = [name.decode() for name in file["skymaps"][()]]
            source = f"studies/{shard.parents[1].name}/{shard.stem}/injection"
            ends = [f" {w:.10e}" for w in rows["weight"].tolist()] if weighted else [""] * rows.size
            columns = (rows[c].tolist() for c in ("odds", "neutrinos", "skymap"))
            table.writelines(
                f"{odds:+.10e} {n} {source}-{i} {names[skymap]}{end}\n"
                for i, (odds, n, skymap, end) in enumerate(zip(*columns, ends, strict=True))
            )
            count += rows.size
    about = {"rows": count, "sha256": sha256_file(path)}
    write_json(_about(Path(path)), about | {"injections": plan.injections if plan else None})
    return count


def is_told_whole(path: Path) -> bool:
    """Return whether the file beside a table tells what it should hold, which is then checked.

    LlamaError when the table holds something else.
    """
    if not _about(path).exists():
        return False
    about = read_json(_about(path))
    if not isinstance(about, dict) or sha256_file(path) != about.get("sha256"):
        raise LlamaError(
            f"{path} is cut off or changed, it is not what {_about(path)} tells of; "
            "make it again with llama dev background table"
        )
    return True


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def study_shards(study_dir: Path) -> list[Path]:
    """Return the background shards in a study's directory; LlamaError if there are none."""
    shards = list((study_dir / "background").glob("shard-*.hdf5"))
    if not shards:
        raise LlamaError(
            f"{study_dir} has no background; bring it here with: llama dev dv pull, or make it "
            "with: snakemake populations.hdf5"
        )
    return shards


def read_table(path: Path) -> Floats:
    """Return the odds of a table, in its order; any amount of white space separates columns.

    LlamaError that names the first line that is no row, and for one of another study than its name.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            header = next(lines, "").split()
            if header[:4] != HEADER.split() or set(next(lines, "").strip()) != {"="}:
                raise LlamaError(
                    f"{path} does not begin with {HEADER} and a rule of =; "
                    "make it again with llama dev background table"
                )
            return np.fromiter(_odds(lines, path), dtype=np.float64)
    except (OSError, UnicodeDecodeError) as error:
        raise LlamaError(f"{path} cannot be read ({error}); make it again") from error


def tables_of(directory: Path) -> dict[str, Path]:
    """Return {population-run-detectors: path} of the tables in a directory; LlamaError if none."""
    found = {
        path.stem: path
        for path in sorted(directory.glob("*.txt"))
        if re.fullmatch(STUDY_PATTERN, path.stem)
    }
    if not found:
        raise LlamaError(
            f"{directory.resolve()} has no tables named like bns-o3-H1L1V1.txt; "
            "make them with: llama dev background table bns-o3-H1L1V1.txt"
        )
    return found


def table_class(path: Path, study_dir: Path, p_astro: float) -> ClassOdds:
    """Return the class of a table for `write_populations`.

    A table has event odds only. Where the shards that it was made from are in `study_dir`, their
    exact odds and the odds of single neutrinos are taken, after a check that both agree.
    """
    odds = np.sort(read_table(path))
    if odds.size == 0:
        raise LlamaError(f"{path} has no rows; make more injections")
    with path.open(encoding="utf-8") as lines:
        weighted = next(lines).rstrip().endswith(WEIGHT)
    if (study_dir / "background").is_dir():
        # the table, which is compared, was allowed to be one of a part
        content = collate(study_shards(study_dir), partial=True)
        if not _agree(odds, content, study_dir):
            raise LlamaError(
                f"{path} is not the table of the shards in {study_dir}; "
                "make it again with llama dev background table"
            )
        return content
    if weighted:
        raise LlamaError(
            f"{path} has weights, of which p-values need the shards, too; bring them to "
            f"{study_dir} with: llama dev dv pull"
        )
    return ClassOdds(odds, np.empty(0), p_astro, -1, f"table {sha256_file(path)}")


def _agree(odds: Floats, exact: ClassOdds, directory: Path) -> bool:
    """Return whether ascending odds are those of a class, to the digits of a table."""
    if odds.size != exact.odds.size:
        return False
    first = 0
    for piece in exact.pieces(exact.odds, directory):
        if not np.allclose(odds[first : first + piece.size], piece, rtol=1e-9, atol=0):
            return False
        first += piece.size
    return True


def _odds(lines: Iterator[str], path: Path) -> Iterator[float]:
    for number, line in enumerate(lines, 3):
        columns = line.split(maxsplit=3)
        if not columns:
            continue
        try:
            odds = float(columns[0])
            if (
                not line.endswith("\n")
                or len(columns) != 4
                or not columns[1].isdigit()
                or not 0 <= odds < math.inf
            ):
                raise ValueError
        except ValueError:
            raise LlamaError(
                f"{path} has no odds, number, directory and map in line {number}; make it again"
            ) from None
        study = re.match("studies/([^/]+)/", columns[2])
        if study and study[1] != path.stem and re.fullmatch(STUDY_PATTERN, path.stem):
            raise LlamaError(f"{path} has the injections of {study[1]}; call it {study[1]}.txt")
        yield odds
