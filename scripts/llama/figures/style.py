"""One look for all figures: an A4 text width, letters of 8 points, the same bytes every time."""

import contextlib
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llama.event.results import Neutrino, Source
from llama.event.skymap_info import EventInfo
from llama.figures.text import marks, plain, utc_text
from llama.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

WIDTH_IN = 6.7  # text width of an A4 page, so that 8 pt in the file are 8 pt on paper
DPI = 200
# Okabe and Ito's vermilion and its neighbours: told apart by all eyes, and as greys.
INK, NEUTRINO, ASIDE = "#111111", "#B34700", "#5A5A5A"
COMBINED = "#8E2C7A"  # their reddish purple, darker: neither the map's blue nor the neutrinos'
REAL = "#00563F"  # as on the pages

_SETTINGS = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 8.5,
    "axes.linewidth": 0.8,
    "axes.edgecolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in an alert is a dollar sign
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
}


def blues() -> "ListedColormap":
    """Return one hue, light to dark; it ends before black lines would drown in it."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["Blues"](np.linspace(0.0, 0.75, 256)))


@contextlib.contextmanager
def drawing(
    height_in: float, png: str | Path | None = None, pdf: str | Path | None = None
) -> Iterator["Figure"]:
    """Yield an empty figure of page width; when the block ends it is in `png` and `pdf`, if any."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **_SETTINGS, "backend": "agg"}):
        figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
        yield figure
        # No date and no version in the files: equal inputs give equal bytes.
        absent: dict[str, dict[str, None]] = {
            "png": {"Software": None},
            "pdf": {"CreationDate": None, "Producer": None},
        }
        for path, form in ((png, "png"), (pdf, "pdf")):
            if path is None:
                continue
            # in memory: where the disk is full, Matplotlib's PDFs end in an AttributeError
            image = io.BytesIO()
            figure.savefig(image, format=form, dpi=DPI, metadata=absent[form])
            write_bytes(path, image.getbuffer())


def box(
    figure: "Figure", left: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return an axes rectangle, given in inches from the lower left corner, for `add_axes`."""
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up


def at_inches(figure: "Figure", x: float, y: float) -> tuple[float, float]:
    """Return figure coordinates of a point in inches from the lower left corner."""
    across, up = figure.get_size_inches()
    return x / across, y / up


def title(
    figure: "Figure",
    info: EventInfo,
    neutrinos: Iterable[Neutrino],
    subtitle: str,
    role: str | None,
    source: Source,
) -> None:
    """Write name and time of the event, the marks that say what it is, and a second line.

    role: the flag ROLE, None for an event without an alert, which is neither real nor a test.
    """
    up = figure.get_size_inches()[1]
    name, when = plain(info.graceid, 24), utc_text(info.event_time)
    words = marks(info, neutrinos, {"ROLE": role}, source)
    if role is None:
        words = [word for word in words if word not in ("REAL", "TEST")]
    first, second = f"{name}   {when}", subtitle
    if _bold_inches(first, 11) + _bold_inches(", ".join(words), 8.5) > WIDTH_IN - 0.5:
        first, second = name, f"{when}   {subtitle}"
    figure.text(*at_inches(figure, 0.1, up - 0.1), first, size=11, weight="bold", va="top")
    figure.text(*at_inches(figure, 0.1, up - 0.32), second, va="top")
    if words:
        stamp(figure, words)


def stamp(figure: "Figure", words: Sequence[str]) -> None:
    """Write the marks that say what is shown at the top right."""
    up = figure.get_size_inches()[1]
    figure.text(
        *at_inches(figure, WIDTH_IN - 0.17, up - 0.17),
        ", ".join(words),
        weight="bold",
        color="white",
        ha="right",
        va="center",
        bbox={
            "boxstyle": "square,pad=0.35",
            "facecolor": REAL if "REAL" in words else INK,
            "edgecolor": "none",
        },
    )


def _bold_inches(words: str, size: float) -> float:
    if not words:
        return 0.0
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans", weight="bold", size=size)
    return float(TextPath((0, 0), words, prop=font).get_extents().width) / 72


def label_powers(*scales: "Axis") -> None:
    """Label a logarithmic axis at powers of ten alone, at two of them or more."""
    from matplotlib.ticker import NullFormatter

    for axis in scales:
        low, high = np.log10(axis.get_view_interval())
        if high - low < 1.5:  # else there may be one label, or none
            axes = axis.axes
            set_limits = axes.set_xlim if axis is axes.xaxis else axes.set_ylim
            first = np.floor(low)
            set_limits(10**first, 10 ** max(np.ceil(high), first + 1))
        axis.set_major_formatter(power_of_ten)
        axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float, _: object = None) -> str:
    """Return a tick label such as 10⁻⁴ without Matplotlib's formula language."""
    exponent = f"{round(math.log10(value))}" if value > 0 else "0"
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
