"""From a broker on this machine to the significance file: listener, `llama run`, Snakemake."""

import base64
import json
import os
import re
import signal
import time
from pathlib import Path

import psutil
from listening import wait_for
from running import COMPUTING_S, keeping

from llama.event.skymap_info import read_info
from llama.files import read_json, write_json
from llama.running.takeover import take_over
from llama.sky.mock import mock_skymap, to_fits

GRACEID = "S230518h"
# longer than the broker waits for a listener that is silent; a minute by hand
AWAY_S = float(os.environ.get("LLAMA_TEST_AWAY_S", "10"))
EVENT_TIME = "2023-05-18T12:59:08.167Z"
MAP_CHAIN = {"extract_skymap", "convert_skymap", "measure_skymap"}
_KINDS = ("Preliminary", "Initial", "Update")
_SHARED = Path(__file__).parents[3] / "shared" / "data" / "events" / GRACEID


def generated(kind, seed=1, graceid=GRACEID, minute=5, **event):
    """Return an alert like those of S230518h."""
    skymap = mock_skymap(100.0 + seed, -20.0, (4.0, 2.0), (200.0, 50.0))
    fits = to_fits(skymap, event.get("time", EVENT_TIME)[:-1])
    content = {
        "time": EVENT_TIME, "far": 3e-10, "significant": True, "instruments": ["H1", "L1"],
        "group": "CBC", "pipeline": "gstlal", "search": "AllSky", "properties": {"HasNS": 0.0},
        "classification": {"NSBH": 0.9, "BNS": 0.0, "BBH": 0.0, "Terrestrial": 0.1},
        "skymap": base64.b64encode(fits).decode(), **event,
    }  # fmt: skip
    alert = {
        "alert_type": kind.upper(), "time_created": f"2023-05-18T13:{minute:02d}:00Z",
        "superevent_id": graceid, "urls": {}, "event": content, "external_coinc": None,
    }  # fmt: skip
    return json.dumps(alert).encode()


def three_alerts():
    """Return a new event, its new map, and the same map again."""
    if _SHARED.is_dir():
        return [(_SHARED / f"{GRACEID}-{kind}_alert.json").read_bytes() for kind in _KINDS]
    return [
        generated(kind, seed, minute=5 + n)
        for n, (kind, seed) in enumerate(zip(_KINDS, (1, 2, 2), strict=True))
    ]


def jobs(one, graceid=GRACEID):
    """Return the rules that the last Snakemake of an event ran."""
    text = (one.output / "logs" / "events" / graceid / "llamad-snakemake.log").read_text()
    return set(re.findall(r"Finished jobid: \d+ \(Rule: ([a-z_]+)\)", text))


def test_alerts_become_significances_and_each_revision_remakes_its_part(broker, tmp_path):
    with keeping(tmp_path, broker, forked=True) as one:
        one.start()
        one.keep()
        for number, content in enumerate(three_alerts(), 1):
            broker.send("igwn.gwalert", [content])
            one.wait_until_made(GRACEID, number)
            info = read_info(one.event(GRACEID))
            assert info.revision == number
            assert one.significance(GRACEID)["inputs"]["gw_skymap_info"]["revision"] == number
            assert (one.event(GRACEID) / "coinc_summary_i3_lvc.html").exists()
            made = jobs(one)
            assert "compute_significance" in made
            assert ("list_neutrinos" in made) == (number == 1)
            assert MAP_CHAIN & made == (MAP_CHAIN if number < 3 else set())
        assert one.end() == 0
        assert one.end_keeping() == 0
        assert "Traceback" not in one.keeper_log()


def test_a_time_without_broker(broker, tmp_path):
    """What comes meanwhile from elsewhere is computed, and what GCN sends afterwards too."""
    with keeping(tmp_path, broker, forked=True) as one:
        one.start()
        wait_for(lambda: one.state().get("partitions"), "partitions")
        one.keep()
        wait_for(lambda: "keeping events" in one.keeper_log(), "the daemon")
        broker.process.send_signal(signal.SIGSTOP)
        back = time.monotonic() + AWAY_S
        try:
            replayed = tmp_path / "replayed"
            replayed.mkdir()
            (replayed / "alert.json").write_bytes(generated("Preliminary", graceid="MS230518a"))
            assert one.command("replay", str(replayed)).returncode == 0
            one.wait_until_made("MS230518a")
            time.sleep(max(0.0, back - time.monotonic()))
        finally:
            broker.process.send_signal(signal.SIGCONT)
        broker.send("igwn.gwalert", [generated("Preliminary", graceid="MS230518b")])
        one.wait_until_made("MS230518b")
        assert one.end_keeping() == 0
        for event in ("MS230518a", "MS230518b"):
            lines = [line for line in one.keeper_log().splitlines() if event in line]
            assert len(lines) == 2, lines  # a revision, and that it is up to date
            assert read_info(one.event(event)).revision == 1
        assert one.end() == 0


def test_cron_without_daemon_and_an_event_that_fails(tmp_path):
    with keeping(tmp_path, forked=True) as one:
        one.hear(generated("Preliminary", graceid="MS230518a"))
        one.hear(generated("Preliminary", graceid="MS230518b"))
        assert list(take_over(one.output, "TRIGGERED_TEST"))
        (one.event("MS230518a") / "alerts" / "1-Preliminary.json").unlink()
        done = one.run("-o")
        assert (done.returncode, done.stdout) == (1, "")
        # more than one where the pass takes longer than the minute until it is tried again
        for line in done.stderr.splitlines():
            assert "ERROR current_run/MS230518a: " in line
            assert "1-Preliminary.json" in line
        assert one.significance("MS230518b") is not None
        path = one.output / "runner" / "failing.json"
        (failing,) = read_json(path).items()
        write_json(path, {failing[0]: failing[1] | {"next_try": time.time() + 3000}})
        done = one.run("-o")  # too early to try it again, and nothing else to do
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
        assert one.keeper_log().count("MS230518b is up to date") == 1
        running = one.run("-r")
        assert running.returncode == 1
        assert re.search(r"failing  current_run/MS230518a, [0-9]+ times?:", running.stdout)
        # a new revision is tried at once
        one.hear(generated("Update", graceid="MS230518a", minute=30))
        done = one.run("-o")
        assert (done.returncode, done.stderr) == (0, "")
        assert one.significance("MS230518a")["inputs"]["gw_skymap_info"]["revision"] == 2


def test_the_daemon_is_started_restarted_ended_and_killed(tmp_path):
    before = psutil.Process().children(recursive=True)  # servers of other tests

    def pid():
        (found,) = re.findall(r"is running, pid (\d+)", one.run("-r").stdout)
        return int(found)

    with keeping(tmp_path) as one:
        try:
            done = one.run("-n", "3")
            assert done.returncode == 0, done.stderr
            first = pid()
            assert f"pid {first}; log: {one.output}/logs/llamad.log" in done.stderr
            assert "is running already with pid" in one.run().stderr
            assert one.run("-R").returncode == 0
            daemon = psutil.Process(pid())
            assert daemon.pid != first
            one.hear(generated("Preliminary", graceid="MS230518a"))
            lock = one.event("MS230518a") / ".lock"
            wait_for(lock.exists, "Snakemake", COMPUTING_S)
            processes = daemon.children(recursive=True)
            assert processes
            assert one.run("-K").returncode == 0
            # whoever inherits them buries them in its own time
            assert psutil.wait_procs([daemon, *processes], timeout=60)[1] == []
            assert one.run("-r").returncode == 1
            assert "there is nothing to end" in one.run("-k").stderr
        finally:
            one.run("-K")
        # what was killed is taken up again, by a daemon that is then ended with its jobs done
        one.keep()
        wait_for(lambda: one.significance("MS230518a"), "the significance", COMPUTING_S)
        assert one.end_keeping() == 0
        assert set(psutil.Process().children(recursive=True)) <= set(before)
