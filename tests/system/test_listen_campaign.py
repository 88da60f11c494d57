"""Ten thousand records, one in twenty malformed: every one is archived and waits, in order.

That is the whole proof; other runs send two thousand.
What `llama run` makes of them is tested where it is.
"""

import base64
import json
import random
from collections import Counter

import proofs
import pytest
from listening import fast_directory, site, wait_for

from llama.files import sha256_bytes
from llama.listening.spool import Spool

SEED, WHOLE = 20261123, 10_000
RECORDS = proofs.size(WHOLE, 2_000)
MALFORMED = RECORDS // 20
AGAIN = RECORDS // 20
UNHEARD = RECORDS // 5  # less than the 5 MB that the mock cluster remembers


def alert(random_source, number, kind="PRELIMINARY"):
    event = {
        "time": "2026-11-22T10:00:00.123Z",
        "far": random_source.random() * 1e-6,
        "significant": True,
        "instruments": ["H1", "L1"],
        "group": "CBC",
        "pipeline": "gstlal",
        "search": "AllSky",
        "classification": {"BNS": 1.0},
        "skymap": base64.b64encode(random_source.randbytes(300)).decode(),
    }
    return {
        "alert_type": kind,
        "time_created": f"2026-11-22T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "superevent_id": f"MS261122{'abcdefghij'[number % 10]}",
        "urls": {},
        "event": None if kind == "RETRACTION" else event,
        "number": number,
    }


def malformed(random_source, number):
    """Return one of the kinds of record that nobody should send."""
    good = alert(random_source, number)
    text = json.dumps(good)
    event = good["event"]
    return random_source.choice(
        [
            lambda: text[: random_source.randrange(1, len(text))],
            lambda: json.dumps(good | {"event": [1, 2]}),
            lambda: json.dumps(good | {"superevent_id": None}),
            lambda: json.dumps(good | {"event": event | {"far": float("nan")}}),
            lambda: json.dumps(good | {"event": event | {"far": "1e999"}}),
            lambda: json.dumps(good | {"event": event | {"skymap": "%%%not base64"}}),
            lambda: json.dumps(good | {"superevent_id": "../../../etc/passwd"}),
            lambda: json.dumps(good | {"superevent_id": "S1\x00/../x"}),
            lambda: "[" * 100_000,
            lambda: '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
            lambda: "",
        ]
    )().encode()


def campaign():
    """Return the records: retractions may come before their alerts, some come twice."""
    source = random.Random(SEED)
    records = [
        json.dumps(
            alert(source, n, source.choice(["PRELIMINARY", "UPDATE", "RETRACTION"]))
        ).encode()
        for n in range(RECORDS - MALFORMED - AGAIN)
    ]
    records += source.sample(records, AGAIN)  # sent again by somebody
    records += [malformed(source, RECORDS + n) for n in range(MALFORMED - 6)]
    records += [b'{"skymap": "' + b"A" * 5_000_000 + b'"}', b"\x00" * 5_000_000, b"\xff\xfe" * 9]
    records += [b"{" + source.randbytes(1_000_000), b"NaN", None]
    source.shuffle(records)
    # the largest first: what comes while nobody listens has to be small
    return sorted(records, key=lambda record: len(record or b"") < 1_000_000)


@pytest.mark.proof
def test_the_campaign(broker, tmp_path, proven):
    records = campaign()
    assert len(records) == RECORDS
    assert sum(len(record or b"") for record in records[-UNHEARD:]) < 4_000_000
    with fast_directory(tmp_path) as directory, site(directory, broker) as one:
        process = one.start()
        one.feed(("igwn.gwalert", record) for record in records[:-UNHEARD])
        process.kill()  # in the middle; the rest comes while nobody listens
        process.wait()
        broker.send("igwn.gwalert", records[-UNHEARD:])
        assert one.start().poll() is None
        one.wait_for_pending(RECORDS)
        wait_for(lambda: one.state()["lag"] == 0, "the lag to be told")
        assert one.end() == 0
        entries = one.pending()
        assert [entry.offset for entry in entries] == list(range(RECORDS))
        spool = Spool(one.output)
        assert all(
            spool.read(entry) == (record or b"")
            for entry, record in zip(entries, records, strict=True)
        )
        assert sum(entry.is_null for entry in entries) == 1
        assert one.archived() == Counter(sha256_bytes(record or b"") for record in records)
        state = one.state()
        assert (state["lag"], state["errors"]) == (0, 0)
        # an archive and a spool, and nothing anywhere else
        assert {path.name for path in one.output.iterdir()} == {"gcn", "spool", "logs", "listener"}
        assert {path.name for path in directory.iterdir()} == {"out", "config.yaml"}
        assert "Traceback" not in one.log()
    proven(SEED, WHOLE, heard=len(entries))
