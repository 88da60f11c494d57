"""manifest.json: what an event consists of, byte for byte, and what made it; `history/` keeps each.

    history/manifest-1.json, -2, ...    as manifest.json was, when more than times had changed
    history/<sha256>.json               inputs of the significance, and the significance itself

Nothing there is ever overwritten, and no rule has it as output: Snakemake deletes outputs.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import msgspec

from llama.errors import LlamaError
from llama.event.names import BURSTS_NAME, HEARD_NAME, MAP_BACKGROUND
from llama.event.provenance import code_sha256, settings_hash, software
from llama.files import open_hdf5, read_json, sha256_bytes, sha256_file, write_bytes, write_json
from llama.times import gps_to_iso, now_gps
from llama.typed import as_written, convert

# What the significance is made of and every revision rewrites; and the flags, for the record.
INPUTS = (
    *("skymap_info.json", "p_astro.json", "icecube_neutrino_list.json"),
    *("lvc_skymap_distances.json", BURSTS_NAME, HEARD_NAME),
)
_KEPT = rf"significance(_subthresh)?_lvc-i3\.json|flags\.json|{'|'.join(map(re.escape, INPUTS))}"
_CODE: tuple[Literal["software", "code_sha256"], ...] = ("software", "code_sha256")


class Product(TypedDict):
    """A file of the event: its sha256, its size and when it was written [Unix s]."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    bytes: NotRequired[int]
    mtime: NotRequired[float]


class External(TypedDict, total=False):
    """What the significance was made from that is outside of the event's directory.

    responses: of a network, in the place of `response`, in the order of its detectors.
    """

    background: dict[Literal["class", "sha256"], str]
    near_classes: list[str]
    p_value_method: str | None
    response: dict[Literal["path", "sha256"], str]
    responses: list[dict[Literal["path", "sha256"], str]]


class _Background(TypedDict):
    background_sha256: str | None
    inputs: dict[str, str]
    software: NotRequired[str]
    code_sha256: NotRequired[str]


class _Significance(TypedDict):
    p_value_population: str
    p_value_class_near: list[str]
    p_value_method: str | None
    provenance: _Background


class _Outside(TypedDict):
    response: NotRequired[dict[Literal["path", "sha256"], str]]
    responses: NotRequired[list[dict[Literal["path", "sha256"], str]]]


class _Whole(TypedDict):
    """What is relied on in a manifest that is read."""

    products: dict[str, Product]
    made_at: NotRequired[str]
    software: NotRequired[str]
    settings: NotRequired[dict[str, object]]
    external: NotRequired[_Outside]


class Manifest(TypedDict, total=False):
    """The content of a manifest; early versions wrote only a part of it.

    `settings` are all settings, `command` rebuilds the event, `made_by` has the code that made map
    and significance, which may be older than that of the manifest (`code_sha256`).
    """

    products: Required[dict[str, Product]]
    made_at: str
    command: str
    code_sha256: str
    software: str
    made_by: dict[str, dict[Literal["software", "code_sha256"], str]]
    external: External
    settings: Mapping[str, Any]
    settings_sha256: str
    versions: dict[str, str]


def build_manifest(
    products: Mapping[str, Path],
    settings: Mapping[str, object],
    command: str,
    archive: str | Sequence[str],
) -> Manifest:
    """Return the content of manifest.json.

    products: name to path of every file of the event; alerts as received are products too.
    archive: path of the neutrino archive of its time, from the output directory, of a network all.
    """
    manifest = Manifest(
        code_sha256=code_sha256(),
        command=command,
        external={},
        made_at=gps_to_iso(now_gps(), digits=0),
        made_by={},
        products={
            name: {
                "sha256": sha256_file(path),
                "bytes": path.stat().st_size,
                "mtime": round(path.stat().st_mtime, 3),
            }
            for name, path in sorted(products.items())
        },
        settings=dict(settings),
        settings_sha256=settings_hash(settings),
        software=software(),
        versions=versions(),
    )
    name = next((name for name in products if name.startswith("significance")), None)
    if name is None:  # a retraction without a map
        return manifest
    path, remedy = products[name], "make it again: remove it and run snakemake"
    content = read_json(path)
    as_written(content, _Significance, str(path), remedy)
    made = content["provenance"]
    from llama.neutrinos.response import RESPONSE_FILES  # imports numpy

    # which tables of the archive it was is a setting
    def response_of(directory: str, before: str) -> dict[Literal["path", "sha256"], str]:
        name = next(name for name in RESPONSE_FILES if f"{before}{name}" in made["inputs"])
        return {"path": f"{directory}/{name}", "sha256": made["inputs"][f"{before}{name}"]}

    manifest["external"] = {
        "background": {"class": content["p_value_population"], "sha256": made["background_sha256"]},
        "near_classes": content["p_value_class_near"],
        "p_value_method": content.get("without_bursts", content)["p_value_method"],
    }
    if isinstance(archive, str):
        manifest["external"]["response"] = response_of(archive, "")
    else:
        found = [response_of(directory, f"{Path(directory).name}/") for directory in archive]
        manifest["external"]["responses"] = found
    with (
        open_hdf5(products["lvc_skymap.hdf5"]) as tiles,
        open_hdf5(products[MAP_BACKGROUND]) as own,
    ):
        manifest["made_by"] = {
            "lvc_skymap.hdf5": {key: tiles.attrs.get(key) for key in _CODE},
            MAP_BACKGROUND: {key: own["map"].attrs.get(key) for key in _CODE},
            name: {key: made.get(key) for key in _CODE},
        }
    return manifest


def versions() -> dict[str, str]:
    """Return the versions of the libraries that bits may depend on."""
    from importlib.metadata import version

    names = ("astropy", "h5py", "healpy", "matplotlib", "numba", "numpy", "scipy", "snakemake")
    return {name: version(name) for name in names}


def keep(event_dir: Path, manifest: Manifest) -> None:
    """Keep a manifest and the small files it names, where they are not kept already."""
    for name, path in kept_files(event_dir, manifest).items():
        sha256 = manifest["products"][name]["sha256"]
        if path.exists() and sha256_file(path) == sha256:
            continue
        content = (event_dir / name).read_bytes()
        if sha256_bytes(content) != sha256:
            raise LlamaError(f"{event_dir / name} has just changed; run the same command again")
        write_bytes(path, content)
    found = manifests(event_dir)
    if not found or _lasting(read_manifest(found[max(found)])) != _lasting(manifest):
        path = event_dir / "history" / f"manifest-{max(found, default=0) + 1}.json"
        write_json(path, manifest)


def manifests(event_dir: Path) -> dict[int, Path]:
    """Return every manifest that the event had, by its number, the first first."""
    paths = (event_dir / "history").glob("manifest-*.json")
    matches = ((re.fullmatch(r"manifest-([0-9]+)\.json", path.name), path) for path in paths)
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def find_manifest(event_dir: Path, wanted: str) -> Manifest:
    """Return a manifest by its number in `history/`, or by its path; `LlamaError` if it is none."""
    found = manifests(event_dir)
    path = found.get(int(wanted)) if re.fullmatch("[0-9]{1,9}", wanted) else Path(wanted)
    if path is None or not path.is_file():
        has = f"1 to {max(found)}" if found else "none yet; snakemake makes the first"
        raise LlamaError(f"{event_dir.name} has no manifest {wanted}; it has {has}")
    return read_manifest(path)


def read_manifest(path: Path) -> Manifest:
    """Return the content of a manifest, its products checked."""
    content: Manifest = read_json(path)
    try:
        convert(content, _Whole)
    except msgspec.ValidationError as error:
        raise LlamaError(f"{path} is no manifest; put it back from a backup") from error
    return content


def p_value_method(event_dir: Path) -> str | None:
    """Return what the event's p-value was last from ("class", "map"), None if it had none.

    With gamma-ray bursts it is that of the neutrinos alone: the other is always of the map.
    """
    found = sorted(event_dir.glob("significance*_lvc-i3.json"))
    if not found and (kept := manifests(event_dir)):
        files = kept_files(event_dir, read_manifest(kept[max(kept)]))
        found = [path for name, path in files.items() if name.startswith("significance")]
    content = read_json(found[0]) if found and found[0].exists() else None
    alone = content.get("without_bursts", content) if isinstance(content, dict) else {}
    method = alone.get("p_value_method") if isinstance(alone, dict) else None
    return str(method) if method else None


def kept_files(event_dir: Path, manifest: Manifest) -> dict[str, Path]:
    """Return where the small files that a manifest names are kept, by their names."""
    return {
        name: event_dir / "history" / f"{entry['sha256']}.json"
        for name, entry in manifest["products"].items()
        if re.fullmatch(_KEPT, name)
    }


def _lasting(manifest: Manifest) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Return a manifest without the times at which things happened, and its products so."""
    products = {
        name: {key: value for key, value in entry.items() if key != "mtime"}
        for name, entry in manifest["products"].items()
    }
    times = ("made_at", "products")
    return {key: value for key, value in manifest.items() if key not in times}, products
