"""Hostile alerts cost a record each: no memory of the process that takes over, and no other."""

import base64
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from alert_samples import gwalert_bytes, skymap_fits
from bombs import bombs, flat

from llama.listening.spool import Record, Spool
from llama.running.takeover import take_over


def alert(number: int, skymap: bytes) -> bytes:
    content = json.loads(gwalert_bytes())
    content["superevent_id"] = f"S24010{number % 10}a{chr(97 + number // 10 % 26)}"
    content["event"]["skymap"] = base64.b64encode(skymap).decode()
    return json.dumps(content).encode()


def hostile() -> list[bytes]:
    """Alerts whose maps, or whose JSON, are larger than they look."""
    small = (content for make, _ in bombs().values() if len(content := make()) < 100_000)
    maps = list(itertools.islice(small, 10))
    maps.append(flat(512, 4))  # as large as it says, and good
    alerts = [alert(number, content) for number, content in enumerate(maps)]
    start = gwalert_bytes()[:-1]
    pieces = [piece * (3_000_000 // len(piece)) for piece in (b"[],", b'{"":0},')]
    return alerts + [start + b', "x": [' + piece + b"0]}" for piece in pieces]


def feed(output: Path, contents: list[bytes], offset: int) -> int:
    """Take the records over and return how many went into the quarantine."""
    records = [
        Record(topic="igwn.gwalert", content=content, partition=0, offset=offset + number)
        for number, content in enumerate(contents)
    ]
    Spool(output).keep(records)
    return sum(taken.quarantined for taken in take_over(output, "TRIGGERED_TEST"))


def test_memory_is_flat_over_many_hostile_alerts(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (
        said["quarantined"] == [said["hostile"]] * 4
    )  # all but the flat map and large JSON around a good alert
    assert said["pending"] == 0
    assert "S240109az" in said["events"]  # what came after them
    assert said["peak_mib"][0] < 512, said
    assert said["peak_mib"][-1] - said["peak_mib"][1] < 24, said


def main(output: Path) -> None:
    """Feed the alerts to this process again and again; print what became of them and of it."""
    contents = hostile()
    quarantined, peak_mib = [], []
    for turn in range(4):
        # other bytes: what was heard before would change nothing
        again = [content[:-1] + b" " * turn + b"}" for content in contents]
        quarantined.append(feed(output, again, turn * 1000))
        # ru_maxrss would be that of the tests' own process
        peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
        peak_mib.append(int(peak) / 1024)
    feed(output, [alert(-1, skymap_fits())], 9999)
    said: dict[str, Any] = {
        "hostile": len(contents) - 3,
        "quarantined": quarantined,
        "peak_mib": peak_mib,
    }
    said["pending"] = Spool(output).count()["pending"]
    said["events"] = sorted(path.name for path in (output / "current_run").iterdir())
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
