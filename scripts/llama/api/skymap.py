"""A sky map as Python programs have it."""

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from llama.api.border import value_errors
from llama.errors import LlamaError
from llama.files import write_bytes
from llama.sky.read import read_skymap
from llama.sky.tiles import SkyTiles
from llama.sky.write import Cards, skymap_fits
from llama.times import iso_to_gps

if TYPE_CHECKING:
    from astropy.table import QTable

_CARDS = {"object": "OBJECT", "instruments": "INSTRUME", "date_obs": "DATE-OBS"}
_CARDS |= {"creator": "CREATOR", "distmean_mpc": "DISTMEAN", "diststd_mpc": "DISTSTD"}


class SkyMap:
    """Where a source is: probability, and perhaps distance, on HEALPix tiles (ICRS).

    >>> skymap = SkyMap.mock(ra_deg=60, dec_deg=25, sigma_deg=(6, 3), distance_mpc=(120, 30))
    >>> round(skymap.area_deg2(0.9))
    270
    >>> skymap.write("map.fits")
    >>> SkyMap.read("map.fits")
    <SkyMap: 90 % in 270 deg^2, 138 ± 32 Mpc>
    """

    def __init__(
        self, tiles: SkyTiles, cards: Cards | None = None, history: Sequence[str] = ()
    ) -> None:
        self._tiles, self._history = tiles, history
        known = {card: tiles.meta[key] for key, card in _CARDS.items() if key in tiles.meta}
        self._cards: Cards = known if cards is None else cards

    @classmethod
    @value_errors()
    def read(cls, path: str | PathLike[str]) -> "SkyMap":
        """Read any published form: multi-order or flat, NESTED or RING, gzip or not.

        ValueError for what is no map of probabilities in equatorial coordinates that sum to 1.
        """
        return cls(read_skymap(Path(path).read_bytes(), str(path)))

    @classmethod
    @value_errors()
    def mock(
        cls,
        ra_deg: float,
        dec_deg: float,
        sigma_deg: tuple[float, float],
        distance_mpc: tuple[float, float],
    ) -> "SkyMap":
        """Return a made-up map, to try things out: a Gaussian with a distance.

        sigma_deg: to the east and to the north [deg]; distance_mpc: mean and standard deviation
        of a Gaussian [Mpc], times distance squared.
        """
        from llama.sky.mock import mock_skymap

        if not (0 <= ra_deg <= 360 and -90 <= dec_deg <= 90):
            raise LlamaError("a map's centre is at 0 to 360 and -90 to 90 deg; correct it")
        if not (min(sigma_deg) > 0 and max(sigma_deg) <= 60 and min(distance_mpc) > 0):
            raise LlamaError("a map's widths are above 0, to 60 deg, its distances above 0 Mpc")
        return cls(mock_skymap(ra_deg, dec_deg, sigma_deg, distance_mpc))

    def write(self, path: str | PathLike[str]) -> None:
        """Write it as a multi-order FITS file (NUNIQ), whole or not at all."""
        with value_errors():
            write_bytes(Path(path), skymap_fits(self._tiles, self._cards, self._history))

    def area_deg2(self, level: float) -> float:
        """Return the area [deg^2] of the smallest region that holds `level` of the probability."""
        if not 0 < level <= 1:
            raise ValueError(f"the level {level} is no part of a probability; give one up to 1")
        return self._tiles.credible_area_deg2(level)

    @property
    def distance_mpc(self) -> tuple[float, float] | None:
        """Mean and standard deviation of the luminosity distance [Mpc], None where it tells none.

        The publisher's where the file has them, else those of the tiles.
        """
        summary = self._tiles.summary()
        mean, std = (summary[key] for key in ("distmean_mpc", "diststd_mpc"))
        return (float(mean), float(std)) if mean and std else None

    @property
    def time(self) -> float | None:
        """When the wave came, as the header says it (DATE-OBS) [GPS s], None if it does not."""
        try:
            return iso_to_gps(str(self._cards.get("DATE-OBS")))
        except LlamaError:
            return None

    @property
    def name(self) -> str | None:
        """Of what it is (OBJECT), None if the header does not say."""
        return str(self._cards["OBJECT"]) if "OBJECT" in self._cards else None

    @property
    def instruments(self) -> list[str]:
        """Detectors of waves (INSTRUME), such as H1; empty if the header does not say."""
        return re.findall(r"\b[A-Z][0-9]\b", str(self._cards.get("INSTRUME", "")))

    @property
    def tiles(self) -> SkyTiles:
        """The tiles as LLAMA's own functions take them."""
        return self._tiles

    def to_table(self) -> "QTable":
        """Return the tiles as a multi-order table: UNIQ, PROBDENSITY [1/sr], DISTMU [Mpc], ..."""
        import io

        from astropy.table import QTable

        content = skymap_fits(self._tiles, self._cards, self._history)
        return QTable.read(io.BytesIO(content), format="fits")

    def __repr__(self) -> str:
        mean_std, name = self.distance_mpc, f" {self.name}" if self.name else ""
        far = f", {mean_std[0]:.0f} ± {mean_std[1]:.0f} Mpc" if mean_std else ""
        return f"<SkyMap{name}: 90 % in {self.area_deg2(0.9):.3g} deg^2{far}>"
