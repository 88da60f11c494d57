"""kill -9 between any two steps of the takeover: nothing is lost, nothing is doubled.

Every step is named by killer/sitecustomize.py in a first, undisturbed run: each call, before it
and after it, that changes a file or brings one to disk. The whole proof kills at all of them, other
runs at every third.
"""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import proofs
import pytest
from listening import fast_directory

from llama.listening.spool import Record, Spool

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from alert_samples import RETRACTION, UPDATE, gwalert_bytes, skymap_gz

DRIVER = Path(__file__).parent / "killer" / "takeover.py"
RECORDS = [
    gwalert_bytes({"skymap": base64.b64encode(skymap_gz()).decode()}),
    RETRACTION,
    UPDATE,  # after its retraction
    gwalert_bytes()[:900],  # malformed
    gwalert_bytes(time_created="2024-01-01T00:04:00Z"),  # older than all, not used
]


@pytest.mark.proof
def test_the_takeover_killed_at_any_step(tmp_path, proven):
    with fast_directory(tmp_path) as directory:
        spool = Spool(directory / "template")
        spool.keep(
            Record(topic="igwn.gwalert", content=content, partition=0, offset=offset)
            for offset, content in enumerate(RECORDS)
        )
        spool.keep([Record(topic="other", content=b"{}", partition=0, offset=0)])
        every = str(proofs.size(1, 3))
        command = [sys.executable, str(DRIVER), spool.directory.parent, str(directory), every]
        one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = result["undisturbed"]
    event = {name for name in expected if name.startswith("current_run/S240101ab/")}
    alerts = ("1-Preliminary", "2-Retraction", "3-Update", "4-Preliminary")
    assert {name.rpartition("/")[2] for name in event} == {
        "skymap_info.json",
        "flags.json",
        "1-Preliminary.fits.gz",
        *(f"{name}.json" for name in alerts),
        *(f"{name}.heard.json" for name in alerts),
    }
    info = expected["current_run/S240101ab/skymap_info.json"]
    assert (info["retracted"], info["skymap_alert_file"]) == (True, "alerts/3-Update.json")
    assert sum(name.startswith("spool/done/") for name in expected) == 5
    kinds = {"fsync", "replace", "utime", "mkstemp", "unlink"}
    assert {step.split()[1] for step in result["steps"]} == kinds
    assert sum("current_run" in step for step in result["steps"]) > 25
    for step, killed, again, count, state in result["killed"]:
        assert killed == -signal.SIGKILL, step
        assert again == 0, step
        assert count == {"pending": 0, "quarantine": 1}, step
        assert state == expected, step
    proven("every step", 1, steps=len(result["killed"]))
