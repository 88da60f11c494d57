"""GraceDB: the significance file in the log of the superevent, and sky maps, with tags."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, json, to_builtins

from llama.errors import LlamaError
from llama.event.located import Combined
from llama.event.names import COINCIDENCE, COMBINED, COMBINED_SUMMARY, significance_name
from llama.event.provenance import Made
from llama.event.results import read
from llama.files import dump_json, sha256_file
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.secrets import secret

TAGS = ("em_follow",)
# RAVEN takes the newest *.multiorder.fits or *.fits.gz of a log for the wave's own map
SKYMAPS = {COMBINED: "combined_skymap_lvc-i3.fits", COINCIDENCE: "coincidence_skymap_lvc-i3.fits"}
_MAX_BYTES = 50_000_000
_LATER = "it is tried again at the next run"


class SkyMap(Struct, frozen=True):
    """A row with a map: its comment and name, where it is here, and what it was at the time."""

    comment: str
    filename: str
    path: str
    sha256: str


class Row(Struct, frozen=True):
    """What is written into the log: a comment, unless it is a withdrawal a file, and its maps."""

    graceid: str
    comment: str
    filename: str | None = None
    content: str | None = None
    skymaps: list[SkyMap] = []


def upload_name(result: Result) -> str:
    """Return the name under which O4's tools look for the file."""
    word = "opa" if result.info.significant else "subthreshold"
    return f"significance_{word}_lvc-i3.json"


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return comment and content of the file, and the sky maps by path and sha256.

    A withdrawal is a comment alone.
    """
    lines = result.text(kind).splitlines()
    if refers_to:
        lines.append(f"See also {refers_to}.")
    comment = "\n".join([*lines, f"LLAMA {key}"])  # the key is how the row is found again
    info, name, content, skymaps = result.info, None, None, list[SkyMap]()
    if kind != "withdrawal":
        name = upload_name(result)
        content = (result.event_dir / significance_name(info)).read_text(encoding="utf-8")
        skymaps = _skymaps(result, key)
    return dump_json(to_builtins(Row(info.graceid, comment, name, content, skymaps))).encode()


def _skymaps(result: Result, key: str) -> list[SkyMap]:
    """Return the maps that point at the source, one where neutrinos make no difference.

    None if they have not been made: rules wait for them, `llama publish` does not.
    """
    info, told = result.info, result.event_dir / COMBINED_SUMMARY
    if not told.exists():
        return []
    name = significance_name(info)
    if read(told, Made).inputs.get(name) != sha256_file(result.event_dir / name):
        raise LlamaError(
            f"{told} was made from another {name}; run: snakemake events/{info.graceid}/all"
        )
    said = dict(read(told, Combined).said())
    mark = "" if result.real else "[TEST] "
    maps = []
    for source, given in (
        (COMBINED, "given that the GW is real"),
        (COINCIDENCE, "given a common source"),
    ):
        if source == COMBINED or said:
            path, filename = result.event_dir / source, SKYMAPS[source]
            words = said.get(given, "no neutrino can be from it")
            comment = f"{mark}{info.notice}: source {given}: {words}\nLLAMA {key} {filename}"
            maps.append(SkyMap(comment, filename, str(path.absolute()), sha256_file(path)))
    return maps


class GraceDBLog:
    """The log of superevents at the GraceDB whose API is at `service_url`."""

    def __init__(self, service_url: str) -> None:
        from llama.alerts.gracedb import open_session

        self._url = service_url
        try:
            if token := secret("GRACEDB_TOKEN"):
                self._session = open_session(service_url)
                self._session.headers["Authorization"] = f"Bearer {token}"
            else:  # a SciToken or certificate where IGWN's tools look for them
                self._session = open_session(service_url, fail_if_noauth=True)
            self._session.max_redirects = 0  # nobody has allowed the message to go elsewhere
        except LlamaError:
            raise
        except Exception as error:  # noqa: BLE001 - of many libraries, and may hold secrets
            raise LlamaError(
                f"there are no credentials for GraceDB at {service_url} ({type(error).__name__}); "
                "get a token, for example with htgettoken, or give it as GRACEDB_TOKEN"
            ) from None

    def find(self, post: Post) -> Found | None:
        """Look for the row of the log that ends in the message's key, and for its maps."""
        row = json.decode(post.payload, type=Row)
        with self._sentences():
            rows = self._rows(row.graceid)
            if (known := _ending_in(rows, f"LLAMA {post.key}")) is None:
                return None
            return Found(_identity(row.graceid, known), whole=not _missing(rows, row))

    def send(self, post: Post) -> str:
        """Write what of row and maps is not there yet."""
        row, written = json.decode(post.payload, type=Row), False
        with self._sentences():
            rows = self._rows(row.graceid) if row.skymaps else []
            known = _ending_in(rows, f"LLAMA {post.key}")
            if known is None:
                content = None if row.content is None else row.content.encode()
                known, written = self._write(row.graceid, row.comment, row.filename, content), True
            remote_id = _identity(row.graceid, known)
        try:
            with self._sentences():
                for one in _missing(rows, row):
                    content = Path(one.path).read_bytes()
                    self._write(row.graceid, one.comment, one.filename, content)
        except NotSentError as error:
            if written:  # of the message something has been taken
                raise LlamaError(str(error)) from error
            raise
        return remote_id

    def _rows(self, graceid: str) -> Sequence[Mapping[str, object]]:
        from llama import web

        listing = web.parse_json(web.body(self._session.logs(graceid).raw, _MAX_BYTES))
        rows = listing.get("logs", listing.get("log"))  # API v2, v1
        if not isinstance(rows, list):
            raise ValueError("its log is no list")
        return rows

    def _write(
        self, graceid: str, comment: str, filename: str | None, content: bytes | None
    ) -> Mapping[str, object]:
        from llama import web

        answer = self._session.write_log(
            graceid, comment, filename=filename, filecontents=content, tag_name=list(TAGS)
        )
        known: Mapping[str, object] = web.parse_json(web.answer_body(answer.raw))
        return known

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turn what goes wrong into a sentence, without what was sent or any credential."""
        import requests
        import urllib3

        # requests' own errors are OSErrors
        broken = (urllib3.exceptions.HTTPError, OSError, ValueError, TypeError, KeyError)
        try:
            yield
        except requests.HTTPError as error:
            status = getattr(error.response, "status_code", 0)
            refused = 400 <= status < 500 and status != 408
            what = f"GraceDB at {self._url} answered {status}; {_LATER}"
            if status in (401, 403):
                what += ", once the credentials may write there"
            raise (NotSentError if refused else LlamaError)(what) from None
        except (*broken, AttributeError) as error:
            raise LlamaError(
                f"GraceDB at {self._url} cannot be reached or broke off "
                f"({type(error).__name__}); {_LATER}"
            ) from None


def _ending_in(rows: Sequence[Mapping[str, object]], end: str) -> Mapping[str, object] | None:
    return next((row for row in rows if str(row.get("comment", "")).endswith(end)), None)


def _missing(rows: Sequence[Mapping[str, object]], row: Row) -> list[SkyMap]:
    """Return the maps that are not in the log; one made anew since is left out."""
    return [
        one
        for one in row.skymaps
        if _ending_in(rows, one.comment.splitlines()[-1]) is None
        and Path(one.path).exists()
        and sha256_file(one.path) == one.sha256
    ]


def _identity(graceid: str, row: Mapping[str, object]) -> str:
    name = row.get("filename")
    file = f" {name},{row.get('file_version')}" if name else ""
    return f"{graceid} log {int(str(row['N']))}{file}"
