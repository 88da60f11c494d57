"""Parameters of the model, under the names of the published search."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from llama.errors import LlamaError
from llama.stats.window import Window, search_window

YEAR_S = 365.0 * 86400.0  # the published ndotgwnu is 23.9 Gpc^-3 yr^-1 with a year of 365 days


@dataclass(frozen=True)
class SearchParameters:
    """Model of joint emission; `statistics.md` section 2, `science.md` section 8.

    fb: beaming factor; nu_51_100: expected events of a source with 1e51 erg at 100 Mpc, sky
    average; Enumin, Enumax [1e51 erg]: emitted energy before fb; ratebgnu [Hz];
    ndotgwnu [Mpc^-3 s^-1]; tgw*, tnu* [s]: emission windows about the source time;
    epsilon_*_gev: neutrino energies; sigma_floor_deg; max_set_size: largest |S|;
    assumed_horizon_mpc: prior of maps without distance; cnu_horizon_mpc: cut-off of eq. 6.7.
    """

    fb: float = 10.0
    nu_51_100: float = 1.1
    Enumin: float = 1e-6
    Enumax: float = 0.1
    ratebgnu: float = 0.0064
    ndotgwnu: float = 23.9e-9 / YEAR_S
    tgwminus: float = -250.0
    tgwplus: float = 250.0
    tnuminus: float = -250.0
    tnuplus: float = 250.0
    epsilon_min_gev: float = 10.0
    epsilon_max_gev: float = 1e8
    sigma_floor_deg: float = 0.2
    max_set_size: int = 4
    assumed_horizon_mpc: float = 500.0
    cnu_horizon_mpc: float = 3000.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not math.isfinite(getattr(self, field.name)):
                raise LlamaError(
                    f"search parameter {field.name} is not finite; correct config.yaml"
                )
        rules = {
            "fb must be at least 1": self.fb >= 1,
            "Enumin and Enumax must be positive and ascending": 0 < self.Enumin < self.Enumax,
            "nu_51_100, ratebgnu, ndotgwnu and the horizons must be positive": min(
                self.nu_51_100,
                self.ratebgnu,
                self.ndotgwnu,
                self.assumed_horizon_mpc,
                self.cnu_horizon_mpc,
            )
            > 0,
            "the emission windows must have positive length": self.tgwminus < self.tgwplus
            and self.tnuminus < self.tnuplus,
            "max_set_size must be 1, 2, 3 or 4": self.max_set_size in (1, 2, 3, 4),
            "sigma_floor_deg must be positive": self.sigma_floor_deg > 0,
        }
        for rule, kept in rules.items():
            if not kept:
                raise LlamaError(f"search parameters: {rule}; correct config.yaml")

    @property
    def window(self) -> Window:
        """Times of neutrinos that one source can explain."""
        return search_window(vars(self))

    def as_dict(self) -> dict[str, Any]:
        """Return all parameters as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class GrbParameters:
    """Model of the gamma-ray bursts that come with mergers.

    efficiency: probability that a source which points at us gives a burst in the list, 0 leaves
    bursts out; rate_hz: of all bursts that reach the list, whole sky; delay_min_s, delay_max_s:
    t_grb - t_gw of a burst from the source, uniform.
    """

    efficiency: float = 0.0
    rate_hz: float = 7.5e-6
    delay_min_s: float = -1.0
    delay_max_s: float = 5.0

    def __post_init__(self) -> None:
        if not (
            0 <= self.efficiency < 1
            and 0 < self.rate_hz < math.inf
            and -math.inf < self.delay_min_s < self.delay_max_s < math.inf
        ):
            raise LlamaError(
                "grb parameters: efficiency must be in [0, 1), rate_hz positive, and the delays "
                "finite and ascending; correct config.yaml"
            )
