"""The outbox against a model of a remote that does all that remotes do: 600 random schedules."""

import contextlib
import itertools
import json
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proofs
import pytest
from outbox_remote import Door, Remote
from publish_samples import GRACEID, PUBLIC, Crash, Killed, make_event, revise, write_result

from llama.errors import LlamaError
from llama.event.flags import DEFAULTS, write_flags
from llama.event.messages import Receipt
from llama.event.names import significance_name
from llama.event.skymap_info import read_info
from llama.event.vetoes import Terms
from llama.files import read_json, sha256_bytes, write_json
from llama.publish import outbox
from llama.publish.deliver import CHANNELS, Kind, plan, publish
from llama.publish.outbox import Outbox, Post
from llama.publish.webhook import build

PLACES = {"real": "REAL", "test": "TEST"}
OUTCOMES = ("ok", "refused", "never came", "answer lost", "comes later", "cannot be asked")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory where there is one, for thousands of small files.

    Unlike pytest's own it has not the word test in its name: events in it can be real.
    """
    place = "/dev/shm"  # noqa: S108
    with tempfile.TemporaryDirectory(dir=place if Path(place).is_dir() else None) as directory:
        yield Path(directory)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    remote = Remote()
    monkeypatch.setitem(CHANNELS, "webhook", Kind(Terms(final=False), build, remote.at))
    monkeypatch.setattr(outbox.time, "time", lambda: remote.now + remote.ahead_s)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nobody pulls the plug here
    return remote


@pytest.mark.proof
def test_600_random_schedules(
    remote: Remote, memory: Path, monkeypatch: pytest.MonkeyPatch, proven: Callable[..., None]
) -> None:
    """Deaths at any step, every fault, new notices, retractions, waits, a clock put back."""
    ends: Counter[str] = Counter()
    for number in range(proofs.size(600, 60)):
        rng = random.Random(number)
        remote.taken.clear()
        event = make_event(memory / str(number) / "current_run")
        retracted = False
        for _ in range(rng.randint(1, 6)):
            remote.now += rng.choice([0.0, 5.0, 70.0])
            remote.ahead_s -= rng.choice([0.0, 0.0, 0.0, 30.0, 3600.0])
            what = rng.choice(["attempt"] * 6 + ["revise"] * 2 + ["retract"])
            if what == "revise" and not retracted:
                revise(event)
            elif what == "retract":
                retracted = True
                revise(event, retracted=True)
            else:
                remote.outcomes = [rng.choice(OUTCOMES) for _ in range(2)]
                with monkeypatch.context() as patch:
                    Crash(rng.choice([None, rng.randrange(14)])).install(patch, Door)
                    with contextlib.suppress(Killed, LlamaError):
                        publish(event, "webhook", PLACES)
            assert_once(remote)
        remote.outcomes = []
        remote.now += outbox.SETTLE_S + 1
        with contextlib.suppress(LlamaError):  # the clock was put back last: the wait begins again
            publish(event, "webhook", PLACES)
        remote.now += outbox.SETTLE_S + 1
        receipt = publish(event, "webhook", PLACES)
        again = publish(event, "webhook", PLACES)
        assert again == receipt
        remote.now += 1e4
        remote.settle()
        assert_once(remote)
        assert_last_word(remote, event, receipt)
        ends[receipt.status] += 1
    assert set(ends) == {"sent", "updated", "withdrawn", "refused"}
    assert min(ends.values()) > ends.total() / 20, ends
    proven("number of the schedule", 600, **ends)


def assert_once(remote: Remote) -> None:
    keys = Counter(post.key for _, post in remote.taken)
    notices = Counter(json.loads(post.payload)["result"]["notice"] for _, post in remote.taken)
    assert set(keys.values()) <= {1}
    assert set(notices.values()) <= {1}


def assert_last_word(remote: Remote, event: Path, receipt: Receipt) -> None:
    info = read_json(event / "skymap_info.json")
    if receipt.status == "refused":
        assert receipt.reasons == ["the alert was retracted, and nothing had been published"]
        assert remote.taken == []
        return
    destination, last = remote.taken[-1]
    assert destination == receipt.destination
    # a second retraction has nothing to add to the first
    same = json.loads(last.payload)["result"]["notice"] == info["notice"]
    assert same or info["retracted"]
    assert (last.kind == "withdrawal") is info["retracted"]
    assert receipt.payload_sha256 == sha256_bytes(last.payload)
    assert receipt.remote_id == str(len(remote.taken) - 1)
    assert [post.kind for _, post in remote.taken[:1]] == ["new"]
    assert {post.refers_to for _, post in remote.taken[1:]} <= {"0"}


def test_a_message_that_may_be_on_its_way_is_waited_for(remote: Remote, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    remote.outcomes = ["comes later"]
    with pytest.raises(LlamaError):
        publish(event, "webhook", PLACES)
    remote.now += 0.001
    with pytest.raises(LlamaError, match=r"sent 0 s ago without an answer.*again in 60 s"):
        publish(event, "webhook", PLACES)
    remote.now += outbox.SETTLE_S
    assert publish(event, "webhook", PLACES).status == "sent"
    assert len(remote.taken) == 1


@pytest.mark.parametrize("back_s", [1.0, 59.0, 61.0, 3600.0, 1e6])
def test_a_clock_put_back_sends_nothing_twice(
    remote: Remote, tmp_path: Path, back_s: float
) -> None:
    event = make_event(tmp_path / "current_run")
    remote.outcomes = ["comes later"]
    with pytest.raises(LlamaError):
        publish(event, "webhook", PLACES)
    ((arrives, _, _),) = remote.under_way
    remote.ahead_s -= back_s
    with pytest.raises(LlamaError, match="without an answer"):
        publish(event, "webhook", PLACES)
    remote.now = arrives - 0.01
    with pytest.raises(LlamaError, match="without an answer"):
        publish(event, "webhook", PLACES)
    remote.now += outbox.SETTLE_S
    assert publish(event, "webhook", PLACES).status == "sent"
    assert len(remote.taken) == 1


def test_a_destination_spelled_otherwise_is_the_same(remote: Remote, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    first = publish(event, "webhook", {"real": None, "test": "https://example.org/hook"})
    for spelled in ("https://EXAMPLE.org:443/hook/", "https://example.org/./hook"):
        assert publish(event, "webhook", {"real": None, "test": spelled}).sent_at
        revise(event)
        receipt = publish(event, "webhook", {"real": None, "test": spelled})
        assert receipt.status == "updated"
        assert receipt.history[-1].refers_to == first.remote_id
    assert len(remote.taken) == 3


def test_no_channel_waits_longer_than_the_outbox_does() -> None:
    from llama import web
    from llama.publish import circular_mail, kafka_notice, slack

    waits_s = (sum(web.TIMEOUT_S), slack.TIMEOUT_S, kafka_notice.TIMEOUT_S, circular_mail.TIMEOUT_S)
    assert max(waits_s) < outbox.SETTLE_S


def test_a_directory_made_anew_does_not_publish_again(remote: Remote, tmp_path: Path) -> None:
    publish(make_event(tmp_path / "1" / "current_run"), "webhook", PLACES)
    receipt = publish(make_event(tmp_path / "2" / "current_run"), "webhook", PLACES)
    assert len(remote.taken) == 1
    assert receipt.status == "sent"


def test_a_payload_that_was_changed_is_not_sent(remote: Remote, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    remote.outcomes = ["refused"]
    with pytest.raises(LlamaError):
        publish(event, "webhook", PLACES)
    (event / "outbox/webhook/1.json").write_text("{}")
    with pytest.raises(LlamaError, match="not what was to be sent"):
        publish(event, "webhook", PLACES)
    assert remote.taken == []


def test_the_intent_is_on_disk_before_anything_is_asked(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("find", "send"):
        original = getattr(Door, name)

        def noted(self: Door, post: Post, original: Any = original, name: str = name) -> Any:
            order.append(name)
            return original(self, post)

        monkeypatch.setattr(Door, name, noted)

    def synced(handle: int) -> None:
        order.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{handle}')).name[:15]}")

    monkeypatch.setattr(os, "fsync", synced)
    publish(make_event(tmp_path / "current_run"), "webhook", PLACES)
    start = order.index("find")
    before = [re.sub(r"json[.].*", "json", step) for step in order[:start]]
    assert before[-4:] == [
        *("fsync .1.json", "fsync webhook", "fsync .1.intent.json", "fsync webhook")
    ]
    assert order[start + 3] == "send"  # after the intent, with the time of the attempt


def test_two_at_once_send_once(remote: Remote, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    event = make_event(tmp_path / "current_run")
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: publish(event, "webhook", PLACES), range(8)))
    assert len(remote.taken) == 1
    assert all(receipt == receipts[0] for receipt in receipts)


def test_an_outdated_result_is_not_sent(remote: Remote, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    info = read_json(event / "skymap_info.json")
    write_json(event / "skymap_info.json", info | {"revision": 2})
    with pytest.raises(LlamaError, match=r"another skymap_info\.json; run: snakemake"):
        publish(event, "webhook", PLACES)
    (event / significance_name(read_info(event))).unlink()
    with pytest.raises(LlamaError, match="not there yet; run: snakemake"):
        plan(event, "webhook", PLACES)
    assert remote.asked == []


def test_every_combination_in_the_files_reaches_only_where_it_may(
    remote: Remote, memory: Path
) -> None:
    """Ids, alerts, neutrinos, flags and settings, as they lie on disk."""
    event = make_event(memory / "current_run")
    base = read_json(event / "skymap_info.json")
    infos = [
        {}, {"role": "test"}, {"search": "MDC"}, {"alert_type": "injection"}, {"far": 1.0},
        {"far": None}, {"internal": True}, {"retracted": True}, {"graceid": f"M{GRACEID}"},
        {"gracedb_service_url": "https://gracedb-playground.ligo.org/api/"},
    ]  # fmt: skip
    places = [dict(zip(PLACES, pair, strict=True)) for pair in itertools.product(
        (None, "REAL"), (None, "TEST")
    )]  # fmt: skip
    flag_sets = [
        {"ROLE": role, "UPLOAD": upload, "VETOED": vetoed, "BLINDED_NEUTRINOS": blinded}
        for role, upload, vetoed, blinded in itertools.product(
            ("test", "observation"), *[(False, True)] * 3
        )
    ]
    reached: Counter[str] = Counter()
    for changes, kind in itertools.product(infos, ("observation", "blinded", "simulated")):
        made_from = base | changes
        notice = f"{made_from['graceid']}-1-Initial"
        directory = memory / f"{kind}-{infos.index(changes)}" / "current_run"
        event = make_event(directory, {}, **{k: v for k, v in changes.items() if k == "graceid"})
        write_result(event, made_from | {"notice": notice}, kind)
        for flags, where in itertools.product(flag_sets, places):
            write_flags(event, flags)
            remote.asked.clear()
            receipt = publish(event, "webhook", where)
            asked = set(remote.asked)
            good = {"ROLE": "observation", "UPLOAD": True, "VETOED": False}
            good["BLINDED_NEUTRINOS"] = False
            clearly_real = not changes and kind == "observation" and flags == good
            assert ("REAL" in asked) <= (clearly_real and where["real"] == "REAL"), (changes, flags)
            assert ("TEST" in asked) <= (flags["UPLOAD"] and not flags["VETOED"])
            assert (receipt.status == "refused") is bool(receipt.reasons)
            reached.update(asked)
            for path in (event / "outbox").glob("*/*"):
                path.unlink()
    assert reached["REAL"] == 2  # with and without a destination for tests
    assert reached["TEST"] > 100
    assert {destination for destination, _ in remote.taken} == {"REAL", "TEST"}


def test_a_new_destination_gets_a_first_message(remote: Remote, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run", {**DEFAULTS, **PUBLIC})
    publish(event, "webhook", PLACES)
    receipt = publish(event, "webhook", {"real": None, "test": "OTHER"})
    assert receipt.status == "sent"
    assert [(h.destination, h.kind) for h in receipt.history] == [
        ("TEST", "new"),
        ("OTHER", "new"),
    ]
    assert Outbox(event, "webhook", "OTHER").next_kind("x", withdrawal=True) == "withdrawal"
