"""What GraceDB says about a candidate, as `gracedb.fetch_record` keeps it, read as an alert."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from llama.alerts.record import Alert, check_gps, from_notice, kind_named
from llama.graceid import check_graceid, is_mock
from llama.times import gps_to_iso

# What names start with. Parameter estimation comes after the rapid maps of the pipelines.
_ESTIMATED = ("bilby", "lalinference", "rapidpe_rift")
_RAPID = (
    *("bayestar", "amplfi", "cwb", "gwak", "mly", "olib", "pygrb"),
    *("lib_", "skyprobcc", "skymap"),
)
_OF_PIPELINE = {"aframe": "amplfi", **{name: name for name in _RAPID[2:7]}}
_SKYMAP_SUFFIXES = (".multiorder.fits", ".fits.gz", ".fits")
# distances along the line of sight, or with the sky map of another messenger in it
_NO_SKYMAP = re.compile("volume|combined|external|(^|[-_.])ext([-_.]|$)|^glg_|fermi|swift|overlap")
_OF_EVENT = ("pipeline", "group", "search", "instruments")  # of the preferred event
JsonObject = Mapping[str, object]


class Superevent(msgspec.Struct, frozen=True):
    """What LLAMA reads of a superevent, or of a single event; a value may be anything."""

    superevent_id: object = None
    graceid: object = None  # of a single event
    t_0: object = None
    gpstime: object = None
    far: object = None
    created: object = ""
    category: object = "Production"
    labels: object = None
    gw_id: object = None
    links: object = None
    preferred_event_data: object = None
    pipeline: object = ""
    group: object = ""
    search: object = ""
    instruments: object = ""

    @classmethod
    def of(cls, record: object) -> "Superevent":
        """Return what JSON says; nothing where it is no object."""
        return msgspec.convert(record if isinstance(record, Mapping) else {}, cls)

    @property
    def preferred(self) -> "Superevent":
        """The preferred event of a superevent; a single event is its own."""
        return self if self.graceid is not None else Superevent.of(self.preferred_event_data)

    def time(self, unknown: float) -> float:
        """Return t_0 in GPS seconds, `unknown` where it has none."""
        try:
            return float(str(self.t_0))
        except ValueError:
            return unknown


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


def is_record(notice: JsonObject) -> bool:
    """Tell whether JSON is a record of GraceDB (`fetch_record`'s, or a bare superevent)."""
    return isinstance(notice.get("superevent"), dict) or {"superevent_id", "t_0"} <= notice.keys()


def record_to_alert(record: JsonObject) -> Alert:
    """Return the alert that a record of GraceDB amounts to; `LlamaError` if it is not valid.

    The kind and serial are those of the newest notice among the files, else follow from the
    labels (ADVNO: retracted). Without the time of the notice, the superevent's creation stands.
    """
    superevent = Superevent.of(record.get("superevent", record))
    preferred = superevent.preferred
    graceid = check_graceid(superevent.superevent_id or superevent.graceid or "")
    labels = _texts(superevent.labels)
    files = _texts(record.get("files"))
    known = notices(graceid, files)
    serial, kind = known[-1][:2] if known else (None, _kind(labels))
    created = record.get("notice_created") or superevent.created
    gps = check_gps(superevent.gpstime if superevent.t_0 is None else superevent.t_0, "t_0")
    is_real = superevent.category == "Production" and not is_mock(graceid)
    place = "events" if superevent.superevent_id is None else "superevents"
    links = superevent.links if isinstance(superevent.links, Mapping) else {}
    site = re.match(r"https?://[^/\s]+", str(links.get("self")))
    return from_notice(
        graceid=graceid,
        kind=kind,
        alert_type="gracedb",
        notice_time=str(created).replace(" UTC", ""),
        event_time_iso=gps_to_iso(gps),
        far_hz=superevent.far,
        **{name: getattr(preferred, name) or "" for name in _OF_EVENT},
        significant="SIGNIF_LOCKED" in labels or "LOW_SIGNIF_LOCKED" not in labels,
        classification=record.get("p_astro"),
        properties=record.get("em_bright"),
        serial=serial,
        role="observation" if is_real else "test",
        gracedb_url=f"{site[0]}/{place}/{graceid}/view/" if site else None,
        skymap_filename=preferred_skymap(files, str(preferred.pipeline or "")),
        hardware_injection="INJ" in labels,
        extra={"labels": labels, "gw_id": superevent.gw_id, "category": superevent.category},
    )


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


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
    found = {(int(m[2]), kind_named(m[3]), m[1]) for m in map(pattern.fullmatch, files) if m}
    return sorted((serial, kind, name) for serial, kind, name in found if kind)


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
