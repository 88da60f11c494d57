"""Overlap beside the peers that have one: hpmoc 1.0 and ligo.raven 3.3, time and accuracy.

All take the same neutrinos of 1 deg and the same published map in one process, in turn. hpmoc
multiplies its Gaussian point-spread map with the partial map and sums over areas, at its default
resolution of sigma and at a quarter of it; RAVEN gets its multi-order map with a flat neutrino map
at NSIDE 256, in memory already, so that only its overlap is timed. The truth is an integral by
pixel centres at NSIDE 4096. `make peers` installs them.
"""

import importlib.util  # noqa: F401  hpmoc needs it loaded, and does not load it
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from measure import row
from numpy.typing import NDArray
from stats import PUBLISHED

from llama.sky import SkyTiles, read_skymap
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.overlap import log_vmf_norm, overlap, prepare_map

Floats = NDArray[np.float64]
Overlap = Callable[[int], float]

SIGMA_DEG, NSIDE_RAVEN, NSIDE_TRUTH = 1.0, 256, 4096
NEUTRINOS, REPEATS = 40, 15  # half of the neutrinos from the map, half from the sky


def rows() -> Iterator[dict[str, Any]]:
    """Yield the time and the errors of each overlap; peers that are not installed have none."""
    content = PUBLISHED.read_bytes() if PUBLISHED.exists() else _mock()
    tiles = read_skymap(content, "map")
    rng = np.random.default_rng(5)
    centres, _ = tiles_geometry(tiles.order, tiles.ipix)
    drawn = centres[rng.choice(tiles.prob.size, NEUTRINOS // 2, p=tiles.prob / tiles.prob.sum())]
    drawn += rng.normal(scale=np.radians(SIGMA_DEG), size=drawn.shape)  # as a detector sees them
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    half = rng.uniform(size=(2, NEUTRINOS - len(drawn)))
    sky = unit_vectors(360 * half[0], np.degrees(np.arcsin(2 * half[1] - 1)))
    vectors = np.concatenate([drawn, sky])
    ours = _ours(tiles, vectors)
    peers = {"hpmoc": _hpmoc, "hpmoc_quarter": partial(_hpmoc, pixel_sigma=0.25)}
    peers["raven_256"] = _raven
    goals = {"hpmoc": 50.0, "raven_256": 200.0}
    methods = {"ours": ours}
    for name, prepare in peers.items():
        try:
            methods[name] = prepare(content, vectors)
        except ImportError as error:
            print(f"no rows for {name} ({error}); `make peers` installs them")
    truth = _truth(tiles, vectors)
    best, values = _in_turn(methods)
    for name in methods:
        error = np.abs(values[name] / truth - 1)
        yield row(f"overlap_{name}_ms", 1e3 * best[name], "ms", None)
        yield row(f"overlap_{name}_error_median", 100 * float(np.median(error)), "%", None)
        yield row(f"overlap_{name}_error_max", 100 * float(error.max()), "%", None)
        if name != "ours":
            yield row(f"overlap_{name}_ratio", best[name] / best["ours"], "times", goals.get(name))


def _in_turn(methods: dict[str, Overlap]) -> tuple[dict[str, float], dict[str, Floats]]:
    """Return the best mean seconds per neutrino, and the overlaps; the methods take turns."""
    best = dict.fromkeys(methods, np.inf)
    values = {}
    for _ in range(REPEATS):
        for name, method in methods.items():
            found = [method(k) for k in range(NEUTRINOS)]  # fills the processor's caches again
            start = time.perf_counter()
            for k in range(NEUTRINOS):
                method(k)
            best[name] = min(best[name], (time.perf_counter() - start) / NEUTRINOS)
            values[name] = np.array(found)
    return best, values


def _ours(tiles: SkyTiles, vectors: Floats) -> Overlap:
    prepared = prepare_map(tiles.order, tiles.ipix, np.tile(tiles.prob, (5, 1)))
    kappa, table = 1 / np.radians(SIGMA_DEG) ** 2, np.ones(201)
    scale = np.exp(log_vmf_norm(kappa))
    overlap(prepared, 1, kappa, vectors[0], table)  # compiles or loads
    return lambda k: scale * overlap(prepared, 1, kappa, vectors[k], table)


def _hpmoc(content: bytes, vectors: Floats, pixel_sigma: float = 1.0) -> Overlap:
    from hpmoc import PartialUniqSkymap
    from hpmoc.psf import psf_gaussian

    density, uniq = _columns(content)
    skymap = PartialUniqSkymap(density, uniq).sort()
    ra, dec = _angles(vectors)

    def of(k: int) -> float:
        product = psf_gaussian(ra[k], dec[k], SIGMA_DEG, nside_factor=pixel_sigma) * skymap
        return float((product.s * product.area()).sum().value)

    return of


def _raven(content: bytes, vectors: Floats) -> Overlap:
    import healpy
    from astropy.table import Column
    from ligo.raven.search import skymap_overlap_integral

    density, uniq = _columns(content)
    density = Column(density, unit="1 / sr")
    pixels = np.stack(
        healpy.pix2vec(NSIDE_RAVEN, np.arange(12 * NSIDE_RAVEN**2), nest=True), axis=-1
    )
    kappa = 1 / np.radians(SIGMA_DEG) ** 2
    flat = [np.exp(kappa * (pixels @ v - 1)) for v in vectors]

    def of(k: int) -> float:
        value = skymap_overlap_integral(density, flat[k], uniq, [], se_nested=True, ext_nested=True)
        return float(value) / (4 * np.pi)  # RAVEN's is relative to an isotropic sky

    return of


def _truth(tiles: SkyTiles, vectors: Floats) -> Floats:
    """Return the integrals by pixel centres within 8 sigma, where all of the density is."""
    import healpy

    depth = 2 * (12 - tiles.order.astype(np.int64))
    along = np.argsort(tiles.ipix << depth)
    start = (tiles.ipix << depth)[along]
    density = (tiles.prob / tiles_geometry(tiles.order, tiles.ipix)[1])[along]
    kappa = 1 / np.radians(SIGMA_DEG) ** 2
    scale = np.exp(log_vmf_norm(kappa)) * healpy.nside2pixarea(NSIDE_TRUTH)
    sums = []
    for v in vectors:
        pixels = healpy.query_disc(NSIDE_TRUTH, v, np.radians(8 * SIGMA_DEG), nest=True)
        points = np.stack(healpy.pix2vec(NSIDE_TRUTH, pixels, nest=True), axis=-1)
        psf = np.exp(-0.5 * kappa * ((points - v) ** 2).sum(axis=1))
        sums.append(scale * psf @ density[np.searchsorted(start, pixels, side="right") - 1])
    return np.array(sums)


def _columns(content: bytes) -> tuple[Any, NDArray[np.int64]]:
    from astropy.table import Table

    table = Table.read(io.BytesIO(content), format="fits")
    return np.array(table["PROBDENSITY"], float), np.array(table["UNIQ"]).astype(np.int64)


def _angles(vectors: Floats) -> tuple[Floats, Floats]:
    ra = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360
    return ra, np.degrees(np.arcsin(vectors[:, 2]))


def _mock() -> bytes:
    return to_fits(mock_skymap(130.0, 20.0, (20.0, 0.7), (150.0, 40.0)), "2019-04-25")
