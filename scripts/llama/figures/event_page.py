"""index.html of an event: all that those on shift ask, in one file, made after all else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.alerts.foreign import foreign_signs
from llama.event.names import COINCIDENCE, COMBINED, products
from llama.event.page_files import EventFiles, read_event
from llama.event.results import Significance
from llama.figures import text
from llama.figures.globe import globe_data, places
from llama.figures.page import Grid, Picture, write_html
from llama.figures.receipts import outcome, receipts_section
from llama.figures.revisions import Revisions, keep_revision, revisions_section
from llama.figures.summary import SummaryPage, figure_texts, livetime_words, summary_content
from llama.figures.text import MISSING, clean, number
from llama.files import read_json
from llama.neutrinos.table import list_window
from llama.sky.tiles import SkyTiles

PAGE = "index.html"
_ALWAYS = ("Event", "Revisions", "Latency", "Sent", "Provenance")  # what stands on every page
_FILES = {
    "coinc_summary_i3_lvc.pdf": "the result as a document",
    "coinc_summary_i3_lvc.html": "the same, to send on",
    "coinc_skymap_lvc-i3.pdf": "the sky map as a figure",
    COMBINED: "sky map of the source of a real wave, with the neutrinos",
    COINCIDENCE: "sky map of the source that wave and neutrinos share",
    "gcn_circular_draft.txt": "draft of a circular",
    "gcn_notice.json": "notice",
    "significance_lvc-i3.json": "every number of the result",
    "significance_subthresh_lvc-i3.json": "every number of the result",
    "icecube_neutrino_list.json": "the neutrinos",
    "manifest.json": "what was made from what",
    "skymap_info.json": "what the alert says, in full length",
}
_HYPOTHESES = (
    ("coincidence", "s1", "One source of wave and neutrinos"),
    ("gw_only", "s2", "Real wave, background neutrinos"),
    ("neutrino_only", "c,ν", "No wave, a neutrino from elsewhere"),
    ("noise", "0", "All noise"),
)


class EventPage(SummaryPage):
    """What is on the page beside the summary."""

    globe: Mapping[str, object] | None
    places: list[str]
    has_background: bool
    keys: list[tuple[str, str, str]]  # what is asked first, and a note in small letters
    out: list[str]
    problems: list[str]
    hypotheses: list[tuple[str, str, str, str]]
    response: str  # what energies and point spread are from
    revisions: Revisions
    sent: Grid
    contents: list[tuple[str, str]]
    back: str
    files: list[tuple[str, str]]


def write_event_page(event_dir: Path, target: str) -> None:
    """Write the page of an event, with what its directory holds; nothing that is missing stops it.

    target: the directory below the output directory, as Snakemake names it. Also keeps the
    present revision's result for the pages of later ones. `LlamaError` when a file is broken.
    """
    event, pictures = read_event(event_dir), []
    if len(event.there) == 4:
        keep_revision(event_dir, event)
        figures = zip(figure_texts(event.neutrinos), ("skymap", "scatter"), strict=True)
        pictures = [
            Picture(*words, event_dir / f"coinc_{name}_lvc-i3.png")
            for words, name in figures
            if (event_dir / f"coinc_{name}_lvc-i3.png").exists()
        ]
    content = page_content(event_dir, target, event)
    both = pictures if len(pictures) == 2 else []
    write_html("event", content, both, event_dir / PAGE, ["globe.js"] if content["globe"] else [])


def page_content(event_dir: Path, target: str, event: EventFiles) -> EventPage:
    """Return all that the template asks for."""
    info, neutrinos, there = event.info, event.neutrinos, event.there
    latency = _read(event_dir / "latency.json") or {"revisions": []}
    summary = summary_content(event, latency["revisions"], target)
    map_path = event_dir / "lvc_skymap.hdf5"
    tiles = SkyTiles.load(map_path) if map_path.exists() else None
    drawn = tiles if "neutrinos" in there else None
    if "significance" not in there:
        summary["explanation"] = None
        summary["lead"] = (
            "The alert was retracted." if info.retracted else "There is no result yet."
        )
    if "neutrinos" not in there:
        summary["neutrinos"] = None
    if not latency["revisions"]:
        summary["latency"]["text"] = ["Nothing is recorded yet."]
    if manifest := _read(event_dir / "manifest.json"):
        summary["provenance"]["rows"][-1:-1] = [
            ("Products", f"{len(manifest.get('products') or {})}, hashes in manifest.json"),
            ("All settings, sha256", clean(manifest.get("settings_sha256"), 80)),
            ("Versions", _versions(manifest)),
        ]
    content: EventPage = {
        **summary,
        "globe": globe_data(drawn, neutrinos.events, info, event.significance) if drawn else None,
        "places": places(drawn, neutrinos.events, info, event.significance) if drawn else [],
        "has_background": event.significance.p_value is not None,
        "keys": _keys(event),
        "out": outcome(event_dir),
        "problems": _problems(event_dir, event, tiles),
        "hypotheses": _hypotheses(event.significance),
        "response": event.significance.response,
        "revisions": revisions_section(event_dir),
        "sent": receipts_section(event_dir, event.flags),
        "contents": [],
        "back": f"{'../' * len(Path(target).parts)}status.html",
        "files": [(name, words) for name, words in _FILES.items() if (event_dir / name).exists()],
    }
    content["contents"] = _contents(content)
    return content


def _contents(content: EventPage) -> list[tuple[str, str]]:
    anchors = [
        ("sky-map", "Sky", content["globe"]),
        ("why", "Why", content["explanation"]),
        ("hypotheses", "Hypotheses", content["hypotheses"]),
        ("neutrinos", "Neutrinos", content["neutrinos"]),
        *((name.lower(), name, True) for name in _ALWAYS),
    ]
    return [(anchor, name) for anchor, name, there in anchors if there]


def _read(path: Path) -> dict[str, Any] | None:
    content = read_json(path) if path.exists() else None
    return content if isinstance(content, dict) else None


def _problems(event_dir: Path, event: EventFiles, tiles: SkyTiles | None) -> list[str]:
    info, names = event.info, [name for name in products(event.info) if name != PAGE]
    missing = [name for name in names if not (event_dir / name).exists()]
    problems = []
    earlier = text.earlier_notice(info, event.significance)
    if earlier:
        problems.append(f"The result is that of an earlier alert, {earlier}.")
    if missing:
        problems.append(f"Not made yet: {', '.join(missing)}.")
    signs = foreign_signs(
        tiles.meta if tiles else {}, info.graceid, info.gps_time, info.instruments
    )
    if signs:
        problems.append(
            f"The sky map belongs to another event: {clean('; '.join(signs), 300)}. Give the "
            "right one with skymap_info --skymap."
        )
    if event.flags["VETOED"]:
        problems.append("The event is vetoed (flag VETOED): no result of it is sent.")
    return problems


def _keys(event: EventFiles) -> list[tuple[str, str, str]]:
    """Return what is asked first: name, value, note in small letters; the first three large."""
    neutrinos, significance, distances = event.neutrinos, event.significance, event.distances
    count, complete = MISSING, ""
    if "neutrinos" in event.there:
        count = str(sum(text.in_window(neutrino, event.info) for neutrino in neutrinos.events))
        live = livetime_words(neutrinos)
        complete = "complete" if neutrinos.complete else "provisional"
        complete += f", observed {live}" if live else ""
    background = "no background" if "significance" in event.there else ""
    if significance.p_value is not None:
        background = text.background_text(significance)
        if significance.p_value_map is not None and not significance.is_of_map:
            of_map = significance.p_value_map, significance.p_value_map_error
            own = text.p_text(*of_map, significance.p_value_map_effective)
            background += f"; for this sky map {own}"
    distance = text.distance_text(distances.distmean_mpc, distances.diststd_mpc)
    area_note, distance_note = text.combined_notes(event.combined)
    population = clean(event.p_astro.population or "")
    assumed = significance.assumed_distance
    return [
        ("p-value", significance.p_text or MISSING, background),
        ("Odds ratio", number(significance.odds_ratio), "one common source over all else"),
        (f"Neutrinos {list_window(neutrinos.window).words('within {} s')}", count, complete),
        ("Joint false-alarm rate", *text.joint_rate_text(significance)),
        ("p_astro", number(event.p_astro.p_astro, ".4g"), population),
        ("False-alarm rate of the wave", *text.rate_text(event.info.far_hz)),
        ("90 % area", text.area_text(distances.area_90_deg2), area_note),
        ("Distance", distance, assumed.words if assumed else distance_note),
    ]


def _hypotheses(significance: Significance) -> list[tuple[str, str, str, str]]:
    rows = []
    for key, symbol, words in _HYPOTHESES:
        share = significance.posterior.get(key)
        if share is not None:
            width = f"{100 * min(max(share, 0.0), 1.0):.2f}"
            rows.append((symbol, words, text.share_text(share), width))
    return rows


def _versions(manifest: Mapping[str, object]) -> str:
    versions = manifest.get("versions")
    if not isinstance(versions, Mapping):
        return MISSING
    return ", ".join(f"{clean(name, 30)} {clean(v, 30)}" for name, v in versions.items())
