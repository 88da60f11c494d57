"""Fetching a public release from the Dataverse that has it.

The names of all files, their sizes and md5 come from one answer of the dataset's DOI. Tables that
Dataverse has taken in are served as `.tab`, for which it states no checksum: of IceTracks-DR2's the
sha256 is known here, others are taken in their original form, whose md5 it states.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from llama import __version__
from llama.errors import LlamaError
from llama.files import read_json, sha256_file, write_json
from llama.locks import only_one
from llama.neutrinos.release import merge_intervals
from llama.neutrinos.release_table import read_table
from llama.neutrinos.seasons import PARTIAL, age, choose, configuration, season_of
from llama.web import PAUSE_S, open_session, parse_json

RECORD = "fetched.json"  # sha256 of each file that was fetched
HASHES = Path(__file__).with_name("templates") / "release_sha256.json"
TRIES = 5  # that bring nothing, of one file; each goes on where the last one ended
UNFINISHED = f"fetch{PARTIAL}"  # in the directory until all files are there

_AGENT = {"User-Agent": f"llama-multimessenger/{__version__}"}  # Python's own is answered with 403
_FOLDERS = {"events": "_exp", "uptime": "_exp", "irfs": "_effectiveArea"}
_PIECE = 1 << 14  # what a cut connection loses at most
_UNSAFE = re.compile(r"(^|/)\.|[^A-Za-z0-9_./-]")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Remote:
    """A file of a dataset: its place in the release, and what must come."""

    place: str  # such as events/IC86_I_exp.tab
    url: str
    size: int
    hash: str | None  # as sha256:..., md5:...

    @property
    def season(self) -> str:
        """The season it belongs to."""
        return season_of(Path(self.place))


def fetch_release(
    release: str,
    doi: str,
    host: str,
    directory: Path,
    seasons: Sequence[str] | None,
    since_mjd: float | None,
    say: Say,
) -> list[str]:
    """Fetch what is missing in `directory` of some seasons of a release; return the seasons.

    `seasons` as in `read_release`; `since_mjd`: only those that were still taking data then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with only_one(directory / ".fetch.lock", "llama neutrinos fetch", "wait for it"):
        session = session_with_name()
        files = _listing(session, host, doi, release)
        store = Store(directory, session, say)
        events = {file.season: file for file in files if file.place.startswith("events/")}
        uptime = {file.season: file for file in files if file.place.startswith("uptime/")}
        if not events:
            raise LlamaError(
                f"doi:{doi} at {host} has no events/*_exp; correct neutrinos.release_doi"
            )
        chosen = choose(events, seasons)
        if missing := [name for name in chosen if name not in uptime]:
            raise LlamaError(f"doi:{doi} at {host} has no uptime of {missing[0]}; ask its authors")
        unfinished = directory / UNFINISHED
        unfinished.touch()
        for name in chosen:
            store.fetch(uptime[name])
        if since_mjd is not None:
            chosen = [n for n in chosen if _last_mjd(directory / uptime[n].place) > since_mjd]
            if not chosen:
                raise LlamaError("no season asked for has data after --since; give an earlier date")
        for name in chosen:
            store.fetch(events[name])
        for file in _irfs(files, chosen, matrices=release == "icetracks-dr2"):
            store.fetch(file)
        unfinished.unlink()
        return chosen


def session_with_name() -> requests.Session:
    """Return a session that says who asks."""
    session = open_session()
    session.headers.update(_AGENT)
    return session


def _irfs(files: Iterable[Remote], seasons: Sequence[str], matrices: bool) -> list[Remote]:
    """Return all areas of the seasons' configurations, and their matrices."""
    kinds = {configuration(name) for name in seasons}
    ends = ("_effectiveArea", *(["_smearing"] if matrices else []))
    return [
        file
        for file in files
        if file.place.startswith("irfs/")
        and Path(file.place).stem.endswith(ends)
        and configuration(file.season) in kinds
    ]


def _last_mjd(path: Path) -> float:
    runs = read_table(path, {"mjd_start": "start", "mjd_stop": "stop"}).dropna().to_numpy()
    return float(merge_intervals(runs)[-1, 1])


def _listing(session: requests.Session, host: str, doi: str, release: str) -> list[Remote]:
    """Return the files of a dataset that belong to a release, oldest season first."""
    url = f"{host}/api/datasets/:persistentId/?persistentId=doi:{quote(doi, safe='/')}"
    try:
        answer = session.get(url)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise _unreachable(url, error) from error
    known: dict[str, str] = read_json(HASHES).get(release, {})
    return read_listing(answer.content, url, host, known)


def read_listing(content: bytes, url: str, host: str, known: dict[str, str]) -> list[Remote]:
    """Return the files of a release in the answer about a dataset, oldest season first."""
    try:
        rows = parse_json(content)["data"]["latestVersion"]["files"]
        found = [_remote(row, host, known) for row in rows]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LlamaError(
            f"{url} does not answer like a Dataverse ({type(error).__name__}); correct "
            "neutrinos.data_host"
        ) from error
    return sorted((file for file in found if file), key=lambda file: age(file.season))


def _remote(row: Any, host: str, known: dict[str, str]) -> Remote | None:
    """Return a row of the listing, None if the release's tables do not need it."""
    data, folder = row["dataFile"], str(row.get("directoryLabel") or "").rpartition("/")[2]
    name = str(row["label"])
    stem = Path(name).stem
    if folder not in _FOLDERS or not stem.endswith((_FOLDERS[folder], "_smearing")):
        return None
    place = f"{folder}/{name}"
    if _UNSAFE.search(place):
        return None
    url, size = f"{host}/api/access/datafile/{int(data['id'])}", int(data["filesize"])
    if place in known:
        return Remote(place, url, size, f"sha256:{known[place]}")
    md5 = data.get("md5")
    if md5 and not re.fullmatch("[0-9a-f]{32}", str(md5)):
        raise ValueError(md5)
    if data.get("originalFileFormat"):
        name = f"{folder}/{stem}.csv"
        url, size = f"{url}?format=original", int(data.get("originalFileSize") or 0)
        place = name
    return Remote(place, url, size, f"md5:{md5}" if md5 else None)


class Store:
    """A directory that files are fetched into, each whole and checked or not at all."""

    def __init__(self, directory: Path, session: requests.Session, say: Say) -> None:
        self._directory, self._session, self._say = directory, session, say
        self._record = directory / RECORD
        self._fetched: dict[str, str] = read_json(self._record) if self._record.exists() else {}

    def fetch(self, file: Remote) -> None:
        """Fetch a file unless it is there."""
        import pooch

        pooch.get_logger().setLevel(logging.ERROR)
        before = self._fetched.get(file.place)
        known = file.hash or (f"sha256:{before}" if before else None)
        there = pooch.Pooch(
            path=self._directory,
            base_url="",
            registry={file.place: known},
            urls={file.place: file.url},
        )
        try:
            there.fetch(file.place, downloader=lambda url, to, _: self._download(file, url, to))
        except ValueError as error:
            raise LlamaError(
                f"{file.place} from {file.url} has another checksum than {known}; it is not kept, "
                "fetch again, and ask the release's authors if that does not help"
            ) from error
        except requests.RequestException as error:
            raise _unreachable(file.url, error) from error
        except OSError as error:
            raise LlamaError(
                f"cannot write {self._directory / file.place}: {error.strerror or error}; free "
                "some space or correct the permissions, then fetch again"
            ) from error
        if before is None:
            digest = sha256_file(self._directory / file.place)
            if file.hash is None:
                self._say(
                    f"{file.place}: no checksum is known; from now on it must have sha256 {digest}"
                )
            self._fetched[file.place] = digest
            write_json(self._record, self._fetched)

    def _download(self, file: Remote, url: str, to: str) -> None:
        """Bring a file to `to`, going on with what an earlier attempt has left."""
        part = self._directory / f"{file.place}{PARTIAL}"
        part.parent.mkdir(parents=True, exist_ok=True)
        failed = 0
        while True:
            before = _size(part)
            try:
                self._go_on(file, url, part)
                break
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                failed = 0 if _size(part) > before else failed + 1
                if failed == TRIES:
                    raise
                time.sleep(PAUSE_S * 2**failed)
        part.replace(to)

    def _go_on(self, file: Remote, url: str, part: Path) -> None:
        have = _size(part)
        if file.size and have >= file.size:  # not what is wanted, or complete and not yet renamed
            if have == file.size:
                return
            have = 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self._session.get(url, headers=headers, stream=True) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()
                raise requests.ConnectionError("another file than the one that was begun")
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            here = have if goes_on else 0
            said = here
            self._say(f"{file.place}: {here / 1e6:.0f} of {file.size / 1e6:.1f} MB")
            with part.open("ab" if goes_on else "wb") as stream:
                for piece in answer.iter_content(_PIECE):
                    stream.write(piece)
                    here += len(piece)
                    if here - said >= max(file.size / 10, 2e7):
                        said = here
                        self._say(f"{file.place}: {here / 1e6:.0f} of {file.size / 1e6:.1f} MB")
        if file.size and here < file.size:
            raise requests.ConnectionError(f"{here:,} of {file.size:,} bytes came")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unreachable(url: str, error: requests.RequestException) -> LlamaError:
    answer = error.response
    why = type(error).__name__ if answer is None else f"status {answer.status_code}"
    return LlamaError(
        f"{url} cannot be read ({why}); what has come is kept, run the command again to go on"
    )
