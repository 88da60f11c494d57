"""The summary page of an event: headings, rows and tables, the same for HTML and PDF."""

from collections.abc import Sequence
from pathlib import Path

from llama.errors import LlamaError
from llama.event.latency import AlertSteps
from llama.event.page_files import EventFiles
from llama.event.results import Classification, Neutrino, NeutrinoList, Significance, Single
from llama.event.skymap_info import EventInfo
from llama.figures import text
from llama.figures.explain import Explained, explanation_section
from llama.figures.page import Facts, Grid, Page, Picture, Rows, provenance_rows, write_page
from llama.figures.revisions import latency_section
from llama.figures.text import MISSING, clean, number
from llama.neutrinos.table import OF_EACH, list_window
from llama.times import gps_to_iso, mjd_to_gps

TABLE_HEADER = [
    *("#", "Id", "Time (UTC)", "dt (s)", "RA (deg)", "Dec (deg)", "σ (deg)", "90 % radius (deg)"),
    *("Energy (GeV)", "Odds ratio", "p", "Type", "In window"),
]


class SummaryPage(Page):
    """The page of an event; `bad` when it is no result to go by."""

    bad: bool
    event: Facts
    explanation: Explained | None
    result: Facts
    neutrinos: Grid | None
    latency: Grid
    provenance: Facts


def summary_content(
    event: EventFiles, latency: Sequence[AlertSteps], event_dir: str
) -> SummaryPage:
    """Return the page; what came from outside is cleaned."""
    info, neutrinos, significance = event.info, event.neutrinos, event.significance
    events, singles = neutrinos.events, {one.key: one for one in significance.single_neutrino}
    radii, best = text.circles_deg(events, significance), {key: k for k, key in enumerate(singles)}
    marks = text.marks(info, events, {"ROLE": None, **event.flags})
    return {
        "title": f"{clean(info.graceid, 30)}: gravitational wave and high-energy neutrinos",
        "marks": marks,
        "bad": bool({"RETRACTED", "BLINDED NEUTRINOS"}.intersection(marks)),
        "lead": _lead(info, neutrinos, significance, blind="BLINDED NEUTRINOS" in marks),
        "event": {"heading": "Gravitational-wave event", "rows": _event(event)},
        "explanation": explanation_section(event),
        "result": {"heading": "Result", "rows": _result(event)},
        "neutrinos": {
            "heading": "Neutrinos",
            "text": [
                *(clean(said, 600) for said in [significance.misfit] if said),
                *([f"Detectors: {clean(neutrinos.observed, 400)}."] if neutrinos.detectors else []),
                _completeness(neutrinos),
                _explanation(neutrinos, significance),
            ],
            "table": {
                "caption": f"{len(events)} neutrinos of {clean(info.graceid, 30)}",
                "header": TABLE_HEADER,
                "rows": [
                    _table_row(k + 1, events[k], radii[k], singles.get(str(events[k].id)), info)
                    for k in sorted(
                        range(len(events)), key=lambda k: best.get(str(events[k].id), k)
                    )
                ],
            },
        },
        "latency": latency_section(info, latency),
        "provenance": {
            "heading": "Provenance",
            "rows": [
                *provenance_rows(significance.provenance),
                ("Make it again", f"snakemake {clean(event_dir.rstrip('/'), 200)}/all"),
            ],
        },
    }


def _lead(info: EventInfo, neutrinos: NeutrinoList, significance: Significance, blind: bool) -> str:
    if info.retracted:
        return "The gravitational-wave alert was retracted; what follows is kept for the record."
    if blind:
        return (
            "No result: the neutrinos are blinded, and what follows is made with them as they are."
        )
    if significance.p_value is None:
        return f"No p-value. {text.reason_text(significance)}"
    so_far = "" if neutrinos.complete else " The list of neutrinos is not complete."
    if live := livetime_words(neutrinos):
        so_far += f" {neutrinos.observer.capitalize()} observed during {live}."
    if not significance.odds_ratio and significance.p_value == 1:
        return (
            "No neutrino of the list is compatible with this event in time and direction: "
            f"odds ratio 0, p = 1.{so_far}"
        )
    return (
        f"{significance.p_words}: chance coincidences at least as convincing as this one happen "
        f"in {text.share_of_background(significance)}.{so_far}"
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"


def _event(event: EventFiles) -> Rows:
    info, distances = event.info, event.distances
    name, revision = clean(info.notice or MISSING), info.revision
    distance = text.distance_text(distances.distmean_mpc, distances.diststd_mpc)
    if distances.distance == "assumed":
        assumed = event.significance.assumed_distance
        distance = f"not in the sky map: {assumed.words if assumed else 'assumed'}"
    search = [clean(word) for word in (info.group, info.search) if word]
    return [
        ("GraceID", clean(info.graceid, 30)),
        ("Time", text.utc_text(info.event_time)),
        ("Notice", name if revision is None else f"{name}, revision {revision:.0f}"),
        ("Notice time", text.utc_text(info.notice_time)),
        ("False-alarm rate", ", ".join(word for word in text.rate_text(info.far_hz) if word)),
        ("Instruments", ", ".join(clean(i, 10) for i in info.instruments or []) or MISSING),
        ("Pipeline", clean(info.pipeline or MISSING)),
        ("Group and search", ", ".join(search) or MISSING),
        ("Significance of the alert", "significant" if info.significant else "low"),
        ("Classification", _classification(event.p_astro)),
        ("Distance", distance),
        ("50 % area", text.area_text(distances.area_50_deg2)),
        ("90 % area", text.area_text(distances.area_90_deg2)),
        ("Sky map", clean(info.skymap_filename or MISSING)),
    ]


def _classification(p_astro: Classification) -> str:
    known = ("BNS", "NSBH", "BBH", "Terrestrial")
    others = sorted(set(p_astro.classes) - set(known))
    classes = [(clean(name, 20), p_astro.classes.get(name)) for name in (*known, *others)]
    words = [f"{name} {_percent(p)}" for name, p in classes if p is not None][:8]
    source = {"alert": "as in the alert", "far": "from the false-alarm rate"}
    if p_astro.p_astro is not None:
        notes = source.get(str(p_astro.source), ""), clean(p_astro.reason or "", 100)
        note = ": ".join(filter(None, notes))
        words.append(f"p_astro {p_astro.p_astro:.4g}" + (f" ({note})" if note else ""))
    if p_astro.population:
        words.append(f"background of class {clean(p_astro.population, 20)}")
    return ", ".join(words) or MISSING


def _result(event: EventFiles) -> Rows:
    significance = event.significance
    posterior = significance.posterior
    rows = [
        ("Odds ratio, common source or not", number(significance.odds_ratio, ".4g")),
        *text.p_value_rows(significance),
        ("Joint false-alarm rate", ", ".join(filter(None, text.joint_rate_text(significance)))),
        *((label, text.share_text(posterior.get(name))) for name, label in _HYPOTHESES.items()),
        ("p_astro with the neutrinos", number(significance.p_astro_joint, ".4g")),
    ]
    if significance.without_bursts:
        rows.append(("Without gamma-ray bursts", text.result_line(significance.without_bursts)))
    if significance.response:
        rows.append(("Energies and point spread", significance.response))
    best = text.best_direction(significance)
    if best:
        place = f"RA {best[0]:.2f} deg, Dec {best[1]:+.2f} deg"
        rows.append(("Most probable common direction", place))
    return rows + text.located_rows(event.combined)


_HYPOTHESES = {
    "coincidence": "P(one source of wave and neutrinos)",
    "gw_only": "P(real wave, background neutrinos)",
    "neutrino_only": "P(no wave, astrophysical neutrino)",
    "noise": "P(all noise)",
}


def _completeness(neutrinos: NeutrinoList) -> str:
    times, span = neutrinos.window or {}, ""
    if times.get("start") and times.get("stop"):
        span = f" ({text.utc_text(times['start'])} to {text.utc_text(times['stop'])})"
    if live := livetime_words(neutrinos):
        span += f"; {neutrinos.observer} observed during {live}"
    if neutrinos.unusable:
        said = "; ".join(clean(sentence, 300) for sentence in neutrinos.unusable)
        return f"The list is incomplete{span}: {said}."
    if neutrinos.complete:
        return f"The list is complete for the time window{span}."
    return (
        f"The list is provisional{span}: it was made before the window had closed or before all "
        "its neutrinos had arrived, and a later run makes it again."
    )


def livetime_words(neutrinos: NeutrinoList) -> str:
    """Return `500 of 1000 s` where the detector observed during a part of the window, else ""."""
    half_s, live_s = (neutrinos.window or {}).get("half_width_s"), neutrinos.livetime_s
    if not isinstance(half_s, int | float) or live_s is None or round(live_s) >= round(2 * half_s):
        return ""
    return f"{neutrinos.least}{live_s:.0f} of {2 * half_s:.0f} s"


def _explanation(neutrinos: NeutrinoList, significance: Significance) -> str:
    if not neutrinos.events:
        return "It holds no neutrino."
    if significance.simulated:
        circle = (
            "σ is the angular error as stated; the 90 % radius is that of the point spread in "
            "IceCube's simulation, which has longer tails than a Gaussian of σ."
        )
    elif significance.psf == OF_EACH:
        circle = (
            "σ is the angular error as stated; the 90 % radius is that of the point spread of each "
            "neutrino's detector."
        )
    else:
        circle = (
            "σ is the radius of the 39 % error circle, 1 σ of a two-dimensional Gaussian; the "
            "90 % radius is 2.146 σ"
        )
        circle += ", of a σ not below the setting sigma_floor_deg." if significance.psf else "."
    if maps := text.map_text(significance):
        circle += f" {maps}"
    if any(event.direction == "circle of equal area" for event in neutrinos.events):
        circle += " Errors that differ from side to side are taken as a circle of equal area."
    alone = ", without the bursts" if significance.without_bursts else ""
    return (
        f"dt is the time of the neutrino minus the time of the wave. {circle} Odds ratio and "
        f"p-value are those of the neutrino alone{alone}."
    )


def _table_row(
    count: int, event: Neutrino, radius_deg: float, single: Single | None, info: EventInfo
) -> list[str]:
    gps, sigma = event.gps, event.sigma
    if gps is None and event.mjd is not None:
        gps = float(mjd_to_gps(event.mjd))
    if sigma is None or sigma <= 0:
        raise LlamaError(f"neutrino {count} has no error radius; make the neutrino list again")
    return [
        str(count),
        text.neutrino_name(event),
        MISSING if gps is None else gps_to_iso(gps, 3).replace("T", " ").removesuffix("Z"),
        number(text.time_difference(event, info), "+.2f"),
        number(event.ra, ".2f"),
        number(event.dec, "+.2f"),
        number(sigma, ".2f"),
        number(radius_deg, ".2f"),
        text.three_digits(event.energy),
        number(single.odds_ratio if single else None),
        (single and single.p_text) or MISSING,
        clean(event.type or MISSING, 20),
        "yes" if text.in_window(event, info) else "no",
    ]


def figure_texts(neutrinos: NeutrinoList) -> tuple[tuple[str, str, str], ...]:
    """Return title, alternative text and caption of sky map and scatter plot of a result."""
    near = list_window(neutrinos.window).words("less than {} s from")
    return (
        (
            "Sky map",
            "All-sky map of the gravitational wave's probability density with 50 % and 90 % "
            "credible regions and the neutrinos; the numbers are rows of the table.",
            "Where the wave came from, in probability per square degree, with the smallest "
            "regions that hold 50 % (solid) and 90 % (dashed) of it; purple: those with the "
            f"neutrinos (and bursts that count), if it is real. Filled dots: neutrinos {near} the "
            "wave; open squares: others. Circles have the 90 % radius of the table.",
        ),
        (
            "Significance",
            "Fraction of background triggers that reach a given odds ratio, with this event's odds "
            "ratio as a vertical line.",
            "How often background triggers, with scrambled neutrinos, reach an odds ratio. "
            "Vertical line: this event; open circles: its neutrinos one by one.",
        ),
    )


def write_summary(
    event: EventFiles,
    latency: Sequence[AlertSteps],
    figures: Sequence[str | Path],
    event_dir: str,
    html: str | Path,
    pdf: str | Path,
) -> None:
    """Write the summary page of an event.

    figures: sky map and scatter plot as PNG; event_dir: the directory as a Snakemake target names
    it (`events/S190425z`). The HTML needs nothing beside itself. `LlamaError` when a figure is
    missing.
    """
    content = summary_content(event, latency, event_dir)
    texts = figure_texts(event.neutrinos)
    pictures = [Picture(*words, png) for words, png in zip(texts, figures, strict=True)]
    write_page("summary", content, pictures, html, pdf)
