"""Sky geometry of the figures: projections, circles, look-up of tiles, credible regions.

Angles are degrees (ICRS) unless a name says otherwise. East is to the left.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llama.sky.tiles import SkyTiles
from llama.stats.healpix import directions_deg

Floats = NDArray[np.float64]
FULL_SKY_DEG2 = 4 * np.pi * (180 / np.pi) ** 2
_BIN_BITS = 10  # 13 of float32's 23 fraction bits stay: densities are told apart to 1.2e-4
_CHUNK = 1 << 16


class SkyDensity:
    """Probability density per deg^2 of a sky map, ready for look-up.

    `density` [deg^-2] has one value per tile; `threshold(level)` and `area_deg2(level)`
    describe the smallest region that holds the fraction `level` of the probability.
    """

    def __init__(self, tiles: SkyTiles) -> None:
        self.tiles = tiles
        self.top = int(tiles.order.max())
        uniform = int(tiles.order.min()) == self.top
        area = (FULL_SKY_DEG2 / 12) / 4.0 ** np.arange(self.top + 1)
        # A flat map of 12 million tiles must stay cheap: float32, and no sorting.
        self.density = tiles.prob.astype(np.float32)
        self.density /= area[self.top] if uniform else area[tiles.order].astype(np.float32)
        if uniform:
            self._first = tiles.ipix
        else:
            self._first = tiles.ipix << 2 * (self.top - tiles.order.astype(np.int64))
        # Positive floats sort like their bits, so the leading bits are a fine logarithmic bin.
        bins = self.density.view(np.int32) >> _BIN_BITS
        mass = np.bincount(bins, weights=tiles.prob)
        sky = np.bincount(bins) * area[-1] if uniform else np.bincount(bins, area[tiles.order])
        self._bins = np.flatnonzero(mass)[::-1]  # densest first
        self._mass = np.cumsum(mass[self._bins])
        self._sky = np.cumsum(sky[self._bins])

    def threshold(self, level: float) -> float:
        """Return the density [deg^-2] at the border of the credible region."""
        k = min(int(np.searchsorted(self._mass, level * self._mass[-1])), len(self._bins) - 1)
        return float(np.array(self._bins[k] << _BIN_BITS, dtype=np.int32).view(np.float32))

    def area_deg2(self, level: float) -> float:
        """Return the area [deg^2] of the credible region."""
        return float(
            np.interp(level * self._mass[-1], np.r_[0.0, self._mass], np.r_[0.0, self._sky])
        )

    def at(self, ra: Floats, dec: Floats) -> NDArray[np.float32]:
        """Return the density [deg^-2] at directions, shape (n,); 0 where the map has no tile."""
        import healpy

        values = np.zeros(len(ra), dtype=np.float32)
        for start in range(0, len(ra), _CHUNK):  # bounds the memory of an all-sky image
            part = slice(start, start + _CHUNK)
            pixel = healpy.ang2pix(1 << self.top, ra[part], dec[part], nest=True, lonlat=True)
            k = np.searchsorted(self._first, pixel, side="right") - 1
            width = 1 << 2 * (self.top - self.tiles.order[k].astype(np.int64))
            inside = (k >= 0) & (pixel < self._first[k] + width)
            values[part][inside] = self.density[k[inside]]
        return values


def unit_vector(ra: ArrayLike, dec: ArrayLike) -> Floats:
    """Return unit vectors, shape (..., 3)."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def circle(ra: float, dec: float, radius: float, n: int = 721) -> tuple[Floats, Floats]:
    """Return `n` directions on the closed circle of angular `radius` about a direction."""
    turn = np.linspace(0, 2 * np.pi, n)[:, None]
    north, east = unit_vector(ra, dec + 90), unit_vector(ra + 90, 0)
    rim = np.cos(turn) * north + np.sin(turn) * east
    r = np.radians(radius)
    return directions_deg(np.cos(r) * unit_vector(ra, dec) + np.sin(r) * rim)


def mollweide_inverse(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return RA and Dec of map points, x in [-2, 2], y in [-1, 1], RA 180 deg in the middle.

    Points outside of the ellipse are NaN.
    """
    inside = (x / 2) ** 2 + y**2 <= 1
    theta = np.arcsin(np.where(inside, y, np.nan))
    dec = np.degrees(np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi))
    ra = 180 - 90 * x / np.maximum(np.cos(theta), 1e-12)
    return np.clip(ra, 0, 360), dec


def mollweide_line(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Return longitude and latitude [rad] of a line for Matplotlib's projection.

    The line is cut with NaN where it leaves the map on one side and enters on the other.
    """
    lon, lat = np.radians(180 - np.asarray(ra) % 360), np.radians(np.asarray(dec))
    at = np.flatnonzero(np.abs(np.diff(lon)) > np.pi)
    side = np.copysign(np.pi, lon[at])
    rest, beyond = np.pi - np.abs(lon[at]), np.pi - np.abs(lon[at + 1])
    border = lat[at] + (lat[at + 1] - lat[at]) * rest / np.maximum(rest + beyond, 1e-300)
    where = np.repeat(at + 1, 3)
    lon = np.insert(lon, where, np.stack([side, np.full(len(at), np.nan), -side], 1).ravel())
    lat = np.insert(lat, where, np.repeat(border, 3))
    return lon, lat


def gnomonic(ra: ArrayLike, dec: ArrayLike, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return tangent-plane x (to the east) and y (to the north) in degrees; NaN beyond 85 deg."""
    basis = _tangent_basis(centre)
    east, north, towards = np.moveaxis(unit_vector(ra, dec) @ basis.T, -1, 0)
    depth = np.where(towards > np.cos(np.radians(85)), towards, np.nan)
    return np.degrees(east / depth), np.degrees(north / depth)


def gnomonic_inverse(x: Floats, y: Floats, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return RA and Dec of tangent-plane points in degrees."""
    plane = np.stack([np.radians(x), np.radians(y), np.ones_like(x)], axis=-1)
    return directions_deg(plane @ _tangent_basis(centre))


def _tangent_basis(centre: tuple[float, float]) -> Floats:
    ra, dec = centre
    return np.stack([unit_vector(ra + 90, 0), unit_vector(ra, dec + 90), unit_vector(ra, dec)])
