"""Alarms of the listener and the fleet in a Slack channel; neither ever waits for Slack."""

import logging
import queue
import socket
import threading

import tenacity

from llama.errors import LlamaError
from llama.publish.slack import Slack

_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_PATIENCE_S = 86_400.0  # what silences GCN may silence Slack

log = logging.getLogger("llama.listen")


class SlackAlarm:
    """Call it with a sentence; a thread posts it, in order, and repeats it until Slack takes it.

    `of` is what it is about. Without SLACK_TOKEN there is an error in the log and nothing else:
    hearing matters more.
    """

    def __init__(self, channel: str, of: str = "listener") -> None:
        self._of = of
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._problem: str | None = None
        try:
            slack = Slack(channel)
        except LlamaError as error:
            log.error("no alarms in Slack: %s", error)
            return
        threading.Thread(target=self._post, args=(slack,), daemon=True).start()

    def __call__(self, sentence: str) -> None:
        """Have a sentence posted."""
        self._waiting.put(f"LLAMA's {self._of} on {socket.gethostname()}: {sentence}")

    def _post(self, slack: Slack) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(LlamaError),
            wait=tenacity.wait_exponential(multiplier=_PAUSE_S, max=_LONGEST_PAUSE_S),
            stop=tenacity.stop_after_delay(_PATIENCE_S),
            before_sleep=self._tell_once,
        )
        while True:
            text = self._waiting.get()
            try:
                retrying(slack.say, text)
                self._problem = None
            except tenacity.RetryError:
                log.error("given up: this alarm was not posted in Slack: %s", text)
            except Exception:  # the next alarm shall come all the same
                log.exception("a defect of LLAMA: this alarm was not posted in Slack: %s", text)

    def _tell_once(self, attempt: tenacity.RetryCallState) -> None:
        error = str(attempt.outcome.exception()) if attempt.outcome else ""
        if error != self._problem:
            self._problem = error
            log.warning("an alarm waits for Slack: %s", error)
