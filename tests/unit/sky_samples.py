"""Sky maps made here, in every published form, for the tests of the rooms that read them."""

import io
import math

import healpy
import numpy as np
import pytest
from astropy.io import fits

from llama.errors import LlamaError
from llama.sky import read_skymap

DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
UNITS = {"PROB": "pix-1", "PROBDENSITY": "sr-1", "DISTMU": "Mpc", "DISTNORM": "Mpc-2"}


def random_tiles(seed=0, finest=4, distance=True):
    """Full sky from order 1 to `finest` along the NESTED curve: order, ipix, density [sr^-1]."""
    rng = np.random.default_rng(seed)
    order, ipix = np.ones(48, dtype=np.int64), np.arange(48)
    for level in range(1, finest):
        split = (order == level) & (rng.uniform(size=order.size) < 0.4)
        split[np.flatnonzero(order == level)[0]] = True  # so that the finest order is there
        children = (4 * ipix[split][:, None] + np.arange(4)).ravel()
        order = np.concatenate([order[~split], np.full(children.size, level + 1)])
        ipix = np.concatenate([ipix[~split], children])
    along = np.argsort(ipix << (2 * (29 - order)))
    order, ipix = order[along], ipix[along]
    density = rng.lognormal(0, 2, order.size)
    density /= (density * np.pi / 3 * 4.0**-order).sum()
    tiles = {"order": order, "ipix": ipix, "PROBDENSITY": density}
    if distance:
        mu, sigma = rng.uniform(-20, 200, order.size), rng.uniform(20, 60, order.size)
        mu[::7], sigma[::7] = np.inf, 1.0  # as BAYESTAR writes tiles without a distance
        tiles |= {"DISTMU": mu, "DISTSIGMA": sigma}
        tiles["DISTNORM"] = np.where(np.isfinite(mu), 1 / (mu**2 + sigma**2), 0.0)
    return tiles


def fits_map(columns, ordering, table=True, **header):
    """FITS bytes of a table with the columns given, one pixel or one vector a row."""
    formats = {"f": "D", "i": "K", "u": "K", "S": "A8"}
    made = []
    for name, values in columns.items():
        values = np.asarray(values)
        width = str(values.shape[1]) if values.ndim == 2 else ""
        unsigned = {"bzero": 2**63} if values.dtype.kind == "u" else {}
        form = width + formats[values.dtype.kind]
        made.append(fits.Column(name, form, UNITS.get(name), array=values, **unsigned))
    hdus = fits.HDUList([fits.PrimaryHDU()])
    if table:
        hdus.append(fits.BinTableHDU.from_columns(made))
        hdus[1].header.update({"PIXTYPE": "HEALPIX", "COORDSYS": "C"} | header)
        if ordering is not None:
            hdus[1].header["ORDERING"] = ordering
    stream = io.BytesIO()
    hdus.writeto(stream)
    return stream.getvalue()


def multiorder(tiles, unsigned=False, **header):
    """The map as BAYESTAR writes it now."""
    uniq = tiles["ipix"] + (4 << (2 * tiles["order"]))
    columns = {"UNIQ": uniq.astype(np.uint64 if unsigned else np.int64)}
    columns |= {name: tiles[name] for name in ("PROBDENSITY", *DISTANCE) if name in tiles}
    return fits_map(columns, "NUNIQ", **header)


def flat_columns(tiles, ring=False):
    """PROB and distances of every pixel of the finest order."""
    finest = int(tiles["order"].max())
    repeat = 4 ** (finest - tiles["order"])
    columns = {
        name: np.repeat(tiles[name], repeat) for name in ("PROBDENSITY", *DISTANCE) if name in tiles
    }
    if ring:
        nside = 1 << finest
        along = healpy.ring2nest(nside, np.arange(12 * nside**2))
        columns = {name: column[along] for name, column in columns.items()}
    density = columns.pop("PROBDENSITY")
    return {"PROB": density * (4 * np.pi / density.size)} | columns


def flat(tiles, ring=False, width=1, **header):
    """The map with one row, or one vector of `width`, for pixels of the finest order."""
    columns = flat_columns(tiles, ring)
    if width > 1:
        columns = {name: column.reshape(-1, width) for name, column in columns.items()}
    nside = 1 << int(tiles["order"].max())
    return fits_map(columns, "RING" if ring else "NESTED", **({"NSIDE": nside} | header))


def pixel_list(tiles, ring=False, name="PIXEL", keep=None, **header):
    """The map as an explicit list of pixels in an arbitrary order."""
    columns = flat_columns(tiles, ring)
    chosen = np.random.default_rng(1).permutation(columns["PROB"].size)[:keep]
    columns = {name: chosen} | {key: column[chosen] for key, column in columns.items()}
    nside = 1 << int(tiles["order"].max())
    header = {"NSIDE": nside, "INDXSCHM": "EXPLICIT"} | header
    return fits_map(columns, "RING" if ring else "NESTED", **header)


def per_pixel(content, nside=16):
    """The probability of each NESTED pixel, as LLAMA reads it."""
    skymap = read_skymap(content, "map.fits")
    repeat = 4 ** (int(math.log2(nside)) - skymap.order.astype(int))
    first = skymap.ipix * repeat
    prob = np.zeros(12 * nside**2)
    for start, count, value in zip(first, repeat, skymap.prob, strict=True):
        prob[start : start + count] = value / count
    return prob


def refusal(content):
    with pytest.raises(LlamaError) as caught:
        read_skymap(content, "map.fits")
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    return text
