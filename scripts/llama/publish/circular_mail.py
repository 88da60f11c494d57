"""A reviewed circular by e-mail: only by a command, and only a text that a human has made.

Nobody can be asked whether a mail has arrived, so that after a broken connection the operator has
to look, and to say what is there.
"""

import email.policy
import re
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from llama.errors import LlamaError
from llama.publish.circular import subject_is_accepted
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.secrets import secret
from llama.settings.places import is_loopback

TIMEOUT_S = 30.0
FILE_NAME = "gcn_circular.txt"
DRAFT_NAME = "gcn_circular_draft.txt"
_MAX_CHARACTERS = 65_536


@dataclass(frozen=True)
class Circular:
    """A text that a human has reviewed: where it is, subject and body."""

    path: Path
    subject: str
    body: str


def read_circular(path: Path) -> Circular:
    """Return the reviewed text; `LlamaError` for one that is not ready."""
    if not path.exists():
        raise LlamaError(
            f"{path} is not there; copy {DRAFT_NAME} to it, read it, correct it, and remove the "
            "lines that begin with #"
        )
    text = path.read_text(encoding="utf-8").strip()
    first, _, body = text.partition("\n")
    _require(path, first.startswith("SUBJECT:"), "does not begin with SUBJECT:, remove its # lines")
    _require(path, bool(body.strip()), "has no text")
    _require(path, len(text) <= _MAX_CHARACTERS, "is too long for a circular")
    _require(path, "[reporting collaboration]" not in text, "does not say who reports")
    return Circular(path, first.removeprefix("SUBJECT:").strip(), body.strip() + "\n")


def check_circular(circular: Circular, result: Result) -> None:
    """Raise `LlamaError` for a text that is not about the event, or not about what it is."""
    path, subject = circular.path, circular.subject
    words = f"{subject} {circular.body}".upper()
    _require(path, result.info.graceid in subject, f"has a subject without {result.info.graceid}")
    if result.real:
        _require(path, subject_is_accepted(subject), "has a subject that GCN refuses")
        _require(path, not re.search(r"\bTEST\b", words), "calls a real event a test")
    else:
        _require(path, "TEST" in subject, "does not call a test event TEST")


def _require(path: Path, is_good: bool, problem: str) -> None:
    if not is_good:
        raise LlamaError(f"{path} {problem}; correct it")


def build(circular: Circular, sender: str) -> Callable[[Result, str, str, str | None], bytes]:
    """Return what makes the mail, with a Message-ID that is the same at every attempt."""

    def make(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
        check_circular(circular, result)
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["Subject"] = sender, circular.subject
        mail["Message-ID"] = f"<{key}@{sender.rpartition('@')[2]}>"
        mail.set_content(
            circular.body, cte="7bit" if circular.body.isascii() else "quoted-printable"
        )
        return mail.as_bytes()

    return make


class CircularMail:
    """The mail server HOST:PORT; `is_there` is the operator's word about a mail tried before."""

    def __init__(self, destination: str, server: str, is_there: bool | None) -> None:
        self._to, self._is_there = destination, is_there
        self._host, _, port = server.rpartition(":")
        self._port = int(port)

    def find(self, post: Post) -> Found | None:
        """Return the Message-ID if the operator has seen the mail; `LlamaError` if nobody knows."""
        if not post.tried:
            return None
        if self._is_there is None:
            raise LlamaError(
                "a mail was tried before and the answer got lost; look whether the circular is in "
                "GCN's archive or came back to you, then give the same command with --arrived or "
                "--not-arrived"
            )
        return Found(self._identity(post)) if self._is_there else None

    def send(self, post: Post) -> str:
        """Hand the mail to the server; `NotSentError` when it was not taken."""
        mail = BytesParser(policy=email.policy.SMTP).parsebytes(post.payload)
        sender, tried, taken = str(mail["From"]), False, False
        try:
            # a name for HELO: without it smtplib asks DNS about this machine
            name = sender.rpartition("@")[2]
            with smtplib.SMTP(self._host, self._port, name, timeout=TIMEOUT_S) as server:
                self._secure(server)
                tried = True  # from here on a broken connection says nothing
                to = b"To: " + self._to.encode() + b"\r\n"
                server.sendmail(sender, [self._to], to + post.payload)
                taken = True  # what comes after it, such as a refused QUIT, changes nothing
        except (OSError, smtplib.SMTPException) as error:
            if not taken:
                raise self._error(error, tried) from None
        return self._identity(post)

    def _error(self, error: Exception, tried: bool) -> LlamaError:
        server = f"the mail server {self._host}:{self._port}"
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 400:
            return NotSentError(f"{server} refused ({error.smtp_code}); {_LATER}")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return NotSentError(f"{server} refused {self._to}; {_LATER}")
        what = f"{server} cannot be reached or broke off ({type(error).__name__}); "
        if tried:
            return LlamaError(f"{what}give the command again, it says what to look for")
        return NotSentError(what + _LATER)

    def _secure(self, server: smtplib.SMTP) -> None:
        if not is_loopback(self._host):
            server.starttls(context=ssl.create_default_context())
            user, password = secret("LLAMA_MAIL_USER"), secret("LLAMA_MAIL_PASSWORD")
            if user:
                server.login(user, password)

    def _identity(self, post: Post) -> str:
        found = re.search(rb"^Message-ID: (<\S+>)", post.payload, re.MULTILINE)
        return found[1].decode() if found else post.key


_LATER = "nothing was sent; correct it and give the command again"
