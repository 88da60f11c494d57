"""populations.hdf5: the background odds of every class, ascending, ready for p-values."""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from llama.errors import LlamaError
from llama.files import atomic_hdf5, sha256_bytes, write_json


def collate(shards: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """Return {"odds", "single"} ascending, and p_astro, seed and settings hash, of one study.

    LlamaError when shards were made with different settings, seeds or p_astro, or overlap.
    """
    odds, single, made, numbers = [], [], set(), []
    for path in shards:
        try:
            with h5py.File(path, "r") as file:
                attributes = dict(file.attrs)
                odds.append(file["injections"]["odds"])
                single.append(file["single"][()])
            made.add(
                (
                    str(attributes["kind"]),
                    float(attributes["p_astro"]),
                    int(attributes["seed"]),
                    str(attributes["settings_sha256"]),
                )
            )
            first = int(attributes["first"])
            numbers.append((first, first + odds[-1].size))
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
    return {
        "odds": np.sort(np.concatenate(odds)),
        "single": np.sort(np.concatenate(single)),
        "p_astro": p_astro,
        "seed": seed,
        "settings_sha256": settings,
    }


def write_populations(
    path: str | os.PathLike[str], classes: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write all classes: `<population>/<run>/<detectors>` and `single/<population>/...`.

    Both are ascending float64 arrays with attributes n, seed, p_astro, settings_sha256. An index
    `populations.json` beside it tells, for each class, n and the sha256 of its numbers.
    """
    index = {}
    with atomic_hdf5(path) as file:
        for name, content in sorted(classes.items()):
            key = name.replace("-", "/")
            file.create_dataset(key, data=content["odds"], track_times=False)
            file.create_dataset(f"single/{key}", data=content["single"], track_times=False)
            digest = sha256_bytes(content["odds"].tobytes() + content["single"].tobytes())
            attributes = {name: content[name] for name in ("p_astro", "seed", "settings_sha256")}
            file[key].attrs.update(attributes | {"n": content["odds"].size})
            index[name] = {"n": int(content["odds"].size), "sha256": digest} | attributes
    write_json(Path(path).with_suffix(".json"), index)
