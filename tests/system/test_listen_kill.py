"""kill -9 between any two steps: nothing is lost, nothing is doubled.

Every step is named by killer/sitecustomize.py in a first, undisturbed run. Then one listener
per step is killed there and started again, each with a Kafka group and a directory of its own.
The whole proof has every step, other runs every third.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import proofs
import pytest
from listening import PATIENCE_S, fast_directory, kept, site, wait_for

from llama.files import sha256_bytes
from llama.listening.spool import Record, Spool

KILLER = Path(__file__).parent / "killer"
RECORDS = [b'{"superevent_id": "S1"}', b"<x/>"]
LAST = b"the last one"
EVERY = proofs.size(1, 3)  # odd: before and after take turns
AT_ONCE = 8  # listeners: forty that start at once take minutes on a slow machine
TAKE_OVER = """
import sys
from pathlib import Path
from llama.listening.spool import Spool
spool = Spool(Path(sys.argv[1]))
for entry in spool.pending():
    if spool.read(entry) == b"good":
        spool.finish(entry)
    else:
        spool.quarantine(entry, "bad")
"""


def killing(**variables):
    return {"PYTHONPATH": f"{KILLER}{os.pathsep}{os.environ['PYTHONPATH']}"} | variables


@pytest.fixture
def steps(broker, tmp_path):
    """The names of all steps from the first record to the one after the commit."""
    with site(tmp_path / "trace", broker) as undisturbed:
        broker.send("igwn.gwalert", RECORDS)
        trace = undisturbed.output / "trace"
        undisturbed.start(**killing(KILL_TRACE=str(trace)))
        undisturbed.wait_for_pending(len(RECORDS))
        # records that come one by one are committed one by one
        wait_for(lambda: trace.read_text().splitlines()[-1] == "after commit", "steps")
        undisturbed.end()
    return list(dict.fromkeys(trace.read_text().splitlines()[::-1]))[::-1]


@pytest.mark.proof
def test_the_listener_killed_at_any_step(broker, steps, tmp_path, proven):
    assert sum("before fsync" in step for step in steps) >= 6
    assert steps[-1] == "after commit"
    steps = steps[::-EVERY][::-1]
    with fast_directory(tmp_path) as directory, ExitStack() as stack:
        sites = [
            stack.enter_context(site(directory / str(number), broker))
            for number in range(len(steps))
        ]
        pairs = list(zip(sites, steps, strict=True))
        groups = [pairs[k : k + AT_ONCE] for k in range(0, len(pairs), AT_ONCE)]
        for group in groups:
            for one, step in group:
                one.start(**killing(KILL_AT=step))
            for one, step in group:
                assert one.process.wait(PATIENCE_S) == -signal.SIGKILL, step
        broker.send("igwn.gwalert", [LAST])
        for group in groups:
            for one, _ in group:
                one.start()
            for one, _ in group:
                one.wait_for_pending(len(RECORDS) + 1)
                one.process.terminate()
            for one, step in group:
                assert one.process.wait(PATIENCE_S) == 0, step
                contents = kept(one)
                assert contents == [*RECORDS, LAST], step
                assert one.archived() == Counter(map(sha256_bytes, contents)), step
        # what was committed, one record or as many as came at once, is not heard again
        assert sites[-1].state()["heard"]["igwn.gwalert"] <= len(RECORDS)
    proven("every step", 1, steps=len(steps))


@pytest.mark.proof
def test_the_takeover_killed_at_any_step(tmp_path, proven):
    def take_over(output, **variables):
        command = [sys.executable, "-c", TAKE_OVER, output]
        return subprocess.run(command, env=os.environ | killing(**variables)).returncode

    def heard(name):
        output = tmp_path / name
        records = [
            Record(topic="t", content=content, partition=0, offset=offset)
            for offset, content in enumerate([b"good", b"bad"])
        ]
        Spool(output).keep(records)
        return output, records

    output, _ = heard("trace")
    assert take_over(output, KILL_TRACE=str(output / "trace")) == 0
    steps = list(dict.fromkeys((output / "trace").read_text().splitlines()))
    assert {step.split()[1] for step in steps} == {"fsync", "replace", "utime", "mkstemp", "unlink"}
    steps = steps[::EVERY]
    for number, step in enumerate(steps):
        output, records = heard(str(number))
        assert take_over(output, KILL_AT=step) == -signal.SIGKILL, step
        assert Spool(output).keep(records) == []  # known, in whichever state
        assert take_over(output) == 0
        spool = output / "spool"
        assert Spool(output).count() == {"pending": 0, "quarantine": 1}, step
        assert len(list((spool / "done").glob("*.json"))) == 1, step
        assert not list(spool.glob("[!.]*.json"))
    proven("every step", 1, steps=len(steps))
