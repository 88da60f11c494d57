"""The alerts of an event side by side: what each said, what came of it, and how fast."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from msgspec import to_builtins

from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError
from llama.event.compared import Compared, Number
from llama.event.latency import AlertSteps, Step
from llama.event.page_files import EventFiles
from llama.event.results import read
from llama.event.skymap_info import EventInfo
from llama.figures import text
from llama.figures.page import Grid
from llama.figures.text import MISSING, clean, number
from llama.files import write_json

_STEPS = {
    "sent": "Sent",
    "heard": "Heard",
    "taken_over": "Taken over",
    "map": "Map",
    "neutrinos": "Neutrinos",
    "significance": "Significance",
    "published": "Published",
}
DIRECTORY = "revisions"  # what no rule can make again: results of earlier alerts


class Kept(Compared, frozen=True, kw_only=True):
    """What the page says of a revision, in `revisions/<n>.json`."""

    revision: int | None = None
    notice: str | None = None
    skymap_filename: str | None = None
    p_astro: Number | None = None
    population: str | None = None
    neutrinos: int | None = None
    complete: bool = False
    area_90_deg2: Number | None = None
    distmean_mpc: Number | None = None
    diststd_mpc: Number | None = None


class Revisions(TypedDict):
    """The alerts side by side; a row has a label, and each value with whether it changed."""

    text: str
    header: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]


def keep_revision(event_dir: Path, event: EventFiles) -> None:
    """Keep the page's words in `revisions/<n>.json`; the next alert overwrites the products."""
    result, distances = event.significance, event.distances
    info = result.info
    kept = Kept(
        **{name: getattr(result, name) for name in Compared.__struct_fields__},
        revision=info.revision,
        notice=info.notice,
        skymap_filename=info.skymap_filename,
        p_astro=event.p_astro.p_astro,
        population=event.p_astro.population,
        neutrinos=sum(text.in_window(neutrino, info) for neutrino in event.neutrinos.events),
        complete=event.neutrinos.complete,
        area_90_deg2=distances.area_90_deg2,
        distmean_mpc=distances.distmean_mpc,
        diststd_mpc=distances.diststd_mpc,
    )
    write_json(event_dir / DIRECTORY / f"{info.revision}.json", to_builtins(kept))


def revisions_section(event_dir: Path) -> Revisions:
    """Return what all alerts of an event said, and what came of them."""
    alerts = sorted(
        (path for path in (event_dir / "alerts").glob("[0-9]*-*") if _is_alert(path)),
        key=lambda path: int(path.name.split("-")[0]),
    )
    columns = [_column(path, event_dir) for path in alerts]
    labels = dict.fromkeys(label for column in columns for label in column)
    expected = ("Notice time", "Sky map")  # to be another one each time
    rows = []
    for label in labels:
        values = [column.get(label, MISSING) for column in columns]
        changed = [
            k > 0 and value != values[k - 1] and label not in expected
            for k, value in enumerate(values)
        ]
        rows.append((label, list(zip(values, changed, strict=True))))
    return {
        "text": "There is one alert." if len(columns) == 1 else f"There are {len(columns)} alerts.",
        "header": [clean(path.stem, 30) for path in alerts],
        "rows": rows,
    }


def _is_alert(path: Path) -> bool:
    kind = path.name.partition("-")[2]
    return (
        path.name.split("-")[0].isdecimal()
        and kind.count(".") == 1
        and (path.suffix in (".json", ".xml") and not kind.startswith("neutrinos"))
    )


def _column(path: Path, event_dir: Path) -> dict[str, str]:
    made = Kept()
    kept = event_dir / DIRECTORY / f"{path.name.split('-')[0]}.json"
    try:
        content, is_xml = path.read_bytes(), path.suffix == ".xml"
        alert = parse_voevent(content) if is_xml else parse_alert(content, "the archived alert")
        made = read(kept, Kept) if kept.exists() else made
        said = _said(alert)
    except (LlamaError, OSError) as error:
        said = {"Alert": f"cannot be read: {clean(error, 100)}"}
    return said | _made(made)


def _said(alert: Alert) -> dict[str, str]:
    classes = [f"{name} {100 * p:.3g} %" for name, p in alert.classification.items() if p >= 5e-4]
    return {
        "Notice time": text.utc_text(alert.notice_time),
        "False-alarm rate": MISSING if alert.far_hz is None else f"{alert.far_hz:.3g} Hz",
        "Pipeline": clean(alert.pipeline or MISSING, 40),
        "Classification": clean(", ".join(classes) or MISSING, 120),
        **({"Left out": clean("; ".join(alert.notes), 600)} if alert.notes else {}),
    }


def _made(made: Kept) -> dict[str, str]:
    count, provisional = made.neutrinos, "" if made.complete else " (provisional)"
    known = made.p_value is not None
    return {
        "Sky map": clean(made.skymap_filename or MISSING, 80),
        "90 % area": text.area_text(made.area_90_deg2),
        "Distance": text.distance_text(made.distmean_mpc, made.diststd_mpc),
        "p_astro": number(made.p_astro, ".4g"),
        "Neutrinos in the window": MISSING if count is None else f"{count}{provisional}",
        "Odds ratio": number(made.odds_ratio),
        "p-value": made.p_text or MISSING,
        "Background": (text.background_text(made) if known else "") or MISSING,
    }


def latency_section(info: EventInfo, alerts: Sequence[AlertSteps]) -> Grid:
    """Return the alerts of latency.json as a table with a row per alert."""
    return {
        "heading": "Latency",
        "text": [
            "Time from the wave to the moment when each step was first reached; in brackets, from "
            "the notice. A dash: it has not happened, or nothing had to be made anew."
        ],
        "table": {
            "caption": f"Alerts of {clean(info.graceid, 30)}",
            "header": ["Alert", "Notice time", *_STEPS.values()],
            "rows": [_row(alert) for alert in alerts],
        },
    }


def _row(alert: AlertSteps) -> list[str]:
    return [
        f"{alert['revision']} {clean(alert['kind'], 20)}",
        text.utc_text(alert["notice_time"]),
        *(_step(alert["steps"].get(name)) for name in _STEPS),
    ]


def _step(step: Step | None) -> str:
    if step is None:
        return MISSING
    return f"{_span(step.get('after_event_s'))} ({_span(step.get('after_notice_s'))})"


def _span(seconds: object) -> str:
    """Return a length of time in few characters: what matters here is below an hour."""
    if not isinstance(seconds, int | float):  # latency.json is taken as it is
        return MISSING
    if abs(seconds) < 100:
        return f"{seconds:.1f} s"
    for unit_s, unit, most in ((1, "s", 10_000), (3600, "h", 100), (86_400, "d", 1000)):
        if abs(seconds) < most * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / (365.25 * 86_400):.0f} yr"
