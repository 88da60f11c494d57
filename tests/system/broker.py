"""A Kafka broker on this machine: librdkafka's mock cluster in a process of its own.

`python broker.py TOPIC..` prints HOST:PORT and lives until its stdin is closed.
"""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka
import gcn_kafka

TOPICS = ("igwn.gwalert", "gcn.notices.icecube.lvk_nu_track_search", "gcn.heartbeat")


class Broker:
    """The broker's process and a producer; a restarted one has forgotten everything."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), *TOPICS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()
        # the guard of the tests does not see librdkafka's sockets
        assert self.address.startswith("127.0.0.1:"), self.address
        self._producer = gcn_kafka.Producer(
            {
                "bootstrap.servers": self.address,
                "security.protocol": "plaintext",
                "message.max.bytes": 20_000_000,
                "log_level": 0,
            }
        )

    def send(self, topic: str, values: Iterable[bytes | None], key: bytes | None = None) -> None:
        """Send records to partition 0, in order, and wait until the broker has them."""
        for value in values:
            self._producer.produce(topic, value, key=key, partition=0)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def beat(self) -> None:
        """Send one heartbeat."""
        self.send("gcn.heartbeat", [b"{}"])

    def close(self) -> None:
        """End the broker."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def main() -> None:
    producer = confluent_kafka.Producer(
        {"test.mock.num.brokers": 1, "bootstrap.servers": "127.0.0.1:1"}
    )
    for topic in sys.argv[1:]:
        while producer.list_topics(topic, timeout=60).topics[topic].error is not None:
            time.sleep(0.05)
    (broker,) = producer.list_topics(timeout=60).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
