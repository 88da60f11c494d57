"""Neutrino lists that people put into a directory, for any event that their span meets."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from llama.errors import LlamaError
from llama.files import read_json, sha256_bytes
from llama.neutrinos.given import is_url, read_given
from llama.neutrinos.sources import Found, SourceOptions, check_options, identity
from llama.neutrinos.table import Neutrino, Rows
from llama.times import iso_to_gps


class FilesSource:
    """Lists in a directory, by default `neutrinos/` in the output directory.

    JSON objects with `start`, `stop` (ISO UTC) and `events` in the form of `read_given`, and
    `"complete": true` where nothing more is to come for that span. Of an event that is in several,
    the newest file's stands.
    """

    time_scale = "UTC"
    sigma = "1 sigma of a 2D Gaussian"
    completeness = "a file that spans the window says so"
    credentials = "none"
    network = False

    class _Options(SourceOptions):
        directory: str = "neutrinos"

    def __init__(self, name: str, options: Mapping[str, object], output_dir: Path) -> None:
        self.name = name
        self._directory = output_dir / check_options(self._Options, name, options).directory

    def state(self, start_gps: float, stop_gps: float) -> list[str]:
        """Return the digests of the files that meet the window, and of those that are broken."""
        state = []
        for path in self._files():
            try:
                first, last, _ = _span(path)
                met = last >= start_gps and first <= stop_gps
            except LlamaError:
                met = True
            if met:
                state.append(sha256_bytes(path.read_bytes())[:12])
        return sorted(state)

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return the neutrinos of all files that meet the window."""
        rows: Rows = []
        seen: set[tuple[object, ...]] = set()
        inputs, complete = {}, False
        for path, content, said in self._meeting(start_gps, stop_gps):
            for row in read_given(content, str(path)):
                key = identity(row) or tuple(row[k] for k in ("mjd", "ra", "dec", "energy"))
                if key not in seen and start_gps <= Neutrino.of(row).gps <= stop_gps:
                    if "map" in row and not is_url(row["map"]):
                        row["map"] = str(path.with_name(str(row["map"])))
                    rows.append({"type": "observation", **row})
                    seen.add(key)
            inputs[path.name] = sha256_bytes(content)
            complete |= said
        about = {"kind": "files", "name": self._directory.name, "files": inputs}
        return Found(rows, covers=bool(inputs), complete=complete, about=about)

    def _meeting(self, start_gps: float, stop_gps: float) -> Iterator[tuple[Path, bytes, bool]]:
        for path in self._files():
            first, last, said = _span(path)
            if last >= start_gps and first <= stop_gps:
                spans = first <= start_gps and last >= stop_gps
                yield path, path.read_bytes(), spans and said

    def _files(self) -> list[Path]:
        found = self._directory.glob("[!.]*.json")
        return sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name))


def _span(path: Path) -> tuple[float, float, bool]:
    stat = path.stat()
    return _read_span(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=10_000)
def _read_span(path: Path, *_: int) -> tuple[float, float, bool]:
    span = read_json(path)
    if not isinstance(span, dict) or not {"start", "stop", "events"} <= span.keys():
        raise LlamaError(f"{path} lacks start, stop or events; see docs/neutrinos.md")
    try:
        return iso_to_gps(span["start"]), iso_to_gps(span["stop"]), span.get("complete") is True
    except LlamaError as error:
        raise LlamaError(f"{path}: {error}") from error
