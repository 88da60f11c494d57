"""The check of a map before anything is written: in a child, because it may come from anybody."""

import importlib
from collections.abc import Mapping

from llama.child import in_child
from llama.sky.read import read_skymap


def check_skymap(content: bytes, name: str) -> Mapping[str, str]:
    """Read a sky map in a child with limits, and return its `SkyTiles.meta` as texts.

    `LlamaError` as `read_skymap` has it.
    """
    import_reader()
    found: dict[str, str] = in_child(
        lambda: {key: str(value)[:200] for key, value in read_skymap(content, name).meta.items()},
        name,
        "give the multi-order map",
    )
    return found


def import_reader() -> None:
    """Import what every reading needs, so that neither the first alert nor a child waits for it."""
    for module in ("astropy.io.fits", "astropy.units"):
        importlib.import_module(module)
