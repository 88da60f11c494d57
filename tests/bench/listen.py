"""The listener: a day of GCN at full speed through a broker on this machine, and one alert."""

import base64
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from measure import CLONE, row

sys.path.insert(0, str(CLONE / "tests" / "system"))

from broker import Broker
from listening import Site, site, wait_for

ALERTS, OTHERS = 90, 1000
SKYMAP_BYTES = 780_000  # 19,200 tiles
TOPIC = "igwn.gwalert"
OTHER_TOPIC = "gcn.notices.icecube.lvk_nu_track_search"


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows: a day twice in one listener, so that growth shows, and the latency."""
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
        latencies = [_latency(broker, one, source) for _ in range(20)]
        yield row("listen_alert_to_spool_ms", statistics.median(latencies) * 1e3, "ms", 1000)
        one.end()


def _alert(source: random.Random) -> bytes:
    skymap = base64.b64encode(source.randbytes(SKYMAP_BYTES)).decode()
    return json.dumps({"superevent_id": "MS261122a", "event": {"skymap": skymap}}).encode()


def _day(one: Site, source: random.Random, day: int) -> float:
    records = [(OTHER_TOPIC, source.randbytes(3000)) for _ in range(OTHERS)]
    records += [(TOPIC, _alert(source)) for _ in range(ALERTS)]
    source.shuffle(records)
    start = time.perf_counter()
    one.feed(records, day * len(records))
    one.wait_for_pending((day + 1) * len(records))
    return time.perf_counter() - start


def _latency(broker: Broker, one: Site, source: random.Random) -> float:
    content = _alert(source)
    spool = one.output / "spool"
    before = len(list(spool.iterdir()))
    start = time.perf_counter()
    broker.send(TOPIC, [content])
    while len([path for path in spool.iterdir() if path.name[0] != "."]) <= before:
        time.sleep(0.001)
    return time.perf_counter() - start
