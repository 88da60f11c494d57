"""The summary of an event, as one HTML file and as PDF, both from the same content."""

import os
from collections.abc import Sequence

from llama.event.latency import AlertSteps
from llama.figures.content import summary_content
from llama.figures.inputs import EventFiles, NeutrinoList
from llama.figures.page import Picture, write_page
from llama.stats.window import list_window


def figure_texts(neutrinos: NeutrinoList) -> tuple[tuple[str, str, str], ...]:
    """Return title, alternative text and caption of sky map and scatter plot of a result."""
    near = list_window(neutrinos.window).words("less than {} s from")
    return (
        (
            "Sky map",
            "All-sky map of the gravitational wave's probability density with 50 % and 90 % "
            "credible regions and the neutrinos; the numbers are rows of the table.",
            "Where the wave came from, in probability per square degree, with the smallest "
            "regions that hold 50 % (solid) and 90 % (dashed) of it. Filled dots: neutrinos "
            f"{near} the wave; open squares: others. Circles have the 90 % radius.",
        ),
        (
            "Significance",
            "Fraction of background triggers that reach a given odds ratio, with this event's odds "
            "ratio as a vertical line.",
            "How often triggers of the same class with scrambled neutrinos reach an odds ratio. "
            "Vertical line: this event; open circles: its neutrinos one by one.",
        ),
    )


def write_summary(
    event: EventFiles,
    latency: Sequence[AlertSteps],
    figures: Sequence[str | os.PathLike[str]],
    event_dir: str,
    html: str | os.PathLike[str],
    pdf: str | os.PathLike[str],
) -> None:
    """Write the summary page of an event.

    figures: sky map and scatter plot as PNG; event_dir: the directory as a Snakemake target names
    it (`events/S190425z`). The HTML needs nothing beside itself. `LlamaError` when a figure is
    missing.
    """
    content = summary_content(event, latency, event_dir)
    texts = figure_texts(event.neutrinos)
    pictures = [Picture(*words, png) for words, png in zip(texts, figures, strict=True)]
    write_page("summary", content, pictures, html, pdf)
