"""The bank of a study: every sky map of its list once, as tiles with their weights.

It is made in parts, files of some maps each, that a small file links together. Only the map in
use is in memory, however long the list is.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from llama.errors import LlamaError, for_users
from llama.event.prepared import prepare_skymap
from llama.files import atomic_hdf5, open_hdf5
from llama.neutrinos.network import Network, area_of, response_at
from llama.sky import SkyTiles, read_skymap
from llama.sky.tiles import COLUMNS, Columns
from llama.stats.division import CHANGE, CHANGE_ORDER, FINEST_DIVIDED
from llama.stats.overlap import PreparedMap, prepare_map
from llama.stats.parameters import WeightModel, WeightParameters
from llama.study.pairs import Lists, write_broken
from llama.study.skymaps import content_of, some, trigger_gps

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

_PREPARED = ("prepared_order", "prepared_ipix", "weights")  # tiles divided as `prepare_skymap` does


def build_bank(
    maps: Sequence[Path],
    path: str | Path,
    response: "AnyResponse | None" = None,
    params: WeightModel | None = None,
    run: str | None = None,
) -> list[str]:
    """Write the tiles of maps to one HDF5 file; return what is wrong with each broken one.

    With a response and the model, the weights w_{n,k} too; run: of the triggers, at whose times
    detectors see the sky that turns, None for the response as it is. A broken map is marked and
    the rest goes on; `link_banks` decides what becomes of it.
    """
    broken, digest = {}, hashlib.sha256()
    turns = isinstance(response, Network) and bool(response.locals)
    with atomic_hdf5(path) as file:
        for index, name in enumerate(maps):
            try:
                tiles = read_skymap(content_of(name), str(name))
                gps = trigger_gps(run, tiles) if run and turns else None
                columns = _columns(tiles, response_at(response, gps), params)
            except LlamaError as error:
                broken[index] = str(error)
                continue
            group = file.create_group(f"maps/{index}")
            if gps is not None:
                group.attrs["gps"] = gps
                digest.update(f"{index} {gps}".encode())
            for column, values in columns.items():
                group.create_dataset(column, data=values, track_times=False)
                digest.update(f"{index} {column}".encode() + np.ascontiguousarray(values).data)
        write_broken(file, [str(name) for name in maps], [*broken], [*broken.values()])
        file.attrs["sha256"] = digest.hexdigest()
        file.attrs["weights"] = _identity(response, params)
    return list(broken.values())


def link_banks(
    parts: Sequence[Path], path: str | Path, broken_maps: str = "fail", lists: Lists | None = None
) -> list[str]:
    """Write the bank that consists of all maps of `parts`, in order, by links to them.

    Maps without distance, as bursts have them, are marked: their weights assume one.

    broken_maps: "fail" raises LlamaError that names them, "skip" leaves them out of every
    draw. Returns what is wrong with each broken map. Links are relative to the bank. With the
    neutrino lists of a study, these too are judged, and their file names are kept with the bank.
    """
    names: list[str] = []
    broken: list[int] = []
    problems: list[str] = []
    without_distance: list[int] = []
    with atomic_hdf5(path) as file:
        digests, made = [], set()
        for part in parts:
            with Bank(part) as bank:
                for index in sorted(set(range(len(bank.names))) - bank.broken):
                    file[f"maps/{len(names) + index}"] = h5py.ExternalLink(
                        os.path.relpath(part, Path(path).parent), f"/maps/{index}"
                    )
                broken += [len(names) + index for index in sorted(bank.broken)]
                without_distance += [len(names) + index for index in bank.without_distance]
                names += bank.names
                problems += bank.problems
                digests.append(bank.sha256)
                made.add(bank.weights)
        if len(made) > 1:
            raise LlamaError(
                f"the parts of {path} were made with different settings; "
                "delete them and run snakemake again"
            )
        files = [names[index] for index in broken]
        check_broken(len(broken), len(names), "sky maps", problems, broken_maps)
        file.attrs["injections"] = -1  # as many as one likes
        if lists is not None:
            check_broken(
                len(lists.broken), len(lists.names), "neutrino lists", lists.problems, broken_maps
            )
            files += [lists.names[index] for index in lists.broken]
            usable = len(lists.names) - len(lists.broken)
            file.attrs["injections"] = (len(names) - len(broken)) * usable
            problems += lists.problems
        file["broken_files"] = files or np.empty(0, dtype="S1")
        write_broken(file, names, broken, problems)
        file["without_distance"] = np.array(without_distance, dtype=np.int64)
        file.attrs["sha256"] = hashlib.sha256(" ".join(digests).encode()).hexdigest()
        file.attrs["weights"] = made.pop() if made else ""
        file.attrs["maps"], file.attrs["broken_maps"] = len(names), len(broken)
    return problems


def check_broken(
    broken: int, of: int, what: str, problems: Sequence[str], broken_maps: str
) -> None:
    """Raise LlamaError that names what is broken, unless it may be and there is more of it."""
    if broken and (broken == of or broken_maps == "fail"):
        raise LlamaError(
            f"{broken} of {of} {what} are broken: {some(problems, 5)}; replace "
            "them, or leave them out with background.broken_maps: skip in the settings"
        )


class Bank:
    """A bank, or a part of one, opened for reading; maps are read one at a time.

    names: paths of all maps; broken: indices of those that cannot be used; problems: what is
    wrong with these.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = open_hdf5(path)
            self.names = [name.decode() for name in self._file["names"][()]]
            self.broken = frozenset(self._file["broken"][()].tolist())
            self.problems = [text.decode() for text in self._file["problems"][()]]
            self.sha256 = str(self._file.attrs["sha256"])
            self.weights = str(self._file.attrs["weights"])
        except (OSError, KeyError) as error:
            raise LlamaError(
                f"{path} is missing or no bank of sky maps; delete it and run snakemake again"
            ) from error

    def __enter__(self) -> "Bank":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def without_distance(self) -> list[int]:
        """Indices of the maps that tell no distance; the model assumes one for them."""
        if "without_distance" in self._file:
            return [int(index) for index in self._file["without_distance"][()]]
        usable = sorted(set(range(len(self.names))) - self.broken)
        return [index for index in usable if not self.tiles(index).has_distance]

    def tiles(self, index: int) -> SkyTiles:
        """Return map `index` of the list."""
        return SkyTiles.of(self._columns(index, COLUMNS))

    def gps(self, index: int) -> float | None:
        """Return the time of the trigger that map `index` is of, None where it does not matter."""
        gps = self._file[f"maps/{index}"].attrs.get("gps")
        return None if gps is None else float(gps)

    def prepared(self, index: int, response: "AnyResponse", params: WeightModel) -> PreparedMap:
        """Return map `index` ready for the statistic, as `prepare_skymap` does, bit for bit.

        response: as it is at the trigger's time. The weights are those of the bank when it was made
        with this response and this model.
        """
        if self.weights != _identity(response, params):
            return prepare_skymap(self.tiles(index), area_of(response), params)
        columns = self._columns(index, _PREPARED)
        with for_users(f"delete {self._file.filename} and run snakemake again"):
            return prepare_map(*(columns[name] for name in _PREPARED))

    def _columns(self, index: int, names: Sequence[str]) -> Columns:
        try:
            group = self._file[f"maps/{index}"]
            columns = {name: np.asarray(group[name]) for name in names if name in group}
            if not set(names[:3]) <= columns.keys():
                raise KeyError(names[2])
        except (OSError, KeyError) as error:
            raise LlamaError(
                f"{self._file.filename} lacks map {index}; delete it and run snakemake again"
            ) from error
        return columns


def _columns(
    tiles: SkyTiles, response: "AnyResponse | None", params: WeightModel | None
) -> Columns:
    if response is None or params is None:
        return tiles.columns
    prepared = prepare_skymap(tiles, area_of(response), params)
    weights = prepared.order, prepared.ipix, prepared.weights
    return tiles.columns | dict(zip(_PREPARED, weights, strict=True))


def _identity(response: "AnyResponse | None", params: WeightModel | None) -> str:
    """Return what changes when any weight does; empty without weights."""
    if response is None or params is None:
        return ""
    model = " ".join(repr(getattr(params, name)) for name in WeightParameters._fields)
    model += f" {CHANGE} {CHANGE_ORDER} {FINEST_DIVIDED}"
    digest = hashlib.sha256(model.encode() + np.ascontiguousarray(response.area_relative).data)
    for name, local in response.locals.items() if isinstance(response, Network) else ():
        digest.update(f"{name} {local.site}".encode())
        digest.update(np.ascontiguousarray(local.response.area_relative).data)
    return digest.hexdigest()
