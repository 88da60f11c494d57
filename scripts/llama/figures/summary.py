"""The summary of an event, as one HTML file and as PDF, both from the same content."""

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.figures.content import summary_content
from llama.files import atomic_path, write_bytes

_FIGURES = (
    (
        "Sky map",
        "All-sky map of the gravitational wave's probability density with 50 % and 90 % credible "
        "regions and the neutrinos; the numbers are rows of the table.",
        "Where the wave came from, in probability per square degree, with the smallest regions "
        "that hold 50 % (solid) and 90 % (dashed) of it. Filled dots: neutrinos less than 500 s "
        "from the wave; open squares: others. Circles have the 90 % radius.",
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
    *,
    info: Mapping[str, Any],
    flags: Mapping[str, Any],
    p_astro: Mapping[str, Any],
    distances: Mapping[str, Any],
    neutrinos: Mapping[str, Any],
    significance: Mapping[str, Any],
    skymap_png: str | os.PathLike[str],
    scatter_png: str | os.PathLike[str],
    event_dir: str,
    html: str | os.PathLike[str],
    pdf: str | os.PathLike[str],
) -> None:
    """Write the summary page of an event.

    The mappings are the event's JSON files; `event_dir` is the directory as a Snakemake
    target names it (`events/S190425z`). The HTML needs nothing beside itself. `LlamaError`
    when a figure is missing.
    """
    content = summary_content(info, flags, p_astro, distances, neutrinos, significance, event_dir)
    pngs = [Path(skymap_png), Path(scatter_png)]
    for png in pngs:
        if not png.is_file():
            raise LlamaError(f"{png} does not exist; make the figures first")
    _write_html(content, pngs, html)
    _write_pdf(content, pngs, pdf)


def _template(name: str) -> str:
    return (resources.files("llama.figures") / "templates" / name).read_text(encoding="utf-8")


def _write_html(content: dict[str, Any], pngs: list[Path], html: str | os.PathLike[str]) -> None:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    figures = [
        (heading, alt, caption, base64.b64encode(png.read_bytes()).decode())
        for (heading, alt, caption), png in zip(_FIGURES, pngs, strict=True)
    ]
    page = environment.from_string(_template("summary.html.j2")).render(content, figures=figures)
    write_bytes(html, page.encode())


def _write_pdf(content: dict[str, Any], pngs: list[Path], pdf: str | os.PathLike[str]) -> None:
    import typst

    # The content travels as data, never as Typst source, so no text can become markup.
    figures = [
        {"heading": heading, "alt": alt, "caption": caption, "file": f"figure-{k}.png"}
        for k, (heading, alt, caption) in enumerate(_FIGURES)
    ]
    data = json.dumps({**content, "figures": figures}, allow_nan=False)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "summary.typ"
        source.write_text(_template("summary.typ"), encoding="utf-8")
        for figure, png in zip(figures, pngs, strict=True):
            shutil.copyfile(png, Path(directory) / figure["file"])
        with atomic_path(pdf) as path:
            document = typst.compile(
                str(source), root=directory, ignore_system_fonts=True, sys_inputs={"data": data}
            )
            path.write_bytes(document)
