"""What p-values are taken from: p_astro.json and the background in populations.hdf5."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Required, TypedDict

from llama.errors import LlamaError
from llama.event.classes import near_classes
from llama.files import read_json, reading_hdf5
from llama.typed import as_written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llama.event.detectors import Site
    from llama.neutrinos.table import Columns
    from llama.stats.arrays import Floats

OF_MAP, OF_BURSTS = "map", "bursts"  # classes of an event's own background, bursts in the latter


class PAstro(TypedDict):
    """What the significance takes from p_astro.json."""

    p_astro: float
    population: str


def read_p_astro(path: str | Path) -> PAstro:
    """Return what p_astro.json says."""
    remedy = "make it again: remove it and run snakemake"
    return as_written(read_json(path), PAstro, str(path), remedy)


# Groups of populations.hdf5: odds, those of single neutrinos, and both with energies hidden.
GROUPS = ("", "single", "without_energy", "without_energy/single")

# Weights of weighted backgrounds, in the order of these, and the map of each injection.
WEIGHT_GROUPS = (
    *("weights", "weights/single", "weights/without_energy", "weights/without_energy/single"),
    *("maps", "maps/without_energy"),
)

# Background odds of a class at one p_astro, arrays ascending, or the reason without them; weighted
# ones have weights by their groups and, to give an event its own, seed, identity of the archive and
# its events; n_maps: of the class; rate_hz: of neutrinos, in that of a map; near: classes to offer.
Background = TypedDict(
    "Background",
    {
        "class": Required[str],
        "odds": "NDArray[np.float64]",
        "single": "NDArray[np.float64]",
        "odds_without_energy": "NDArray[np.float64]",
        "single_without_energy": "NDArray[np.float64]",
        "p_astro": float,
        "reason": str,
        "weights": "dict[str, NDArray[np.float64]]",
        "seed": int,
        "archive": str,
        "events": "Columns",
        "n_maps": int,
        "rate_hz": float,
        "near": list[str],
    },
    total=False,
)


_NUMBERS: dict[Literal["n_maps", "rate_hz"], type] = {"n_maps": int, "rate_hz": float}


class _Numbers(TypedDict):
    sha256: str
    sampling: NotRequired[str]


def hdf5_key(name: str) -> str:
    """Return where a class is in populations.hdf5: a network's is beside the one without."""
    return name.replace("-", "/", 2)


def class_versions(path: Path, suffix: str) -> dict[str, str]:
    """Return {class: sha256 of its numbers} of the classes whose name ends in `suffix`.

    Reads only the index beside populations.hdf5, so that a dry run stays fast.
    """
    return {name: entry["sha256"] for name, entry in _index(path, suffix).items()}


def _index(path: Path, suffix: str) -> dict[str, _Numbers]:
    index = path.with_suffix(".json")
    if not (path.exists() and index.exists()):
        return {}
    remedy = f"delete it and {path.name}, and run: snakemake {path.name}"
    classes = as_written(read_json(index), dict[str, _Numbers], str(index), remedy)
    return {name: entry for name, entry in sorted(classes.items()) if name.endswith(suffix)}


def numbers_sha256(background: Background) -> str | None:
    """Return the sha256 of a background's numbers, as the index has it; None if there are none."""
    if "odds" not in background:
        return None
    digest = hashlib.sha256(background["odds"].data)
    for name in ("single", "odds_without_energy", "single_without_energy"):
        digest.update(background[name].data)
    for values in background.get("weights", {}).values():
        digest.update(values.data)
    return digest.hexdigest()


def read_background(path: Path | None, name: str, near: Sequence[str] | None = None) -> Background:
    """Return the background of class `name`; `LlamaError` for a broken file.

    near: classes that the reason offers where it is missing, by default those of the file.
    """
    if path is not None and path.exists():
        problem = f"{path} is broken; delete it and run: snakemake populations.hdf5"
        if found := _read(path, name, problem):
            return found
        near = near_classes(name, class_versions(path, "")) if near is None else near
    offer = f" (nearest that exist: {', '.join(near)})" if near else ""
    return {
        "class": name,
        "reason": f"no background for {name}{offer}; name its sky maps under background.studies "
        "in the settings and run: snakemake populations.hdf5",
        "near": list(near or ()),
    }


def read_map_background(path: Path, which: str = OF_MAP) -> Background:
    """Return an event's own background, with bursts `OF_BURSTS`; `LlamaError` for a broken file."""
    found = _read(path, which, f"{path} is broken; delete it and run snakemake again")
    if found is None:
        raise LlamaError(f"{path} has no background; delete it and run snakemake again")
    return found


def _read(path: Path, name: str, problem: str) -> Background | None:
    import h5py

    with reading_hdf5(path, problem) as file:
        key = hdf5_key(name)
        if not isinstance(file.get(key), h5py.Dataset):
            return None
        places = {group: f"{group}/{key}".lstrip("/") for group in (*GROUPS, *WEIGHT_GROUPS)}
        there = {group: file[place][()] for group, place in places.items() if place in file}
        return as_background(name, there, dict(file[key].attrs))


def as_background(
    name: str, groups: "Mapping[str, Floats]", about: Mapping[str, object]
) -> Background:
    """Return the background of a class from its groups and attributes, as the file has them."""
    told: Mapping[str, Any] = about
    background: Background = {
        "class": name,
        "odds": groups[""],
        "single": groups["single"],
        "odds_without_energy": groups["without_energy"],
        "single_without_energy": groups["without_energy/single"],
        "p_astro": float(told["p_astro"]),
    }
    if "sampling" in told:
        weights = {group: groups[group] for group in WEIGHT_GROUPS if group in groups}
        background["weights"] = weights
        background["seed"] = int(told["seed"])
        background["archive"] = str(told["archive"])
    for attribute, kind in _NUMBERS.items():
        if attribute in told:
            background[attribute] = kind(told[attribute])
    return background


def ascending_groups(
    group: str,
    odds: "Floats",
    weights: "Floats",
    counts: "NDArray[np.int64]",
    single: "Floats",
    maps: "NDArray[np.int64] | None" = None,
) -> "dict[str, Floats]":
    """Return the numbers of weighted injections by the groups of the file that they are in.

    group: "" or "without_energy"; counts: neutrinos of each injection, single: their odds; maps:
    which of several it has.
    """
    import numpy as np

    along, one_by_one = (np.argsort(values, kind="stable") for values in (odds, single))
    found = {
        "": odds[along],
        "single": single[one_by_one],
        "weights": weights[along],
        "weights/single": np.repeat(weights, counts)[one_by_one],
    }
    if maps is not None:
        found["maps"] = maps[along].astype(float)
    if not group:
        return found
    places = {"": group, "single": f"{group}/single", "maps": f"maps/{group}"}
    places |= {"weights": f"weights/{group}", "weights/single": f"weights/{group}/single"}
    return {places[name]: values for name, values in found.items()}


def with_events(background: Background, drawn: "str | Site") -> Background:
    """Return a weighted background with the events that it was drawn from.

    drawn: the detectors, or the file of their one archive's events. With those of another archive
    or network it cannot be compared.
    """
    from llama.neutrinos.archive import Archive

    site = Archive.open(Path(drawn).parent) if isinstance(drawn, str) else drawn
    if site.identity != background["archive"]:
        name = background["class"]
        if name in (OF_MAP, OF_BURSTS) and "=" in site.identity:
            reason = "its background is of other neutrino detectors; run snakemake once more"
            return {"class": name, "reason": reason}
        reason = (
            f"the background of {name} is weighted, and of another neutrino archive than that of "
            "the event's time; run snakemake populations.hdf5 with that archive, or with "
            "background.sampling: plain"
        )
        return {"class": name, "reason": reason}
    return {**background, "events": site.events()}
