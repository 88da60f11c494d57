"""What publishing reads of an event's files, as typed forms; all other keys are not looked at."""

from pathlib import Path

from msgspec import Struct

from llama.files import read_json
from llama.typed import typed

Number = int | float  # as the file has it: the same bytes go out again
REMEDY = "make it again: remove it and run snakemake"


class Single(Struct, frozen=True):
    """A neutrino by itself: dt [s] after the wave, ICRS position and 1 sigma [deg], p-value."""

    dt: Number
    ra: Number
    dec: Number
    sigma: Number
    p_value: Number | None = None
    id: str | int | None = None
    i3event: str | int | None = None


class Explanation(Struct, frozen=True):
    """What the odds are made of: ids of the neutrinos of the set that gives most of them."""

    members: list[str | int] = []


class Sensitivity(Struct, frozen=True):
    """[min, max] in GeV cm^-2 and [low, high] in GeV, both empty when unknown."""

    flux_sensitivity: list[Number]
    sensitive_energy_range: list[Number]


class Significance(Struct, frozen=True):
    """The file `significance_*.json`."""

    odds_ratio: Number | None = None
    p_value: Number | None = None
    p_value_reason: str | None = None
    single_neutrino: list[Single] = []
    explanation: Explanation | None = None
    neutrino_flux_sensitivity_range: Sensitivity | None = None


class Listed(Struct, frozen=True):
    """A row of the neutrino list."""

    type: str | None = None
    in_window: bool = True


class Neutrinos(Struct, frozen=True):
    """The file `icecube_neutrino_list.json`."""

    events: list[Listed] = []
    complete: bool = False
    unusable: list[str] = []
    livetime_s: Number | None = None
    retrieved_at: str | None = None
    window: dict[str, Number | str] | None = None


def read_significance(path: Path) -> Significance:
    """Return an event's significance; `LlamaError` names what is wrong in the file."""
    return typed(read_json(path), Significance, str(path), REMEDY)


def read_neutrinos(path: Path) -> Neutrinos:
    """Return an event's neutrino list; `LlamaError` names what is wrong in the file."""
    return typed(read_json(path), Neutrinos, str(path), REMEDY)
