"""GraceDB: read a superevent, its alerts' facts and its sky map; never writes."""

import contextlib
import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from llama.alerts.record import Alert, check_gps, number
from llama.errors import LlamaError
from llama.event.names import check_graceid, is_mock
from llama.event.skymap_info import KINDS
from llama.files import dump_json
from llama.times import gps_to_iso

TIMEOUT_S = (5.0, 30.0)  # to connect, between two packets; the library itself waits for ever
_RETRIES = 2
_MAX_BYTES = 1_000_000_000
# Parameter estimation comes after the rapid maps, so this order is that of upload.
_SKYMAP_STEMS = ("bilby", "lalinference", "rapidpe_rift", "bayestar", "cwb", "mly", "olib")
_SKYMAP_SUFFIXES = (".multiorder.fits", ".fits.gz", ".fits")


class GraceDBClient(Protocol):
    """What LLAMA reads from GraceDB."""

    def superevent(self, graceid: str) -> dict[str, Any]:
        """Return the record of a superevent (or of a single event, for a G id)."""

    def files(self, graceid: str) -> list[str]:
        """Return the names of its files, versions as `name,0`."""

    def file(self, graceid: str, name: str) -> bytes:
        """Return the content of one file."""


class _Client:
    """`GraceDBClient` on ligo-gracedb, anonymous."""

    def __init__(self, service_url: str, session: Any) -> None:
        self._url = service_url
        self._session = session

    def superevent(self, graceid: str) -> dict[str, Any]:
        with self._sentences(graceid):
            superevent = "S" in check_graceid(graceid)
            read = self._session.superevent if superevent else self._session.event
            record = read(graceid).json()
            if isinstance(record, dict):
                return record
            raise ValueError("the record is not a JSON object")

    def files(self, graceid: str) -> list[str]:
        with self._sentences(graceid):
            listing = self._session.files(check_graceid(graceid)).json()
            if isinstance(listing.get("files"), list):  # API v2
                return [str(entry["filename"]) for entry in listing["files"]]
            return [str(name) for name in listing]

    def file(self, graceid: str, name: str) -> bytes:
        with self._sentences(f"file {name} of {graceid}"):
            stream = self._session.files(check_graceid(graceid), name)
            content: bytes = stream.read(_MAX_BYTES + 1)
            if not 0 < len(content) <= _MAX_BYTES:
                raise ValueError(f"the file has {len(content):,} bytes")
            return content

    @contextlib.contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        import requests
        import urllib3

        try:
            yield
        except requests.HTTPError as error:
            status = getattr(error.response, "status_code", "?")
            if status == 404:
                message = f"GraceDB at {self._url} has no public {what}; check the id and the name"
            else:
                message = (
                    f"GraceDB at {self._url} answered {status} for {what}; try again later or "
                    "give the alert itself with --voevent FILE or --alert FILE"
                )
            raise LlamaError(message) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise LlamaError(
                f"GraceDB at {self._url} cannot be reached ({type(error).__name__}); try again or "
                "give the alert itself with --voevent FILE or --alert FILE"
            ) from error
        except (
            urllib3.exceptions.HTTPError,
            OSError,  # every other error of requests is one
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            reason = " ".join(str(error).split())[:100]
            raise LlamaError(
                f"GraceDB at {self._url} gave no usable answer for {what} ({reason}); "
                "try again or give the alert itself with --voevent FILE or --alert FILE"
            ) from error


def connect(service_url: str) -> GraceDBClient:
    """Return an anonymous client of the GraceDB whose API is at `service_url`; asks nothing yet."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", service_url):
        raise LlamaError(
            f"{service_url[:60]!r} is not the address of a GraceDB; set gracedb.service_url to "
            "one like https://gracedb.ligo.org/api/"
        )
    from ligo.gracedb.rest import GraceDb

    session = GraceDb(service_url=service_url, force_noauth=True, retries=_RETRIES)
    session.request = functools.partial(session.request, timeout=TIMEOUT_S)
    return _Client(service_url, session)


def fetch_record(client: GraceDBClient, graceid: str) -> bytes:
    """Return what GraceDB says about an event as one JSON record, the alert to be archived.

    It holds the `superevent`, the names of its `files`, and the content of `p_astro` and
    `em_bright` where they are public; `record_to_alert` reads it.
    """
    superevent = client.superevent(check_graceid(graceid))
    files = sorted(client.files(graceid))
    pipeline = str(_preferred(superevent).get("pipeline", "")).lower()
    record: dict[str, Any] = {"superevent": superevent, "files": files}
    for key in ("p_astro", "em_bright"):
        names = (f"{pipeline}.{key}.json", f"{key}.json")
        name = next((newest for name in names if (newest := _newest(files, name))), None)
        if name is not None:
            record[key] = _json_object(client.file(graceid, name), name)
    return dump_json(record).encode()


def preferred_skymap(files: Sequence[str]) -> str | None:
    """Return the newest version of the best sky map among file names, None if there is none.

    Parameter estimation before rapid localization, multi-order before flat: the order in
    which LVK uploads and prefers them.
    """
    bases = {name.partition(",")[0] for name in files}
    for stem in _SKYMAP_STEMS:
        for suffix in _SKYMAP_SUFFIXES:
            found = sorted(
                base
                for base in bases
                if base.lower().startswith(stem) and base.endswith(suffix) and "volume" not in base
            )
            if found:
                return _newest(files, found[-1])
    return None


def is_record(notice: dict[str, Any]) -> bool:
    """Tell whether JSON is a record of GraceDB (`fetch_record`'s, or a bare superevent)."""
    return isinstance(notice.get("superevent"), dict) or {"superevent_id", "t_0"} <= notice.keys()


def record_to_alert(record: dict[str, Any]) -> Alert:
    """Return the alert that a record of GraceDB amounts to; `LlamaError` if it is not valid.

    The kind and serial are those of the newest notice among the files, else follow from the
    labels (ADVNO: retracted). The notice time is that of the record's creation.
    """
    superevent = _dict(record.get("superevent", record))
    preferred = _preferred(superevent)
    graceid = check_graceid(superevent.get("superevent_id") or superevent.get("graceid") or "")
    labels = [str(label) for label in _list(superevent.get("labels"))]
    files = [str(name) for name in _list(record.get("files"))]
    kind, serial = _newest_notice(graceid, files) or (_kind(labels), None)
    gps = check_gps(superevent.get("t_0", superevent.get("gpstime")), "t_0")
    category = superevent.get("category", "Production")
    place = "superevents" if "superevent_id" in superevent else "events"
    site = re.match(r"https?://[^/\s]+", str(_dict(superevent.get("links")).get("self")))
    return Alert(
        graceid=graceid,
        kind=kind,
        alert_type="gracedb",
        notice_time=str(superevent.get("created", "")).replace(" UTC", ""),
        event_time_iso=gps_to_iso(gps),
        far_hz=number(superevent.get("far"), "far"),
        pipeline=str(preferred.get("pipeline") or ""),
        group=str(preferred.get("group") or ""),
        search=str(preferred.get("search") or ""),
        instruments=tuple(re.findall(r"[^,\s]+", str(preferred.get("instruments") or ""))),
        significant="SIGNIF_LOCKED" in labels or "LOW_SIGNIF_LOCKED" not in labels,
        classification=_dict(record.get("p_astro")),
        properties=_dict(record.get("em_bright")),
        serial=serial,
        role="observation" if category == "Production" and not is_mock(graceid) else "test",
        gracedb_url=f"{site[0]}/{place}/{graceid}/view/" if site else None,
        skymap_filename=preferred_skymap(files),
        hardware_injection="INJ" in labels,
        extra={"labels": labels, "gw_id": superevent.get("gw_id"), "category": category},
    )


def _preferred(superevent: dict[str, Any]) -> dict[str, Any]:
    """Return the preferred event of a superevent; a single event is its own."""
    return superevent if "graceid" in superevent else _dict(superevent.get("preferred_event_data"))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _kind(labels: Sequence[str]) -> str:
    if "ADVNO" in labels:
        return "Retraction"
    if "ADVOK" in labels:
        return "Initial"
    early = "EARLY_WARNING" in labels and "GCN_PRELIM_SENT" not in labels
    return "EarlyWarning" if early else "Preliminary"


def _newest_notice(graceid: str, files: Sequence[str]) -> tuple[str, int] | None:
    pattern = re.compile(rf"{graceid}-([0-9]{{1,5}})-({'|'.join(KINDS)})\.(?:xml|json)(?:,[0-9]+)?")
    notices = [(int(m[1]), m[2]) for m in map(pattern.fullmatch, files) if m]
    return None if not notices else (max(notices)[1], max(notices)[0])


def _newest(files: Sequence[str], base: str) -> str | None:
    """Return `base` with its highest version among `files`, None if it is not there."""
    versions = [
        int(version or -1)
        for name, _, version in (file.partition(",") for file in files)
        if name == base and re.fullmatch("[0-9]*", version)
    ]
    if not versions:
        return None
    return f"{base},{max(versions)}" if max(versions) >= 0 else base


def _json_object(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LlamaError(
            f"GraceDB's file {name} is not valid JSON; give the alert with --alert FILE"
        ) from error
    if isinstance(value, dict):
        return value
    raise LlamaError(f"GraceDB's file {name} is no JSON object; give the alert with --alert FILE")
