"""From a broker on this machine to the significance file: listener, `llama run`, Snakemake."""

import contextlib
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
from listening import wait_for
from running import keeping
from test_run_service import GRACEID, three_alerts

_NAMES = ("first", "new_map", "same_map")


def _compiling(keeper: int) -> bool:
    """Tell whether the daemon still compiles ahead, as it does once per version."""
    for child in psutil.Process(keeper).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "llama.running.warm" in child.cmdline():
                return True
    return False


def rows() -> Iterator[dict[str, Any]]:
    """Yield the seconds from producing S230518h's three alerts to their significance."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Broker() as broker,
        keeping(Path(directory), broker) as one,
    ):
        one.start()
        one.keep()
        wait_for(lambda: one.state().get("partitions"), "partitions")
        wait_for(lambda: "keeping events" in one.keeper_log(), "the daemon")
        wait_for(lambda: not _compiling(one.keeper.pid), "the statistic", 300)
        product = one.event(GRACEID) / "significance_lvc-i3.json"
        for number, (name, content) in enumerate(zip(_NAMES, three_alerts(), strict=True), 1):
            before = product.stat().st_mtime_ns if product.exists() else 0
            start = time.perf_counter()
            broker.send("igwn.gwalert", [content])
            while not product.exists() or product.stat().st_mtime_ns == before:
                time.sleep(0.005)
            yield row(f"alert_{name}_to_significance_s", time.perf_counter() - start, "s", 10)
            one.wait_until_made(GRACEID, number)
            yield row(f"alert_{name}_to_all_s", time.perf_counter() - start, "s", 20)
        one.end_keeping()
        one.end()
