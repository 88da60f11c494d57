"""The sky maps of a catalogue's release: whose they are, and which one of an event is used.

Releases have several maps of most events, of different waveforms:

    GWTC-2.1, 3   IGWN-GWTC3p0-v2-GW200112_155838_PEDataRelease_cosmo_reweight_C01:Mixed.fits
    GWTC-4, 5     IGWN-GWTC5p0-29ebe06b7_25-GW240615_113620-NRSur7dq4_Skymap_PEDataRelease.fits.gz

Nothing is extracted: members of a tarball are read one by one.
"""

import contextlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from llama.child import in_child
from llama.errors import LlamaError, printable, system_errors
from llama.files import is_litter, sha256_bytes
from llama.graceid import CATALOGUE_PATTERN

MAX_MAP_BYTES = 1 << 27  # as the reader has it
_MOST_FILES = 20_000
_EVENT = re.compile(rf"(?<![A-Za-z0-9])({CATALOGUE_PATTERN})(?![0-9])")
_SKYMAP = re.compile(r"(.+?)(?:\.multiorder)?\.fits(?:\.gz)?", re.IGNORECASE)
_OF_EVERY_NAME = re.compile(
    r"PEDataRelease|Skymap|(?:no)?cosmo(?:_reweight)?|C\d\d(?=[:_])|GWTC-?\d[p.\d]*", re.IGNORECASE
)
_RELEASE = re.compile(r"GWTC-?(\d)(?:[p.](\d))?(?!\d)", re.IGNORECASE)
# Which waveform is taken, the best first; others come after them, by name.
PREFERRED = ("Mixed", "IMRPhenomXPHM_SpinTaylor", "IMRPhenomXPHM", "SEOBNRv5PHM", "SEOBNRv4PHM")
_AGAIN = "get it again from where it was published"
_BROKEN = (tarfile.TarError, EOFError, zlib.error, OSError)


class MapFile(NamedTuple):
    """A sky map of a release: its path there, whose it is, and what it was made with."""

    path: str
    event: str
    waveform: str
    cosmological: bool  # reweighted to a distance prior uniform in comoving volume

    @property
    def rank(self) -> tuple[bool, int, str]:
        """What is smaller for the better map."""
        label = self.waveform.replace("-", "_")
        first = label.partition(":")[0] if label.startswith("Mixed:") else label
        place = PREFERRED.index(first) if first in PREFERRED else len(PREFERRED)
        return not self.cosmological, place, label


class Chosen(NamedTuple):
    """The map of an event that is used, and the names of those that are not."""

    file: MapFile
    others: tuple[str, ...]


def map_file(path: str) -> MapFile | None:
    """Return what the name of a file says, None if it is no sky map of a catalogue's event."""
    name = PurePosixPath(path).name
    stem, event = _SKYMAP.fullmatch(name), _EVENT.search(name)
    if stem is None or event is None or is_litter(path):
        return None
    words = _OF_EVERY_NAME.sub(" ", stem[1][event.end() :])
    label = re.sub(r"[\s_:-]*\s[\s_:-]*", " ", f" {words} ").strip()
    lower = name.lower()
    return MapFile(path, event[1], label, "cosmo" in lower and "nocosmo" not in lower)


def choose(paths: Iterable[str]) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Return the map of each event, and of others in a sentence why there is none of them.

    Cosmologically reweighted ones are preferred, then the waveforms in `PREFERRED`. `LlamaError`
    never: two maps that are equally good leave their event out.
    """
    of_event: dict[str, list[MapFile]] = {}
    left_out: dict[str, str] = {}
    for path in sorted(paths):
        file = map_file(path)
        if file is not None:
            of_event.setdefault(file.event, []).append(file)
        elif _SKYMAP.fullmatch(PurePosixPath(path).name) and not is_litter(path):
            name = PurePosixPath(path).name
            left_out[name] = "its name has no event like GW200112_155838"
    chosen = {}
    for event, files in sorted(of_event.items()):
        best, *others = sorted(files, key=lambda file: file.rank)
        if others and others[0].rank == best.rank:
            left_out[event] = f"it has two maps, {best.path} and {others[0].path}; remove one"
        else:
            chosen[event] = Chosen(best, tuple(PurePosixPath(file.path).name for file in others))
    return chosen, left_out


def release_name(paths: Iterable[str]) -> str | None:
    """Return the release that all of the files name, such as GWTC-2.1, None without a single one.

    A release is named as its catalogue: GWTC-3, not GWTC-3.0.
    """
    found = {
        f"GWTC-{match[1]}" + (f".{match[2]}" if match[2] not in (None, "0") else "")
        for match in map(_RELEASE.search, paths)
        if match
    }
    return found.pop() if len(found) == 1 else None


class Directory:
    """A directory with the files of a release."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cache  # noqa: B019 - a release lives as long as its command
    def names(self) -> list[str]:
        """Return the path of every file."""
        with system_errors(f"cannot read {self._path}", "correct its permissions"):
            return [
                os.path.relpath(os.path.join(folder, name), self._path)
                for folder, _, names in os.walk(self._path)
                for name in names
            ]

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the content of each file with its path."""
        for path in paths:
            with (
                system_errors(f"cannot read {self._path / path}", "correct its permissions"),
                (self._path / path).open("rb") as stream,
            ):
                content = stream.read(MAX_MAP_BYTES + 1)
            yield path, content


class Tarball:
    """A tarball of a release, compressed or not, that is not trusted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cache  # noqa: B019 - as above
    def names(self) -> list[str]:
        """Return the path of every file.

        `LlamaError` for a member that is no file or directory below it, and if it is cut short.
        """
        # a child has limits; what it answers is short
        in_child(self._check, str(self._path), _AGAIN)
        with self._sentences(), self._open() as tar:
            return [member.name for member in tar if member.isfile()]

    def _check(self) -> None:
        with self._sentences(), self._open() as tar:
            for number, member in enumerate(tar, 1):
                if number > _MOST_FILES:
                    raise LlamaError(f"{self._path} has more than {_MOST_FILES:,} files; {_AGAIN}")
                self._refuse(member)

    def _refuse(self, member: tarfile.TarInfo) -> None:
        parts, name = PurePosixPath(member.name).parts, printable(member.name)
        problem = None
        if member.name.startswith("/") or ".." in parts:
            problem = f"a file outside of it, {name}"
        elif not (member.isfile() or member.isdir()):
            problem = f"a link or device, {name}"
        else:
            try:  # what Python's own filter finds besides
                tarfile.data_filter(member, "/nowhere")
            except tarfile.FilterError as error:
                problem = f"a member that may not be extracted, {name} ({type(error).__name__})"
        if problem:
            raise LlamaError(f"{self._path} has {problem}; nothing of it is used, {_AGAIN}")

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the content of each file with its path, in the order of the tarball."""
        wanted = set(paths)
        with self._sentences(), self._open() as tar:
            for member in tar:
                if member.isfile() and member.name in wanted:
                    wanted.remove(member.name)
                    stream = tar.extractfile(member)
                    yield member.name, stream.read(MAX_MAP_BYTES + 1) if stream else b""

    def _open(self) -> contextlib.AbstractContextManager[tarfile.TarFile]:
        return tarfile.open(self._path, "r:*")

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise LlamaError(
                f"{self._path} is no whole tarball ({printable(error)}); {_AGAIN}"
            ) from error


def open_release(path: Path) -> Directory | Tarball:
    """Return the release in a directory or a tarball."""
    if path.is_dir():
        return Directory(path)
    if not path.exists():
        raise LlamaError(f"there is no {path}; give a directory or a tarball of sky maps")
    return Tarball(path)


def about_choice(chosen: Chosen, content: bytes, release: str | None) -> Mapping[str, object]:
    """Return what an event's record says of its map: which, of which release, which not."""
    return {
        "release": release,
        "map": PurePosixPath(chosen.file.path).name,
        "map_sha256": sha256_bytes(content),
        "waveform": chosen.file.waveform or None,
        "cosmologically_reweighted": chosen.file.cosmological,
        "maps_not_used": list(chosen.others),
    }
