"""Kills this Python, as kill -9 does, at the step numbered $KILL_AT; first in PYTHONPATH.

A step is a call, before it and after it, that changes a file below gcn/ or spool/, brings one to
disk, or takes records from Kafka and tells it how far they are kept. Each is written to
$KILL_TRACE. Production code knows nothing of this.
"""

import os
import runpy
import signal
import sys
import tempfile
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[2] / "guard" / "sitecustomize.py"))

KILL_AT = int(os.environ.get("KILL_AT", "0"))
TRACE = os.environ.get("KILL_TRACE")
steps = 0


def step(name):
    global steps
    steps += 1
    if TRACE:
        with open(TRACE, "a") as file:  # noqa: PTH123
            file.write(f"{steps} {name}\n")
    if steps == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def counted(module, function, place):
    original = getattr(module, function)

    def call(*arguments, **options):
        path = place(*arguments, **options)
        counts = "/gcn" in path or "/spool" in path
        if counts:
            step(f"before {function} {path}")
        result = original(*arguments, **options)
        if counts:
            step(f"after {function} {path}")
        return result

    setattr(module, function, call)


def opened(handle):
    return os.readlink(f"/proc/self/fd/{handle}")


if TRACE or KILL_AT:
    counted(os, "fsync", opened)
    counted(os, "replace", lambda source, target: str(target))
    counted(os, "utime", lambda path: str(path))
    counted(os, "unlink", lambda path, **_: str(path))
    counted(tempfile, "mkstemp", lambda **given: f"{given['dir']}/{given['prefix']}")

    import gcn_kafka

    class Consumer(gcn_kafka.Consumer):
        def poll(self, timeout):
            message = super().poll(timeout)
            if message is not None and message.error() is None:
                step("after poll")
            return message

        def store_offsets(self, **offsets):
            step("before store_offsets")
            super().store_offsets(**offsets)
            step("after store_offsets")

    gcn_kafka.Consumer = Consumer

sys.dont_write_bytecode = False
