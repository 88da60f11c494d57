"""The figure of a catalogue, from catalogue.json: its p-values against chance, its limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llama.figures.style import (
    ASIDE,
    INK,
    NEUTRINO,
    at_inches,
    box,
    drawing,
    label_powers,
    power_of_ten,
    stamp,
)
from llama.figures.text import all_marks, p_text, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
_MANY = 30  # events, of which single ones are named no more


def draw_catalogue(catalogue: Record, png: str | Path, pdf: str | Path) -> None:
    """Draw the p-values of the events in order against chance, and the limit on emitters."""
    with drawing(3.4, png, pdf) as figure:
        up = figure.get_size_inches()[1]
        n, tested = catalogue["n_events"], catalogue["n_tested"]
        first = f"Catalogue of {n} event{'s' * (n != 1)}"
        second = f"{plain(catalogue['run'], 80)}   {tested} with a p-value"
        figure.text(*at_inches(figure, 0.1, up - 0.1), first, size=11, weight="bold", va="top")
        figure.text(*at_inches(figure, 0.1, up - 0.32), second, va="top")
        stamp(figure, [plain(mark) for mark in all_marks(catalogue["events"])])
        _p_values(figure.add_axes(box(figure, 0.6, 0.5, 2.55, 2.35)), catalogue)
        _fractions(figure, catalogue)


def _p_values(axes: "Axes", catalogue: Record) -> None:
    along = sorted((e["p_value"], e["event"]) for e in catalogue["events"] if e["p_value"])
    if not along or not catalogue["p_value_band"]:
        axes.set_axis_off()
        axes.text(0, 0.5, "no event has a p-value")
        return
    p = np.array([value for value, _ in along])
    expected = np.arange(1, p.size + 1) / (p.size + 1)
    band = catalogue["p_value_band"]
    # a band of one point needs some width
    across = np.concatenate([expected[:1] / 1.3, expected, np.minimum(expected[-1:] * 1.1, 1)])
    low, high = (np.array(band[k])[[0, *range(p.size), -1]] for k in ("low", "high"))
    axes.fill_between(across, low, high, color=ASIDE, alpha=0.25, lw=0, label="chance, 95 %")
    axes.plot(across, across, color=ASIDE, lw=0.8)
    axes.plot(expected, p, "o", color=INK, ms=3.5, label="events")
    scan = catalogue["binomial_scan"]
    axes.plot(
        expected[: scan["k"]], p[: scan["k"]], "o", color=NEUTRINO, ms=5, mfc="none", mew=1.2,
        label=f"binomial scan, k = {scan['k']}",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(across[0], 1), ylim=(min(p[0], low[0]) / 4, 1.5))
    axes.set(xlabel="p-value expected by chance", ylabel="p-value of the event")
    label_powers(axes.xaxis, axes.yaxis)
    bottom, _ = axes.get_ylim()
    for minor in (False, True):
        axes.set_yticks([tick for tick in axes.get_yticks(minor=minor) if tick <= 1], minor=minor)
    axes.set_ylim(bottom, 15)  # room for the legend
    best = f"best: {plain(along[0][1], 24)}, p = {p_text(p[0])}"
    axes.text(0.97, 0.03, best, transform=axes.transAxes, ha="right", va="bottom", size=8)
    axes.legend(loc="upper left", handlelength=1.2)


def _fractions(figure: "Figure", catalogue: Record) -> None:
    axes = figure.add_axes(box(figure, 3.95, 0.5, 2.55, 2.35))
    limit = catalogue["stacked_limit"]
    points = [] if limit is None else zip(limit["energies_erg"], limit["fractions"], strict=True)
    found = [(energy, fraction) for energy, fraction in points if fraction is not None]
    if not found:
        axes.set_axis_off()
        axes.text(0, 0.5, "no energy is excluded")
        return
    energies, fractions = (np.array(values) for values in zip(*found, strict=True))
    if limit["e_iso_erg"] is not None:
        energies, fractions = (
            np.append(limit["e_iso_erg"], energies),
            np.append(1.0, fractions),
        )
    axes.fill_between(energies, fractions, 1.0, color=NEUTRINO, alpha=0.2, lw=0)
    axes.plot(energies, fractions, color=NEUTRINO, lw=1.4)
    axes.text(0.97, 0.94, "excluded (90 %)", transform=axes.transAxes, ha="right", va="top")
    axes.set(xscale="log", ylim=(0, 1.0), xlim=(energies[0] / 2, energies[-1]))
    axes.set_xlabel("isotropic-equivalent energy in neutrinos (erg)")
    axes.set_ylabel("fraction of mergers that emit it")
    axes.xaxis.set_major_formatter(power_of_ten)
    axes.grid(color=ASIDE, lw=0.3, alpha=0.4)
