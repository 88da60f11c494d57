"""A part of docs/validation.md, measured: python parts.py PART DATA OUTPUT [MAPS]

PART is alerts, circulars, published_file or statistic; DATA the directory of the public inputs,
which the page lists; MAPS one with the sky maps of circulars' superevents, <superevent>*.fits.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import alerts
import power


def measure(part: str, data: Path, maps: Path | None) -> dict[str, Any]:
    """Return what a part of the page shows."""
    if part == "alerts":
        return alerts.alerts(data)
    if part == "published_file":
        return alerts.published_file(data)
    power.DATA = data
    site = power.site(None)
    if part == "statistic":
        from statistic import statistic

        return statistic(data, site)
    from circulars import circulars

    return circulars(data, maps, site)


if __name__ == "__main__":
    name, inputs, output, *others = sys.argv[1:]
    found = measure(name, Path(inputs), Path(others[0]) if others else None)
    Path(output).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
