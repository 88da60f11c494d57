"""Snakemake as a process beside us: what it is asked, and what it says."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from llama.errors import LlamaError
from llama.event.find import EventRef
from llama.graceid import EVENT_PATTERN
from llama.layout import find_workflow, path_variable, snakemake
from llama.settings.load import find_config

_FAILED_RULE = re.compile(r"^Error in rule (\w+):((?:\n {4}.*)*)", re.MULTILINE)
_KILLED = re.compile(r"died with <Signals\.(\w+): \d+>\.\n\[.*\]\nError in rule (\w+):")
_OUR_CLASS = re.compile(r"^llama\.[\w.]+: ")
_RULES_LOG = re.compile(r"^ {4}log: ([^\s,]+)", re.MULTILINE)
_OUR_ERROR = re.compile(r"^llama: (.+)", re.MULTILINE)
_MISSING = re.compile(
    r"^Missing input files for rule (\w+):.*?affected files:\s+(\S+)", re.M | re.S
)
_INPUT_FUNCTION = re.compile(
    r"^InputFunctionException in rule (\w+) .*\nError:\n\s+(.+)", re.MULTILINE
)
_OTHER_ERROR = re.compile(r"^(\w*(?:Error|Exception)\b.*(?:\n\S.*)?)", re.MULTILINE)


class Workflow:
    """The workflow with the settings in force, for events such as current_run/S190425z."""

    def __init__(self, output_dir: Path) -> None:
        found = find_config()
        self._output_dir = output_dir
        self._workflow = find_workflow()
        self._settings = {} if found is None else {"LLAMA_CONFIG": str(found.resolve())}

    def make(self, directory: str) -> "subprocess.Popen[bytes]":
        """Start making every product of an event; messages go to its `log`."""
        log = self.log(directory)
        return self._start([f"{directory}/all", "--quiet", "host", "reason"], log, log)

    def summarise(
        self, directories: Sequence[str], out: Path, log: Path
    ) -> "subprocess.Popen[bytes]":
        """Start writing the state of every product to `out`; see `outdated`."""
        targets = [f"{directory}/all" for directory in directories]
        return self._start([*targets, "--summary"], out, log)

    def _start(self, words: list[str], out: Path, log: Path) -> "subprocess.Popen[bytes]":
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with out.open("wb") as stdout, log.open("wb") as stderr:
                return subprocess.Popen(
                    snakemake(self._workflow, *words),
                    cwd=self._output_dir,
                    env=os.environ | self._settings | {"PATH": path_variable()},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout if out != log else stderr,
                    stderr=stderr,
                    # Ctrl-C is for us; we tell our children
                    start_new_session=True,
                )
        except OSError as error:
            raise LlamaError(f"cannot start snakemake: {error}; see {log}") from error

    def log(self, directory: str) -> Path:
        """Return where the messages about an event go."""
        return self._output_dir / EventRef.parse(directory).logs / "llamad-snakemake.log"

    def reason(self, log: Path) -> str:
        """Return in one sentence why the run that wrote `log` failed."""
        text = log.read_text(encoding="utf-8", errors="replace")
        if ours := _OUR_ERROR.findall(text):
            return str(ours[-1])
        if failed := _FAILED_RULE.search(text):
            rule, block = failed.groups()
            if (killed := _KILLED.search(text)) and killed[2] == rule:
                return f"{rule} was ended by {killed[1]}"
            named = _RULES_LOG.search(block)
            path = self._output_dir / (named[1] if named else "")
            if path.is_file() and (said := path.read_text(errors="replace").strip()):
                return f"{rule}: {_OUR_CLASS.sub('', said.splitlines()[-1])}"
            return f"{rule} failed; see {log}"
        if missing := _MISSING.search(text):
            return f"{missing[1]}: {missing[2]} is not there and no rule makes it; put it back"
        if failed := _INPUT_FUNCTION.search(text):
            return f"{failed[1]}: {failed[2]}; see {log}"
        if other := _OTHER_ERROR.search(text):
            return f"{' '.join(other[1].split())[:300]}; see {log}"
        return f"snakemake failed; see {log}"


def outdated(summary: str) -> set[str]:
    """Return the events, such as current_run/S190425z, of which a product is missing or old."""
    found = set()
    for line in summary.splitlines():
        match = re.match(rf"((?:events|past_runs/[^/]+)/{EVENT_PATTERN})/", line)
        if match and line.endswith("\tupdate pending"):
            found.add(EventRef.parse(match[1]).directory)
    return found
