"""manifest.json: what an event consists of, byte for byte, and what made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.event.provenance import settings_hash, software
from llama.files import sha256_file
from llama.times import gps_to_iso, now_gps


def build_manifest(
    products: Mapping[str, Path], settings: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """Return the content of manifest.json.

    products: name to path of every file of the event; alerts as received are products too.
    settings: all settings; command: what rebuilds the event.
    """
    return {
        "command": command,
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
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("astropy", "h5py", "healpy", "matplotlib", "numba", "numpy", "scipy", "snakemake")
    return {name: version(name) for name in names}
