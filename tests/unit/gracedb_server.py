"""A small GraceDB on loopback: the API root, superevents, events and their files (read only)."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def gracedb_server(
    superevents: dict[str, dict[str, Any]],
    files: dict[str, dict[str, bytes]],
    faults: dict[str, int | str] | None = None,
    api_v2: bool = False,
) -> Iterator[str]:
    """Serve until the block ends; yields the service URL.

    `faults` maps a path's end to a status to answer with, or to `short` (body cut short);
    `api_v2` lists files in the second form.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = self._answer(self.path)
            fault = next((f for end, f in (faults or {}).items() if self.path.endswith(end)), None)
            if isinstance(fault, int) or answer is None:
                self.send_error(fault if isinstance(fault, int) else 404)
                return
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "short" else body)

        def _answer(self, path: str) -> Any:
            base = f"http://{self.headers['Host']}/api"
            parts = path.removeprefix("/api/").strip("/").split("/")
            if parts == [""]:
                one = f"{base}/superevents/{{superevent_id}}"
                return {
                    "links": {},
                    "templates": {
                        "superevent-detail-template": f"{one}/",
                        "superevent-file-list-template": f"{one}/files/",
                        "superevent-file-detail-template": f"{one}/files/{{file_name}}",
                        "event-detail-template": f"{base}/events/{{graceid}}",
                        "files-template": f"{base}/events/{{graceid}}/files/{{filename}}",
                    },
                }
            known = files.get(parts[1], {}) if len(parts) > 1 else {}
            if len(parts) == 2:
                return superevents.get(parts[1])
            if len(parts) == 3 and api_v2:
                return {"files": [{"filename": name} for name in known], "links": {}}
            if len(parts) == 3:
                return {name: f"{base}/{path}{name}" for name in known}
            return known.get(parts[3])

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
