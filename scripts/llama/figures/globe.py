"""The sky map as the globe on the event's page draws it: few tiles, in steps of credible level."""

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llama.event.results import Neutrino, Significance
from llama.event.skymap_info import EventInfo
from llama.figures import text
from llama.figures.geometry import FULL_SKY_DEG2, SkyDensity
from llama.sky.tiles import SkyTiles

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)  # the last one is where the map ends for the eye
_COARSEST, _FINEST = 4, 9  # edges of wider tiles are no straight lines; finer ones nobody sees
_CELLS = 20_000  # about as many cells in the 90 % region, before equal ones are merged
Ints = NDArray[np.int64]


def globe_data(
    tiles: SkyTiles, neutrinos: Sequence[Neutrino], info: EventInfo, significance: Significance
) -> Mapping[str, object]:
    """Return what `globe.js` draws, as JSON.

    counts: tiles in each of LEVELS; corners: base64 of little-endian uint16, RA and Dec of the
    four corners of each tile, 0 to 65535 for the full range; peak, best: RA and Dec [deg];
    neutrinos: number, ra, dec, r90 [deg], aside (not within the window).
    """
    density = SkyDensity(tiles)
    order, ipix, level = _cells(density)
    along = np.argsort(level, kind="stable")
    k = int(np.argmax(density.density))
    peak = _centre(int(tiles.order[k]), int(tiles.ipix[k]))
    best, radii = text.best_direction(significance), text.circles_deg(neutrinos, significance)
    return {
        "counts": np.bincount(level, minlength=len(LEVELS)).tolist(),
        "corners": base64.b64encode(_corners(order[along], ipix[along]).tobytes()).decode(),
        "levels": list(LEVELS),
        "peak": peak,
        "radius": round(math.degrees(math.acos(1 - 2 * min(_share(density), 0.5))), 1),
        "best": best and [round(x, 3) for x in best],
        "neutrinos": [
            {
                "number": number,
                "ra": event.ra or 0.0,
                "dec": event.dec or 0.0,
                "r90": round(radius, 3),
                "aside": not text.in_window(event, info),
            }
            for number, (event, radius) in enumerate(zip(neutrinos, radii, strict=True), start=1)
        ],
    }


def places(
    tiles: SkyTiles, neutrinos: Sequence[Neutrino], info: EventInfo, significance: Significance
) -> list[str]:
    """Return the map in words: where it peaks, and where each neutrino in the window lies."""
    density = SkyDensity(tiles)
    k = int(np.argmax(density.density))
    ra, dec = _centre(int(tiles.order[k]), int(tiles.ipix[k]))
    areas = [text.area_text(density.area_deg2(level)) for level in (0.5, 0.9)]
    words = [
        f"The most probable place is RA {ra:.1f} deg, Dec {dec:+.1f} deg; the 50 % region has "
        f"{areas[0]}, the 90 % region {areas[1]}."
    ]
    thresholds = [density.threshold(level) for level in LEVELS]
    radii = text.circles_deg(neutrinos, significance)
    for number, (event, radius) in enumerate(zip(neutrinos, radii, strict=True), start=1):
        if event.ra is None or event.dec is None or not text.in_window(event, info):
            continue
        here = float(density.at(np.array([event.ra]), np.array([event.dec]))[0])
        inside = [lv for lv, t in zip(LEVELS, thresholds, strict=True) if here >= t and here > 0]
        where = f"in the {100 * inside[0]:.0f} % region" if inside else "outside of the 99 % region"
        words.append(
            f"Neutrino {number}, RA {event.ra:.1f} deg, Dec {event.dec:+.1f} deg, 90 % radius "
            f"{radius:.3g} deg: {where}."
        )
    return words


def _share(density: SkyDensity) -> float:
    return density.area_deg2(0.9) / FULL_SKY_DEG2


def _cells(density: SkyDensity) -> tuple[Ints, Ints, Ints]:
    """Return order, NESTED index and step of credible level of the cells to draw, disjoint."""
    tiles = density.tiles
    thresholds = np.array([density.threshold(level) for level in LEVELS])
    cells = max(_share(density), 1e-9) * 12
    finest = int(np.clip(math.log(_CELLS / cells, 4), _COARSEST, _FINEST))
    kept = (density.density >= thresholds[-1]) & (density.density > 0)
    order, ipix = tiles.order[kept].astype(np.int64), tiles.ipix[kept].astype(np.int64)
    value = density.density[kept].astype(float)
    fine = order > finest
    parent, where = np.unique(ipix[fine] >> 2 * (order[fine] - finest), return_inverse=True)
    share = 0.25 ** (order[fine] - finest)
    mean = np.bincount(where, value[fine] * share, minlength=parent.size)
    order = np.concatenate([order[~fine], np.full(parent.size, finest)])
    ipix = np.concatenate([ipix[~fine], parent])
    value = np.concatenate([value[~fine], mean])
    level = (value[:, None] < thresholds).sum(axis=1)
    order, ipix, level = _split(*(column[level < len(LEVELS)] for column in (order, ipix, level)))
    return _merge(order, ipix, level)


def _split(order: Ints, ipix: Ints, level: Ints) -> tuple[Ints, Ints, Ints]:
    while (wide := order < _COARSEST).any():
        children = (4 * ipix[wide, None] + np.arange(4)).ravel()
        order = np.concatenate([order[~wide], np.repeat(order[wide] + 1, 4)])
        ipix = np.concatenate([ipix[~wide], children])
        level = np.concatenate([level[~wide], np.repeat(level[wide], 4)])
    return order, ipix, level


def _merge(order: Ints, ipix: Ints, level: Ints) -> tuple[Ints, Ints, Ints]:
    """Merge four siblings of one level into their parent, from fine to coarse."""
    for fine in range(int(order.max(initial=_COARSEST)), _COARSEST, -1):
        here = np.flatnonzero(order == fine)
        here = here[np.argsort(ipix[here])]
        first = np.flatnonzero(ipix[here[:-3]] & 3 == 0) if here.size > 3 else np.empty(0, int)
        group = here[first[:, None] + np.arange(4)]
        same = (ipix[group[:, 3]] == ipix[group[:, 0]] + 3) & (
            level[group] == level[group[:, :1]]
        ).all(axis=1)
        group = group[same]
        order[group[:, 0]] -= 1
        ipix[group[:, 0]] >>= 2
        keep = np.ones(order.size, dtype=bool)
        keep[group[:, 1:].ravel()] = False
        order, ipix, level = order[keep], ipix[keep], level[keep]
    return order, ipix, level


def _corners(order: Ints, ipix: Ints) -> NDArray[np.uint16]:
    import healpy

    corners = np.empty((order.size, 4, 2))
    for one in np.unique(order):
        here = order == one
        x, y, z = np.moveaxis(
            np.atleast_3d(healpy.boundaries(1 << int(one), ipix[here], nest=True)), 1, 0
        )
        corners[here, :, 0] = np.degrees(np.arctan2(y, x)) % 360 / 360
        corners[here, :, 1] = np.degrees(np.arcsin(np.clip(z, -1, 1))) / 180 + 0.5
    return np.round(corners * 65535).astype("<u2")


def _centre(order: int, ipix: int) -> list[float]:
    import healpy

    ra, dec = healpy.pix2ang(1 << order, ipix, nest=True, lonlat=True)
    return [round(float(ra), 3), round(float(dec), 3)]
