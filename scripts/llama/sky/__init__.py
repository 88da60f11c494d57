"""Sky maps: any published form in, disjoint tiles out."""

from llama.sky.read import read_skymap
from llama.sky.tiles import SkyTiles

__all__ = ["SkyTiles", "read_skymap"]
