"""The sky map figure: where the gravitational wave came from, and the neutrinos on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llama.event.results import NeutrinoList, Significance
from llama.event.skymap_info import EventInfo
from llama.figures import geometry as sky
from llama.figures.geometry import Floats
from llama.figures.markers import (
    LEGEND_ROW_IN,
    Project,
    draw_best,
    draw_legend,
    draw_neutrinos,
    halo,
)
from llama.figures.style import ASIDE, COMBINED, INK, blues, box, drawing, title
from llama.figures.text import result_line
from llama.sky.tiles import SkyTiles
from llama.stats.healpix import directions_deg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZOOM_BELOW_DEG2 = 500.0
_LOBE_DEG = 30.0  # parts of the 90 % region further from the peak than this are not zoomed in on
_GRID = (1220, 610)  # pixels of the all-sky image, as many as its inches at 200 dpi
_CONTOURS = ((0.9, "--"), (0.5, "-"))
_COLOURS = (INK, COMBINED)  # of the wave's regions, and of those with the neutrinos
_OTHER = 0.01  # part by which an area is another one


def draw_skymap(
    tiles: SkyTiles,
    neutrinos: NeutrinoList,
    info: EventInfo,
    significance: Significance,
    png: str | Path | None = None,
    pdf: str | Path | None = None,
    role: str | None = "observation",
    combined: SkyTiles | None = None,
) -> "Figure":
    """Draw the all-sky map, with a zoom when the 90 % region is below 500 deg^2.

    role: the flag ROLE, None without an alert. combined: the map with the neutrinos, whose regions
    are drawn where they are others. Error circles hold 90 % of the point spread. Equal inputs give
    equal bytes.
    """
    density = sky.SkyDensity(tiles)
    both = [density]
    if combined and _is_other(source := sky.SkyDensity(combined), density):
        both.append(source)
    frame = _zoom_frame(density) if density.area_deg2(0.9) < ZOOM_BELOW_DEG2 else None
    bottom = 3.15 if frame else 0.5 + LEGEND_ROW_IN * len(both)
    with drawing(bottom + 4.25, png, pdf) as figure:
        line = result_line(significance)
        title(figure, info, neutrinos.events, line, role, neutrinos.source)
        globe = _draw_all_sky(figure, both, bottom + 0.6)
        panels: list[tuple[Axes, Project]] = [(globe, sky.mollweide_line)]
        if frame:
            panel, project = _draw_zoom(figure, both, *frame[:2])
            panels.append((panel, project))
            # A box below 6 deg would vanish among the marks.
            x, y = _square(max(frame[1], 3.0))
            outline = sky.mollweide_line(*sky.gnomonic_inverse(x, y, frame[0]))
            globe.plot(*outline, color=INK, lw=0.8)
        for axes, project in panels:
            draw_neutrinos(axes, project, neutrinos.events, info, significance)
            draw_best(axes, project, significance)
        regions = [
            (level, each.area_deg2(level), line, colour)
            for each, colour in zip(both, _COLOURS, strict=False)
            for level, line in reversed(_CONTOURS)
        ]
        share = frame[2] if frame else None
        draw_legend(figure, regions, neutrinos, info, significance, share)
    return figure


def _is_other(density: sky.SkyDensity, wave: sky.SkyDensity) -> bool:
    areas = [(density.area_deg2(level), wave.area_deg2(level)) for level, _ in _CONTOURS]
    return any(abs(one - other) > _OTHER * other for one, other in areas)


def _draw_image(axes: "Axes", both: Sequence[sky.SkyDensity], ra: Any, dec: Any) -> Any:
    """Draw the first density, and contours of all, on axes that the grid fills from row 0 up."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from scipy.ndimage import gaussian_filter

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    known, density = np.isfinite(dec), both[0]
    values = np.zeros(dec.shape, dtype=np.float32)
    values[known] = density.at(ra[known], dec[known])
    image = ScalarMappable(Normalize(0, float(density.density.max())), blues())
    # Coloured here, to bytes: Matplotlib would need 100 MB for it when it saves.
    rgba = image.to_rgba(values, bytes=True)
    rgba[~known] = 255
    axes.imshow(
        rgba,
        origin="lower",
        extent=(left, right, low, high),
        aspect="auto",
        interpolation="nearest",
    )
    rows, columns = dec.shape
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = low + (np.arange(rows) + 0.5) * (high - low) / rows
    for each, colour in zip(both, _COLOURS, strict=False):
        if each is not density:
            values[known] = each.at(ra[known], dec[known])
        for level, line in _CONTOURS:
            inside = values >= each.threshold(level)
            if inside[known].any() and not inside[known].all():
                # Rounds the corners of coarse tiles; a region thinner than that is still drawn.
                smooth = np.maximum(
                    gaussian_filter(inside.astype(np.float32), 2.0), np.float32(0.501) * inside
                )
                region = np.ma.array(smooth, mask=~known)
                style: Any = {"colors": colour, "linewidths": 0.9, "linestyles": line}
                axes.contour(x, y, region, levels=[0.5], **style)
    return image


def _draw_all_sky(figure: "Figure", both: Sequence[sky.SkyDensity], bottom: float) -> "Axes":
    place = box(figure, 0.45, bottom, 6.1, 3.05)
    under = figure.add_axes(place, frameon=False, xticks=[], yticks=[], xlim=(-2, 2), ylim=(-1, 1))
    columns, rows = _GRID
    x, y = np.meshgrid(
        -2 + (np.arange(columns) + 0.5) * 4 / columns, -1 + (np.arange(rows) + 0.5) * 2 / rows
    )
    image = _draw_image(under, both, *sky.mollweide_inverse(x, y))
    bar = figure.add_axes(box(figure, 1.6, bottom - 0.18, 3.8, 0.09))
    figure.colorbar(image, cax=bar, orientation="horizontal", format=lambda v, _: f"{v:.3g}")
    bar.locator_params(nbins=5)
    bar.set_xlabel("probability per deg²", labelpad=1)

    globe: Any = figure.add_axes(place, projection="mollweide", facecolor="none")
    ra = np.arange(60, 360, 60)
    globe.set_xticks(np.radians(180 - ra), [f"{a}°" for a in ra])
    globe.tick_params(axis="x", colors=ASIDE)
    dec = np.arange(-60, 90, 30)
    globe.set_yticks(np.radians(dec), [_degrees(float(d)) for d in dec])
    globe.set_longitude_grid_ends(90)
    globe.grid(color=ASIDE, lw=0.35, alpha=0.7)
    for label in globe.get_xticklabels():
        label.set_path_effects(halo())
    globe.set_axisbelow(False)
    globe.text(
        0.99, 0.0, "RA, Dec (ICRS)", transform=globe.transAxes, ha="right", color=ASIDE, size=8
    )
    return globe


def _zoom_frame(density: sky.SkyDensity) -> tuple[tuple[float, float], float, float]:
    """Return centre (RA, Dec), half width in the tangent plane [deg], share of the 90 % region."""
    import healpy

    tiles = density.tiles
    inside = np.flatnonzero(density.density >= density.threshold(0.9))
    nside = 1 << tiles.order[inside].astype(np.int64)
    ra, dec = healpy.pix2ang(nside, tiles.ipix[inside], nest=True, lonlat=True)
    vectors, weight = sky.unit_vector(ra, dec), tiles.prob[inside]
    peak = vectors[np.argmax(density.density[inside])]
    near = vectors @ peak > np.cos(np.radians(_LOBE_DEG))
    centre_ra, centre_dec = directions_deg(weight[near] @ vectors[near])
    centre = (float(centre_ra), float(centre_dec))
    x, y = sky.gnomonic(ra[near], dec[near], centre)
    half = max(1.15 * float(np.max(np.abs([x, y]))), 1.0)
    return centre, half, float(weight[near].sum() / weight.sum())


def _square(half: float) -> tuple[Floats, Floats]:
    edge, side = np.linspace(-half, half, 50), np.full(50, half)
    return np.r_[edge, side, -edge, -side], np.r_[side, -edge, -side, edge]


def _draw_zoom(
    figure: "Figure",
    both: Sequence[sky.SkyDensity],
    centre: tuple[float, float],
    half: float,
) -> tuple["Axes", Project]:
    panel = figure.add_axes(
        box(figure, 0.7, 0.45, 2.6, 2.6), xlim=(half, -half), ylim=(-half, half), facecolor="none"
    )
    n = 520
    x, y = np.meshgrid(
        (1 - (2 * np.arange(n) + 1) / n) * half, ((2 * np.arange(n) + 1) / n - 1) * half
    )
    _draw_image(panel, both, *sky.gnomonic_inverse(x, y, centre))

    def project(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        return sky.gnomonic(ra, dec, centre)

    _draw_graticule(panel, project, centre, half)
    panel.set(xlabel="RA", ylabel="Dec", autoscale_on=False)
    return panel, project


def _draw_graticule(
    panel: "Axes", project: Project, centre: tuple[float, float], half: float
) -> None:
    """Draw lines of equal RA and Dec and label them where they cross the lower and left edge."""
    reach = float(np.degrees(np.arctan(np.radians(half)))) * 1.5
    step = _nice(half / 2)
    low, high = max(centre[1] - reach, -90), min(centre[1] + reach, 90)
    shrink = np.cos(np.radians(min(max(abs(low), abs(high)), 89.0)))
    wide = min(180.0, reach / shrink)
    ra_step = _nice(half / 2 / max(np.cos(np.radians(centre[1])), 0.05))
    meridians = ra_step * np.arange(
        np.ceil((centre[0] - wide) / ra_step), np.floor((centre[0] + wide) / ra_step) + 1
    )
    parallels = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    ticks: tuple[dict[float, str], dict[float, str]] = ({}, {})
    for value in meridians:
        x, y = project(np.full(400, value), np.linspace(low, high, 400))
        panel.plot(x, y, color=ASIDE, lw=0.35, alpha=0.7)
        ticks[0].update(dict.fromkeys(_crossings(y, x, half), f"{round(value % 360, 4):g}°"))
    for value in parallels:
        x, y = project(centre[0] + np.linspace(-wide, wide, 400), np.full(400, value))
        panel.plot(x, y, color=ASIDE, lw=0.35, alpha=0.7)
        ticks[1].update(dict.fromkeys(_crossings(-x, y, half), _degrees(value)))
    across, up = _apart(ticks[0], 0.3 * half), _apart(ticks[1], 0.15 * half)
    panel.set_xticks(list(across), list(across.values()))
    panel.set_yticks(list(up), list(up.values()))


def _apart(ticks: dict[float, str], least: float) -> dict[float, str]:
    """Return the labels that have room beside each other: near a pole the meridians crowd."""
    kept: dict[float, str] = {}
    for place in sorted(ticks):
        if not kept or place - max(kept) >= least:
            kept[place] = ticks[place]
    return kept


def _degrees(value: float) -> str:
    """Return a declination as a label, with a minus sign that is no hyphen."""
    return f"{round(value, 4):+g}°".replace("-", "−") if round(value, 4) else "0°"


def _nice(span: float) -> float:
    """Return the step of a sexagesimal-friendly ladder nearest to `span` degrees."""
    ladder = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60, 90])
    return float(ladder[np.argmin(np.abs(np.log(ladder / span)))])


def _crossings(along: Floats, across: Floats, half: float) -> list[float]:
    """Return `across` where `along` passes -half, as far as that is inside of the panel."""
    at = np.flatnonzero((along[:-1] + half) * (along[1:] + half) < 0)
    share = (-half - along[at]) / (along[at + 1] - along[at])
    values = across[at] + share * (across[at + 1] - across[at])
    return [float(value) for value in values if abs(value) < half]
