"""Ten thousand records, one in twenty malformed, replayed, out of order, taken over by one process.

That all of them are heard, archived and in the spool is tested in test_listen_campaign.py.
"""

import base64
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from listening import fast_directory
from test_listen_campaign import MALFORMED, RECORDS, WHOLE, alert, malformed

from llama.event.skymap_info import read_info
from llama.listening.spool import Record, Spool
from llama.running.takeover import take_over

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from alert_samples import skymap_fits

SEED = 20261124
EVENTS = RECORDS * 6 // 100
REPLAYED = RECORDS // 20
OTHERS = RECORDS * 3 // 100


def valid(source, number):
    """Return an alert of one of the events, later ones first, some with a map."""
    kind = source.choice(["PRELIMINARY", "UPDATE", "RETRACTION"])
    record = alert(source, number, kind)
    name = "".join(chr(97 + int(digit)) for digit in f"{number % EVENTS:03d}")
    record["superevent_id"] = f"MS261122{name}"
    minute, second = divmod(number // EVENTS, 60)
    record["time_created"] = f"2026-11-22T10:{minute:02d}:{second:02d}Z"
    if record["event"]:
        skymap = base64.b64encode(skymap_fits(number)).decode() if number % 8 == 0 else None
        record["event"]["skymap"] = skymap
    return record


@pytest.mark.proof
def test_the_campaign(tmp_path, proven):
    source = random.Random(SEED)
    alerts = [valid(source, n) for n in range(RECORDS - MALFORMED - REPLAYED - OTHERS)]
    contents = [json.dumps(record).encode() for record in alerts]
    records = [("igwn.gwalert", content) for content in contents]
    records += [("igwn.gwalert", malformed(source, n)) for n in range(MALFORMED)]
    records += [("gcn.notices.icecube.x", b'{"n": %d}' % n) for n in range(OTHERS)]
    records += [("replay", content) for content in source.sample(contents, REPLAYED)]
    assert len(records) == RECORDS
    source.shuffle(records)
    with fast_directory(tmp_path) as directory:
        spool = Spool(directory)
        spool.keep(
            Record(topic=topic, content=content)
            if topic == "replay"
            else Record(topic=topic, content=content, partition=0, offset=offset)
            for offset, (topic, content) in enumerate(records)
        )
        results = list(take_over(directory, "TRIGGERED_PUBLIC"))
        assert len(results) == RECORDS
        assert spool.count() == {"pending": 0, "quarantine": MALFORMED}
        assert len(list((directory / "spool" / "done").glob("*.json"))) == RECORDS - MALFORMED
        assert Counter(result.event is None for result in results)[True] == MALFORMED + OTHERS
        assert not list(take_over(directory, "TRIGGERED_PUBLIC"))

        events = defaultdict(list)
        for record, content in zip(alerts, contents, strict=True):
            events[record["superevent_id"]].append((record["time_created"], record, content))
        found = {path.name for path in (directory / "current_run").iterdir()}
        assert found == set(events)
        for name, history in events.items():
            check(directory / "current_run" / name, sorted(history, key=lambda line: line[0]))
    proven(SEED, WHOLE, events=len(events))


def check(event, history):
    """Compare an event with the history of its alerts, in the order of their dates."""
    paths = [p for p in (event / "alerts").iterdir() if not p.name.endswith(".heard.json")]
    assert Counter(path.read_bytes() for path in paths) == Counter(line[2] for line in history)
    heard = [path.with_suffix(".heard.json") for path in paths]
    assert all(path.exists() for path in heard)
    info = read_info(event)
    assert info.retracted == (history[-1][1]["alert_type"] == "RETRACTION")
    assert (event / info.alert_file).read_bytes() == history[-1][2]
    told = [line for line in history if line[1]["event"]]
    maps = [line for line in told if line[1]["event"]["skymap"]]
    for key, lines in (("event_alert_file", told), ("skymap_alert_file", maps)):
        name = info.as_json()[key]
        content = name and (event / name).read_bytes()
        assert content == (lines[-1][2] if lines else None)
    assert info.far_hz == (told[-1][1]["event"]["far"] if told else None)
    assert json.loads((event / "flags.json").read_bytes())["ROLE"] == "test"
