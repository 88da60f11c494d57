"""Reading populations.hdf5, the background that p-values are taken from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import read_json


def population_version(path: Path, name: str) -> str | None:
    """Return what changes when the background of class `name` does, or None if it has none.

    Reads only the index beside populations.hdf5, so that a dry run stays fast.
    """
    index = path.with_suffix(".json")
    if not (path.exists() and index.exists()):
        return None
    entry = read_json(index).get(name)
    return None if entry is None else str(entry["sha256"])


def read_background(path: Path | None, name: str) -> dict[str, Any]:
    """Return {"class", "odds", "single", "p_astro"} of class `name`, or {"class", "reason"}."""
    missing = {
        "class": name,
        "reason": f"no background for {name}; name its sky maps under background.studies in config.yaml "
        "and run: snakemake populations.hdf5",
    }
    if path is None or not path.exists():
        return missing
    import h5py

    try:
        with h5py.File(path, "r") as file:
            key = name.replace("-", "/")
            if key not in file:
                return missing
            return {
                "class": name,
                "odds": file[key][()],
                "single": file[f"single/{key}"][()],
                "p_astro": float(file[key].attrs["p_astro"]),
            }
    except (OSError, KeyError) as error:
        raise LlamaError(
            f"{path} is broken; delete it and run: snakemake populations.hdf5"
        ) from error


def tracked(entries: Mapping[str, float], newest: int) -> list[str]:
    """Return the names of the `newest` event directories, newest first; entries: name to mtime."""
    return sorted(entries, key=lambda name: (-entries[name], name))[:newest]
