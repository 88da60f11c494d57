"""The alerts of an event side by side: what each said, and what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError
from llama.event.skymap_info import info_used
from llama.figures import text
from llama.figures.text import MISSING, clean, finite, number
from llama.files import read_json, write_json

Record = Mapping[str, Any]
DIRECTORY = "revisions"  # what no rule can make again: results of earlier alerts


def remember(
    event_dir: Path,
    significance: Record,
    distances: Record,
    p_astro: Record,
    neutrinos: Record,
) -> None:
    """Keep what the page says of the present revision in `revisions/<n>.json`.

    The products themselves are overwritten by those of the next alert.
    """
    info = info_used(significance)
    keys = ("odds_ratio", "p_value", "p_value_population", "n_background")
    content = {
        "revision": info.revision,
        "notice": info.notice,
        "skymap_filename": info.skymap_filename,
        "p_astro": p_astro.get("p_astro"),
        "population": p_astro.get("population"),
        "neutrinos": sum(text.in_window(e, info) for e in neutrinos["events"]),
        "complete": bool(neutrinos.get("complete")),
        **{key: distances.get(key) for key in ("area_90_deg2", "distmean_mpc", "diststd_mpc")},
        **{key: significance.get(key) for key in keys},
    }
    write_json(event_dir / DIRECTORY / f"{info.revision}.json", content)


def revisions_section(event_dir: Path) -> dict[str, Any]:
    """Return text, header and rows (label, [(value, whether it changed)]) of all alerts."""
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
    made: Record = {}
    kept = event_dir / DIRECTORY / f"{path.name.split('-')[0]}.json"
    try:
        alert = (parse_voevent if path.suffix == ".xml" else _parse_json)(path.read_bytes())
        made = read_json(kept) if kept.exists() else {}
        said = _said(alert)
    except (LlamaError, OSError) as error:
        said = {"Alert": f"cannot be read: {clean(error, 100)}"}
    return said | _made(made)


def _parse_json(content: bytes) -> Alert:
    return parse_alert(content, "the archived alert")


def _said(alert: Alert) -> dict[str, str]:
    rate = finite(alert.far_hz)
    classes = [f"{name} {100 * p:.3g} %" for name, p in alert.classification.items() if p >= 5e-4]
    return {
        "Notice time": text.utc_text(alert.notice_time),
        "False-alarm rate": MISSING if rate is None else f"{rate:.3g} Hz",
        "Pipeline": clean(alert.pipeline or MISSING, 40),
        "Classification": clean(", ".join(classes) or MISSING, 120),
        **({"Left out": clean("; ".join(alert.notes), 600)} if alert.notes else {}),
    }


def _made(made: Record) -> dict[str, str]:
    mean, std = finite(made.get("distmean_mpc")), finite(made.get("diststd_mpc"))
    count = finite(made.get("neutrinos"))
    known = finite(made.get("p_value")) is not None
    provisional = "" if made.get("complete") else " (provisional)"
    return {
        "Sky map": clean(made.get("skymap_filename") or MISSING, 80),
        "90 % area": text.area_text(made.get("area_90_deg2")),
        "Distance": MISSING if mean is None else f"{mean:.0f} ± {std or 0:.0f} Mpc",
        "p_astro": number(made.get("p_astro"), ".4g"),
        "Neutrinos in the window": MISSING if count is None else f"{count:.0f}{provisional}",
        "Odds ratio": number(made.get("odds_ratio")),
        "p-value": text.p_text(made.get("p_value")),
        "Background": (text.background_text(made) if known else "") or MISSING,
    }
