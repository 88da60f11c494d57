"""The bank of a study: every sky map of its list once, as tiles, in one file."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from llama.errors import LlamaError
from llama.files import atomic_path
from llama.sky import SkyTiles, read_skymap

_COLUMNS = ("order", "ipix", "prob", "distmu", "distsigma", "distnorm")
_SUFFIXES = (".fits", ".fits.gz")


def list_skymaps(source: Path) -> list[Path]:
    """Return the sky maps of a list file (one path per line) or of a directory, in order.

    Relative paths in a list start at the list's directory. LlamaError that names what is missing.
    """
    if source.is_dir():
        maps = sorted(path for path in source.iterdir() if path.name.endswith(_SUFFIXES))
    elif source.is_file():
        try:
            lines = [line.strip() for line in source.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise LlamaError(
                f"{source} cannot be read as a list of sky maps; put one path per line"
            ) from error
        maps = [source.parent / line for line in lines if line and not line.startswith("#")]
    else:
        raise LlamaError(
            f"{source} is neither a list of sky maps nor a directory; correct background.studies"
        )
    # os.path: a name that is too long is not there either
    missing = [path for path in maps if not os.path.isfile(path)]
    if missing:
        shown = ", ".join(str(path)[:200] for path in missing[:5])
        shown += ", ..." if len(missing) > 5 else ""
        raise LlamaError(
            f"{len(missing)} of {len(maps)} sky maps of {source} do not exist: {shown}; "
            "correct the list"
        )
    if not maps:
        raise LlamaError(f"{source} lists no sky maps; put one path per line")
    return maps


def build_bank(maps: list[Path], path: str | os.PathLike[str]) -> None:
    """Write the tiles of all maps to one HDF5 file; LlamaError that names the first broken map."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["names"] = [str(name) for name in maps]
        for index, name in enumerate(maps):
            tiles = read_skymap(name.read_bytes(), str(name))
            group = file.create_group(f"maps/{index}")
            for column in _COLUMNS:
                values = getattr(tiles, column)
                if values is not None:
                    group.create_dataset(column, data=values, track_times=False)


class Bank:
    """A bank opened for reading; maps are read one at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._file = h5py.File(path, "r")
            self.names = [name.decode() for name in self._file["names"][()]]
        except (OSError, KeyError) as error:
            raise LlamaError(
                f"{path} is missing or no bank of sky maps; delete it and run snakemake again"
            ) from error

    def __enter__(self) -> "Bank":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tiles(self, index: int) -> SkyTiles:
        """Return map `index` of the list."""
        try:
            group = self._file[f"maps/{index}"]
            columns: dict[str, Any] = {
                name: np.asarray(group[name]) for name in _COLUMNS if name in group
            }
            return SkyTiles(**columns)
        except (OSError, KeyError, TypeError) as error:
            raise LlamaError(
                f"{self._file.filename} lacks map {index}; delete it and run snakemake again"
            ) from error
