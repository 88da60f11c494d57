"""The significance figure: the event's odds ratio against its background."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llama.errors import LlamaError
from llama.event.results import Significance
from llama.figures.style import ASIDE, INK, NEUTRINO, at_inches, box, drawing, power_of_ten, title
from llama.figures.text import background_text, number, plain, reason_text
from llama.stats.arrays import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVE_POINTS = 3000
_LOWEST_P = 1e-9  # of curves that go on for ever


def draw_scatter(
    significance: Significance,
    background_odds: Floats | None,
    png: str | Path,
    pdf: str | Path,
    role: str = "observation",
    weights: Floats | None = None,
) -> None:
    """Draw how often the background reaches an odds ratio, and where the event stands.

    background_odds: those of its background class, zeros included, or None; role: the flag ROLE;
    weights: those of its injections, None of a plain one. `LlamaError` for odds that are negative
    or not finite.
    """
    odds = np.empty(0) if background_odds is None else background_odds
    along = np.argsort(odds, kind="stable")
    odds, of_each = odds[along], np.ones(odds.size) if weights is None else weights[along]
    if not (np.isfinite(odds).all() and (odds >= 0).all()):
        raise LlamaError(
            "the background holds odds ratios that are negative or not finite; make its table again"
        )
    with drawing(4.0, png, pdf) as figure:
        subtitle = f"background: {background_text(significance)}" if odds.size else ""
        inputs = significance.inputs
        events, source = inputs.neutrino_info, inputs.neutrino_source
        title(figure, significance.info, events, subtitle, role, source)
        axes = figure.add_axes(box(figure, 0.75, 0.5, 5.75, 2.85))
        if odds.size:
            notes = _draw_background(axes, odds, of_each, significance)
            figure.text(*at_inches(figure, 0.75, 3.42), plain(notes, 200), size=8, color=ASIDE)
        else:
            _draw_absence(axes, significance)


def _draw_background(
    axes: "Axes", background: Floats, weights: Floats, significance: Significance
) -> str:
    """Draw curve, event and single neutrinos; return the sentence about what a log axis hides."""
    from matplotlib.ticker import NullFormatter

    n, positive = len(background), background[background > 0]
    # p just above the highest, and from each one on, descending: 1/(1 + n), 2/(1 + n), ... if plain
    of_each = weights[::-1][: len(positive)]
    above = np.append(0.0, np.cumsum(of_each))
    above = (above + min(weights[-1], 1.0)) / (1 + n)
    error = np.sqrt(np.append(min(weights[-1], 1.0) ** 2, np.cumsum(of_each**2))) / (1 + n)
    # Ranks from the top, dense where the curve has few events: the drawn curve is exact there.
    ranks = np.unique(np.geomspace(1, max(len(positive), 1), _CURVE_POINTS).astype(int))
    ranks = ranks[ranks <= len(positive)]
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="odds ratio",
        ylabel="p-value: fraction of the background\nwith at least this odds ratio",
    )
    odds, p_value = significance.odds_ratio, significance.p_value
    # A background is made at one p_astro; the event is compared as a trigger of that p_astro.
    there = odds if significance.p_value_odds is None else significance.p_value_odds
    scale = there / odds if there and odds else 1.0
    singles = _singles(significance, scale)
    # the smallest odds of the background are tens of decades away, and no one asks for them
    last = len(positive) - int(np.searchsorted(above[1:], _LOWEST_P)) - 1
    ends = len(positive) // 10, last
    shown = [x for x in (there, *(x for x, _, _ in singles)) if x]
    shown += [float(positive[end]) for end in ends if len(positive)]
    lowest = [max(above[0], _LOWEST_P), *([significance.p_value] if significance.p_value else [])]
    _set_limits(axes, shown or [1.0], min([*lowest, *(y for _, y, _ in singles)]))
    x = np.r_[axes.get_xlim()[1], positive[-ranks], min(axes.get_xlim()[0], *positive[:1], 1.0)]
    drawn = np.r_[0, ranks, len(positive)]
    low, high = np.maximum(above - 2 * error, above / 100)[drawn], (above + 2 * error)[drawn]
    axes.fill_between(x, low, high, step="post", color=INK, alpha=0.3, lw=0)
    label = "background (neutrinos scrambled), ± 2 σ of the injections"
    axes.step(x, above[drawn], where="post", color=INK, lw=1.3, label=label)
    if singles:
        axes.plot(
            [x for x, _, _ in singles],
            [y for _, y, _ in singles],
            marker="o",
            ms=4,
            mfc="white",
            mec=NEUTRINO,
            ls="none",
            label="one neutrino alone",
            zorder=4,
        )
        for x, y, name in singles:
            axes.annotate(name, (x, y), (4, 3), textcoords="offset points", size=8, color=NEUTRINO)
    if there:
        label = f"this event: odds {number(odds)}"
        if p_value is not None:
            label += f", {significance.p_words}"
        if not 0.99 < scale < 1.01:
            label += f"\n(drawn at the background's p_astro: odds {number(there)})"
        axes.axvline(there, color=NEUTRINO, lw=1.6, label=label)
        if p_value is not None:
            axes.plot(there, p_value, marker="D", ms=6, mfc=NEUTRINO, mec="white", zorder=5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(power_of_ten)
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color=ASIDE, lw=0.3, alpha=0.5)
    axes.legend(loc="lower left", frameon=True, framealpha=0.9, edgecolor="none")
    left = weights[: np.searchsorted(background, axes.get_xlim()[0])].sum()
    zeros = 100 * weights[: n - len(positive)].sum() / weights.sum()
    notes = f"{100 * left / weights.sum():.3g} % of {n} background triggers are left of this axis"
    notes += f", {zeros:.3g} % with odds 0" if zeros else ""
    if odds == 0:
        notes += "; so has this event: odds 0, p = 1"
    return notes + "." if left or odds == 0 else ""


def _singles(significance: Significance, scale: float) -> list[tuple[float, float, str]]:
    """Return odds, p-value and row number of the single neutrinos that a log axis can show."""
    neutrinos = enumerate(significance.inputs.neutrino_info, start=1)
    rows = {str(event.id): str(k) for k, event in neutrinos}
    return [
        (single.odds_ratio * scale, single.p_value, rows.get(single.key, ""))
        for single in significance.single_neutrino
        if single.odds_ratio and single.p_value
    ]


def _set_limits(axes: "Axes", odds: list[float], lowest: float) -> None:
    low, high = np.log10(min(odds)), np.log10(max(odds))
    margin = max(0.04 * (high - low), 0.3)
    # Logarithmic axes place ticks well beyond their limits, which must still be doubles.
    axes.set_xlim(10.0 ** max(low - margin, -200), 10.0 ** min(high + margin, 200))
    axes.set_ylim(lowest / 2, 2.5)  # room for the number of a neutrino with p = 1


def _draw_absence(axes: "Axes", significance: Significance) -> None:
    """Say that there is no background, why, and how to get one."""
    axes.set_axis_off()
    odds = f"Odds ratio of this event: {number(significance.odds_ratio)}"
    reason = textwrap.fill(plain(reason_text(significance), 600), 84)
    axes.text(0.0, 0.9, "No background to compare with", size=11, weight="bold", va="top")
    axes.text(0.0, 0.76, f"{odds}\n\n{reason}", va="top", linespacing=1.5)
