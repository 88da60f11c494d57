"""GraceDB: read a superevent, its alerts' facts and its sky map."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec

from llama.alerts.gracedb_record import JsonObject, Superevent, newest, notices
from llama.errors import LlamaError
from llama.files import dump_json
from llama.graceid import check_graceid

_MAX_BYTES = 1 << 27  # as the reader of maps has it; published ones have some MB
_MAX_JSON_BYTES = 50_000_000
_GIVE = "give the alert itself with skymap_info --alert FILE"
# what an answer may end in; every error of requests is an OSError
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


class _Page(msgspec.Struct, rename={"count": "numRows"}):
    """A page of a search; `count` is of all pages."""

    superevents: list[JsonObject]
    links: dict[str, str | None]
    count: int = 0


class GraceDBClient:
    """What LLAMA reads from GraceDB, by ligo-gracedb's session for its API at `service_url`."""

    def __init__(self, service_url: str, session: Any) -> None:
        self._url = service_url
        self._session = session

    def superevent(self, graceid: str) -> JsonObject:
        """Return the record of a superevent (or of a single event, for a G id)."""
        superevent = "S" in check_graceid(graceid)
        read = self._session.superevent if superevent else self._session.event
        return self._json(graceid, lambda: read(graceid))

    def files(self, graceid: str) -> list[str]:
        """Return the names of its files, versions as `name,0`."""
        check_graceid(graceid)
        listing = self._json(f"list of files of {graceid}", lambda: self._session.files(graceid))
        entries = listing.get("files")
        if not isinstance(entries, list):  # API v1: {name: address}
            return [str(name) for name in listing]
        return [
            str(entry.get("filename") if isinstance(entry, dict) else entry) for entry in entries
        ]

    def file(self, graceid: str, name: str) -> bytes:
        """Return the content of one file."""
        from llama import web

        check_graceid(graceid)

        def read() -> bytes:
            stream = self._session.files(graceid, name)
            kind = str(stream.headers.get("Content-Type"))
            if kind.startswith("text/html") and not name.partition(",")[0].endswith(".html"):
                stream.close()
                raise ValueError("a page in HTML came instead of the file")
            content = web.body(stream, _MAX_BYTES)
            if not content:
                raise ValueError("the file has 0 bytes")
            return content

        with self._sentences(f"file {name} of {graceid}"):
            return web.read_again(read)

    def logged_at(self, graceid: str, name: str) -> str | None:
        """Return when a file was added, as the last such row of the public log says."""
        check_graceid(graceid)
        listing = self._json(f"log of {graceid}", lambda: self._session.logs(graceid))
        rows = listing.get("logs", listing.get("log"))  # API v2, v1
        count = listing.get("numRows", 0)
        with self._sentences(f"log of {graceid}"):
            if not (isinstance(rows, list) and isinstance(count, int) and len(rows) >= count):
                raise ValueError("it is a part, or none")
            times = [row.get("created") for row in rows if row.get("filename") == name]
        return str(times[-1]) if times and times[-1] else None

    def superevents(self, start_gps: float, stop_gps: float) -> list[JsonObject]:
        """Return the records of the superevents with start_gps <= t_0 <= stop_gps."""
        import requests

        text = f"t_0: {start_gps:.0f} .. {stop_gps:.0f}"
        tree = dump_json({"field": "t_0", "op": ">=", "value": start_gps})
        with self._sentences("list of superevents"):
            try:
                found = self._search(text)
            except requests.HTTPError as error:
                if error.response.status_code != 400:
                    raise
                found = self._search(tree)  # API v2 asks with a tree instead of text
            return [
                one for one in found if start_gps <= Superevent.of(one).time(start_gps) <= stop_gps
            ]

    def _search(self, query: str) -> list[JsonObject]:
        """Return all superevents that a query finds, from every page; `ValueError` for a part.

        The library takes a page without its list for an empty one, and the last.
        """
        from llama import web

        def read(place: str) -> bytes:
            return web.body(self._session.get(place).raw, _MAX_JSON_BYTES)

        found: dict[object, JsonObject] = {}
        place: str | None
        place, asked = f"{self._session.links['superevents']}?{urlencode({'query': query})}", set()
        while place:
            if place in asked:
                raise ValueError("its pages go in circles")
            asked.add(place)
            answer = web.parse_json(web.read_again(functools.partial(read, place)))
            page = msgspec.convert(answer, _Page)
            found.update((record["superevent_id"], record) for record in page.superevents)
            place = page.links.get("next")
        if len(found) < page.count:
            raise ValueError(f"{len(found)} of {page.count} superevents came")
        return list(found.values())

    def _json(self, what: str, ask: Callable[[], Any]) -> JsonObject:
        from llama import web

        with self._sentences(what):
            content = web.read_again(lambda: web.body(ask().raw, _MAX_JSON_BYTES))
            value = web.parse_json(content)
            if isinstance(value, dict):
                return value
            raise ValueError("it is not a JSON object")

    @contextlib.contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        import requests
        import urllib3

        try:
            yield
        except (*_UNUSABLE, urllib3.exceptions.HTTPError) as error:
            reason = " ".join(str(error).split())[:100]
            said = f"gave no usable answer for {what} ({reason}); try again or {_GIVE}"
            if isinstance(error, requests.HTTPError):
                status = getattr(error.response, "status_code", "?")
                said = f"answered {status} for {what}; try again later or {_GIVE}"
                if status == 404:
                    said = f"has no public {what}; check the id and the name"
                elif status in (401, 403):
                    said = f"does not show {what} to everybody ({status}); wait for its alert, or "
                    said += _GIVE
            elif isinstance(error, requests.ConnectionError | requests.Timeout):
                said = f"cannot be reached ({type(error).__name__}); try again or {_GIVE}"
            raise LlamaError(f"GraceDB at {self._url} {said}") from error


def open_session(service_url: str, **credentials: Any) -> Any:
    """Return ligo-gracedb's client of the API at `service_url`; asks nothing yet.

    Every wait ends (`llama.web`), and only reading is repeated: the library's own policy also
    repeats what writes, so that a log whose receipt is lost would be written twice.
    `credentials` are those of `ligo.gracedb.rest.GraceDb`; with none, it is anonymous.
    """
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", service_url):
        raise LlamaError(
            f"{service_url[:60]!r} is not the address of a GraceDB; set gracedb.service_url to "
            "one like https://gracedb.ligo.org/api/"
        )
    from ligo.gracedb.rest import GraceDb

    from llama.web import ReadingAdapter

    session = GraceDb(service_url=service_url, **(credentials or {"force_noauth": True}))
    adapter = ReadingAdapter(session.get_adapter("https://").max_retries)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    session.stream = True
    return session


def connect(service_url: str) -> GraceDBClient:
    """Return an anonymous client of the GraceDB whose API is at `service_url`; asks nothing yet."""
    return GraceDBClient(service_url, open_session(service_url))


def fetch_record(client: GraceDBClient, graceid: str) -> bytes:
    """Return what GraceDB says about an event as one JSON record, the alert to be archived.

    It holds the `superevent`, the names of its `files`, the content of `p_astro` and `em_bright`
    where they are public, and of the newest notice when it was made; `record_to_alert` reads it.
    """
    superevent = client.superevent(check_graceid(graceid))
    files = sorted(client.files(graceid))
    pipeline = str(Superevent.of(superevent).preferred.pipeline).lower()
    record: dict[str, object] = {"superevent": superevent, "files": files}
    for key in ("p_astro", "em_bright"):
        names = (f"{pipeline}.{key}.json", f"{key}.json")
        name = next((found for name in names if (found := newest(files, name))), None)
        if name is not None:
            record[key] = _probabilities(client.file(graceid, name), name)
    known = notices(graceid, files)
    if known and (created := client.logged_at(graceid, known[-1][2])):
        record["notice_created"] = created
    return dump_json(record).encode()


def _probabilities(content: bytes, name: str) -> JsonObject:
    from llama.web import parse_json

    what, remedy = f"GraceDB's file {name} is", "give the alert with --alert FILE"
    try:
        value = parse_json(content)
    except ValueError as error:
        raise LlamaError(f"{what} not valid JSON; {remedy}") from error
    if not isinstance(value, dict):
        raise LlamaError(f"{what} no JSON object; {remedy}")
    return value
