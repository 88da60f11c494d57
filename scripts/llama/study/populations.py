"""populations.hdf5: the background odds of every class, ascending, ready for p-values."""

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import atomic_hdf5, open_hdf5, write_json
from llama.study.ascending import Column, ascending
from llama.study.plan import Plan, check_whole

_ROOM = 2**14  # bytes that a class takes in the file besides its numbers


def collate(
    shards: Sequence[str | os.PathLike[str]], plan: Plan | None = None, partial: bool = False
) -> dict[str, Any]:
    """Return {"odds", "single"} as columns, and p_astro, seed and settings hash, of one study.

    Only what the shards say about themselves is read here. LlamaError when they were made with
    different settings, seeds or p_astro, or overlap; `PartialError`, unless `partial` is wanted,
    when some are missing, at the end as far as `plan` tells it.
    """
    single, made, numbers = 0, set(), []
    for path in shards:
        try:
            with open_hdf5(path) as file:
                attributes = dict(file.attrs)
                size = int(file["injections"].size)
                single += int(file["single"].size)
            made.add(
                (
                    str(attributes["kind"]),
                    float(attributes["p_astro"]),
                    int(attributes["seed"]),
                    str(attributes["settings_sha256"]),
                )
            )
            first = int(attributes["first"])
            numbers.append((first, first + size))
        except (OSError, KeyError, ValueError) as error:
            raise LlamaError(f"{path} is broken; delete it and run snakemake again") from error
    numbers.sort()
    overlap = any(stop > begin for (_, stop), (begin, _) in itertools.pairwise(numbers))
    if len(made) != 1 or overlap:
        raise LlamaError(
            "the shards were made with different settings or twice; "
            "delete them and run snakemake again"
        )
    _, p_astro, seed, settings = made.pop()
    if not partial:
        check_whole(numbers, seed >= 0, plan)
    return {
        "odds": Column(shards, "injections/odds", sum(stop - begin for begin, stop in numbers)),
        "single": Column(shards, "single", single),
        "p_astro": p_astro,
        "seed": seed,
        "settings_sha256": settings,
    }


def write_populations(
    path: str | os.PathLike[str], classes: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write all classes: `<population>/<run>/<detectors>` and `single/<population>/...`.

    Both are ascending float64 arrays with attributes n, seed, p_astro, settings_sha256. An index
    `populations.json` beside it tells, for each class, n and the sha256 of its numbers. Columns
    (see `collate`) are put in order here, arrays are ascending already.
    """
    index = {}
    columns = ("odds", "single")
    numbers = sum(int(content[name].size) for content in classes.values() for name in columns)
    with atomic_hdf5(path, 8 * numbers + _ROOM * (1 + len(classes))) as file:
        for name, content in sorted(classes.items()):
            key, digest = name.replace("-", "/"), hashlib.sha256()
            for column, place in zip(columns, (key, f"single/{key}"), strict=True):
                values = content[column]
                dataset = file.create_dataset(place, values.shape, "<f8", track_times=False)
                pieces = (
                    ascending(values, Path(path).parent) if isinstance(values, Column) else [values]
                )
                first = 0
                for piece in pieces:
                    dataset[first : first + piece.size] = piece
                    digest.update(piece.data)
                    first += piece.size
            attributes = {name: content[name] for name in ("p_astro", "seed", "settings_sha256")}
            file[key].attrs.update(attributes | {"n": content["odds"].size})
            index[name] = {"n": int(content["odds"].size), "sha256": digest.hexdigest()}
            index[name] |= attributes
    write_json(Path(path).with_suffix(".json"), index)
