"""GCN's Kafka: the event's gcn_notice.json as one record of `PREFIX.lvk_nu_track_search`."""

import json
import os
import time
from typing import Any

from llama.errors import LlamaError
from llama.event.results import NeutrinoList, Significance
from llama.files import dump_json, read_json
from llama.listening.kafka import client_config, client_log, redacted
from llama.publish.notice import build_notice
from llama.publish.notice_check import check_notice
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.settings.model import Listen
from llama.settings.places import is_loopback

TIMEOUT_S = 30.0
HEADER = "llama-key"
_TAIL = 2000  # records at the end of each partition that are looked through
SUFFIX = "lvk_nu_track_search"
_OF_A_GROUP = (
    *("group.id", "auto.offset.reset", "enable.auto.commit", "enable.auto.offset.store"),
    *("session.timeout.ms", "queued.max.messages.kbytes"),
)


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return the notice after the strict reading; a retraction repeats the last without results."""
    path, info = result.event_dir / "gcn_notice.json", result.info
    again = f"run: snakemake events/{info.graceid}/all"
    if kind == "withdrawal":
        nothing = Significance(), NeutrinoList()
        notice = build_notice(info, *nothing, alert_datetime=info.notice_time)
    else:
        if not path.exists():
            raise LlamaError(f"{path} is not there; {again}")
        notice, about = read_json(path), {"gcn.notices.LVK.alert": info.notice}
        if not isinstance(notice, dict) or notice.get("reference") != about:
            raise LlamaError(f"{path} belongs to another alert; {again}")
        notice["alert_type"] = {"new": "initial", "update": "update"}[kind]
        if result.real and notice.get("alert_tense") != "current":
            raise LlamaError(f"{path} calls a real event a test; {again}")
    notice["alert_tense"] = "current" if result.real else "test"
    check_notice(notice)
    return dump_json(notice).encode()


class KafkaNotice:
    """One topic, `DOMAIN/PREFIX`; the id of a record is TOPIC/PARTITION/OFFSET."""

    def __init__(self, destination: str) -> None:
        domain, _, prefix = destination.partition("/")
        self._topic = f"{prefix}.{SUFFIX}"
        servers = os.environ.get("LLAMA_KAFKA_SERVERS", "")  # a broker on this machine, for tests
        local = is_loopback(servers.rpartition(":")[0]) if servers else False
        config = client_config(
            Listen.model_validate({"domain": domain}), servers if local else None
        )
        self._config = {name: value for name, value in config.items() if name not in _OF_A_GROUP}

    def find(self, post: Post) -> Found | None:
        """Look for the message's key in the tail of the topic."""
        import confluent_kafka
        import gcn_kafka

        consumer = gcn_kafka.Consumer(
            self._config
            | {
                "group.id": f"llama-look-up-{os.getpid()}-{time.time_ns()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "auto.offset.reset": "earliest",
            },
            logger=client_log(),
        )
        try:
            return self._search(consumer, post)
        except confluent_kafka.KafkaException as error:
            raise self._error(error) from None
        finally:
            consumer.close()

    def _search(self, consumer: Any, post: Post) -> Found | None:
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        end = time.monotonic() + TIMEOUT_S
        known = consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        if known.error is not None and known.error.code() in (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.LEADER_NOT_AVAILABLE,
        ):
            raise LlamaError(f"GCN has no topic {self._topic}; correct publish in the settings")
        places = []
        for number in known.partitions:
            place = TopicPartition(self._topic, number)
            low, high = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
            if low < high:
                places.append(TopicPartition(self._topic, number, max(low, high - _TAIL)))
        open_ends = {place.partition for place in places}
        consumer.assign(places)
        while open_ends:
            if time.monotonic() > end:
                raise LlamaError(f"GCN did not show the end of {self._topic} in {TIMEOUT_S:g} s")
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                open_ends.discard(message.partition())
            elif (HEADER, post.key.encode()) in (message.headers() or []):
                return Found(self._identity(message))
        return None

    def send(self, post: Post) -> str:
        """Produce the record, and wait until every replica of the broker has it."""
        import confluent_kafka
        import gcn_kafka

        producer = gcn_kafka.Producer(
            self._config
            | {
                "enable.idempotence": True,  # what the client repeats by itself counts once
                "acks": "all",
                # nothing is on its way any more when the outbox may look for it
                "message.timeout.ms": int(TIMEOUT_S * 1000),
            },
            logger=client_log(),
        )
        answers: list[Any] = []
        try:
            producer.produce(
                self._topic,
                post.payload,
                key=json.loads(post.payload)["ref_ID"].encode(),
                headers={HEADER: post.key},
                on_delivery=lambda error, message: answers.append((error, message)),
            )
            left = producer.flush(TIMEOUT_S + 5)
        except (confluent_kafka.KafkaException, BufferError) as error:
            raise NotSentError(str(self._error(error))) from None
        if left or not answers:
            raise LlamaError(f"GCN did not confirm a record of {self._topic} in {TIMEOUT_S:g} s")
        problem, message = answers[0]
        if problem is not None:
            raise self._error(problem)
        return self._identity(message)

    def _error(self, error: object) -> LlamaError:
        reason = " ".join(redacted(str(error)).split())[:150]
        return LlamaError(
            f"GCN's Kafka did not take or show a record of {self._topic} ({reason}); it is tried "
            "again at the next run"
        )

    def _identity(self, message: Any) -> str:
        return f"{self._topic}/{message.partition()}/{message.offset()}"
