"""history/ of an event: every manifest that it had, and the small files that each names.

    manifest-1.json, manifest-2.json, ...   as manifest.json was, when more than times had changed
    <sha256>.json                           inputs of the significance, and the significance itself

Nothing there is ever overwritten, and no rule has it as output: Snakemake deletes outputs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.names import BURSTS_NAME
from llama.files import read_json, sha256_bytes, sha256_file, write_bytes, write_json

# What the significance is made of and every revision rewrites; and the flags, for the record.
INPUTS = (
    *("skymap_info.json", "p_astro.json", "icecube_neutrino_list.json"),
    *("lvc_skymap_distances.json", BURSTS_NAME),
)
_KEPT = rf"significance(_subthresh)?_lvc-i3\.json|flags\.json|{'|'.join(map(re.escape, INPUTS))}"


def keep(event_dir: Path, manifest: Mapping[str, Any]) -> None:
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
        write_json(_directory(event_dir) / f"manifest-{max(found, default=0) + 1}.json", manifest)


def manifests(event_dir: Path) -> dict[int, Path]:
    """Return every manifest that the event had, by its number, the first first."""
    paths = _directory(event_dir).glob("manifest-*.json")
    matches = [re.fullmatch(r"manifest-([0-9]+)\.json", path.name) for path in paths]
    return {int(m[1]): _directory(event_dir) / m[0] for m in sorted(filter(None, matches), key=_n)}


def find_manifest(event_dir: Path, wanted: str) -> dict[str, Any]:
    """Return a manifest by its number in `history/`, or by its path; `LlamaError` if it is none."""
    found = manifests(event_dir)
    path = found.get(int(wanted)) if re.fullmatch("[0-9]{1,9}", wanted) else Path(wanted)
    if path is None or not path.is_file():
        has = f"1 to {max(found)}" if found else "none yet; snakemake makes the first"
        raise LlamaError(f"{event_dir.name} has no manifest {wanted}; it has {has}")
    return read_manifest(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the content of a manifest, its form checked."""
    content = read_json(path)
    good = isinstance(content, dict) and isinstance(content.get("products"), dict)
    if not good or not all(
        isinstance(entry, dict) and re.fullmatch("[0-9a-f]{64}", str(entry.get("sha256")))
        for entry in content["products"].values()
    ):
        raise LlamaError(f"{path} is no manifest; put it back from a backup")
    return content


def kept_files(event_dir: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """Return where the small files that a manifest names are kept, by their names."""
    return {
        name: _directory(event_dir) / f"{entry['sha256']}.json"
        for name, entry in manifest["products"].items()
        if re.fullmatch(_KEPT, name)
    }


def _directory(event_dir: Path) -> Path:
    return event_dir / "history"


def _n(match: re.Match[str]) -> int:
    return int(match[1])


def _lasting(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without the times at which things happened."""
    products = {
        name: {key: value for key, value in entry.items() if key != "mtime"}
        for name, entry in manifest["products"].items()
    }
    return {key: value for key, value in manifest.items() if key != "made_at"} | {
        "products": products
    }
