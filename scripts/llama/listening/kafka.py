"""The Kafka client's configuration, its secrets, and its log without them."""

import logging
import re
import socket
import time

from llama.errors import LlamaError
from llama.secrets import secret
from llama.settings.model import Listen
from llama.settings.places import is_loopback

SECRETS = ("GCN_CLIENT_ID", "GCN_CLIENT_SECRET")


def client_config(settings: Listen, bootstrap_servers: str | None) -> dict[str, str | int | bool]:
    """Return the Kafka client's configuration; it holds the secret, so never print it.

    Further properties of librdkafka are taken from the environment, KAFKA_... as in gcn-kafka.
    `bootstrap_servers` is for brokers on this machine, without encryption. `LlamaError` for
    others, and when client id or secret are missing.
    """
    from gcn_kafka import config_from_env

    config: dict[str, str | int | bool] = {
        "reconnect.backoff.ms": 1000,
        # for so long a killed listener keeps its successor from hearing
        "session.timeout.ms": 10_000,
        **config_from_env(),
    }
    config.pop("bootstrap.servers", None)
    config |= {
        "group.id": settings.group_id or f"llama-{socket.gethostname()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": True,
        "enable.auto.offset.store": False,
        "client.id": "llama",
        # what is fetched ahead, in memory [kB]
        "queued.max.messages.kbytes": 32_768,
    }
    if bootstrap_servers:
        for server in bootstrap_servers.split(","):
            if not is_loopback(server.strip().rpartition(":")[0]):
                raise LlamaError(
                    f"{server[:100]} is not on this machine, and --bootstrap-servers speaks "
                    "without encryption; leave it out to listen to GCN"
                )
        return config | {"bootstrap.servers": bootstrap_servers, "security.protocol": "plaintext"}
    missing = [name for name in SECRETS if not secret(name)]
    if missing:
        raise LlamaError(
            f"{' and '.join(missing)} not set; make a client at https://gcn.nasa.gov/quickstart "
            "and give its id and secret in the environment, or to systemd by LoadCredential"
        )
    return config | {
        "domain": settings.domain,
        "client_id": secret("GCN_CLIENT_ID"),
        "client_secret": secret("GCN_CLIENT_SECRET"),
    }


def redacted(text: str) -> str:
    """Return `text` without client id and secret."""
    for name in SECRETS:
        value = secret(name)
        text = text.replace(value, "***") if value else text
    return text


class _OncePerMinute(logging.Filter):
    """A broker that is away is worth a line a minute, not twenty a second; no line has secrets."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        kind = re.sub(r"[0-9]+", "#", record.msg)[:200]
        now = time.monotonic()
        if now - self._last.get(kind, -60.0) < 60:
            return False
        if len(self._last) > 1000:
            self._last.clear()
        self._last[kind] = now
        return True


def client_log() -> logging.Logger:
    logger = logging.getLogger("llama.kafka")
    if not logger.filters:
        logger.addFilter(_OncePerMinute())
    return logger
