"""What is drawn on the sky map: neutrinos with error circles, the best direction, the legend."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from llama.errors import LlamaError
from llama.event.results import Neutrino, NeutrinoList, Significance
from llama.event.skymap_info import EventInfo
from llama.figures.geometry import Floats, circle
from llama.figures.style import ASIDE, INK, NEUTRINO, at_inches
from llama.figures.text import (
    area_text,
    best_direction,
    circle_text,
    circles_deg,
    in_window,
    time_difference,
)
from llama.neutrinos.table import list_window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import AbstractPathEffect

LEGEND_ROW_IN = 0.2
MOST_CIRCLES = 50  # more hide the map, and each costs time and memory

# From RA and Dec in degrees to the coordinates of a panel, NaN where a line is cut.
Project = Callable[[Floats, Floats], tuple[Floats, Floats]]

_DOT = {"marker": "o", "ms": 4.5, "mfc": NEUTRINO, "mec": "white", "mew": 0.6, "ls": "none"}
_SQUARE = {"marker": "s", "ms": 4, "mfc": "white", "mec": ASIDE, "mew": 0.9, "ls": "none"}


def _styled(line: "Line2D", style: Mapping[str, object]) -> "Line2D":
    line.set(**style)
    return line


def _cross(size: float) -> Mapping[str, object]:
    """Return the style of a cross that is open in the middle, where a neutrino may be."""
    from matplotlib.path import Path

    ends = [(x * r, y * r) for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)) for r in (0.45, 1.0)]
    cross = Path(ends, [Path.MOVETO, Path.LINETO] * 4)
    return {"marker": cross, "ms": size, "mfc": "none", "mec": INK, "mew": 1.6, "ls": "none"}


def halo(width: float = 2.2) -> "list[AbstractPathEffect]":
    """Return the white border, `width` points in all, that keeps marks legible on the map."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="white")]


def with_circle(events: Sequence[Neutrino], info: EventInfo) -> list[int]:
    """Return which neutrinos are drawn with their circles, nearest in time if there are many."""

    def distance(at: int) -> tuple[bool, float]:
        dt_s = time_difference(events[at], info)
        return not in_window(events[at], info), math.inf if dt_s is None else abs(dt_s)

    return sorted(sorted(range(len(events)), key=distance)[:MOST_CIRCLES])


def draw_neutrinos(
    axes: "Axes",
    project: Project,
    events: Sequence[Neutrino],
    info: EventInfo,
    significance: Significance,
) -> None:
    """Draw neutrinos on one panel: `MOST_CIRCLES` with number and 90 % circle, others as points."""
    whole, radii = with_circle(events, info), circles_deg(events, significance)
    points = [event for at, event in enumerate(events) if at not in whole]
    if points:
        x, y = project(*np.array([_place(event) for event in points]).T)
        axes.plot(x, y, marker=".", ms=2, color=ASIDE, ls="none", zorder=3)
    for at in whole:
        event, (ra, dec) = events[at], _place(events[at])
        x, y = project(np.array([ra]), np.array([dec]))
        takes_part = in_window(event, info)
        colour = NEUTRINO if takes_part else ASIDE
        outline = project(*circle(ra, dec, radii[at]))
        width = 1.1 if takes_part else 0.8
        axes.plot(*outline, color=colour, lw=width, path_effects=halo(width + 1.0), zorder=3)
        if not _is_inside(axes, x[0], y[0]):
            continue
        # Whole marks at the rim of the map too: it is clipped here, not by the axes.
        mark = _DOT if takes_part else _SQUARE
        _styled(axes.plot(x, y, clip_on=False, zorder=4 + takes_part)[0], mark)
        axes.annotate(
            str(at + 1),
            (x[0], y[0]),
            (4, 3),
            textcoords="offset points",
            size=8,
            weight="bold" if takes_part else "normal",
            color=colour,
            path_effects=halo(),
            zorder=6,
        )


def _is_inside(axes: "Axes", x: float, y: float) -> bool:
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    return bool(left <= x <= right and low <= y <= high)  # NaN is outside


def _place(event: Neutrino) -> tuple[float, float]:
    if event.ra is None or event.dec is None:
        raise LlamaError("a neutrino has no position; make the neutrino list again")
    return event.ra, event.dec


def draw_best(axes: "Axes", project: Project, significance: Significance) -> None:
    """Draw the most probable direction of a common source, if the result has one."""
    best = best_direction(significance)
    if best:
        x, y = project(np.array([best[0]]), np.array([best[1]]))
        _styled(axes.plot(x, y, path_effects=halo(), zorder=7)[0], _cross(15))


def draw_legend(
    figure: "Figure",
    regions: list[tuple[float, float, str, str]],
    neutrinos: NeutrinoList,
    info: EventInfo,
    significance: Significance,
    zoom_share: float | None,
) -> None:
    """Explain the marks: `regions` holds level, area [deg^2], line and colour of each contour.

    `zoom_share` is the part of the 90 % region's probability in the zoomed panel, if any.
    """
    from matplotlib.lines import Line2D

    handles, events = [], neutrinos.events
    for level, area, line, colour in regions:
        what = "credible region" if colour == INK else "with the neutrinos"
        label = f"{100 * level:.0f} % {what}, {area_text(area)}"
        handles.append(Line2D([], [], color=colour, lw=1, ls=line, label=label))
    taking_part = [in_window(event, info) for event in events]
    notes = ["Numbers: rows of the neutrino table." if events else "No neutrino in the list."]
    if len(events) > MOST_CIRCLES:
        notes.append(f"Circles: the {MOST_CIRCLES} of {len(events):,} nearest in time.")
    if any(taking_part):
        when = list_window(neutrinos.window).words("less than {} s from")
        handles.append(_styled(Line2D([], [], label=f"neutrino, {when} the wave"), _DOT))
    if not all(taking_part):
        handles.append(
            _styled(Line2D([], [], label="neutrino outside of the time window"), _SQUARE)
        )
    if events:
        label = f"90 % error circle ({circle_text(significance)})"
        handles.append(Line2D([], [], color=NEUTRINO, lw=1.1, label=label))
    if best_direction(significance):
        label = "most probable direction of a common source"
        handles.append(_styled(Line2D([], [], label=label), _cross(10)))
    if zoom_share is None:
        height = 0.57 + LEGEND_ROW_IN * len(regions) / 2
        place, columns, spacing, below = (0.3, height), 2, 0.4, (0.35, 0.08)
    else:
        place, columns, spacing, below = (3.5, 3.1), 1, 0.6, (3.6, 0.45)
        notes.insert(0, "Black box on the map: the panel on the left.")
        if zoom_share < 0.995:
            notes.insert(1, f"It holds {100 * zoom_share:.0f} % of the 90 % region's probability.")
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=at_inches(figure, *place),
        ncols=columns,
        borderaxespad=0,
        columnspacing=2.5,
        labelspacing=spacing,
    )
    figure.text(*at_inches(figure, *below), "\n".join(notes), size=8, color=ASIDE)
