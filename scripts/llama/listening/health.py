"""How the listener is: a small file, a page for monitoring, a word to systemd, an alarm.

Silence is a problem, never a success: whoever asks gets sentences for what is wrong, and no
state, an old state or no process are wrong too.
"""

import contextlib
import http.server
import itertools
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from llama import __version__
from llama.errors import LlamaError
from llama.files import read_json, write_json
from llama.listening.spool import Spool
from llama.locks import holder
from llama.settings.model import Listen
from llama.topics import ALERT_TOPIC
from llama.typed import convert

_RENEWED_EVERY_S = 5.0
_RENEWAL_LATE_S = 60.0
_TAKEN_OVER_LATE_S = 600.0
_MOST_NAMED = 20
_LAST = ("heartbeat_at", "alert_at", "record_at", "record")  # what a new listener goes on from

log = logging.getLogger("llama.listen")


def state_path(output_dir: Path) -> Path:
    """Return where the listener writes its state."""
    return output_dir / "listener" / "state.json"


def lock_path(output_dir: Path) -> Path:
    """Return the file whose lock the running listener holds."""
    return output_dir / "listener" / "lock"


class State(msgspec.Struct, kw_only=True):
    """What the listener knows of itself; times are Unix seconds, None for never."""

    since: float = 0.0  # when a listener first ran here
    started_at: float = 0.0
    renewed_at: float = 0.0
    heartbeat_at: float | None = None
    alert_at: float | None = None
    record_at: float | None = None
    record: str | None = None  # name in archive and spool
    heard: dict[str, int] = msgspec.field(default_factory=dict)  # records by topic since the start
    new: int = 0  # of them, those that were not known already
    partitions: int = 0
    lag: int = 0  # records that wait at the broker
    errors: int = 0
    error_at: float | None = None
    error: str | None = None
    blocked: str | None = None  # why nothing is heard at present: the disk is full
    version: str = __version__


def read_state(output_dir: Path) -> State | None:
    """Return the state that the listener last wrote, None if there is none that can be read."""
    try:
        return convert(read_json(state_path(output_dir)), State)
    except (LlamaError, msgspec.ValidationError):
        return None


def find_problems(state: State, settings: Listen, now: float) -> list[str]:
    """Return a sentence for each thing that is wrong with a running listener."""
    problems = []
    if now - state.renewed_at > _RENEWAL_LATE_S:
        problems.append(
            f"it has not told how it is for {span(now - state.renewed_at)}: it hangs or cannot "
            "write; see logs/gcn.log"
        )
    if state.blocked:
        problems.append(f"it cannot write and hears nothing until it can: {state.blocked}")
    silent_s = now - max(state.heartbeat_at or 0.0, state.started_at)
    if silent_s > settings.heartbeat_silence_s and not state.blocked:
        problems.append(
            f"GCN's heartbeat has been silent for {span(silent_s)}: the network, the broker or "
            "the credentials; see logs/gcn.log"
        )
    # after a start, what waits at the broker is heard first
    settled = now - state.started_at > min(settings.heartbeat_silence_s, 60.0)
    silent_s = now - (state.alert_at or state.since)
    limit_h = settings.alert_silence_h
    if limit_h is not None and settled and silent_s > limit_h * 3600:
        problems.append(
            f"{ALERT_TOPIC} has been silent for {span(silent_s)}, not even mock alerts came: ask "
            "LVK, or set listen.alert_silence_h"
        )
    return problems


def examine(output_dir: Path, settings: Listen) -> tuple[State | None, list[str]]:
    """Return the listener's state and what is wrong, seen from outside."""
    state = read_state(output_dir)
    if holder(lock_path(output_dir)) is None:
        return state, ["no listener is running; start it with llama listen gcn"]
    if state is None:
        return None, ["a listener is running but has not yet told how it is"]
    return state, find_problems(state, settings, time.time())


def problems_of_spool(output_dir: Path) -> list[str]:
    """Return a sentence for each record in quarantine, and for those that nobody takes over."""
    spool = Spool(output_dir)
    reasons = [*itertools.islice(spool.reasons(), _MOST_NAMED + 1)]
    problems = [f"{name} is in quarantine: {reason}" for name, reason in reasons[:_MOST_NAMED]]
    if len(reasons) > _MOST_NAMED:
        problems.append(f"more than {_MOST_NAMED} records are in quarantine; see llama audit")
    waits_s = spool.longest_wait_s()
    if waits_s > _TAKEN_OVER_LATE_S:
        problems.append(
            f"records have been waiting for {span(waits_s)}; start llama run, or see "
            "logs/llamad.log"
        )
    return problems


def span(seconds: float) -> str:
    """Return a length of time in words, such as 3 min."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


class Monitor:
    """Keeps the state, and tells it to the file, to systemd, to `/healthz` and to the log.

    `alarm` is called with what the log says of problems, those of the spool and of `elsewhere`
    (what is wrong with `llama run`) too: each when it comes up, and when it is over.
    """

    def __init__(
        self,
        output_dir: Path,
        settings: Listen,
        alarm: Callable[[str], None] | None = None,
        elsewhere: Callable[[Path], list[str]] = lambda output_dir: [],
    ) -> None:
        before, now = read_state(output_dir) or State(), time.time()
        last = {name: getattr(before, name) for name in _LAST}
        self.state = State(since=before.since or now, started_at=now, renewed_at=now, **last)
        self.told = msgspec.to_builtins(self.state)  # for other threads; replaced as a whole
        self._output_dir = output_dir
        self._path = state_path(output_dir)
        self.settings = settings
        self._alarm, self._elsewhere = alarm, elsewhere
        self._alarmed: dict[str, str] = {}
        self._next = 0.0
        self._ready = False

    def error(self, text: str) -> None:
        """Count an error and remember its text."""
        self.state.errors += 1
        self.state.error_at = time.time()
        self.state.error = text[:500]

    def tick(self, *, now: bool = False) -> None:
        """Tell everybody how it is, at most every five seconds unless `now`."""
        if time.monotonic() < self._next and not now:
            return
        self._next = time.monotonic() + _RENEWED_EVERY_S
        self.state.renewed_at = time.time()
        self.told = msgspec.to_builtins(self.state)
        try:
            self._raise_alarms()
        except Exception:  # what is wrong elsewhere must not end the hearing
            log.exception("alarms cannot be raised")
        try:
            write_json(self._path, self.told)
        except LlamaError as error:  # the disk is full: whoever reads the file sees its age
            log.warning("cannot write the state: %s", error)
        self._tell_systemd()

    def _raise_alarms(self) -> None:
        problems = [
            *find_problems(self.state, self.settings, self.state.renewed_at),
            *self._elsewhere(self._output_dir),
            *problems_of_spool(self._output_dir),
        ]
        # the same problem has another length of time, or another reason, in every sentence
        kinds = {re.split(" for |: ", problem)[0]: problem for problem in problems}
        said = [(logging.ERROR, f"ALARM: {kinds[k]}") for k in kinds if k not in self._alarmed]
        over = [problem for kind, problem in self._alarmed.items() if kind not in kinds]
        said += [(logging.WARNING, f"over: {problem.split(' for ')[0]}") for problem in over]
        for level, sentence in said:
            log.log(level, sentence)
            if self._alarm:
                self._alarm(sentence)
        self._alarmed = kinds

    def _tell_systemd(self) -> None:
        """READY once there are partitions to hear; the watchdog is fed by heartbeats only.

        While the disk is full a restart would not help, and nothing can be heard.
        """
        if self.state.partitions and not self._ready:
            self._ready = notify("READY=1") or True
        silent_s = time.time() - max(self.state.heartbeat_at or 0.0, self.state.started_at)
        if self.state.blocked or silent_s <= self.settings.heartbeat_silence_s:
            notify("WATCHDOG=1")


def notify(text: str) -> bool:
    """Send `text` to systemd, if it started us; see sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(text.encode())
        return True
    return False


def serve(port: int, monitor: Monitor) -> http.server.ThreadingHTTPServer | None:
    """Answer GET /healthz on this machine's `port`: 200 if all is well, 503 if not.

    Returns None, with an error in the log, when the port is taken: hearing matters more.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path != "/healthz":
                self.send_error(404)
                return
            problems = find_problems(convert(monitor.told, State), monitor.settings, time.time())
            content = json.dumps({"problems": problems, "state": monitor.told}, indent=2).encode()
            self.send_response(503 if problems else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Say nothing: monitoring asks every few seconds."""

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        log.error("no /healthz: port %d: %s; correct listen.health_port", port, error.strerror)
        return None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
