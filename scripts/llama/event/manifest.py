"""manifest.json: what an event consists of, byte for byte, and what made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.event.provenance import code_sha256, settings_hash, software
from llama.files import open_hdf5, read_json, sha256_file
from llama.times import gps_to_iso, now_gps


def build_manifest(
    products: Mapping[str, Path], settings: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """Return the content of manifest.json.

    products: name to path of every file of the event; alerts as received are products too.
    settings: all settings; command: what rebuilds the event. `made_by` has the code that made map
    and significance, which may be older than that of the manifest, and `external` what the
    significance was made from that is outside the event's directory.
    """
    return {
        "code_sha256": code_sha256(),
        "command": command,
        **_significance(products, settings),
        "made_at": gps_to_iso(now_gps(), digits=0),
        "products": {
            name: {
                "sha256": sha256_file(path),
                "bytes": path.stat().st_size,
                "mtime": round(path.stat().st_mtime, 3),
            }
            for name, path in sorted(products.items())
        },
        "settings": dict(settings),
        "settings_sha256": settings_hash(settings),
        "software": software(),
        "versions": versions(),
    }


def _significance(products: Mapping[str, Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    name = next((name for name in products if name.startswith("significance")), None)
    if name is None:  # a retraction without a map
        return {"external": {}, "made_by": {}}

    content = read_json(products[name])
    made = content["provenance"]
    with open_hdf5(products["lvc_skymap.hdf5"]) as tiles:
        map_made = {key: tiles.attrs.get(key) for key in ("software", "code_sha256")}
    archive = settings["neutrinos"]["archive"]
    return {
        "external": {
            "background": {
                "class": content["p_value_population"],
                "sha256": made["background_sha256"],
            },
            "response": {
                "path": f"archive/{archive}/response.hdf5",
                "sha256": made["inputs"]["response.hdf5"],
            },
        },
        "made_by": {
            "lvc_skymap.hdf5": map_made,
            name: {key: made.get(key) for key in ("software", "code_sha256")},
        },
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that bits may depend on."""
    from importlib.metadata import version

    names = ("astropy", "h5py", "healpy", "matplotlib", "numba", "numpy", "scipy", "snakemake")
    return {name: version(name) for name in names}
