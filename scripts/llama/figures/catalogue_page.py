"""The page of a catalogue, from catalogue.json and its figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.figures.page import Facts, Page, Picture, Rows, provenance_rows, write_html, write_pdf
from llama.figures.text import (
    MISSING,
    all_marks,
    area_text,
    clean,
    distance_text,
    number,
    p_text,
    share_text,
    utc_text,
)

Record = Mapping[str, Any]
Cell = tuple[str, float | str | None]  # what is shown, and what it is sorted by if that differs

HEADER = [
    *("Event", "Time (UTC)", "Class", "90 % area", "Distance", "Neutrinos"),
    *("Best neutrino", "Its p-value", "Odds ratio", "p-value", "p_astro", "p_astro with neutrinos"),
    "E_iso < (erg)",
]
_NUMBERS = (3, 4, 5, 7, 8, 9, 10, 11, 12)

_FIGURE = (
    "p-values and limit",
    "p-values of the events in order against chance; fraction of mergers against their energy.",
    "Left: p-values of the events, in order, against what chance gives; the band holds 95 % of "
    "chance at each point, and circles are the events that the binomial scan chose. Events with "
    "odds of 0 have p = 1. Right: "
    "fractions of mergers that emit an isotropic-equivalent energy in neutrinos towards us and are "
    "excluded at 90 % confidence.",
)


class CataloguePage(Page):
    """The page as plain lists and strings."""

    result: Facts
    notes: list[str]
    header: list[str]
    numbers: tuple[int, ...]
    rows: list[list[Cell]]
    pages: list[str | None]
    left_out: Facts | None
    provenance: Facts


def write_catalogue_page(
    catalogue: Record, figure: str | Path, html: str | Path, pdf: str | Path
) -> None:
    """Write the page, which can be sorted, and the same for print."""
    pictures = [Picture(*_FIGURE, figure)]
    content = catalogue_page(catalogue, Path(html).parent)
    write_html("catalogue", content, pictures, html, ["table.js"])
    write_pdf("catalogue", content, pictures, pdf)


def catalogue_page(catalogue: Record, run_dir: Path) -> CataloguePage:
    """Return what the page says; events that have a page in `run_dir` are linked."""
    run, made = clean(catalogue["run"], 60), catalogue.get("provenance") or {}
    n = catalogue["n_events"]
    out = [(clean(name, 40), clean(why, 300)) for name, why in catalogue["left_out"].items()]
    about = provenance_rows({k: v for k, v in made.items() if k != "inputs"})
    about.append(("Inputs", f"{len(made.get('inputs') or {}):,} files, hashes in catalogue.json"))
    about.append(("Make it again", f"snakemake {run}/catalogue"))
    return {
        "title": f"{run}: catalogue of {n} event{'s' * (n != 1)}",
        "marks": all_marks(catalogue["events"]),
        "lead": _lead(catalogue),
        "result": {"heading": "All events together", "rows": _result(catalogue)},
        "notes": _notes(catalogue),
        "header": HEADER,
        "numbers": _NUMBERS,
        "rows": [_row(row) for row in catalogue["events"]],
        "pages": [_link(run_dir, clean(row["event"], 40)) for row in catalogue["events"]],
        "left_out": {"heading": "Left out", "rows": out} if out else None,
        "provenance": {"heading": "Provenance", "rows": about},
    }


def _link(run_dir: Path, event: str) -> str | None:
    page = f"{event}/index.html"
    return page if (run_dir / page).exists() else None


def _lead(catalogue: Record) -> str:
    best = catalogue["best_event"]
    if best is None:
        return "No event has a p-value."
    n = catalogue["n_tested"]
    name, p = clean(best["event"], 40), p_text(best["p_value"])
    if n == 1:
        return f"The only event with a p-value is {name}, p = {p}."
    after = p_text(best["p_value_after_trials"])
    return f"The most significant of {n} events is {name}, p = {p}; after {n} trials p = {after}."


def _result(catalogue: Record) -> Rows:
    rows: Rows = []
    if catalogue["best_event"] is None:
        return [("Events", f"{catalogue['n_events']}, none with a p-value")]
    best, scan, summed = (catalogue[k] for k in ("best_event", "binomial_scan", "summed_odds"))
    after = p_text(best["p_value_after_trials"])
    rows.append(("Most significant event", f"p = {after} after trials"))
    names = ", ".join(clean(name, 40) for name in scan["events"][:10])
    names += f" and {scan['k'] - 10} more" if scan["k"] > 10 else ""
    smallest = f"the {scan['k']} smallest p-values" if scan["k"] > 1 else "the smallest p-value"
    rows.append(
        (
            "Binomial test",
            f"p = {p_text(scan['p_value'])} after the scan; {smallest} alone: p = "
            f"{p_text(scan['local'])} ({names})",
        )
    )
    error = f" ± {summed['p_value_error']:.1g}" if summed["p_value_error"] else ""
    words = f"p = {p_text(summed['p_value'])}{error} (sum of log(1 + odds): {summed['sum']:.3g})"
    rows.append(("Summed odds", words))
    for below in catalogue["counts"]:
        words = f"{below['observed']}, expected by chance {below['expected']:.3g}"
        rows.append((f"Events with p ≤ {below['level']:g}", words))
    limit = catalogue["stacked_limit"]
    words = "no energy is excluded"
    if limit["e_iso_erg"] is not None:
        words = f"{limit['e_iso_erg']:.1e} erg (isotropic equivalent, E^-2), if all of them emit it"
    rows.append(("90 % limit on mergers' energy in neutrinos", words))
    return rows


def _notes(catalogue: Record) -> list[str]:
    notes = [
        "p-values are for the sky map of each event, of neutrinos alone; the statements about all "
        "events together are explained in docs/method.md."
    ]
    if missing := catalogue["n_events"] - catalogue["n_tested"]:
        have, are = ("has", "is") if missing == 1 else ("have", "are")
        notes.append(f"{missing} of the events {have} no p-value and {are} in no test.")
    if pairs := catalogue["share_neutrinos"]:
        shown = "; ".join(f"{clean(a, 40)} and {clean(b, 40)}" for a, b in pairs[:10])
        notes.append(
            f"Events so close in time that they share neutrinos, whose p-values are not "
            f"independent: {shown}."
        )
    return notes


def _row(row: Record) -> list[Cell]:
    p = _p(row["p_value"], row["p_value_error"]) if row["p_value"] else _why(row)
    limit = row["e_iso_limit_erg"]
    time = utc_text(row["time_utc"]).removesuffix(" UTC")
    best, odds = row["best_neutrino"], row["odds_ratio"]
    return [
        (clean(row["event"], 40), None),
        (time, None),
        (clean(row["class"] or MISSING, 20), None),
        _cell(area_text(row["area_90_deg2"]), row["area_90_deg2"]),
        _cell(distance_text(row["distance_mpc"], row["distance_std_mpc"]), row["distance_mpc"]),
        _cell(str(row["neutrinos"]), row["neutrinos"]),
        (clean(best or MISSING, 40), None),
        _cell(p_text(row["best_neutrino_p_value"]), row["best_neutrino_p_value"]),
        _cell(number(odds), odds),
        _cell(p, row["p_value"]),
        _cell(share_text(row["p_astro"]), row["p_astro"]),
        _cell(share_text(row["p_astro_joint"]), row["p_astro_joint"]),
        _cell(number(limit, ".1e"), limit),
    ]


def _p(p_value: float, error: float | None) -> str:
    shown = p_text(p_value, error)
    return f"{shown} ± {error:.1g}" if error and not shown.startswith("<") else shown


def _why(row: Record) -> str:
    return f"none: {clean(row['p_value_reason'] or 'it was not computed', 200)}"


def _cell(shown: str, value: float | None) -> Cell:
    return shown, "" if value is None else float(value)
