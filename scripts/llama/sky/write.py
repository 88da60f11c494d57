"""Sky maps as multi-order FITS files, like those in alerts."""

import io
import math
from collections.abc import Iterable, Mapping

import numpy as np

from llama.sky.tiles import SkyTiles

Cards = Mapping[str, str | int | float | bool]


def skymap_fits(tiles: SkyTiles, cards: Cards, history: Iterable[str] = ()) -> bytes:
    """Return a multi-order map with `cards` in its header; equal inputs give equal bytes."""
    from astropy.io import fits

    uniq = tiles.ipix + (np.int64(4) << (2 * tiles.order.astype(np.int64)))
    density = tiles.prob / (tiles.area_deg2 * (math.pi / 180) ** 2)
    columns = [
        fits.Column("UNIQ", "K", array=uniq),
        fits.Column("PROBDENSITY", "D", "sr-1", array=density),
    ]
    if tiles.distmu is not None:
        columns += [
            fits.Column("DISTMU", "D", "Mpc", array=tiles.distmu),
            fits.Column("DISTSIGMA", "D", "Mpc", array=tiles.distsigma),
            fits.Column("DISTNORM", "D", "Mpc-2", array=tiles.distnorm),
        ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C"})
    table.header.update({"MOCORDER": int(tiles.order.max()), "INDXSCHM": "EXPLICIT"})
    table.header.update(cards)
    for line in history:
        table.header.add_history(line)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()
