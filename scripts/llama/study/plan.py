"""What a study is to consist of, and what of it is not there: a part never passes for the whole."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError
from llama.files import read_json, write_json

PLAN = "plan.json"
_SHOWN = 5


class Plan(NamedTuple):
    """How many injections of one kind a study is to have, and how many a shard has."""

    injections: int
    shard_size: int

    def shards(self) -> list[str]:
        """Return the names of all shards."""
        count = -(-self.injections // self.shard_size)
        return [f"shard-{number:04d}.hdf5" for number in range(count)]


class PartialError(LlamaError):
    """Shards are missing."""


def plan_path(study_dir: Path, kind: str = "background") -> Path:
    """Return where the plan of a study's injections of one kind is, beside its shards."""
    return study_dir / kind / PLAN


def write_plan(study_dir: Path, kind: str, plan: Plan) -> None:
    """Write the plan, before the first shard is made."""
    write_json(plan_path(study_dir, kind), plan._asdict())


def read_plan(study_dir: Path, kind: str = "background") -> Plan | None:
    """Return the plan, None where there is none, as of a study that was made before there were."""
    path = plan_path(study_dir, kind)
    if not path.exists():
        return None
    content = read_json(path)
    try:
        plan = Plan(**content)
        good = all(type(value) is int and value > 0 for value in plan)
    except TypeError:
        good = False
    if not good:
        raise LlamaError(f"{path} is no plan of a study; delete it and run llama dev dv pull again")
    return plan


def missing_shards(study_dir: Path, kind: str = "background") -> list[str]:
    """Return the names of the shards that the plan tells of and that are not there."""
    plan = read_plan(study_dir, kind)
    there = {path.name for path in (study_dir / kind).glob("shard-*.hdf5")}
    return [name for name in (plan.shards() if plan else []) if name not in there]


def check_whole(numbers: Sequence[tuple[int, int]], drawn: bool, plan: Plan | None) -> None:
    """Raise `PartialError` when injections are missing.

    numbers: first and last-but-one number of each shard, ascending; drawn: neutrinos were drawn,
    so that there are as many as planned. Of pairs there are fewer where a sky map is broken, in
    the last shards.
    """
    filled = [(0, 0), *(pair for pair in numbers if pair[1] > pair[0])]
    gaps = [(stop, first) for (_, stop), (first, _) in itertools.pairwise(filled) if first > stop]
    there = sum(stop - first for first, stop in filled)
    planned = plan.injections if plan else filled[-1][1]
    if plan and drawn and filled[-1][1] < planned:
        gaps.append((filled[-1][1], planned))
    if plan and not drawn and not gaps and len(numbers) < len(plan.shards()):
        gaps.append((numbers[-1][0] + plan.shard_size, planned))
    if gaps:
        shown = ", ".join(f"{first:,} to {stop - 1:,}" for first, stop in gaps[:_SHOWN])
        raise PartialError(
            f"{there:,} of {planned:,} injections are there, without {shown}"
            f"{', ...' * (len(gaps) > _SHOWN)}; fetch them with llama dev dv pull, or make them "
            "with snakemake"
        )
