"""Kills this Python, as kill -9 does, at the step named $KILL_AT; first in PYTHONPATH.

A step is a call, before it and after it, that changes a file below gcn/, spool/ or current_run/,
brings one to disk, or takes records from Kafka and tells it how far they are kept. Each is written
to $KILL_TRACE; the name has no random part, and the first step of a name counts. Production code
knows nothing of this.
"""

import os
import re
import runpy
import signal
import tempfile
import time
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[2] / "guard" / "sitecustomize.py"))

KILL_AT = os.environ.get("KILL_AT")
TRACE = os.environ.get("KILL_TRACE")


def step(name):
    name = re.sub(r"(/[.][^/]*[.](json|bin|xml|gz))[.]\w*$", r"\1.TEMPORARY", name)
    if TRACE:
        with open(TRACE, "a") as file:  # noqa: PTH123
            file.write(f"{name}\n")
    if name == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def counted(module, function, place):
    original = getattr(module, function)

    def call(*arguments, **options):
        path = re.search("/(gcn|spool|current_run)(/.*|$)", place(*arguments, **options))
        if path:
            step(f"before {function} {path[0]}")
        result = original(*arguments, **options)
        if path:
            step(f"after {function} {path[0]}")
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
        stored = False

        def poll(self, timeout):
            if self.stored:
                time.sleep(1)  # the client commits what is stored every 50 ms
                step("after commit")
            message = super().poll(timeout)
            if message is not None and message.error() is None:
                step("after poll")
            return message

        def consume(self, number, timeout):
            # two records are there: both in one batch, every time
            return super().consume(1, 5)

        def store_offsets(self, **offsets):
            step("before store_offsets")
            super().store_offsets(**offsets)
            self.stored = True
            step("after store_offsets")

    gcn_kafka.Consumer = Consumer
