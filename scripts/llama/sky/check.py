"""The check of a map before anything is written: in a child, because it may come from anybody."""

import importlib

from llama.child import in_child
from llama.sky.read import read_skymap


def check_skymap(content: bytes, name: str) -> None:
    """Read a sky map in a child with limits; `LlamaError` as `read_skymap` has it."""
    import_reader()
    in_child(lambda: read_skymap(content, name), name, "give the multi-order map")


def import_reader() -> None:
    """Import what every reading needs, so that neither the first alert nor a child waits for it."""
    importlib.import_module("astropy.io.fits")
