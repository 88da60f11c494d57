"""A small GraceDB over HTTPS on loopback: what LLAMA reads and writes, in both forms of its API.

Held to ligo-gracedb's own integration tests by `test_alerts_gracedb_double.py`.
"""

import contextlib
import email
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from alert_samples import skymap_fits
from https_server import Answer, Fault, Request, Server, https_server

LABELS = (
    *("EM_READY", "SKYMAP_READY", "PASTRO_READY", "EMBRIGHT_READY", "ADVREQ", "ADVOK", "ADVNO"),
    *("GCN_PRELIM_SENT", "SIGNIF_LOCKED", "LOW_SIGNIF_LOCKED", "EARLY_WARNING", "DQV", "INJ"),
)
_CATEGORIES = {"P": "Production", "T": "Test", "M": "MDC"}
_KNOWN = {
    "groups": ("CBC", "Burst", "Test"),
    "pipelines": ("gstlal", "spiir", "CWB", "Fermi"),
    "searches": ("AllSky", "LowMass", "GRB"),
}
_PAGE = 2  # superevents per page: every search turns pages
_GONE = Answer(410, {"error": "This functionality has been deprecated"})
_LOST = Answer(404, {"error": "Not found"})
_MEMBERS_ONLY = ("gw_events", "em_events", "preferred_event", "pipeline_preferred_events")


class GraceDB:
    """The content and its rules; `answer` is the whole interface."""

    def __init__(
        self,
        superevents: dict[str, dict[str, Any]],
        files: dict[str, dict[str, bytes]],
        api_v2: bool = False,
        anonymous: bool = True,
    ) -> None:
        self.records = dict(superevents)
        self.files = {graceid: dict(names) for graceid, names in files.items()}
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.v2, self.anonymous = api_v2, anonymous
        self.numbers = itertools.count(1)

    def answer(self, request: Request) -> Answer:
        match = re.fullmatch(r"/api/(?:v([12])/)?(.*)", request.path)
        if match is None:
            return _LOST
        base = f"https://{request.headers['Host']}/api"
        parts = match[2].strip("/").split("/")
        if parts == [""]:
            return Answer(200, self._root(base))
        if self.anonymous and request.method != "GET":
            return Answer(403, {"detail": "Authentication credentials were not provided."})
        if len(parts) == 1:
            return self._collection(parts[0], request, base)
        names = (name for name, record in self.records.items() if record.get("gw_id") == parts[1])
        graceid = next(names, parts[1])
        if graceid not in self.records:
            return _LOST
        if len(parts) == 2:
            return self._record(graceid, request, base)
        part = getattr(self, f"_{parts[2]}", None)
        return part(graceid, parts[3:], request, base) if part else _LOST

    def _root(self, base: str) -> dict[str, Any]:
        superevent, event = f"{base}/superevents/{{superevent_id}}", f"{base}/events/{{graceid}}"
        templates = {"files-template": f"{event}/files/{{filename}}"}
        for name, url in {"superevent": superevent, "event": event}.items():
            parts = {
                "detail": "",
                **{f"{part}-list": f"{part}s/" for part in ("file", "label", "log", "voevent")},
                "file-detail": "files/{file_name}",
                "label-detail": "labels/{label_name}",
                "log-detail": "logs/{N}/",
                "log-tag-list": "logs/{N}/tags/",
                "log-tag-detail": "logs/{N}/tags/{tag_name}",
                "event-list": "events/",
                "event-detail": "events/{graceid}",
                "emobservation-list": "emobservations/",
            }
            templates |= {f"{name}-{key}-template": f"{url}/{path}" for key, path in parts.items()}
        templates |= {
            "event-log-template": f"{event}/logs/",
            "event-label-template": f"{event}/labels/{{label}}",
            "tag-template": f"{event}/logs/{{N}}/tags/{{tag_name}}",
            "voevent-list-template": f"{event}/voevents/",
            "emobservation-list-template": f"{event}/emobservations/",
            "update-grbevent-template": f"{event}/emobservations/",
        }
        known: dict[str, Any] = {
            "voevent-types": {"PR": "preliminary"},
            "signoff-types": {"OP": "x"},
        }
        known |= {name: list(members) for name, members in _KNOWN.items()}
        return known | {
            "links": {name: f"{base}/{name}/" for name in ("events", "superevents")}
            | {"self": f"{base}/"},
            "templates": templates,
            "api-versions": ["default", "v1", "v2"],
            "api-default": "v2" if self.v2 else "v1",
            "server-version": "2.36.0",
            "labels": {label: label for label in LABELS},
            "superevent-categories": _CATEGORIES,
            "signoff-statuses": {"x": "x"},
        }

    def _collection(self, place: str, request: Request, base: str) -> Answer:
        if request.method == "POST":
            create = self._new_event if place == "events" else self._new_superevent
            return create(_form(request))
        found = self._found(request.query.get("query", ""))
        if isinstance(found, Answer):
            return found
        start = int(request.query.get("start", 0))
        query = request.query.get("query", "")
        links = {"self": f"{base}/{place}/"}
        if start + _PAGE < len(found):
            links["next"] = f"{base}/{place}/?start={start + _PAGE}&query={query}"
        page = [self._shown(self.records[name], base) for name in found[start : start + _PAGE]]
        return Answer(200, {place: page, "links": links, "numRows": len(found)})

    def _found(self, query: str) -> list[str] | Answer:
        superevents = {k: v for k, v in self.records.items() if "superevent_id" in v}
        if not query or query in superevents:
            return [query] if query else list(superevents)
        try:
            condition = json.loads(query)
        except ValueError:
            condition = None
        span = re.fullmatch(r"t_0: ([\d.]+) \.\. ([\d.]+)", query)
        if self.v2 and isinstance(condition, dict) and condition.keys() == {"field", "op", "value"}:
            low, high = float(condition["value"]), float("inf")
        elif span and not self.v2:
            low, high = float(span[1]), float(span[2])
        else:
            return Answer(
                400, {"error": "invalid_query", "message": "?", "path": "", "version": "2"}
            )
        times = {name: record["t_0"] for name, record in superevents.items()}
        return [n for n, t_0 in times.items() if isinstance(t_0, str) or low <= t_0 <= high]

    def _new_event(self, form: dict[str, list[Any]]) -> Answer:
        graceid = f"{'T' if form['group'] == ['Test'] else 'G'}{next(self.numbers):06d}"
        self.records[graceid] = {
            "graceid": graceid,
            **{key: form.get(key, [None])[0] for key in ("group", "pipeline", "search")},
            "labels": form.get("labels", []),
            "offline": False,
            "superevent": None,
            "warnings": [],
        }
        self.files[graceid] = {}
        return Answer(201, self.records[graceid])

    def _new_superevent(self, form: dict[str, list[Any]]) -> Answer:
        preferred, events = form["preferred_event"][0], form.get("events", [])
        if any(self._taken(event) for event in (preferred, *events)):
            return Answer(400, {"error": "Event is already part of a superevent"})
        number = next(self.numbers)
        graceid = f"TS240101{chr(97 + number // 26 % 26)}{chr(97 + number % 26)}"
        self.records[graceid] = {
            "superevent_id": graceid,
            "gw_id": None,
            "category": _CATEGORIES[form["category"][0]],
            "created": "2024-01-01 00:01:30 UTC",
            **{key: float(form[key][0]) for key in ("t_start", "t_0", "t_end")},
            "labels": form.get("labels", []),
            "preferred_event": preferred,
            "gw_events": list(dict.fromkeys([preferred, *events])),
            "pipeline_preferred_events": {},
            "em_events": [],
        }
        self.files[graceid] = {}
        return Answer(201, self._shown(self.records[graceid], ""))

    def _taken(self, event: str) -> bool:
        known = event in self.records
        return not known or any(event in r.get("gw_events", []) for r in self.records.values())

    def _shown(self, record: dict[str, Any], base: str) -> dict[str, Any]:
        if not self.anonymous:
            return record
        return {key: value for key, value in record.items() if key not in _MEMBERS_ONLY}

    def _record(self, graceid: str, request: Request, base: str) -> Answer:
        record = self.records[graceid]
        if request.method == "PATCH":
            for key, (value,) in _form(request).items():
                text = key in ("preferred_event", "em_type")
                record[key] = value if text else float(value)
            if record["preferred_event"] not in record["gw_events"]:
                record["gw_events"].append(record["preferred_event"])
        return Answer(200, self._shown(record, base))

    def _events(self, graceid: str, rest: list[str], request: Request, base: str) -> Answer:
        record = self.records[graceid]
        if request.method == "POST":
            (event,) = _form(request)["event"]
            record["gw_events"].append(event)
            return Answer(201, self.records[event])
        if rest[0] not in record["gw_events"] or rest[0] == record["preferred_event"]:
            return Answer(400, {"error": "cannot be removed"})
        record["gw_events"].remove(rest[0])
        return Answer(204)

    def _labels(self, graceid: str, rest: list[str], request: Request, base: str) -> Answer:
        record = self.records[graceid]
        if request.method in ("POST", "PUT"):
            name = rest[0] if rest else _form(request)["name"][0]
            if name in record["labels"]:
                error = f"Label {name} already applied to superevent {graceid}"
                return Answer(400, {"error": error})
            record["labels"] = [*record["labels"], name]
            return Answer(201, {"name": name} if "superevent_id" in record else {})
        if not rest:
            return Answer(200, {"labels": [{"name": name} for name in record["labels"]]})
        if rest[0] not in record["labels"]:
            return _LOST
        if request.method == "DELETE":
            record["labels"] = [name for name in record["labels"] if name != rest[0]]
            return Answer(204)
        return Answer(200, {"name": rest[0]})

    def _logs(self, graceid: str, rest: list[str], request: Request, base: str) -> Answer:
        logs = self.logs.setdefault(graceid, [])
        if rest:
            return self._log(logs[int(rest[0]) - 1], rest[1:], request)
        if request.method == "GET":
            return Answer(200, {"logs" if self.v2 else "log": logs, "numRows": len(logs)})
        form = _form(request)
        log: dict[str, Any] = {
            "N": len(logs) + 1,
            "comment": form.get("comment", [""])[0],
            "created": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "tag_names": form.get("tagname", []),
            "filename": "",
            "file_version": None,
        }
        if "upload" in form:
            name, content = form["upload"][0]
            if not content or "," in name:
                return Answer(400, {"error": "empty file or comma in its name"})
            known = self.files[graceid]
            version = sum(
                re.fullmatch(f"{re.escape(name)},[0-9]+", other) is not None for other in known
            )
            known |= {name: content, f"{name},{version}": content}
            log |= {"filename": name, "file_version": version}
        logs.append(log)
        if "label" in form:
            self.records[graceid]["labels"].append(form["label"][0])
        return Answer(201, log)

    def _log(self, log: dict[str, Any], rest: list[str], request: Request) -> Answer:
        if not rest:
            return Answer(200, log)
        name = rest[1] if len(rest) > 1 else _form(request)["name"][0]
        if request.method == "DELETE":
            log["tag_names"] = [tag for tag in log["tag_names"] if tag != name]
            return Answer(204)
        log["tag_names"] = [*log["tag_names"], name]
        return Answer(201, {"name": name})

    def _files(self, graceid: str, rest: list[str], request: Request, base: str) -> Answer:
        known = self.files.get(graceid, {})
        if rest:
            return Answer(200, known[rest[0]]) if rest[0] in known else _LOST
        url = f"{base}/{request.path.partition('/api/')[2]}"
        if self.v2:
            files = [{"filename": name, "url": url + name} for name in known]
            return Answer(200, {"files": files, "links": {"self": url}})
        return Answer(200, {name: url + name for name in known})

    def _voevents(self, graceid: str, rest: list[str], request: Request, base: str) -> Answer:
        gone = request.method == "POST" or "superevent_id" not in self.records[graceid]
        return _GONE if gone else Answer(200, {"voevents": [], "numRows": 0})

    def _emobservations(self, *_: Any) -> Answer:
        return _GONE


def _form(request: Request) -> dict[str, list[Any]]:
    """Return a form's values by name; a file is the pair of its name and content."""
    kind = request.headers.get("Content-Type", "")
    form: dict[str, list[Any]] = {}
    if not kind.startswith("multipart/"):
        for name, value in parse_qsl(request.body.decode()):
            form.setdefault(name, []).append(value)
        return form
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    for part in message.walk():
        if part.is_multipart():
            continue
        name = str(part.get_param("name", header="content-disposition"))
        content: Any = part.get_payload(decode=True)
        file = part.get_filename()
        form.setdefault(name, []).append((file, content) if file else content.decode())
    return form


@contextlib.contextmanager
def gracedb_server(
    superevents: dict[str, dict[str, Any]],
    files: dict[str, dict[str, bytes]],
    faults: dict[str, Fault] | None = None,
    **options: bool,
) -> Iterator[Server]:
    """Serve until the block ends; the service URL is `api`. Options as of `GraceDB`."""
    double = GraceDB(superevents, files, **options)
    with https_server(double.answer, faults) as server:
        server.url += "/api/"
        yield server


SUPEREVENT: dict[str, Any] = {
    "superevent_id": "S240101ab",
    "gw_id": None,
    "category": "Production",
    "created": "2024-01-01 00:01:30 UTC",
    "t_start": 1388102417.1,
    "t_0": 1388102418.125,
    "t_end": 1388102419.2,
    "far": 1e-10,
    "labels": ["EM_READY", "ADVOK", "SIGNIF_LOCKED"],
    "links": {"self": "https://gracedb.ligo.org/api/superevents/S240101ab/"},
    "preferred_event_data": {
        "graceid": "G123456",
        "group": "CBC",
        "pipeline": "gstlal",
        "search": "AllSky",
        "instruments": "H1,L1",
        "far": 1e-10,
        "gpstime": 1388102418.125,
    },
}
EVENT: dict[str, Any] = {
    "graceid": "G268562",
    "created": "2017-01-04 10:12:30 UTC",
    "gpstime": 1167559936.6,
    "far": 6e-7,
    "group": "Burst",
    "pipeline": "CWB",
    "search": "AllSky",
    "instruments": "H1,L1",
    "labels": [],
}
FILES = {
    "S240101ab": {
        "bayestar.multiorder.fits": b"newest",
        "bayestar.multiorder.fits,0": b"first",
        "bayestar.multiorder.fits,1": skymap_fits(),
        "gstlal.p_astro.json,0": b'{"BNS": 0.9, "NSBH": 0.0, "BBH": 0.0, "Terrestrial": 0.1}',
        "em_bright.json": b'{"HasNS": 1.0, "HasRemnant": 0.5}',
        "S240101ab-1-Preliminary.xml": b"<x/>",
        "S240101ab-2-Initial.xml,0": b"<x/>",
        "empty.fits": b"",
    },
    "G268562": {"cwb.fits.gz,0": b"map"},
}
