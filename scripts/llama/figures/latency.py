"""What the summary page says about how fast it went."""

from collections.abc import Sequence

from llama.event.latency import AlertSteps, Step
from llama.event.skymap_info import EventInfo
from llama.figures.page import Grid
from llama.figures.text import MISSING, clean, finite, utc_text

_STEPS = {
    "sent": "Sent",
    "heard": "Heard",
    "taken_over": "Taken over",
    "map": "Map",
    "neutrinos": "Neutrinos",
    "significance": "Significance",
    "published": "Published",
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
        utc_text(alert["notice_time"]),
        *(_step(alert["steps"].get(name)) for name in _STEPS),
    ]


def _step(step: Step | None) -> str:
    if step is None:
        return MISSING
    return f"{_span(step.get('after_event_s'))} ({_span(step.get('after_notice_s'))})"


def _span(seconds: object) -> str:
    """Return a length of time in few characters: what matters here is below an hour."""
    known = finite(seconds)
    if known is None:
        return MISSING
    if abs(known) < 100:
        return f"{known:.1f} s"
    for unit_s, unit, most in ((1, "s", 10_000), (3600, "h", 100), (86_400, "d", 1000)):
        if abs(known) < most * unit_s:
            return f"{known / unit_s:.0f} {unit}"
    return f"{known / (365.25 * 86_400):.0f} yr"
