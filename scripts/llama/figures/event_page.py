"""index.html of an event: all that those on shift ask, in one file, made after all else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.alerts.foreign import foreign_signs
from llama.event.flags import read_flags
from llama.event.names import products, significance_name
from llama.event.skymap_info import EventInfo, read_info
from llama.figures import revisions, text
from llama.figures.content import livetime_words, summary_content
from llama.figures.globe import globe_data, places
from llama.figures.page import Picture, write_html
from llama.figures.receipts import outcome, receipts_section
from llama.figures.summary import figure_texts
from llama.figures.text import MISSING, clean, finite, number
from llama.files import read_json
from llama.neutrinos.table import list_window
from llama.sky.tiles import SkyTiles

Record = Mapping[str, Any]
PAGE = "index.html"
_FILES = {
    "coinc_summary_i3_lvc.pdf": "the result as a document",
    "coinc_summary_i3_lvc.html": "the same, to send on",
    "coinc_skymap_lvc-i3.pdf": "the sky map as a figure",
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


def write_event_page(event_dir: Path, target: str) -> None:
    """Write the page of an event, with what its directory holds; nothing that is missing stops it.

    target: the directory below the output directory, as Snakemake names it. Also keeps the
    present revision's result for the pages of later ones. `LlamaError` when skymap_info.json or
    flags.json is broken.
    """
    info, flags = read_info(event_dir), read_flags(event_dir)
    names = [n for n in products(info) if n != PAGE]
    needed = {
        "p_astro": "p_astro.json",
        "distances": "lvc_skymap_distances.json",
        "neutrinos": "icecube_neutrino_list.json",
        "significance": significance_name(info),
    }
    read = {key: _read(event_dir / name) for key, name in needed.items()}
    pictures = []
    if all(record is not None for record in read.values()):
        revisions.remember(event_dir, **{key: record or {} for key, record in read.items()})
        figures = zip(figure_texts(read["neutrinos"] or {}), ("skymap", "scatter"), strict=True)
        pictures = [
            Picture(*words, event_dir / f"coinc_{name}_lvc-i3.png")
            for words, name in figures
            if (event_dir / f"coinc_{name}_lvc-i3.png").exists()
        ]
    tiles = _tiles(event_dir)
    content = page_content(event_dir, target, info, flags, read, tiles)
    content["problems"] = _problems(event_dir, info, flags, read["significance"], names, tiles)
    content["back"] = f"{'../' * len(Path(target).parts)}status.html"
    content["files"] = [
        (name, words) for name, words in _FILES.items() if (event_dir / name).exists()
    ]
    both = pictures if len(pictures) == 2 else []
    write_html("event", content, both, event_dir / PAGE, ["globe.js"] if content["globe"] else [])


def page_content(
    event_dir: Path,
    target: str,
    info: EventInfo,
    flags: Record,
    read: Mapping[str, Record | None],
    tiles: SkyTiles | None,
) -> dict[str, Any]:
    """Return all that the template asks for; read: the event's JSON files, None if missing."""
    significance, neutrinos = read["significance"], read["neutrinos"]
    latency = _read(event_dir / "latency.json")
    content = summary_content(
        info,
        flags,
        read["p_astro"] or {},
        read["distances"] or {},
        neutrinos or {"events": []},
        significance or {},
        latency or {"revisions": []},
        target,
    )
    globe = None
    if tiles is not None and neutrinos is not None:
        globe = globe_data(tiles, neutrinos["events"], info, significance or {})
        content["places"] = places(tiles, neutrinos["events"], info)
    if significance is None:
        content["explanation"] = None
        content["lead"] = (
            "The alert was retracted." if info.retracted else "There is no result yet."
        )
    if neutrinos is None:
        content["neutrinos"] = None
    if latency is None:
        content["latency"]["text"] = ["Nothing is recorded yet."]
    content |= {
        "globe": globe,
        "has_background": finite((significance or {}).get("p_value")) is not None,
        "keys": _keys(info, read),
        "out": outcome(event_dir),
        "hypotheses": _hypotheses(significance),
        "revisions": revisions.revisions_section(event_dir),
        "sent": receipts_section(event_dir, flags),
    }
    content["contents"] = _contents(content)
    manifest = _read(event_dir / "manifest.json") or {}
    if manifest:
        content["provenance"]["rows"][:-1] += [
            ("Products", f"{len(manifest.get('products') or {})}, hashes in manifest.json"),
            ("All settings, sha256", clean(manifest.get("settings_sha256"), 80)),
            ("Versions", _versions(manifest)),
        ]
    return content


def _contents(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    anchors = [
        ("sky-map", "Sky", content["globe"]),
        ("why", "Why", content["explanation"]),
        ("hypotheses", "Hypotheses", content["hypotheses"]),
        ("neutrinos", "Neutrinos", content["neutrinos"]),
        ("event", "Event", True),
        ("revisions", "Revisions", True),
        ("latency", "Latency", True),
        ("sent", "Sent", True),
        ("provenance", "Provenance", True),
    ]
    return [(anchor, name) for anchor, name, there in anchors if there]


def _read(path: Path) -> dict[str, Any] | None:
    content = read_json(path) if path.exists() else None
    return content if isinstance(content, dict) else None


def _tiles(event_dir: Path) -> SkyTiles | None:
    path = event_dir / "lvc_skymap.hdf5"
    return SkyTiles.load(path) if path.exists() else None


def _problems(
    event_dir: Path,
    info: EventInfo,
    flags: Record,
    significance: Record | None,
    names: list[str],
    tiles: SkyTiles | None,
) -> list[str]:
    missing = [name for name in names if not (event_dir / name).exists()]
    problems = []
    earlier = text.earlier_notice(info, significance or {})
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
    if flags["VETOED"]:
        problems.append("The event is vetoed (flag VETOED): no result of it is sent.")
    return problems


def _keys(info: EventInfo, read: Mapping[str, Record | None]) -> list[Any]:
    """Return what is asked first: name, value, note in small letters; the first three large."""
    significance, distances = read["significance"] or {}, read["distances"] or {}
    neutrinos, p_astro = read["neutrinos"], read["p_astro"] or {}
    mean = finite(distances.get("distmean_mpc"))
    near = text.in_window
    window = list_window((neutrinos or {}).get("window"))
    count = None if neutrinos is None else sum(near(e, info) for e in neutrinos["events"])
    complete = "complete" if (neutrinos or {}).get("complete") else "provisional"
    std = finite(distances.get("diststd_mpc")) or 0.0
    assumed = "assumed" if distances.get("distance") == "assumed" else ""
    if finite(significance.get("p_value")) is not None:
        background = text.background_text(significance)
    else:
        background = "no background" if significance else ""
    live = livetime_words(neutrinos or {})
    return [
        ("p-value", text.p_text(significance.get("p_value")), background),
        ("Odds ratio", number(significance.get("odds_ratio")), "one common source over all else"),
        (
            f"Neutrinos {window.words('within {} s')}",
            MISSING if count is None else f"{count}",
            "" if count is None else complete + (f", observed {live}" if live else ""),
        ),
        ("p_astro", number(p_astro.get("p_astro"), ".4g"), clean(p_astro.get("population") or "")),
        ("False-alarm rate", *text.rate_text(info.far_hz)),
        ("90 % area", text.area_text(distances.get("area_90_deg2")), ""),
        ("Distance", MISSING if mean is None else f"{mean:.0f} ± {std:.0f} Mpc", assumed),
    ]


def _hypotheses(significance: Record | None) -> list[tuple[str, str, str, str]]:
    known = (significance or {}).get("posterior") or {}
    rows = []
    for key, symbol, words in _HYPOTHESES:
        share = finite(known.get(key))
        if share is not None:
            shown = text.share_text(share)
            rows.append((symbol, words, shown, f"{100 * min(max(share, 0.0), 1.0):.2f}"))
    return rows


def _versions(manifest: Record) -> str:
    versions = manifest.get("versions")
    if not isinstance(versions, Mapping):
        return MISSING
    return ", ".join(f"{clean(name, 30)} {clean(v, 30)}" for name, v in versions.items())
