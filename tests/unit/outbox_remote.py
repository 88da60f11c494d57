"""A model of a remote that does all that remotes do, for the outbox."""

import random

from llama.errors import LlamaError
from llama.publish import outbox
from llama.publish.outbox import Found, NotSentError, Post


class Remote:
    """Takes messages, shows them late, loses answers; never drops a message that it has twice."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Post]] = []
        self.under_way: list[tuple[float, str, Post]] = []
        self.outcomes: list[str] = []
        self.now = 1e9
        self.ahead_s = 0.0  # of the clock of the machine that sends
        self.asked: list[str] = []

    def at(self, destination: str) -> "Door":
        return Door(self, destination)

    def settle(self) -> None:
        """What is on its way arrives in time, before the outbox may look for it."""
        for entry in [entry for entry in self.under_way if entry[0] <= self.now]:
            self.under_way.remove(entry)
            self.taken.append(entry[1:])


class Door:
    def __init__(self, remote: Remote, destination: str) -> None:
        self.remote, self.destination = remote, destination

    def find(self, post: Post) -> Found | None:
        remote = self.remote
        remote.asked.append(self.destination)
        if remote.outcomes[:1] == ["cannot be asked"]:
            remote.outcomes.pop(0)
            raise LlamaError("502")
        remote.settle()
        for number, (destination, known) in enumerate(remote.taken):
            if (destination, known.key) == (self.destination, post.key):
                return Found(str(number))
        return None

    def send(self, post: Post) -> str:
        remote = self.remote
        remote.asked.append(self.destination)
        outcome = remote.outcomes.pop(0) if remote.outcomes else "ok"
        if outcome == "refused":
            raise NotSentError("429")
        if outcome == "comes later":
            late_s = random.Random(remote.now).uniform(0, outbox.SETTLE_S - 1)
            remote.under_way.append((remote.now + late_s, self.destination, post))
        elif outcome in ("ok", "answer lost"):
            remote.taken.append((self.destination, post))
        if outcome != "ok":
            raise LlamaError(outcome)
        return str(len(remote.taken) - 1)
