"""`llama listen gcn`: hears GCN's Kafka topics and keeps every record; computes nothing.

The order is what makes nothing get lost: a record is in archive and spool, on disk, before its
offset is stored for the commit. Whatever happens in between, it is delivered again, and the spool
knows it by its name.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tenacity

from llama.errors import LlamaError, sentence
from llama.listening.health import Monitor, lock_path, serve
from llama.listening.kafka import client_log, redacted
from llama.listening.spool import Record, Spool
from llama.locks import only_one
from llama.settings import Settings
from llama.topics import ALERT_TOPIC, HEARTBEAT_TOPIC

COMMAND = "llama listen gcn"
# A record may have 8 MB, and all of a batch are in memory.
_BATCH = 20
_POLL_S = 1.0
_CLOSE_S = 5.0
_TIDY_S = 86_400.0

log = logging.getLogger("llama.listen")


def listen(
    settings: Settings,
    config: dict[str, str | int | bool],
    alarm: Callable[[str], None] | None = None,
    elsewhere: Callable[[Path], list[str]] = lambda output_dir: [],
) -> None:
    """Hear and keep records until SIGTERM or SIGINT; `config` is what `client_config` returns.

    `alarm` and `elsewhere` are those of `Monitor`.
    `LlamaError` if a listener runs already or the Kafka client cannot go on.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with only_one(lock_path(settings.output_dir), COMMAND):
        monitor = Monitor(settings.output_dir, settings.listen, alarm, elsewhere)
        if settings.listen.health_port is not None:
            serve(settings.listen.health_port, monitor)
        listener = Listener(settings, config, monitor)
        log.info("listening, pid %d; group %s", os.getpid(), config["group.id"])
        try:
            listener.run(stop)
        finally:
            listener.close()
        log.info("ended as asked")


class Listener:
    """One consumer, the spool, and how it goes."""

    def __init__(
        self, settings: Settings, config: dict[str, str | int | bool], monitor: Monitor
    ) -> None:
        from confluent_kafka import KafkaException
        from gcn_kafka import Consumer

        self._spool = Spool(settings.output_dir)
        self._monitor = monitor
        self._later: list[Any] = []
        self._tidied = -_TIDY_S
        self._absent: set[str] = set()
        try:
            self._consumer = Consumer(config, error_cb=self._client_error, logger=client_log())
        except KafkaException as error:
            raise LlamaError(
                f"the Kafka client refuses its configuration ({redacted(error.args[0].str())}); "
                "correct the variables KAFKA_... of the environment"
            ) from error
        topics = [*dict.fromkeys([*settings.listen.topics, HEARTBEAT_TOPIC])]
        self._consumer.subscribe(topics, on_assign=self._assigned)

    def run(self, stop: threading.Event) -> None:
        """Hear and keep until `stop` is set."""
        while not stop.is_set():
            messages = self._later or self._hear(_POLL_S)
            self._later = []
            if messages and not self._keep(messages, stop):
                return
            self._count_lag()
            self._monitor.tick()
            if time.monotonic() - self._tidied > _TIDY_S:
                self._tidied = time.monotonic()
                self._spool.tidy()

    def close(self) -> None:
        """Commit what is stored and leave the group; a broker that is away is not waited for."""
        self._monitor.tick(now=True)
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    def _hear(self, timeout_s: float) -> list[Any]:
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        return [m for m in (first, *self._consumer.consume(_BATCH - 1, 0)) if self._is_record(m)]

    def _is_record(self, message: Any) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.name() == "UNKNOWN_TOPIC_OR_PART":
            if message.topic() not in self._absent:
                log.info("GCN has no topic %s at present", message.topic())
            self._absent.add(message.topic())
        else:
            self._client_error(error)
        return False

    def _keep(self, messages: list[Any], stop: threading.Event) -> bool:
        """Keep records, however long the disk is full; False if `stop` came before it was done."""
        notices = [m for m in messages if m.topic() != HEARTBEAT_TOPIC]
        records = [_record(message) for message in notices]
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Exception),
            wait=tenacity.wait_exponential(max=10),
            stop=tenacity.stop_when_event_set(stop),
            before_sleep=self._blocked,
            sleep=lambda seconds: self._wait(seconds, stop),
        )
        try:
            new = retrying(self._spool.keep, records) if records else []
        except tenacity.RetryError:
            return False
        if self._monitor.state.blocked:
            self._monitor.state.blocked = None
            self._consumer.resume(self._consumer.assignment())
        self._store_offsets(messages)
        self._tell(messages, [entry.name for entry in new])
        return True

    def _blocked(self, attempt: tenacity.RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        said = sentence(error or LlamaError("unknown"))
        defect = not isinstance(error, LlamaError | OSError)
        self._monitor.error(said)
        self._monitor.state.blocked = said
        exc_info = error if defect else None
        log.error("nothing is heard until this can be written: %s", said, exc_info=exc_info)

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        """Stay in the group while nothing can be written; take nothing more from the broker."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not stop.is_set():
            self._consumer.pause(self._consumer.assignment())
            # what was on its way, or came with partitions that have just been given to us
            self._later += self._hear(min(_POLL_S, seconds))
            self._monitor.tick()

    def _store_offsets(self, messages: list[Any]) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        last = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}
        for place, offset in last.items():
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(*place, offset)])
            except KafkaException as error:
                # the partition was taken from us; who has it now hears the record again
                log.info("offset of %s not stored: %s", place[0], error.args[0].str())

    def _tell(self, messages: Iterable[Any], names: list[str]) -> None:
        state = self._monitor.state
        now = time.time()
        for message in messages:
            topic = message.topic()
            state.heard[topic] = state.heard.get(topic, 0) + 1
            if topic == HEARTBEAT_TOPIC:
                sent = message.timestamp()[1] / 1000
                # what had waited at the broker is no sign of life
                beat = min(now, sent) if sent > 0 else now
                state.heartbeat_at = max(state.heartbeat_at or 0.0, beat)
            elif topic == ALERT_TOPIC:
                state.alert_at = now
        state.new += len(names)
        if names:
            state.record, state.record_at = names[-1], now
        for name in names:
            log.info("kept %s", name)

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        topics = sorted({place.topic for place in partitions})
        log.info("given %d partitions of %s", len(partitions), ", ".join(topics) or "nothing")
        self._monitor.state.partitions = len(partitions)
        self._monitor.tick(now=True)

    def _count_lag(self) -> None:
        """Count what waits at the broker, as far as is known without asking it."""
        from confluent_kafka import KafkaException

        state, lag = self._monitor.state, 0
        try:
            partitions = self._consumer.assignment()
            state.partitions = len(partitions)
            for place in self._consumer.position(partitions):
                low_high = self._consumer.get_watermark_offsets(place, cached=True)
                if place.topic != HEARTBEAT_TOPIC and low_high and place.offset >= 0:
                    lag += max(0, low_high[1] - place.offset)
            state.lag = lag
        except KafkaException as error:  # partitions come and go
            log.info("the lag is not known: %s", redacted(error.args[0].str()))

    def _client_error(self, error: Any) -> None:
        text = redacted(error.str())
        self._monitor.error(f"{error.name()}: {text}")
        if error.fatal():
            raise LlamaError(f"the Kafka client cannot go on ({text}); start the listener again")
        client_log().warning("%s: %s", error.name(), text)


def _record(message: Any) -> Record:
    kind, time_ms = message.timestamp()
    return Record(
        topic=message.topic(),
        content=message.value(),
        key=message.key(),
        partition=message.partition(),
        offset=message.offset(),
        kafka_time_ms=time_ms if kind else None,
    )
