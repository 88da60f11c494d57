"""The audit of messages: what went out twice, what is lost, what nobody knows."""

import json
from pathlib import Path
from typing import Any

import pytest

from llama.audit.event import audit_messages
from llama.event.messages import About
from llama.files import sha256_bytes
from llama.publish.outbox import Found, Message, Outbox, Post

TARGET = "events/S240101ab/all"
HERE = "https://example.org/hook"


def send(event: Path, n: int, content: str, kind: str = "update", **changes: Any) -> None:
    """Leave what the outbox leaves of a message that was delivered."""
    directory = event / "outbox" / "webhook"
    directory.mkdir(parents=True, exist_ok=True)
    payload = f"{n} {content}".encode()
    (directory / f"{n}.json").write_bytes(payload)
    intent = {
        "n": n,
        "kind": kind,
        "destination": HERE,
        "content_sha256": sha256_bytes(content.encode()),
        "payload_sha256": sha256_bytes(payload),
    }
    (directory / f"{n}.intent.json").write_text(json.dumps(intent | changes))
    (directory / f"{n}.receipt.json").write_text(json.dumps({"remote_id": f"id {n}"}))


def tell(event: Path, *numbers: int) -> None:
    """Write the receipt that knows of some messages."""
    path = event / "receipts" / "webhook.json"
    path.parent.mkdir(exist_ok=True)
    history = [{"n": n, "destination": HERE, "remote_id": f"id {n}"} for n in numbers]
    path.write_text(json.dumps({"channel": "webhook", "history": history}))


def audit(event: Path) -> list[str]:
    found = list(audit_messages(event, TARGET))
    assert {(finding.subject, finding.check) for finding in found} <= {("S240101ab", "published")}
    return [finding.sentence for finding in found]


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """First, update, back to what was first, withdrawal, and published once more."""
    event = tmp_path / "S240101ab"
    for n, content, kind in (
        *((1, "a", "new"), (2, "b", "update"), (3, "a", "update")),
        *((4, "a", "withdrawal"), (5, "a", "new")),
    ):
        send(event, n, content, kind)
    tell(event, 1, 2, 3, 4, 5)
    return event


def test_messages_that_each_say_something_new_are_well(event: Path, tmp_path: Path) -> None:
    assert audit(event) == []
    send(event, 6, "a", destination="https://example.org/other")  # somebody else
    (event / "receipts/webhook.json").unlink()
    assert audit(event) == []
    assert audit(tmp_path / "S240101cd") == []


@pytest.mark.parametrize(("content", "kind"), [("a", "update"), ("a", "new")])
def test_the_same_twice(event: Path, content: str, kind: str) -> None:
    send(event, 6, content, kind)
    tell(event, 1, 2, 3, 4, 5, 6)
    (sentence,) = audit(event)
    assert sentence.startswith(f"webhook has told {HERE} the same twice, as id 5 and id 6; take ")


def test_a_withdrawal_twice(event: Path) -> None:
    for n in (6, 7):
        send(event, n, str(n), "withdrawal")
    tell(event, 1, 2, 3, 4, 5, 6, 7)
    assert "the same twice, as id 6 and id 7" in audit(event)[0]


def test_a_message_of_which_nobody_knows_whether_it_was_sent(event: Path) -> None:
    send(event, 6, "c")
    receipt = event / "outbox/webhook/6.receipt.json"
    receipt.unlink()
    tell(event, 1, 2, 3, 4, 5)
    found = audit(event)
    assert found[0].startswith("whether webhook has sent message 6 is not known; it is asked")
    receipt.write_text(json.dumps({"given_up": "it was not sent"}))
    assert not [sentence for sentence in audit(event) if "not known" in sentence]


def test_a_payload_that_was_changed(event: Path) -> None:
    (event / "outbox/webhook/2.json").write_text("other")
    (event / "outbox/webhook/3.json").unlink()
    assert audit(event) == [
        f"not as sent: outbox/webhook/{n}.json; put it back from a backup" for n in (2, 3)
    ]


def test_an_outbox_that_has_lost_what_the_receipt_knows(event: Path) -> None:
    for path in (event / "outbox/webhook").glob("[45].*"):
        path.unlink()
    assert audit(event) == [
        "outbox/webhook has lost message 4, 5, which may be sent again; put it back from a backup"
    ]


def test_a_receipt_that_is_behind(event: Path) -> None:
    tell(event, 1, 2, 3)
    (sentence,) = audit(event)
    assert sentence == (
        "receipts/webhook.json does not have every message; "
        f"delete it, then run: snakemake {TARGET}"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"n": "x"}', '{"history": 1}'])
def test_a_broken_file_is_named_and_not_fatal(event: Path, text: str) -> None:
    (event / "outbox/webhook/2.intent.json").write_text(text)
    (sentence,) = audit(event)
    assert sentence.startswith("outbox/webhook cannot be read (")


class Forgetful:
    """A remote that takes everything and shows nothing of it."""

    def __init__(self) -> None:
        self.count = 0

    def find(self, post: Post) -> Found | None:
        return None

    def send(self, post: Post) -> str:
        self.count += 1
        return f"id {self.count}"


def test_what_the_outbox_itself_leaves(tmp_path: Path) -> None:
    event = tmp_path / "S240101ab"
    (event / "receipts").mkdir(parents=True)
    remote, box = Forgetful(), Outbox(event, "webhook", HERE)

    def deliver(content: str, withdrawal: bool = False) -> list[str]:
        digest = sha256_bytes(content.encode())
        message = Message(digest, About(), withdrawal, lambda *words: repr(words).encode())
        with box.locked():
            box.deliver(remote, message)
        tell(event, *range(1, remote.count + 1))
        return audit(event)

    for content, withdrawal in [
        ("a", False),
        ("a", False),
        ("b", False),
        ("a", True),
        ("a", False),
    ]:
        assert deliver(content, withdrawal) == []
    assert remote.count == 4
    # a lost receipt may have been sent; the outbox asks, and this remote lies
    (event / "outbox/webhook/4.receipt.json").unlink()
    assert "message 4 is not known" in audit(event)[0]
    # the outbox loses what it sent last, and says the same again
    for path in (event / "outbox/webhook").glob("4.*"):
        path.unlink()
    assert audit(event)[0].startswith("outbox/webhook has lost message 4, which may be sent again")
    assert deliver("a")[0].startswith("outbox/webhook has lost message 4, 5, which may")
