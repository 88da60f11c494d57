"""A page as one HTML file and as PDF, both from the same content."""

import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple, TypedDict

from llama.errors import LlamaError
from llama.figures.text import MISSING, clean
from llama.files import atomic_path, write_bytes

Rows = list[tuple[str, str]]


class Facts(TypedDict):
    """A section of labels and values."""

    heading: str
    rows: Rows


class Table(TypedDict):
    """A table, its cells as they are shown."""

    caption: str
    header: list[str]
    rows: list[list[str]]


class Grid(TypedDict):
    """A section of sentences and a table."""

    heading: str
    text: list[str]
    table: Table


class Page(TypedDict):
    """What every page has; its template asks for more, in plain lists and strings."""

    title: str
    marks: list[str]
    lead: str


class Picture(NamedTuple):
    """A figure of a page: heading, words for those who do not see it, caption, PNG file."""

    heading: str
    alt: str
    caption: str
    png: str | Path


def provenance_rows(record: Mapping[str, object]) -> Rows:
    """Return label and value of everything in a block `provenance`."""
    rows = [(_label(name), value) for name, value in _flat(record)]
    return rows or [("Software", MISSING)]


def _flat(record: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        name = f"{prefix}{clean(key, 60)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(clean(item, 100) for item in value) or MISSING
        else:
            yield name, MISSING if value is None else clean(value, 100)


def _label(name: str) -> str:
    shown = name.replace("_", " ") if "." not in name else name
    return shown[:1].upper() + shown[1:]


def write_page(
    name: str,
    content: Page,
    pictures: Sequence[Picture],
    html: str | Path,
    pdf: str | Path,
) -> None:
    """Write a page by the templates `<name>.html.j2` and `<name>.typ`.

    content: plain lists and strings: title, marks, lead, provenance, and what the templates ask
    for. The HTML needs nothing beside itself. `LlamaError` when a figure is missing.
    """
    for picture in pictures:
        if not Path(picture.png).is_file():
            raise LlamaError(f"{picture.png} does not exist; make the figures first")
    write_html(name, content, pictures, html)
    write_pdf(name, content, pictures, pdf)


def _template(name: str) -> str:
    return (resources.files("llama.figures") / "templates" / name).read_text(encoding="utf-8")


def write_html(
    name: str,
    content: Page,
    pictures: Sequence[Picture],
    html: str | Path,
    scripts: Sequence[str] = (),
) -> None:
    """Write the HTML of a page alone; scripts: names of templates that it may run, and no others.

    Everything is inside the file. What is not in it is refused by its Content-Security-Policy:
    no address is ever asked, and no text of an alert can be run.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [
        picture._asdict() | {"data": base64.b64encode(Path(picture.png).read_bytes()).decode()}
        for picture in pictures
    ]
    style = _template("page.css") + _on_each_sheet(content["marks"], content["title"])
    code = [_template(script) for script in scripts]
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hashes([style])}; "
        f"script-src {_hashes(code)}; base-uri 'none'; form-action 'none'"
    )
    page = environment.get_template(f"{name}.html.j2").render(
        content,
        figures=figures,
        policy=Markup(policy),  # noqa: S704  our own words and hashes
        style=Markup(style),  # noqa: S704  our own file
        scripts=[Markup(text) for text in code],  # noqa: S704  our own files
    )
    write_bytes(html, page.encode())


def _on_each_sheet(marks: Sequence[str], title: str) -> str:
    """Return a style that prints the marks and the title above, and the page number below."""
    words = ", ".join([*marks, title.partition(":")[0]])
    safe = "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in words)
    return (
        f'@page {{ @top-right {{ content: "{safe}"; font: bold 9pt sans-serif; }} '
        '@bottom-right { content: counter(page) " / " counter(pages); font: 9pt sans-serif; } }\n'
    )


def _hashes(sources: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in sources]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def write_pdf(
    name: str,
    content: Page,
    pictures: Sequence[Picture],
    pdf: str | Path,
) -> None:
    """Write the PDF of a page alone, by the template `<name>.typ`."""
    import typst

    # The content travels as data, never as Typst source, so no text can become markup.
    figures = [
        {"heading": heading, "alt": alt, "caption": caption, "file": f"figure-{k}.png"}
        for k, (heading, alt, caption, _) in enumerate(pictures)
    ]
    data = json.dumps({**content, "figures": figures}, allow_nan=False)
    with tempfile.TemporaryDirectory() as directory:
        for source in ("page.typ", f"{name}.typ"):
            (Path(directory) / source).write_text(_template(source), encoding="utf-8")
        for figure, picture in zip(figures, pictures, strict=True):
            shutil.copyfile(picture.png, Path(directory) / figure["file"])
        with atomic_path(pdf) as path:
            document = typst.compile(
                str(Path(directory) / f"{name}.typ"),
                root=directory,
                ignore_system_fonts=True,
                sys_inputs={"data": data},
            )
            path.write_bytes(document)
