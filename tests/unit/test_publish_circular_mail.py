"""A circular goes by mail when a human has reviewed it, asked for it, and typed YES; and once."""

import email
import email.policy
import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from publish_samples import GRACEID, Crash, Killed, make_event, revise

from llama.cli.main import main
from llama.event.flags import write_flags
from llama.event.skymap_info import unchecked_info
from llama.publish import circular_mail, outbox
from llama.settings import default_yaml

TEXT = (
    f"SUBJECT: [TEST] {GRACEID}: one neutrino from a search\n\nThe LLAMA team reports:\n\n5 µs.\n"
)
EVENT = f"events/{GRACEID}"


class Inbox:
    """What has arrived; can refuse, or vanish before or after it has taken a mail."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.fault: str | None = None
        self.port = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        fault, self.fault = self.fault, None
        if fault == "refuse":
            return "550 not from you"
        if fault != "drop":
            self.mails.append((envelope.rcpt_tos, envelope.content))
        if fault in ("drop", "lost"):
            server.transport.close()
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        inbox.port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=inbox.port)
    controller.start()
    yield inbox
    controller.stop()


Send = Callable[..., int]


@pytest.fixture
def send(inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Give the command; `answer` is what is typed."""
    config = tmp_path / "config.yaml"
    text = default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}")
    text = text.replace("mail_server: null", f'mail_server: "127.0.0.1:{inbox.port}"')
    text = text.replace("mail_from: null", "mail_from: shift@example.org")
    real, test = text.split("\n  test:\n")
    real = real.replace("circular: null", "circular: circulars@gcn.example")
    test = test.replace("circular: null", "circular: rehearsal@example.org", 1)
    config.write_text(f"{real}\n  test:\n{test}")
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    event = make_event(tmp_path / "current_run")
    (event / circular_mail.FILE_NAME).write_text(TEXT)

    def send(*options: str, answer: str = "YES") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
        return main(["publish", EVENT, "--circular-by-email", *options])

    return send


def test_it_goes_after_yes_and_once(inbox: Inbox, send: Send, capsys: Any, tmp_path: Path) -> None:
    assert send("--dry-run") == 0
    assert send(answer="yes") == 1
    assert "type YES" in capsys.readouterr().err
    assert inbox.mails == []
    assert send() == 0
    assert send() == 0
    ((to, content),) = inbox.mails
    mail = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert to == ["rehearsal@example.org"]
    assert mail["Subject"] == f"[TEST] {GRACEID}: one neutrino from a search"
    assert mail["From"] == "shift@example.org"
    assert mail.get_content_type() == "text/plain"
    assert "5 µs." in mail.get_content()
    (tmp_path / "current_run" / GRACEID / "gcn_circular.txt").write_text(TEXT + "Corrected.\n")
    assert send() == 0
    assert len(inbox.mails) == 2


def test_a_lost_answer_needs_the_operators_word(inbox: Inbox, send: Send, capsys: Any) -> None:
    inbox.fault = "lost"
    assert send() == 1
    assert send() == 1
    assert "--not-arrived" in capsys.readouterr().err
    assert send("--arrived") == 0
    assert len(inbox.mails) == 1
    assert send() == 0
    assert len(inbox.mails) == 1


def test_a_mail_that_never_arrived_is_sent_again_on_the_operators_word(
    inbox: Inbox, send: Send
) -> None:
    inbox.fault = "drop"
    assert send() == 1
    assert send() == 1
    assert inbox.mails == []
    assert send("--not-arrived") == 0
    assert len(inbox.mails) == 1


def test_a_refused_mail_may_be_sent_again_at_once(inbox: Inbox, send: Send, capsys: Any) -> None:
    inbox.fault = "refuse"
    assert send() == 1
    assert "refused (550)" in capsys.readouterr().err
    assert send() == 0
    assert len(inbox.mails) == 1


def test_killed_at_every_step_it_is_there_once(
    inbox: Inbox, send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(12):
        inbox.mails.clear()
        directory = tmp_path / "current_run" / GRACEID
        (directory / circular_mail.FILE_NAME).write_text(f"{TEXT}{at}\n")
        with monkeypatch.context() as patch:
            Crash(at).install(patch, circular_mail.CircularMail)
            with pytest.raises(Killed):
                send()
        word = "--arrived" if inbox.mails else "--not-arrived"
        assert send(word) == 0
        assert len(inbox.mails) == 1


def test_nobody_else_sends_it(inbox: Inbox, send: Send, capsys: Any) -> None:
    assert main(["publish", EVENT]) == 1
    assert "no channel has a destination" in capsys.readouterr().err
    assert inbox.mails == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# DRAFT - not sent.\n\nSUBJECT: [TEST] S240101ab\n\nx", "remove its # lines"),
        ("SUBJECT: [TEST] S240101ac\n\nx", "without S240101ab"),
        ("SUBJECT: [TEST] S240101ab\n\n", "has no text"),
        ("SUBJECT: LVK S240101ab: x\n\nx", "does not call a test event TEST"),
        ("SUBJECT: [TEST] S240101ab\n\n[reporting collaboration] reports", "who reports"),
        ("SUBJECT: [TEST] S240101ab\n\n" + "x" * 70_000, "too long"),
    ],
)
def test_a_text_that_is_not_ready(
    inbox: Inbox, send: Send, tmp_path: Path, capsys: Any, text: str, says: str
) -> None:
    (tmp_path / "current_run" / GRACEID / circular_mail.FILE_NAME).write_text(text)
    assert send() == 1
    assert says in capsys.readouterr().err
    assert inbox.mails == []


def test_vetoes_hold_for_mail_too(inbox: Inbox, send: Send, tmp_path: Path, capsys: Any) -> None:
    write_flags(tmp_path / "current_run" / GRACEID, {"ROLE": "observation"})
    assert send() == 1
    assert "the flag UPLOAD is false" in capsys.readouterr().out
    revise(tmp_path / "current_run" / GRACEID, retracted=True)
    write_flags(tmp_path / "current_run" / GRACEID, {"UPLOAD": True})
    assert send() == 1
    assert "nothing had been published" in capsys.readouterr().out
    assert inbox.mails == []


def test_a_real_event_needs_a_real_subject() -> None:
    from llama.errors import LlamaError
    from llama.publish.result import Result

    real = Result(Path(), unchecked_info({"graceid": GRACEID}), real=True)
    check = circular_mail.check_circular
    good = f"LIGO/Virgo/KAGRA {GRACEID}: no neutrino"
    check(circular_mail.Circular(Path(), good, "text\n"), real)
    for subject, body in (
        (good, "a TEST\n"),
        (f"{GRACEID}: no", "x"),
        (f"[TEST] LVK {GRACEID}", "x"),
    ):
        with pytest.raises(LlamaError):
            check(circular_mail.Circular(Path(), subject, body), real)


def test_a_circular_is_taken_back_whatever_flags_say(
    inbox: Inbox, send: Send, tmp_path: Path, capsys: Any
) -> None:
    event = tmp_path / "current_run" / GRACEID
    assert send() == 0
    write_flags(event, {"VETOED": True, "ONLINE": False})
    revise(event, retracted=True)
    (event / circular_mail.FILE_NAME).write_text(f"SUBJECT: [TEST] {GRACEID}: retraction\n\nNo.\n")
    assert send("--dry-run") == 0
    assert "this would go to rehearsal@example.org (test)" in capsys.readouterr().err
    assert send() == 0
    assert "withdrawn to rehearsal@example.org" in capsys.readouterr().out
    assert [b"retraction" in content for _, content in inbox.mails] == [False, True]
