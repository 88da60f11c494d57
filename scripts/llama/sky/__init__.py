"""Sky maps: any published form in, disjoint tiles out."""

from llama.sky.read import check_skymap, read_skymap
from llama.sky.tiles import SkyTiles

__all__ = ["SkyTiles", "check_skymap", "read_skymap"]
