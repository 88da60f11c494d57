"""What is shown and published of an event's files, as typed forms; no other key is looked at.

All values may be missing: those of a result that an older version made, or that could not be.
"""

from pathlib import Path
from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from llama.event.compared import Compared, Number, PValue
from llama.event.skymap_info import EventInfo, unchecked_info
from llama.files import read_json
from llama.neutrinos.table import OF_EACH
from llama.topics import instruments_in_words
from llama.typed import typed
from llama.units import R90_PER_SIGMA

Form = TypeVar("Form", bound=Struct)
REMEDY = "make it again: remove it and run snakemake"


class Neutrino(Struct, frozen=True):
    """A row of the neutrino list: ICRS position and 1 sigma [deg], energy [GeV], dt [s]."""

    id: str | int | None = None
    detector: str | None = None
    type: str | None = None
    ra: Number | None = None
    dec: Number | None = None
    sigma: Number | None = None
    energy: Number | None = None
    gps: Number | None = None
    mjd: Number | None = None
    dt: Number | None = None
    in_window: bool | None = None
    direction: str | None = None


class Observed(Struct, frozen=True):
    """Whether a detector was on, and why not."""

    on: bool = True
    why: str = ""


class NeutrinoList(Struct, frozen=True):
    """The file `icecube_neutrino_list.json`; detectors: of a network."""

    events: list[Neutrino] = []
    complete: bool = False
    unusable: list[str] = []
    livetime_s: Number | None = None
    retrieved_at: str | None = None
    window: dict[str, Number | str | None] | None = None
    detectors: dict[str, Observed] = {}

    @property
    def observed(self) -> str:
        """Whose neutrinos they are and who was off, `arca and icecube; without sk (it ...)`."""
        on = [name for name, one in self.detectors.items() if one.on]
        off = [f"{name} ({one.why})" for name, one in self.detectors.items() if not one.on]
        said = [" and ".join(on)] if on else []
        return "; ".join(said + ([f"without {', '.join(off)}"] if off else []))

    @property
    def least(self) -> str:
        """What goes before the live time: of a network it is the least of any detector."""
        return "at least " if self.detectors else ""

    @property
    def observer(self) -> str:
        """Who observed during the live time."""
        return "each detector" if self.detectors else "the detector"


class Classification(Struct, frozen=True):
    """The file `p_astro.json`; classes: the probability of each class of source that it names."""

    p_astro: Number | None = None
    source: str | None = None
    reason: str | None = None
    population: str | None = None
    classes: dict[str, Number] = {}


class Distances(Struct, frozen=True):
    """The file `lvc_skymap_distances.json`."""

    distance: str | None = None
    distmean_mpc: Number | None = None
    diststd_mpc: Number | None = None
    area_50_deg2: Number | None = None
    area_90_deg2: Number | None = None


class Place(Struct, frozen=True):
    """A direction, ICRS [deg]."""

    ra: Number | None = None
    dec: Number | None = None


class Single(PValue, frozen=True, kw_only=True):
    """A neutrino by itself: dt [s] after the wave, ICRS position, 1 sigma and 90 % radius [deg]."""

    dt: Number
    ra: Number
    dec: Number
    sigma: Number
    id: str | int | None = None
    detector: str | None = None
    i3event: str | int | None = None
    odds_ratio: Number | None = None
    radius_90_deg: Number | None = None
    map_name: str | None = None
    map_sha256: str | None = None
    map_area_90_deg2: Number | None = None

    @property
    def map_words(self) -> str:
        """Which map its direction is, "" if it is none."""
        if self.map_sha256 is None or self.map_area_90_deg2 is None:
            return ""
        area, sha256 = f"{self.map_area_90_deg2:.3g} deg^2", self.map_sha256[:16]
        return f"the map {self.map_name} (90 % area {area}, sha256 {sha256})"

    @property
    def circle_deg(self) -> float:
        """Radius that holds 90 % of its point spread; of its sigma's Gaussian if not known."""
        return gaussian_circle_deg(self.sigma) if self.radius_90_deg is None else self.radius_90_deg

    @property
    def key(self) -> str:
        """What ties it to the neutrino list."""
        return str(self.i3event if self.id is None else self.id)


class AssumedDistance(Struct, frozen=True):
    """How far sources are taken to be where a map tells no distance; odds if it were farther."""

    horizon_mpc: Number
    farther_mpc: Number
    odds_ratio_farther: Number

    @property
    def words(self) -> str:
        """What the odds rest on."""
        near, far = f"{self.horizon_mpc:,.0f} Mpc", f"{self.farther_mpc:,.0f} Mpc"
        odds = f"{self.odds_ratio_farther:.3g}"
        return f"assumed, up to {near}; up to {far} the odds ratio would be {odds}"


def gaussian_circle_deg(sigma_deg: float) -> float:
    """Return the radius that holds 90 % of a Gaussian of sigma."""
    return min(R90_PER_SIGMA * sigma_deg, 180.0)


class Why(Struct, frozen=True):
    """What the odds are made of; odds that bursts alone give have that factor and no member."""

    members: list[str | int]
    factors: dict[str, float]
    probability_of_count: float = 0.0
    expected_background: float = 0.0
    fb: float = 0.0


class Sensitivity(Struct, frozen=True):
    """[min, max] in GeV cm^-2 and [low, high] in GeV, both empty when unknown."""

    flux_sensitivity: list[Number]
    sensitive_energy_range: list[Number]


class Inputs(Struct, frozen=True):
    """What a significance was made from."""

    gw_skymap_info: dict[str, object] = {}
    neutrino_info: list[Neutrino] = []
    burst_info: list[object] = []
    grb_instruments: dict[str, object] = {}


class Alone(Compared, frozen=True):
    """What an event has without gamma-ray bursts, under the names of what it has with them."""

    p_value_reason: str | None = None
    joint_far_per_year: Number | None = None
    joint_far_is_limit: bool = False
    joint_far_reason: str | None = None


class Significance(Compared, Struct, frozen=True):
    """The file `significance_*.json`; `explanation` is unset in those of an older version."""

    p_value_odds: Number | None = None
    p_value_reason: str | None = None
    p_value_map: Number | None = None
    p_value_map_error: Number | None = None
    p_value_map_effective: Number | None = None
    p_value_map_reason: str | None = None
    n_map_background: Number | None = None
    p_value_class: Number | None = None
    p_value_class_error: Number | None = None
    p_value_class_effective: Number | None = None
    p_value_class_reason: str | None = None
    alert_kind: str | None = None
    alert_rate_per_year: Number | None = None
    joint_far_per_year: Number | None = None
    joint_far_is_limit: bool = False
    joint_far_reason: str | None = None
    posterior: dict[str, Number | None] = {}
    p_astro: Number | None = None
    p_astro_joint: Number | None = None
    most_probable_direction: Place = Place()
    assumed_distance: AssumedDistance | None = None
    unlike_background: list[str] = []
    single_neutrino: list[Single] = []
    explanation: Why | UnsetType | None = UNSET
    without_bursts: Alone | None = None
    energy_response: str | None = None
    psf: str | None = None
    neutrino_flux_sensitivity_range: Sensitivity | None = None
    inputs: Inputs = Inputs()
    provenance: dict[str, object] = {}

    @property
    def of_neutrinos(self) -> "Significance":
        """The result without gamma-ray bursts, for what is said of neutrinos alone."""
        if self.without_bursts is None:
            return self
        return replace(self, **asdict(self.without_bursts), without_bursts=None)

    @property
    def bursts_of(self) -> str:
        """Whose gamma-ray bursts count, for texts that are of neutrinos else; "" if none do."""
        if self.without_bursts is None:
            return ""
        return instruments_in_words(self.inputs.grb_instruments) or "the event's list"

    @property
    def misfit(self) -> str:
        """A sentence if the neutrinos are not such as the background has, else ""."""
        if not self.unlike_background:
            return ""
        return (
            "The neutrinos do not fit the background that they are compared with: "
            f"{', and '.join(self.unlike_background)}; "
            "odds and p-value are right for neutrinos of that background only."
        )

    @property
    def info(self) -> EventInfo:
        """The skymap_info.json that it was made from."""
        return unchecked_info(self.inputs.gw_skymap_info)

    @property
    def simulated(self) -> bool:
        """Whether energies and point spread are those of the detector's simulation."""
        return (self.energy_response, self.psf) == ("smearing", "mixture")

    @property
    def response(self) -> str:
        """What energies and point spread are from, in words; "" if it does not say."""
        if self.energy_response is None or self.psf is None:
            return ""
        if self.simulated:
            return "IceCube's simulation"
        if self.psf == OF_EACH:
            return "those of each detector"
        return "effective area at the reconstructed energy, Gaussian point spread"


def read(path: Path, form: type[Form]) -> Form:
    """Return a file as `form`; `LlamaError` names what is wrong."""
    return typed(read_json(path), form, str(path), REMEDY)
