"""Parameters of the model, under the names of the published search."""

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats
from llama.stats.cosmology import REDSHIFTS
from llama.stats.window import Window, search_window

YEAR_S = 365.0 * 86400.0  # the published ndotgwnu is 23.9 Gpc^-3 yr^-1 with a year of 365 days


class WeightParameters(NamedTuple):
    """Those of `SearchParameters` that the weights of a sky map depend on, besides A(dec)."""

    fb: float
    nu_51_100: float
    Enumin: float
    Enumax: float
    assumed_horizon_mpc: float
    events_by_redshift: tuple[float, ...] = ()


@dataclass(frozen=True)
class SearchParameters:
    """Model of joint emission, docs/method.md.

    fb: beaming factor; nu_51_100: expected events of a source with 1e51 erg at 100 Mpc, sky
    average; Enumin, Enumax [1e51 erg]: emitted energy before fb; ratebgnu [Hz];
    ndotgwnu [Mpc^-3 s^-1]; tgw*, tnu* [s]: emission windows about the source time;
    epsilon_*_gev: neutrino energies; sigma_floor_deg; max_set_size: largest |S|;
    assumed_horizon_mpc: luminosity distance, prior of maps without distance;
    events_by_redshift: what a redshifted spectrum leaves of the events, at
    `cosmology.REDSHIFTS`; without it space is static, as published.
    """

    fb: float
    nu_51_100: float
    Enumin: float
    Enumax: float
    ratebgnu: float
    ndotgwnu: float
    tgwminus: float
    tgwplus: float
    tnuminus: float
    tnuplus: float
    epsilon_min_gev: float
    epsilon_max_gev: float
    sigma_floor_deg: float
    max_set_size: int
    assumed_horizon_mpc: float
    events_by_redshift: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.events_by_redshift and (
            len(self.events_by_redshift) != REDSHIFTS.size or min(self.events_by_redshift) <= 0
        ):
            raise ValueError("events_by_redshift must have a positive value for every redshift")
        for name, value in self.as_dict().items():
            if not np.isfinite(value).all():
                raise ValueError(f"search parameter {name} is not finite")
        positive = self.nu_51_100, self.ratebgnu, self.ndotgwnu, self.assumed_horizon_mpc
        rules = {
            "fb must be at least 1": self.fb >= 1,
            "Enumin and Enumax must be positive and ascending": 0 < self.Enumin < self.Enumax,
            "nu_51_100, ratebgnu, ndotgwnu and the horizon must be positive": min(positive) > 0,
            "the emission windows must have positive length": self.tgwminus < self.tgwplus
            and self.tnuminus < self.tnuplus,
            "max_set_size must be 1, 2, 3 or 4": self.max_set_size in (1, 2, 3, 4),
            "sigma_floor_deg must be positive": self.sigma_floor_deg > 0,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ValueError(f"search parameters: {rule}")

    @property
    def window(self) -> Window:
        """Times of neutrinos that one source can explain."""
        return search_window(vars(self))

    @property
    def emission_windows_s(self) -> Floats:
        """Return tgwminus, tgwplus, tnuminus, tnuplus [s], shape (4,), for compiled code."""
        return np.array([self.tgwminus, self.tgwplus, self.tnuminus, self.tnuplus], dtype=float)

    def as_dict(self) -> dict[str, float | tuple[float, ...]]:
        """Return all parameters as a plain dictionary."""
        return asdict(self)


WeightModel = SearchParameters | WeightParameters


@dataclass(frozen=True)
class GrbParameters:
    """Model of the gamma-ray bursts that come with mergers.

    efficiency: probability that a source which points at us gives a burst in the list, 0 leaves
    bursts out; rate_hz: of all bursts that reach the list, whole sky; delay_min_s, delay_max_s:
    t_grb - t_gw of a burst from the source, uniform.
    """

    efficiency: float
    rate_hz: float
    delay_min_s: float
    delay_max_s: float

    def __post_init__(self) -> None:
        if not (
            0 <= self.efficiency < 1
            and 0 < self.rate_hz < math.inf
            and -math.inf < self.delay_min_s < self.delay_max_s < math.inf
        ):
            raise ValueError(
                "grb parameters: efficiency must be in [0, 1), rate_hz positive, and the delays "
                "finite and ascending"
            )
