"""The Kafka client: encrypted to GCN, else only to this machine, and no secret is told."""

import logging

import pytest

from llama.errors import LlamaError
from llama.listening.kafka import client_config, client_log, redacted
from llama.processes import log_to
from llama.settings.model import Listen

SECRET = "the-secret-of-the-test"  # noqa: S105


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("GCN_CLIENT_ID", "GCN_CLIENT_SECRET", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("given", [{}, {"GCN_CLIENT_ID": "x"}, {"GCN_CLIENT_SECRET": SECRET}])
def test_without_client_id_and_secret_nothing_is_tried(monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LlamaError, match="not set; make a client at https://gcn") as caught:
        client_config(Listen(), None)
    assert SECRET not in str(caught.value)
    assert all(name not in str(caught.value).split(" not set")[0] for name in given)


def test_secrets_come_from_the_environment_or_from_systemd(monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(LlamaError, match="GCN_CLIENT_ID and GCN_CLIENT_SECRET not set"):
        client_config(Listen(), None)
    (tmp_path / "gcn_client_id").write_text("id of systemd\n")
    (tmp_path / "gcn_client_secret").write_text(f"{SECRET}\n")
    config = client_config(Listen(), None)
    assert (config["client_id"], config["client_secret"]) == ("id of systemd", SECRET)
    monkeypatch.setenv("GCN_CLIENT_ID", "id of the environment")
    config = client_config(Listen(domain="test.gcn.nasa.gov"), None)
    assert (config["client_id"], config["domain"]) == ("id of the environment", "test.gcn.nasa.gov")
    assert "security.protocol" not in config  # gcn-kafka's, which is encrypted
    (tmp_path / "gcn_client_secret").unlink()
    (tmp_path / "gcn_client_secret").mkdir()
    with pytest.raises(LlamaError, match="correct LoadCredential"):
        client_config(Listen(), None)


def test_gcn_kafka_encrypts_what_it_is_given(monkeypatch):
    from gcn_kafka.core import get_config

    monkeypatch.setenv("GCN_CLIENT_ID", "x")
    monkeypatch.setenv("GCN_CLIENT_SECRET", SECRET)
    config = get_config("consumer", client_config(Listen(), None))
    assert config["security.protocol"] == "sasl_ssl"
    assert config["bootstrap.servers"] == "kafka.gcn.nasa.gov"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9092", "localhost:1", "[::1]:9", "127.0.0.1:1,127.0.0.2:2"]
)
def test_brokers_of_this_machine_need_no_secret(host):
    config = client_config(Listen(), host)
    assert (config["bootstrap.servers"], config["security.protocol"]) == (host, "plaintext")


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1:9092", "kafka.example:9092", "127.0.0.1:1,192.0.2.1:2", "x", "127.0.0.1.x:1"],
)
def test_other_brokers_are_refused(host):
    with pytest.raises(LlamaError, match="is not on this machine"):
        client_config(Listen(), host)


def test_the_environment_tunes_the_client_but_not_where_it_goes_or_what_it_commits(monkeypatch):
    monkeypatch.setenv("KAFKA_SESSION_TIMEOUT_MS", "6000")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "192.0.2.1:9092")
    monkeypatch.setenv("KAFKA_ENABLE_AUTO_OFFSET_STORE", "true")
    monkeypatch.setenv("GCN_CLIENT_ID", "x")
    monkeypatch.setenv("GCN_CLIENT_SECRET", SECRET)
    config = client_config(Listen(group_id="mine"), None)
    assert config["session.timeout.ms"] == "6000"
    assert "bootstrap.servers" not in config
    assert config["enable.auto.offset.store"] is False
    assert config["group.id"] == "mine"


def test_no_secret_reaches_the_log_and_a_line_comes_once_a_minute(monkeypatch, tmp_path):
    monkeypatch.setenv("GCN_CLIENT_SECRET", SECRET)
    assert redacted(f"token for {SECRET} refused") == "token for *** refused"
    root = logging.getLogger("llama")
    before = root.handlers[:]
    try:
        log_to(tmp_path / "logs" / "gcn.log")
        for port in range(50):
            client_log().error("port %d: %s is wrong", port, SECRET)
        client_log().error("something else")
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
    lines = (tmp_path / "logs" / "gcn.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ERROR port 0: *** is wrong",
        "ERROR something else",
    ]
