"""Classes of backgrounds, `<population>-<run>-<detectors>`: which an event has, and which are near.

A population is a class of sources. Low-significance alerts and early warnings, whose sky maps are
others, have populations of their own, such as `bnslow` and `bnsearly`. Where neutrinos are not
IceCube's alone, the names of their detectors follow: `bns-o4-H1L1-arca_icecube`.
"""

from collections.abc import Iterable, Sequence

from llama.event.names import run_name
from llama.event.skymap_info import EventInfo
from llama.neutrinos.table import ICECUBE

LOW, EARLY = "low", "early"
_OFFERED = 3


def is_early_warning(info: EventInfo) -> bool:
    """Return whether the event is known from before the merger only: its map is a rough one."""
    return str(info.notice).endswith("-EarlyWarning") or str(info.search).lower() == "earlywarning"


def class_end(info: EventInfo, run: str | None, detectors: Sequence[str] = (ICECUBE,)) -> str:
    """Return what follows the class of sources in a class's name, `-o4-H1L1` or `low-o4-H1L1`.

    run: `background.run`, None for that of the event's time; detectors: of neutrinos.
    """
    level = EARLY if is_early_warning(info) else "" if info.significant else LOW
    waves = "".join(sorted(info.instruments))
    return f"{level}-{run or run_name(info.trigger_gps)}-{waves}{network_end(detectors)}"


def network_end(detectors: Sequence[str]) -> str:
    """Return how the name of a class ends that has these neutrino detectors."""
    return "" if list(detectors) == [ICECUBE] else f"-{'_'.join(sorted(detectors))}"


def class_detectors(name: str) -> list[str]:
    """Return the neutrino detectors of a class."""
    network = split_class(name)[3].partition("-")[2]
    return network.split("_") if network else [ICECUBE]


def split_class(name: str) -> tuple[str, str, str, str]:
    """Return class of sources, kind of alert ("", low, early), run and detectors of a class.

    The last are those of the waves, and a network's of neutrinos after a dash.
    """
    population, run, detectors = (*name.split("-", 2), "", "")[:3]
    level = next((end for end in (LOW, EARLY) if population.endswith(end)), "")
    return population.removesuffix(level), level, run, detectors


def near_classes(name: str, classes: Iterable[str]) -> list[str]:
    """Return at most three of `classes` that come nearest to one that is not there.

    They are of the same sources, or of the same run and detectors; the most alike come first.
    """
    wanted, near = split_class(name), []
    for other in classes:
        same = [a == b for a, b in zip(split_class(other), wanted, strict=True)]
        if same[0] or all(same[2:]):
            near.append((-sum(same), not same[0], other))
    return [other for *_, other in sorted(near)[:_OFFERED]]
