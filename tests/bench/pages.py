"""The pages: made, opened in a browser, and their size."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import row

from llama.figures.event_page import write_event_page
from llama.figures.run_page import write_run_page
from llama.settings import from_dict
from llama.settings.render import defaults

_EVENTS = 40
_FIGURE_BYTES = 400_000  # of each of the two figures, as real ones


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the pages, without a browser only those of making them."""
    from browser import browser, visit
    from needs import check
    from page_samples import PNG, neutrino, write_event

    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        many = [neutrino(k, ra=9.0 * k % 360, dec=2.0 * k - 40) for k in range(1, 41)]
        for k in range(_EVENTS):
            event = write_event(output, f"S2305{k % 28 + 1:02d}{'bc'[k // 28]}", events=many)
        for name in ("skymap", "scatter"):
            (event / f"coinc_{name}_lvc-i3.png").write_bytes(PNG + bytes(_FIGURE_BYTES))
        settings = from_dict(defaults() | {"output_dir": str(output)}, "defaults")
        write_event_page(event, f"events/{event.name}")  # imports
        for name, make in (
            ("page_event", lambda: write_event_page(event, f"events/{event.name}")),
            (f"page_status_{_EVENTS}_events", lambda: write_run_page(settings)),
        ):
            start = time.perf_counter()
            make()
            yield row(f"{name}_s", time.perf_counter() - start, "s", 1)
        yield row("page_event_mb", (event / "index.html").stat().st_size / 1e6, "MB", 2)
        check("chromium", "chromedriver")
        with browser(output / "profile") as driver:
            for name, page in (("event", event / "index.html"), ("status", output / "status.html")):
                visit(driver, page)
                ended = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
                yield row(f"page_{name}_complete_s", driver.execute_script(ended) / 1000, "s", 1)
