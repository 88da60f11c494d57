"""A day of GCN at full speed through a broker on this machine, heard and taken over; one alert."""

import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from measure import CLONE, row

sys.path.insert(0, str(CLONE / "tests" / "system"))
sys.path.insert(0, str(CLONE / "tests" / "unit"))

from broker import Broker
from listening import Site, site, wait_for
from test_run_service import generated

from llama.listening.spool import Spool

ALERTS, OTHERS = 90, 1000
KINDS = ("Preliminary", "Initial", "Update")
TOPIC = "igwn.gwalert"
OTHER_TOPIC = "gcn.notices.icecube.lvk_nu_track_search"


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows: two days in one listener and one pass, so that growth shows; the latency."""
    source = random.Random(1)
    with (
        tempfile.TemporaryDirectory() as directory,
        Broker() as broker,
        site(Path(directory), broker) as one,
    ):
        process = psutil.Process(one.start().pid)
        wait_for(lambda: one.state().get("partitions"), "partitions")
        _day(one, source, 0)
        after_one_mib = process.memory_info().rss / 2**20
        seconds = _day(one, source, 1)
        memory_mib = process.memory_info().rss / 2**20
        yield row("listen_day_of_gcn_s", seconds, "s", 60)
        yield row("listen_day_of_gcn_mib", memory_mib, "MiB", 256)
        yield row("listen_second_day_grows_mib", memory_mib - after_one_mib, "MiB", 16)
        yield from _takeover(one)
        latencies = [_latency(broker, one, number) for number in range(20)]
        yield row("listen_alert_to_spool_ms", statistics.median(latencies) * 1e3, "ms", 1000)
        one.end()


def _alert(day: int, number: int) -> bytes:
    """Return one of three alerts, 400 kB each, of a mock event."""
    event, n = divmod(number, len(KINDS))
    graceid = f"MS2611{day + 1:02d}{chr(97 + event % 26)}{chr(97 + event // 26)}"
    return generated(KINDS[n], seed=number, graceid=graceid, minute=n)


def _day(one: Site, source: random.Random, day: int) -> float:
    records = [(OTHER_TOPIC, source.randbytes(3000)) for _ in range(OTHERS)]
    records += [(TOPIC, _alert(day, number)) for number in range(ALERTS)]
    source.shuffle(records)
    start = time.perf_counter()
    one.feed(records, day * len(records))
    one.wait_for_pending((day + 1) * len(records))
    return time.perf_counter() - start


def _takeover(one: Site) -> Iterator[dict[str, Any]]:
    """Let one pass, which is to compute no event, take both days over."""
    start = time.perf_counter()
    one_pass = subprocess.Popen(
        [sys.executable, "-m", "llama", "run", "-o", "-n", "0"], cwd=CLONE, env=one.environment()
    )
    process, peaks = psutil.Process(one_pass.pid), [0.0, 0.0]
    done = one.output / "spool" / "done"
    while one_pass.poll() is None:
        second = done.is_dir() and len(list(done.iterdir())) > ALERTS + OTHERS
        with contextlib.suppress(psutil.NoSuchProcess):
            peaks[second] = max(peaks[second], process.memory_info().rss / 2**20)
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    spool, events = Spool(one.output), list((one.output / "current_run").glob("MS*"))
    if one_pass.returncode or any(spool.count().values()) or len(events) != 2 * ALERTS / len(KINDS):
        raise SystemExit(f"not all is taken over: {spool.count()}, {len(events)} events")
    yield row("takeover_day_of_gcn_s", seconds / 2, "s", 60)
    yield row("takeover_day_of_gcn_mib", peaks[1], "MiB", 256)
    yield row("takeover_second_day_grows_mib", peaks[1] - peaks[0], "MiB", 16)


def _latency(broker: Broker, one: Site, number: int) -> float:
    content = _alert(2, number)
    spool = one.output / "spool"
    before = len(list(spool.iterdir()))
    start = time.perf_counter()
    broker.send(TOPIC, [content])
    while len([path for path in spool.iterdir() if path.name[0] != "."]) <= before:
        time.sleep(0.001)
    return time.perf_counter() - start
