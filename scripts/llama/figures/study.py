"""The figures of a study, drawn from sensitivity.json: efficiency, calibration, dependences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llama.figures.style import (
    ASIDE,
    INK,
    NEUTRINO,
    at_inches,
    blues,
    box,
    drawing,
    label_powers,
    power_of_ten,
)
from llama.figures.text import p_text, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Record = Mapping[str, Any]
Target = str | Path

DOUBLET, QUADRUPLET = "#0072B2", "#CC79A7"  # Okabe and Ito's blue and purple
_KINDS = {
    "background": ("background", INK, "o"),
    "signal": ("one neutrino of a source", NEUTRINO, "s"),
    "doublet": ("two", DOUBLET, "^"),
    "quadruplet": ("four", QUADRUPLET, "D"),
}
_CRITERIA = ((INK, "-"), (NEUTRINO, "--"))


def draw_efficiency(study: Record, png: Target, pdf: Target) -> None:
    """Draw how often sources are found against isotropic energy, and against distance as well."""
    energies = np.array(study["e_iso_erg"])
    with drawing(3.5, png, pdf) as figure:
        _heading(figure, study, "detection efficiency")
        axes = figure.add_axes(box(figure, 0.55, 0.5, 2.55, 2.25))
        shown = np.zeros(energies.size, dtype=bool)
        for threshold, (colour, line) in zip(study["thresholds"], _CRITERIA, strict=True):
            value, error = (np.array(threshold["efficiency"][k]) for k in ("value", "error"))
            label = threshold["criterion"]
            if threshold["reason"]:
                axes.plot([], [], color=colour, ls=line, label=f"{label}: see text")
                continue
            low, high = np.maximum(value - error, 0), np.minimum(value + error, 1)
            axes.fill_between(energies, low, high, color=colour, alpha=0.25, lw=0)
            axes.plot(energies, value, color=colour, ls=line, lw=1.4, label=label)
            shown |= (value > 0.005) & (value < 0.995 * value.max())
        where = np.flatnonzero(shown) if shown.any() else np.arange(energies.size)
        ends = max(where[0] - 5, 0), min(where[-1] + 5, energies.size - 1)
        axes.set_xlim(energies[ends[0]], energies[ends[1]])
        axes.set(xscale="log", ylim=(0, 1.02), xlabel=_ENERGY, ylabel="fraction of sources found")
        axes.xaxis.set_major_formatter(power_of_ten)
        for level in (0.5, 0.9):
            axes.axhline(level, color=ASIDE, lw=0.5, ls=":")
        axes.grid(color=ASIDE, lw=0.3, alpha=0.4)
        figure.legend(
            loc="upper left", bbox_to_anchor=at_inches(figure, 0.45, 3.02), ncols=2, borderpad=0
        )
        _draw_distances(figure, study, energies, axes.get_xlim())


_ENERGY = "isotropic-equivalent energy in neutrinos (erg)"


def _draw_distances(
    figure: "Figure", study: Record, energies: Floats, limits: tuple[float, float]
) -> None:
    first = study["by_distance"][0]
    edges, value = np.array(first["distance_mpc"]), np.array(first["value"])
    axes = figure.add_axes(box(figure, 3.85, 0.5, 2.0, 2.25))
    if edges.size < 2:
        axes.set_axis_off()
        axes.text(0, 0.5, "all sources have one distance")
        return
    log10_energies = np.log10(energies)
    steps = 10 ** np.interp(
        np.arange(energies.size + 1) - 0.5, np.arange(energies.size), log10_energies
    )
    image = axes.pcolormesh(edges, steps, value.T, cmap=blues(), vmin=0, vmax=1, rasterized=True)
    for found, threshold, (_, line) in zip(
        study["by_distance"], study["thresholds"], _CRITERIA, strict=True
    ):
        if not threshold["reason"]:
            half = [_crossing(energies, np.array(of_bin)) for of_bin in found["value"]]
            axes.stairs(half, edges, baseline=None, color=INK, ls=line, lw=1.2)
    axes.set(xscale="log", yscale="log", xlim=edges[[0, -1]], xlabel="distance of the source (Mpc)")
    axes.set_ylim(*limits)
    axes.set_ylabel("isotropic-equivalent energy (erg)")
    axes.yaxis.set_major_formatter(power_of_ten)
    _plain_ticks(axes, edges[0], edges[-1])
    bar = figure.colorbar(image, cax=figure.add_axes(box(figure, 5.97, 0.5, 0.12, 2.25)))
    bar.set_label("fraction found with p < 0.01", size=8)
    figure.text(*at_inches(figure, 3.85, 2.83), "lines: half of the sources are found", size=8)


def _crossing(energies: Floats, value: Floats) -> float:
    """Return the energy at which half are found, NaN if none is: nothing is drawn there."""
    above = np.flatnonzero(value >= 0.5)
    if above.size == 0 or above[0] == 0:
        return float("nan")
    k = slice(above[0] - 1, above[0] + 1)
    return float(10 ** np.interp(0.5, value[k], np.log10(energies[k])))


def _plain_ticks(axes: "Axes", low: float, high: float) -> None:
    """Label a logarithmic x-axis with whole numbers, 1-2-5."""
    from matplotlib.ticker import FixedLocator, NullLocator

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    ticks = ticks[:: -(-len(ticks) // 6)] if ticks else [low, high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")


def draw_pp(study: Record, png: Target, pdf: Target) -> None:
    """Draw whether background p-values are uniform, and where those of sources lie."""
    check, all_p = study["uniformity"], study["cumulative"]
    p, fraction = (np.array(check[name]) for name in ("p", "fraction"))
    three = 3 * np.array(check["sigma"])
    with drawing(3.5, png, pdf) as figure:
        _heading(figure, study, "distribution of p-values")
        linear = figure.add_axes(box(figure, 0.55, 0.5, 2.45, 2.25))
        log = figure.add_axes(box(figure, 3.85, 0.5, 2.65, 2.25))
        shown = np.where(fraction > 0, fraction, np.nan)
        labels: tuple[str | None, str | None] = ("3 σ about uniform", "background (held out)")
        for axes, (band, line) in ((linear, labels), (log, (None, None))):
            low, high = np.maximum(p - three, 1e-12), p + three
            axes.fill_between(p, low, high, color=ASIDE, alpha=0.3, lw=0, label=band)
            axes.plot([1e-9, 1], [1e-9, 1], color=ASIDE, lw=0.7)
            axes.plot(p, shown, color=INK, lw=1.3, label=line)
            axes.set(xlabel="p-value", ylabel="fraction with at most this p-value")
            axes.grid(color=ASIDE, lw=0.3, alpha=0.4)
        for kind, dashes in (("signal", "--"), ("doublet", "-."), ("quadruplet", ":")):
            label, colour, _ = _KINDS[kind]
            share = np.array(all_p[kind])
            shown = np.where(share > 0, share, np.nan)
            log.plot(all_p["p"], shown, color=colour, ls=dashes, lw=1.4, label=label)
        linear.set(xlim=(0, 1), ylim=(0, 1))
        log.set(xscale="log", yscale="log", xlim=(all_p["p"][0], 1), ylim=(all_p["p"][0] / 2, 1.3))
        label_powers(log.xaxis, log.yaxis)
        linear.legend(loc="lower right")
        figure.legend(
            *log.get_legend_handles_labels(), loc="upper left", ncols=3, columnspacing=1.2,
            bbox_to_anchor=at_inches(figure, 3.35, 3.02), borderpad=0,
        )  # fmt: skip
        ks = p_text(check["ks_p_value"])
        linear.text(0.04, 0.93, f"KS test: p = {ks}", va="top", size=8)


def draw_distributions(study: Record, png: Target, pdf: Target) -> None:
    """Draw odds and p-values against the number of neutrinos and the 90 % area of the map."""
    quantities = (
        ("by_neutrinos", "neutrinos in the time window", False),
        ("by_area_90_deg2", "90 % area of the sky map (deg²)", True),
    )
    with drawing(5.6, png, pdf) as figure:
        _heading(figure, study, "odds ratios and p-values")
        for column, (name, label, is_log) in enumerate(quantities):
            left = 0.65 + 3.15 * column
            upper = figure.add_axes(box(figure, left, 2.6, 2.6, 1.95))
            lower = figure.add_axes(box(figure, left, 0.5, 2.6, 1.95), sharex=upper)
            _draw_bins(upper, lower, study[name], is_log)
            lower.set_xlabel(label)
            upper.tick_params(labelbottom=False)
            if column == 0:
                upper.set_ylabel("odds ratio")
                lower.set_ylabel("fraction with p < 0.01")
                handles, labels = upper.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=at_inches(figure, 0.45, 5.15),
            ncols=3, borderpad=0, columnspacing=1.2,
        )  # fmt: skip


def _draw_bins(upper: "Axes", lower: "Axes", bins: Sequence[Record], is_log: bool) -> None:
    low, high = (np.array([entry[name] for entry in bins]) for name in ("low", "high"))
    x = np.sqrt(low * high) if is_log and (low > 0).all() else (low + high) / 2
    lines = [("background", q, line) for q, line in ((50, "-"), (90, "--"), (99, ":"))]
    for kind, q, line in [*lines, *((kind, 50, "-") for kind in _KINDS if kind != "background")]:
        label, colour, marker = _KINDS[kind]
        odds = np.array([entry[kind][f"odds_{q}"] if entry[kind] else np.nan for entry in bins])
        name, mark = ("median", marker) if q == 50 else (f"{q} %", None)
        shown = np.where(odds > 0, odds, np.nan)
        upper.plot(
            x, shown, color=colour, ls=line, lw=1.2, marker=mark, ms=3.5, label=f"{label}, {name}"
        )
    bottom = 1e-3
    for kind, (_, colour, marker) in _KINDS.items():
        value, error = (
            np.array([entry[kind]["found"][part] if entry[kind] else np.nan for entry in bins])
            for part in ("value", "error")
        )
        none = value == 0  # found; an arrow from the upper limit
        shown = np.where(none, error, value)
        below = np.where(none, 0.5 * error, np.minimum(error, 0.999 * value))
        if (seen := shown[shown > 0]).size:
            bottom = min(bottom, 0.25 * seen.min())
        lower.errorbar(
            x,
            np.where(shown > 0, shown, np.nan),
            [below, np.where(none, 0, error)],
            [np.maximum(x - low, 0), np.maximum(high - x, 0)],
            color=colour,
            marker=marker,
            ms=3.5,
            lw=0.9,
            ls="none",
            uplims=none,
        )
    lower.set_ylim(bottom, 1.5)
    lower.axhline(0.01, color=ASIDE, lw=0.7)
    anything = any(np.isfinite(line.get_ydata()).any() for line in upper.lines)
    for axes in (lower, upper) if anything else (lower,):
        axes.set_yscale("log")
        label_powers(axes.yaxis)
    if is_log and (low > 0).all() and high[-1] > low[0]:
        upper.set_xscale("log")
        lower.set_xlim(low[0] / 1.2, high[-1] * 1.2)
        _plain_ticks(lower, low[0], high[-1])
    for axes in (upper, lower):
        axes.grid(color=ASIDE, lw=0.3, alpha=0.4)


def _heading(figure: "Figure", study: Record, subject: str) -> None:
    up = figure.get_size_inches()[1]
    counts = study["injections"]
    detail = (
        f"{counts['background']:,} background injections, {counts['signal']:,} each with one, two "
        f"and four neutrinos of a source, {study['skymaps']:,} sky map"
        f"{'' if study['skymaps'] == 1 else 's'}"
    )
    name = f"{plain(study['study'], 60)}: {subject}"
    figure.text(*at_inches(figure, 0.1, up - 0.1), name, size=11, weight="bold", va="top")
    figure.text(*at_inches(figure, 0.1, up - 0.3), detail, size=8, va="top", color=ASIDE)
