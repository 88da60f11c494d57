"""The files of an event that its pages read, together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from llama.event.flags import read_flags
from llama.event.located import Combined
from llama.event.names import COMBINED_SUMMARY, significance_name
from llama.event.results import (
    REMEDY,
    Classification,
    Distances,
    Form,
    NeutrinoList,
    Significance,
    read,
)
from llama.event.skymap_info import EventInfo, read_info
from llama.files import read_json
from llama.typed import typed


@dataclass(frozen=True)
class EventFiles:
    """The files of an event that its pages read, of which only the first two must be there.

    there: which of the others are, but the combined map.
    """

    info: EventInfo
    flags: Mapping[str, object]
    p_astro: Classification
    distances: Distances
    neutrinos: NeutrinoList
    significance: Significance
    there: frozenset[str] = frozenset({"p_astro", "distances", "neutrinos", "significance"})
    combined: Combined | None = None


def read_event(event_dir: Path) -> EventFiles:
    """Return an event's files; `LlamaError` names one that is broken."""
    info, p_astro = read_info(event_dir), event_dir / "p_astro.json"
    combined = event_dir / COMBINED_SUMMARY
    there = {"p_astro"} if p_astro.exists() else set()

    def read_one(name: str, file: str, form: type[Form]) -> Form:
        if not (event_dir / file).exists():
            return form()
        there.add(name)
        return read(event_dir / file, form)

    return EventFiles(
        info,
        read_flags(event_dir),
        classification(read_json(p_astro), p_astro.name) if there else Classification(),
        read_one("distances", "lvc_skymap_distances.json", Distances),
        read_one("neutrinos", "icecube_neutrino_list.json", NeutrinoList),
        read_one("significance", significance_name(info), Significance),
        frozenset(there),
        read(combined, Combined) if combined.exists() else None,
    )


_NOT_CLASSES = {"p_astro", "p_astro_alert", "p_astro_far"}


def classification(content: Mapping[str, object], where: str) -> Classification:
    """Return the content of a p_astro.json; where: its name, for a `LlamaError`."""
    known = typed(content, Classification, where, REMEDY)
    numbers = {name for name, value in content.items() if type(value) in (int, float)}
    return replace(known, classes={name: content[name] for name in numbers - _NOT_CLASSES})
