"""What GraceDB says about a candidate, as `gracedb.fetch_record` keeps it, read as an alert."""

import re
from collections.abc import Sequence
from typing import Any

from llama.alerts.record import Alert, check_gps, from_notice
from llama.event.skymap_info import KINDS
from llama.graceid import check_graceid, is_mock
from llama.times import gps_to_iso

# What names start with. Parameter estimation comes after the rapid maps of the pipelines.
_ESTIMATED = ("bilby", "lalinference", "rapidpe_rift")
_RAPID = (
    "bayestar",
    "amplfi",
    "cwb",
    "gwak",
    "mly",
    "olib",
    "pygrb",
    "lib_",
    "skyprobcc",
    "skymap",
)
_OF_PIPELINE = {
    "aframe": "amplfi",
    **{name: name for name in ("cwb", "gwak", "mly", "olib", "pygrb")},
}
_SKYMAP_SUFFIXES = (".multiorder.fits", ".fits.gz", ".fits")
# distances along the line of sight, or with the sky map of another messenger in it
_NO_SKYMAP = re.compile("volume|combined|external|(^|[-_.])ext([-_.]|$)|^glg_|fermi|swift|overlap")
_KIND_OF_NAME = {kind.lower(): kind for kind in KINDS}


def preferred_skymap(files: Sequence[str], pipeline: str = "") -> str | None:
    """Return the newest version of the best sky map among file names, None if there is none.

    Parameter estimation (Bilby, LALInference, RapidPE-RIFT), then the map of `pipeline`, the
    preferred event's, which LVK sends; then BAYESTAR, AMPLFI (Aframe), cWB, GWAK, MLy, oLIB, PyGRB,
    then any other multi-order map. Of one maker, multi-order before flat.
    """
    bases = sorted({name.partition(",")[0] for name in files})
    bases = [base for base in bases if not _NO_SKYMAP.search(base.lower())]
    own = _OF_PIPELINE.get(pipeline.lower(), _RAPID[0])
    for stem in (*_ESTIMATED, own, *_RAPID, ""):
        for suffix in _SKYMAP_SUFFIXES if stem else _SKYMAP_SUFFIXES[:1]:
            found = [
                base
                for base in bases
                if base.lower().startswith(stem) and base.lower().endswith(suffix)
            ]
            if found:
                return newest(files, found[-1])
    return None


def is_record(notice: dict[str, Any]) -> bool:
    """Tell whether JSON is a record of GraceDB (`fetch_record`'s, or a bare superevent)."""
    return isinstance(notice.get("superevent"), dict) or {"superevent_id", "t_0"} <= notice.keys()


def record_to_alert(record: dict[str, Any]) -> Alert:
    """Return the alert that a record of GraceDB amounts to; `LlamaError` if it is not valid.

    The kind and serial are those of the newest notice among the files, else follow from the
    labels (ADVNO: retracted). Without the time of the notice, the superevent's creation stands.
    """
    superevent = _dict(record.get("superevent", record))
    preferred = preferred_event(superevent)
    graceid = check_graceid(superevent.get("superevent_id") or superevent.get("graceid") or "")
    labels = [str(label) for label in _list(superevent.get("labels"))]
    files = [str(name) for name in _list(record.get("files"))]
    known = notices(graceid, files)
    serial, kind = known[-1][:2] if known else (None, _kind(labels))
    created = record.get("notice_created") or superevent.get("created", "")
    gps = check_gps(superevent.get("t_0", superevent.get("gpstime")), "t_0")
    category = superevent.get("category", "Production")
    place = "superevents" if "superevent_id" in superevent else "events"
    site = re.match(r"https?://[^/\s]+", str(_dict(superevent.get("links")).get("self")))
    return from_notice(
        graceid=graceid,
        kind=kind,
        alert_type="gracedb",
        notice_time=str(created).replace(" UTC", ""),
        event_time_iso=gps_to_iso(gps),
        far_hz=superevent.get("far"),
        pipeline=preferred.get("pipeline") or "",
        group=preferred.get("group") or "",
        search=preferred.get("search") or "",
        instruments=preferred.get("instruments") or "",
        significant="SIGNIF_LOCKED" in labels or "LOW_SIGNIF_LOCKED" not in labels,
        classification=record.get("p_astro"),
        properties=record.get("em_bright"),
        serial=serial,
        role="observation" if category == "Production" and not is_mock(graceid) else "test",
        gracedb_url=f"{site[0]}/{place}/{graceid}/view/" if site else None,
        skymap_filename=preferred_skymap(files, str(preferred.get("pipeline") or "")),
        hardware_injection="INJ" in labels,
        extra={"labels": labels, "gw_id": superevent.get("gw_id"), "category": category},
    )


def preferred_event(superevent: dict[str, Any]) -> dict[str, Any]:
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


def notices(graceid: str, files: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return (serial, kind, name) of the notices among the names of an event's files, ascending."""
    pattern = re.compile(rf"({graceid}-([0-9]{{1,5}})-([A-Za-z_]+)\.(?:xml|json))(?:,[0-9]+)?")
    named = {
        m[1]: (int(m[2]), m[3].lower().replace("_", "")) for m in map(pattern.fullmatch, files) if m
    }
    return sorted(
        (serial, _KIND_OF_NAME[kind], name)
        for name, (serial, kind) in named.items()
        if kind in _KIND_OF_NAME
    )


def newest(files: Sequence[str], base: str) -> str | None:
    """Return `base` with its highest version among `files`, None if it is not there."""
    versions = [
        int(version or -1)
        for name, _, version in (file.partition(",") for file in files)
        if name == base and re.fullmatch("[0-9]*", version)
    ]
    if not versions:
        return None
    return f"{base},{max(versions)}" if max(versions) >= 0 else base
