"""Likelihood scans of a neutrino's direction, which IceCube published before probability maps."""

import math
import re
from collections.abc import Mapping

import numpy as np

from llama.errors import LlamaError
from llama.sky.pixels import area
from llama.sky.read import assemble, check_equatorial, read_meta, read_pixels, read_skymap
from llama.sky.table import PROBABILITY, find_table
from llama.sky.tiles import SkyTiles
from llama.stats.arrays import Floats

_SCAN = "2LLH"  # twice the difference of ln likelihood to the best direction
# as in "50%(90%) uncertainty location => Change in 2LLH of 22.2(64.2)"
_LEVELS = re.compile(r"50\s*%\s*\(\s*90\s*%\s*\).*?(\d+\.?\d*)\s*\(\s*(\d+\.?\d*)\s*\)")
_WILKS = 2 * math.log(2), 2 * math.log(10)  # the same levels where the likelihood is a Gaussian's


def read_direction(content: bytes, name: str) -> SkyTiles:
    """Return where a neutrino may be from, of a map of probability or of a likelihood scan.

    As `read_skymap`. A scan needs its levels of 50 and 90 % in the header: they are calibrated by
    simulation, far above those of a Gaussian, so that exp(-scan / 2) is far too narrow.
    """
    table = find_table(content, name, (*PROBABILITY, _SCAN))
    if {*PROBABILITY} & table.columns.keys():
        return read_skymap(content, name)
    levels = _levels(table.header, name)
    check_equatorial(table.header, name)
    order, ipix, columns, _ = read_pixels(table)
    table.finish()
    scan = columns[_SCAN].astype(float)
    scan[~(np.isfinite(scan) & (scan > -1e30))] = math.inf  # failed fits, and UNSEEN
    if not np.isfinite(scan).any():
        raise LlamaError(f"{name} has no pixel with a likelihood; download the map again")
    density = _density(scan - scan.min(), area(order), levels)
    return assemble(order, ipix, {"density": density}, read_meta(table), name)


def _levels(header: Mapping[str, object], name: str) -> tuple[float, float]:
    for value in header.values():
        if isinstance(value, str) and (found := _LEVELS.search(value)):
            half, most = float(found[1]), float(found[2])
            if 0 < half < most:
                return half, most
    raise LlamaError(
        f"{name} is a scan of likelihood ({_SCAN}) whose header does not say which levels hold 50 "
        "and 90 %; give the map of probability"
    )


def _density(scan: Floats, area_sr: Floats, levels: tuple[float, float]) -> Floats:
    """Return the density whose levels hold what they should.

    Between the levels it falls as a Gaussian does; then 50, 40 and 10 % of the probability are put
    within the first level, up to the second and beyond, as far as there are pixels.
    """
    slope = (_WILKS[1] - _WILKS[0]) / (levels[1] - levels[0])
    as_gaussian = np.interp(scan, [0.0, *levels], [0.0, *_WILKS])
    as_gaussian += slope * np.maximum(scan - levels[1], 0.0)
    density = np.exp(-0.5 * as_gaussian)
    region = np.searchsorted(levels, scan)
    held = np.bincount(region, density * area_sr, 3)
    density *= np.divide([0.5, 0.4, 0.1], held, out=np.zeros(3), where=held > 0)[region]
    return np.asarray(density / (density @ area_sr))
