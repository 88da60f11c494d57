"""docs/validation.md, written from page.template and the JSON files beside it: make validate."""

import json
import statistics
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "validation.md"
PARTS = ("alerts", "circulars", "published_file", "statistic")
Row = dict[str, Any]


def page() -> str:
    """Return the text of the page."""
    alerts, circulars, file, statistic = (
        json.loads((HERE / f"{name}.json").read_text("utf-8")) for name in PARTS
    )
    shown = _alerts(alerts) | _circulars(circulars) | _file(file) | _statistic(statistic)
    return Template((HERE / "page.template").read_text("utf-8")).substitute(shown)


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def _alerts(found: Row) -> dict[str, Any]:
    near, lags = found["nearest"], found["lags"]
    side = "before" if near["lag_s"] < 0 else "after"
    cells = [[row["lag"], row["pairs"], f"{row['expected']:.2f}"] for row in lags]
    published = [
        [cell["lag"]] + [f"{cell[k]['obs']} ({cell[k]['null_mean']:.2f})" for k in ("same", "wide")]
        for cell in found["published"]
    ]
    return {
        "within": lags[0]["pairs"] or "none",
        "nearest": f"{near['alert']}, {abs(near['lag_s']):,.0f} s {side} {near['event']}",
        "events": found["events"],
        "alerts": found["alerts"],
        "lags": table(["lag", "pairs", "expected"], cells),
        "published": table(["lag", "inside", "outside"], published),
        "proxies": f"{found['proxies']['per_day']:.1f}",
    }


def _circulars(found: Row) -> dict[str, Any]:
    best, compared = found["at_best"], found["compared"]
    agree = sum(map(_agrees, compared))
    stated = [one["p"] for event in found["missing"] for one in event["neutrinos"]]
    stated += [row["p"] for row in compared]
    expected = sum(_expected(best["bands"], p) for p in stated)
    alone = [row for row in found["whole"] if len(row["p"]) == 1]
    singles = [row["overall"] / row["p"][0] for row in alone]
    several = [
        [
            row["superevent"],
            ", ".join(f"{p:.3g}" for p in row["p"]),
            f"{row['overall']:.3g}",
            f"{row['llama']:.2g}",
        ]
        for row in found["whole"]
        if len(row["p"]) > 1
    ]
    small, large = (100 * best["bands"][i]["without_energy"]["within"] for i in (0, -2))
    return {
        "compared_short": f"{agree} of {len(compared)} are"
        if compared
        else "not compared, no map at hand",
        "best_short": f"the same code would have {expected:.0f} of {len(stated)}",
        "compared": _compared(compared, agree) if compared else _NONE,
        "windows": f"{best['windows']:,}",
        "maps": best["maps"],
        "best": table(_BANDS, [_band(band) for band in best["bands"]]),
        "small": f"{small:.0f}",
        "large": f"{large:.0f}",
        "expected": f"{expected:.0f}",
        "rows": len(stated),
        "n_singles": len(alone),
        "singles_low": f"{min(singles):.2f}",
        "singles_high": f"{max(singles):.2f}",
        "resolution": f"{1 / best['windows']:.0e}",
        "several": table(["event", "p of neutrinos", "p of the window", "LLAMA's"], several),
        "count": sum(len(event["neutrinos"]) for event in found["missing"]),
        "missing_events": len(found["missing"]),
        "missing": table(
            ["event", "published p", "circular", "notice of the map"],
            [_missing(event) for event in found["missing"]],
        ),
        "others": ", ".join(found["without_row"]),
    }


_BANDS = ["p with energies", "windows", "hidden: within 3", "factor", "rank"]
_BANDS += ["averaged: within 3", "factor", "rank"]
_NONE = (
    "**None of them could be compared.** Of the events with such a row, no sky map is among the\n"
    "public ones at hand (ten alerts of O3a and O4, 16 events of GWTC-3)."
)


def _expected(bands: list[Row], p: float) -> float:
    """Return the share within a factor of 3 of windows with such a p; of smaller ones, at most."""
    band = next((band for band in bands[:-1] if band["low"] <= p < band["high"]), bands[0])
    return float(band["without_energy"]["within"])


def _agrees(row: Row) -> bool:
    return bool(1 / 3 <= row["p_without_energy"] / row["p"] <= 3)


def _compared(rows: list[Row], agree: int) -> str:
    cells = [
        [row["superevent"], f"{row['dt_s']:.0f}", f"{row['dec_deg']:+.1f}", f"{row['r90_deg']:.2f}"]
        + [f"{row[key]:.2g}" for key in ("p", "p_without_energy", "p_mean")]
        + [" to ".join(f"{p:.2g}" for p in row["p_68"])]
        for row in rows
    ]
    ratio = statistics.median(row["p_without_energy"] / row["p"] for row in rows)
    header = ["event", "dt [s]", "dec [deg]", "r90 [deg]", "published p"]
    return (
        f"{agree} of {len(rows)} are within a factor of 3, the median factor is {ratio:.2g}.\n\n"
        + table([*header, "hidden", "averaged", "68 % of energies"], cells)
    )


def _band(band: Row) -> list[Any]:
    cells = [f"{band['low']} to {band['high']}", band["windows"]]
    for name in ("without_energy", "mean_over_energies"):
        one = band[name]
        low, middle, high = (f"{v:.2g}" for v in one["quantiles"])
        cells += [f"{100 * one['within']:.0f} %", f"{middle} ({low} to {high})"]
        cells += [f"{one['rank_correlation']:.2f}"]
    return cells


def _missing(event: Row) -> list[str]:
    name, gcn = event["superevent"], event["gcn"]
    return [
        f"[{name}](https://gracedb.ligo.org/superevents/{name}/files/)",
        ", ".join(f"{one['p']:.3g}" for one in event["neutrinos"]),
        f"[{gcn}](https://gcn.nasa.gov/circulars/{gcn})" if gcn else "",
        event["map"] or "named in the circular",
    ]


def _file(found: Row) -> dict[str, Any]:
    off = 100 * (found["q_llama"] / found["q"] - 1)
    rows = [
        ["odds_ratio = p_h_s1 / (p_h_0 + p_h_c)", _off(found["identity"]), "10^-12 (tests)"],
        ["p_h_s2 / p_h_c, at most 1", f"{found['cgw_in_c']:.9f}", "at most 1"],
        [
            "p_h_s2 / p_h_0, the Q of its FAR",
            f"{found['q']:.4e}",
            f"{found['q_llama']:.4e} ({off:+.1f} %)",
        ],
        [
            ", ".join(found["same"]),
            "stored",
            f"`search.response: published`: {_off(found['largest'])}",
        ],
        ["zenith − 90° − dec", f"{found['zenith_deg']:.2f}° at most", "declination of date"],
        ["smallest sigma", f"{found['floor_deg']}°", "`sigma_floor_deg` 0.2"],
        [
            "neutrinos in 1000 s",
            found["neutrinos"],
            f"{found['expected']:.1f} expected, as many in {100 * found['chance']:.0f} %",
        ],
    ]
    return {
        "identity": _off(found["identity"]),
        "same": len(found["same"]),
        "neutrinos": found["neutrinos"],
        "file": table(["", "in the file", "LLAMA"], rows),
        "not_used": ", ".join(f"`{name}`" for name in found["not_used"]),
        "p_value": f"{found['p_value']:.3f}",
    }


def _off(relative: float) -> str:
    return f"off by {abs(relative):.0e}" if relative else "exact"


def worst(rows: list[Row]) -> tuple[float, float]:
    """Return the largest deviation of single neutrinos and of sets."""
    off = [(len(name), abs(v)) for row in rows for name, v in row["sets_off"].items()]
    return max(v for n, v in off if n == 1), max(v for n, v in off if n > 1)


def _statistic(found: Row) -> dict[str, Any]:
    rows, kernel = found["rows"], found["background"]
    names = list(rows[0]["sets"])
    cells = [
        [row["map"], row["reading"], f"{row['odds']:.2g}"]
        + [f"{100 * row['sets_off'][name]:+.2f}" for name in names]
        + [f"{100 * row[f'{key}_off']:+.2f}" for key in ("cgw", "cnu", "odds")]
        for row in rows
    ]
    single, sets = worst(rows)
    return {
        "single": f"{100 * single:.2f}",
        "sets": f"{100 * sets:.2f}",
        "statistic": table(["map", "reading", "odds", *names, "Λ_cgw", "Λ_cν", "odds"], cells),
        "nu_brute": f"{found['nu_51_100']['brute_force']:.4f}",
        "nu_llama": f"{found['nu_51_100']['llama']:.4f}",
        "kernel_low": f"{kernel['lowest']:.3f}",
        "kernel_high": f"{kernel['highest']:.3f}",
        "kernel_places": kernel["places"],
    }


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
