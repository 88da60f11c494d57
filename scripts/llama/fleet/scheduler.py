"""What commands of Slurm and HTCondor have in common: a scheduler that is away is waited for."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llama.errors import LlamaError

PATIENCE_S = 900.0


class SchedulerError(LlamaError):
    """A command of the scheduler has refused."""


class AwayError(SchedulerError):
    """The scheduler does not answer; whether anything was done is unknown."""


class Scheduler(NamedTuple):
    """Its name in sentences, where its commands come from, and what they say when it is away."""

    name: str
    install: str
    away: re.Pattern[str]
    remedy: str

    def ask(self, *words: str, stdin: str = "") -> str:
        """Run one of its commands once and return what it prints."""
        try:
            done = subprocess.run(
                words,
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=120,
            )
        except FileNotFoundError as error:
            raise SchedulerError(
                f"there is no {words[0]} on this machine; {self.install}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise AwayError(f"{self.name} does not answer {words[0]}") from error
        if done.returncode == 0:
            return done.stdout
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        if self.away.search(done.stderr):
            raise AwayError(f"{self.name} is away ({said}); {self.remedy}")
        raise SchedulerError(f"{words[0]} refuses: {said}")

    def ask_patiently(
        self,
        *words: str,
        stdin: str = "",
        patience_s: float = PATIENCE_S,
        before: Callable[[], str | None] = lambda: None,
    ) -> str:
        """Run a command until it is answered; `before` may tell that it is done already.

        `before` is called before each attempt; when it returns a text, that is the answer.
        """
        import tenacity

        def attempt() -> str:
            done = before()
            return self.ask(*words, stdin=stdin) if done is None else done

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(AwayError),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=tenacity.stop_after_delay(patience_s),
            reraise=True,
        )
        return retrying(attempt)

    def submit(
        self, *words: str, stdin: str = "", there: Callable[[], str | None] = lambda: None
    ) -> str:
        """Queue a job for Snakemake and return the answer; `there` tells that it is queued already.

        `SchedulerError` without a job once the Snakemake that wants it is our parent no more; the
        profiles tell its number as LLAMA_SNAKEMAKE, since it can end before we can ask.
        """
        parent = int(os.environ.get("LLAMA_SNAKEMAKE") or os.getppid())

        def before() -> str | None:
            if os.getppid() != parent:
                raise SchedulerError(
                    "Snakemake has ended, so that its job is not submitted; run it again"
                )
            return there()

        return self.ask_patiently(*words, stdin=stdin, before=before)


def answer_snakemake(
    words: Sequence[str], submitted: Callable[[Sequence[str]], str], state: Callable[[str], str]
) -> int:
    """Print what Snakemake asks for, and return the exit code.

    `words` are `submit` and what the job is, or `status` and its number.
    """
    try:
        asked = words[:1] == ["status"]
        print(state(words[1]) if asked else submitted(words[1:]))  # noqa: T201
    except LlamaError as error:
        sys.stderr.write(f"llama: {error}\n")
        time.sleep(1)  # Snakemake tries again at once
        return 1
    return 0
