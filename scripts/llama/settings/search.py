"""Settings of the statistic: the astrophysical model, further messengers, how many alerts come."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from llama.settings.block import Block, Count, Number


class AssumedHorizon(Block):
    """Farthest luminosity distance assumed when a map tells none, by class [Mpc]. The source is
    then anywhere within it, uniform in comoving volume, and the result says that it is assumed.
    Change with the detectors' sensitivity."""

    bns: Number = Field(default=200.0, gt=0, le=1e5)
    """Two neutron stars [Mpc]."""
    nsbh: Number = Field(default=400.0, gt=0, le=1e5)
    """Neutron star and black hole [Mpc]."""
    bbh: Number = Field(default=2000.0, gt=0, le=1e5)
    """Two black holes [Mpc]."""
    burst: Number = Field(default=100.0, gt=0, le=1e5)
    """Unmodelled burst [Mpc]."""
    cbc: Number = Field(default=500.0, gt=0, le=1e5)
    """Binary of unknown class [Mpc]."""


LOWER_END = {
    "Enumax": "Enumin",
    "tgwplus": "tgwminus",
    "tnuplus": "tnuminus",
    "epsilon_max_gev": "epsilon_min_gev",
    "delay_max_s": "delay_min_s",
}


def _above_its_lower_end(value: float, info: ValidationInfo) -> float:
    lower = LOWER_END[info.field_name or ""]
    if value <= info.data.get(lower, float("-inf")):
        raise ValueError(f"should be greater than {lower} = {info.data[lower]:g}")
    return value


UpperEnd = Annotated[Number, AfterValidator(_above_its_lower_end)]


class Search(Block):
    """The astrophysical model behind the odds ratio, names as published. A change here outdates
    significances and backgrounds, not maps."""

    response: Literal["matrix", "published"] = "matrix"
    """Where energy and angle of a source's neutrinos are from: `matrix`, IceCube's simulation where
    the archive has it; `published`, the area at the reconstructed energy and a Gaussian, static
    space and the published numbers for what is null below."""
    fb: Number = Field(default=10.0, ge=1, le=1e6)
    """Beaming factor: one source in fb points its neutrinos at us. 1 means isotropic emission."""
    nu_51_100: Number | None = Field(default=None, gt=0, le=1e6, examples=[1.1])
    """Neutrinos expected from 1e51 erg (isotropic-equivalent) at 100 Mpc, averaged over the sky.
    null: from the archive's effective area and the energies below; as published it is 1.1."""
    Enumin: Number = Field(default=1e-6, gt=0, le=1e6)
    """Smallest energy a source emits in neutrinos [1e51 erg], true energy, that is before fb."""
    Enumax: UpperEnd = Field(default=0.1, gt=0, le=1e6)
    """Largest energy a source emits in neutrinos [1e51 erg], true energy, that is before fb."""
    ratebgnu: Number | None = Field(default=None, gt=0, le=1e3, examples=[0.0064])
    """All-sky rate of background neutrinos [Hz]. null: of lists from the archive its own; where
    neutrinos.source has others, and as published, that of IceCube's real-time tracks, 0.0064."""
    ndotgwnu_gpc3_yr: Number = Field(default=23.9, gt=0, le=1e9)
    """Rate density of sources of both messengers [Gpc^-3 yr^-1]. Counts only for neutrinos whose
    gravitational wave was missed, a small term; 23.9 is GWTC-2's rate of binary black holes."""
    tgwminus: Number = Field(default=-250.0, ge=-1e5, le=1e5)
    """Earliest gravitational-wave emission, relative to the source's time [s]."""
    tgwplus: UpperEnd = Field(default=250.0, ge=-1e5, le=1e5)
    """Latest gravitational-wave emission, relative to the source's time [s]."""
    tnuminus: Number = Field(default=-250.0, ge=-1e5, le=1e5)
    """Earliest neutrino emission, relative to the source's time [s]."""
    tnuplus: UpperEnd = Field(default=250.0, ge=-1e5, le=1e5)
    """Latest neutrino emission, relative to the source's time [s]."""
    epsilon_min_gev: Number = Field(default=10.0, gt=0, le=1e12)
    """Lowest neutrino energy of the E^-2 spectrum [GeV], at the source."""
    epsilon_max_gev: UpperEnd = Field(default=1e8, gt=0, le=1e12)
    """Highest neutrino energy of the E^-2 spectrum [GeV], at the source."""
    sigma_floor_deg: Number | None = Field(default=None, gt=0, le=10, examples=[0.2])
    """Smallest angular error believed of any neutrino [deg]: the detector's systematic error.
    null: the smallest that the archive states; as published it is 0.2."""
    far_signal_rate_hz: Number = Field(default=6.5e-8, gt=0, le=1)
    """Rate of true gravitational-wave triggers [Hz]; p_astro = rate / (rate + FAR) for alerts that
    carry no classification. 6.5e-8 reproduces the published O4 output."""
    max_set_size: Count = Field(default=4, ge=1, le=4)
    """Most neutrinos that one source may explain together. Lower it only to compare methods."""
    assumed_horizon_mpc: AssumedHorizon = Field(default_factory=AssumedHorizon)


class Instrument(Block):
    """An instrument whose bursts are heard."""

    efficiency: Number = Field(gt=0, lt=1)
    """Fraction of the sources that point at us whose burst it tells, and locates best."""
    rate_hz: Number = Field(gt=0, le=1)
    """All-sky rate of its bursts that have nothing to do with the event [Hz]."""


InstrumentName = Literal[
    "fermi_gbm", "swift_bat", "swift_guano", "einstein_probe_wxt", "svom"
]  # as in `llama.topics`


class Grb(Block):
    """Gamma-ray bursts as a third messenger: what they count in an event's odds
    (docs/messengers.md). Off while efficiency is 0 and no instruments are named; a change outdates
    events that have a list."""

    efficiency: Number = Field(default=0.0, ge=0, lt=1)
    """Fraction of the sources that point at us whose burst is in the list by hand,
    `fermi_grbs.json`; 0 leaves it out. A list without a burst counts against the source by 1 -
    efficiency."""
    rate_hz: Number = Field(default=7.5e-6, gt=0, le=1)
    """All-sky rate of bursts that reach this list and have nothing to do with the event [Hz].
    7.5e-6 is the 240 per year of Fermi's GBM; change it with the instrument."""
    delay_min_s: Number = Field(default=-1.0, ge=-1e5, le=1e5)
    """Earliest burst of a source, relative to its gravitational wave [s]."""
    delay_max_s: UpperEnd = Field(default=5.0, ge=-1e5, le=1e5)
    """Latest burst of a source, relative to its gravitational wave [s]."""

    instruments: dict[InstrumentName, Instrument] = Field(
        default_factory=dict, examples=[{"fermi_gbm": {"efficiency": 0.3, "rate_hz": 7.5e-6}}]
    )
    """Instruments whose notices `llama listen gcn` has heard make the list where there is none by
    hand, each with efficiency and rate_hz of its own (docs/messengers.md): fermi_gbm, swift_bat,
    swift_guano, einstein_probe_wxt, svom. {} takes none. Each is a line like
    fermi_gbm: {efficiency: 0.3, rate_hz: 7.5e-6}."""

    @model_validator(mode="after")
    def _are_few(self) -> "Grb":
        heard = self.instruments.values()
        rate_hz = max(self.rate_hz, sum(one.rate_hz for one in heard))
        if rate_hz * (self.delay_max_s - self.delay_min_s) > 10:
            raise ValueError(
                "should expect at most 10 chance bursts: rate_hz times delay_max_s - delay_min_s"
            )
        return self

    @field_validator("instruments")
    @classmethod
    def _are_of_some(cls, instruments: dict[str, Instrument]) -> dict[str, Instrument]:
        if sum(one.efficiency for one in instruments.values()) >= 1:
            raise ValueError("should have efficiencies whose sum is below 1")
        return instruments


class AlertRates(Block):
    """Public alerts of LIGO/Virgo/KAGRA of each kind per year of observing, false and real ones:
    times the p-value, the joint false-alarm rate of a result (docs/method.md). They are those of
    O4, thresholds those of gwcelery 3.0.0 (2026-06-18); change them with the observing run. A
    change outdates significances, not backgrounds, and sends nothing."""

    significant_cbc_per_year: Number = Field(default=127.0, gt=0, le=1e6)
    """Significant alerts of searches for binaries [1/yr]: 200 in 82 weeks of O4 (announcement by
    LVK, 2025-03-19). The threshold lets 12 false ones through: 1 in 30 days by all searches, 1 in
    210 days by each, a trials factor of 7."""
    low_significance_cbc_per_year: Number = Field(default=4380.0, gt=0, le=1e6)
    """Low-significance alerts of searches for binaries [1/yr]: what the threshold lets through at
    most, 2 false ones a day by each of 6 searches."""
    significant_burst_per_year: Number = Field(default=1.0, gt=0, le=1e6)
    """Significant alerts of unmodelled searches [1/yr]: the threshold's false ones, 1 in 365 days
    by all searches, a trials factor of 3. O4a had no real one (arXiv:2507.12374, 2025-07-16)."""
    low_significance_burst_per_year: Number = Field(default=1460.0, gt=0, le=1e6)
    """Low-significance alerts of unmodelled searches [1/yr]: what the threshold lets through at
    most, 2 false ones a day by each of 2 searches."""
    sub_solar_mass_per_year: Number = Field(default=1.0, gt=0, le=1e6)
    """Alerts of searches for sub-solar-mass binaries, all significant [1/yr]: the threshold's false
    ones, 1 in 365 days by all searches, a trials factor of 3."""
    early_warning_per_year: Number = Field(default=12.2, gt=0, le=1e6)
    """Early warnings, all significant [1/yr]: the threshold's false ones, 1 in 30 days by all
    searches, a trials factor of 4."""
