"""GCN's Kafka against a broker on this machine, read back by a client that is not ours."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import gcn_kafka
import pytest
from broker import Broker
from msgspec.structs import replace
from publish_samples import GRACEID, Crash, Killed, make_event, revise

from llama.errors import LlamaError
from llama.event.flags import write_flags
from llama.event.results import NeutrinoList, Significance, read
from llama.event.skymap_info import read_info
from llama.files import read_json, write_json
from llama.publish import kafka_notice, outbox
from llama.publish.deliver import publish
from llama.publish.notice import build_notice, check_notice
from llama.publish.result import read_result

TOPIC = "gcn.notices.icecube.lvk_nu_track_search"
PLACES = {"real": None, "test": "gcn.nasa.gov/gcn.notices.icecube"}


@pytest.fixture(scope="module")
def shared_broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture(autouse=True)
def site(shared_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_KAFKA_SERVERS", shared_broker.address)
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)


def write_notice(event_dir: Path) -> None:
    """As scripts/write_notice.py does for an event whose ROLE is test."""
    info = replace(read_info(event_dir), role="test")
    name = "significance_lvc-i3.json"
    significance = read(event_dir / name, Significance)
    neutrinos = read(event_dir / "icecube_neutrino_list.json", NeutrinoList)
    heard = neutrinos.retrieved_at
    notice = build_notice(info, significance, neutrinos, alert_datetime=heard)
    write_json(event_dir / "gcn_notice.json", notice)


def event_of(run_dir: Path, graceid: str = GRACEID) -> Path:
    flags = {"ROLE": "test", "UPLOAD": True}
    made = make_event(run_dir, flags, graceid=graceid, notice=f"{graceid}-1-Initial")
    write_notice(made)
    return made


def heard(broker: Broker, graceid: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (key of the outbox, notice) of every record about an event, as a consumer hears it."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": "independent",
            "log_level": 0,
            "fetch.wait.max.ms": 20,
        }
    )
    known = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC]
    found = []
    for number in known.partitions:
        place = confluent_kafka.TopicPartition(TOPIC, number)
        low, high = consumer.get_watermark_offsets(place, timeout=10)
        if low < high:
            consumer.assign([confluent_kafka.TopicPartition(TOPIC, number, low)])
        while low < high:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            low = message.offset() + 1
            if message.key() == graceid.encode():
                key = dict(message.headers())["llama-key"].decode()
                found.append((key, json.loads(message.value())))
    consumer.close()
    return found


def test_first_notice_update_and_retraction(shared_broker: Broker, tmp_path: Path) -> None:
    event = event_of(tmp_path / "current_run", "S240101a")
    first = publish(event, "gcn", PLACES)
    assert first.remote_id.startswith(f"{TOPIC}/")
    assert publish(event, "gcn", PLACES) == first
    revise(event)
    with pytest.raises(LlamaError, match="another alert; run: snakemake events/S240101a/all"):
        publish(event, "gcn", PLACES)
    write_notice(event)
    publish(event, "gcn", PLACES)
    revise(event, retracted=True)
    assert publish(event, "gcn", PLACES).status == "withdrawn"
    notices = [notice for _, notice in heard(shared_broker, "S240101a")]
    assert [n["alert_type"] for n in notices] == ["initial", "update", "retraction"]
    assert {n["alert_tense"] for n in notices} == {"test"}
    for notice in notices:
        check_notice(notice)
    assert notices[-1]["pval_bayesian"] is None


def test_a_test_is_never_current(shared_broker: Broker, tmp_path: Path) -> None:
    event = event_of(tmp_path / "current_run", "S240101b")
    notice = read_json(event / "gcn_notice.json")
    write_json(event / "gcn_notice.json", notice | {"alert_tense": "current"})
    publish(event, "gcn", PLACES)
    ((_, sent),) = heard(shared_broker, "S240101b")
    assert sent["alert_tense"] == "test"
    write_json(event / "gcn_notice.json", notice)
    real = read_result(event, real=True)
    with pytest.raises(LlamaError, match="calls a real event a test"):
        kafka_notice.build(real, "key", "new", None)


def test_a_topic_that_gcn_does_not_have(tmp_path: Path) -> None:
    write_flags(event_of(tmp_path / "current_run"), {"UPLOAD": True})
    # the mock broker makes any topic; a broker that is not there is the other kind of absence
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMA_KAFKA_SERVERS", "127.0.0.1:9")
        patch.setattr(kafka_notice, "TIMEOUT_S", 1.0)
        with pytest.raises(LlamaError, match="Kafka did not take or show"):
            publish(tmp_path / "current_run" / GRACEID, "gcn", PLACES)


class Producer(gcn_kafka.Producer):
    """Can lose the record, or the broker's answer to it."""

    fault: str | None = None

    def produce(self, *arguments: Any, **options: Any) -> None:
        if self.fault != "drop":
            super().produce(*arguments, **options)

    def flush(self, timeout: float) -> int:
        left = super().flush(timeout)
        return 1 if self.fault == "lost" else left


def test_killed_at_every_step_and_after_every_fault_it_is_sent_once(
    shared_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, what in enumerate([*range(12), "drop", "lost"]):
        graceid = f"S24020{chr(97 + number)}".replace("S24020", "S240202")
        event = event_of(tmp_path / str(number) / "current_run", graceid)
        with monkeypatch.context() as patch:
            at = what if isinstance(what, int) else None
            Crash(at).install(patch, kafka_notice.KafkaNotice)
            patch.setattr(Producer, "fault", None if at is not None else what)
            patch.setattr(gcn_kafka, "Producer", Producer)
            with pytest.raises((Killed, LlamaError)):
                publish(event, "gcn", PLACES)
        receipt = publish(event, "gcn", PLACES)
        assert receipt.status == "sent"
        ((_, notice),) = heard(shared_broker, graceid)
        assert notice["ref_ID"] == graceid


def test_random_schedules_end_with_each_notice_once(
    shared_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(7)
    for number in range(15):
        graceid = f"S240203{chr(97 + number)}"
        event = event_of(tmp_path / str(number) / "current_run", graceid)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.3:
                revise(event)
                write_notice(event)
            with monkeypatch.context() as patch:
                Crash(rng.choice([None, rng.randrange(14)])).install(
                    patch, kafka_notice.KafkaNotice
                )
                patch.setattr(Producer, "fault", rng.choice([None, "drop", "lost"]))
                patch.setattr(gcn_kafka, "Producer", Producer)
                try:
                    publish(event, "gcn", PLACES)
                except (Killed, LlamaError):
                    continue
        receipt = publish(event, "gcn", PLACES)
        found = heard(shared_broker, graceid)
        assert set(Counter(key for key, _ in found).values()) == {1}
        assert found[-1][1]["record_number"] == receipt.revision
        assert [n["alert_type"] for _, n in found] == ["initial", *["update"] * (len(found) - 1)]
