"""Console blocks of a text: found, typed into one shell, and what is shown compared.

A fenced block ```console is typed line by line: `$ ` begins a command, `\\` at its end continues it
on the next line; comments are the shell's. Every command must end with exit code 0; one that
shall fail says so itself: `$ llama listen status; echo $?`. Lines below a command are its output,
both streams, compared with what is printed when there are any:

- `...` alone stands for any lines, within a line for any text;
- numbers, dates and hashes are all alike, and so are blanks in any number;
- the home directory is `~`;
- what follows a question (`[y/N]`, `Type YES:`) is typed as its answer.

Other blocks, indented ones above all, are not run.
"""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 300  # for one command, on a machine that does much else
_QUESTION = re.compile(r"(.*(?:\[y/N\]|Type YES:)) (\S+)")


@dataclass
class Step:
    """A command of a text, at a line of it, and what is shown below it."""

    line: int
    command: str
    shown: list[str] = field(default_factory=list)

    @property
    def answers(self) -> str:
        found = (_QUESTION.fullmatch(line) for line in self.shown)
        return "".join(f"{match[2]}\n" for match in found if match)


def chapters(path: Path) -> dict[str, list[Step]]:
    """Return the steps below each heading `## ` of the manual; other texts are one chapter."""
    found: dict[str, list[Step]] = {}
    steps = found.setdefault("all", [])
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = not inside and line == "```console"
        elif not inside:
            if line.startswith("## ") and path.name == "manual.md":
                steps = found.setdefault(line.removeprefix("## "), [])
        elif line.startswith("$ "):
            steps.append(Step(number, line.removeprefix("$ ")))
        elif steps and steps[-1].command.endswith("\\") and not steps[-1].shown:
            steps[-1].command += f"\n{line}"
        else:
            assert steps, f"{path}:{number}: a console block must begin with a command"
            steps[-1].shown.append(line)
    return {name: steps for name, steps in found.items() if steps}


class Shell:
    """One bash, as a person would use it; it ends with the block."""

    def __init__(self, directory: Path, environment: Mapping[str, str], scratch: Path) -> None:
        self.answers, self.printed = scratch / "answers", scratch / "printed"
        self.bash = subprocess.Popen(
            ["bash", "--norc"],
            cwd=directory,
            env=dict(environment) | {"PYTHONUNBUFFERED": "1"},  # both streams in order
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def type(self, step: Step) -> tuple[int, str]:
        """Run one command and return its exit code and what it printed."""
        self.answers.write_text(step.answers)
        redirection = f"<'{self.answers}' >'{self.printed}' 2>&1"
        assert self.bash.stdin is not None
        assert self.bash.stdout is not None
        self.bash.stdin.write(f"{{ {step.command}\n}} {redirection}; echo $?\n")
        self.bash.stdin.flush()
        watchdog = threading.Timer(PATIENCE_S, self.end)
        watchdog.start()
        answer = self.bash.stdout.readline()
        watchdog.cancel()
        return int(answer or 124), self.printed.read_text(errors="replace")

    def end(self) -> None:
        """End the shell and all that it has started, unless that has left its session."""
        if self.bash.poll() is None:
            os.killpg(self.bash.pid, signal.SIGKILL)
        self.bash.communicate()

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _alike(text: str) -> str:
    text = re.sub(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b", "0", text)
    text = re.sub(r"[+-]?[0-9]+(?:[.,:][0-9]+)*(?:e[+-]?[0-9]+)?", "0", text)
    return re.sub(r"\s+", " ", text).strip()


def _pattern(shown: list[str]) -> Iterator[str]:
    for line in shown:
        question = _QUESTION.fullmatch(line)
        text = _alike(question[1] if question else line)
        if text == "...":
            yield r"(?:.*\n)*?"
        else:
            yield ".*".join(re.escape(part) for part in text.split("...")) + "\n"


def is_as_shown(step: Step, printed: str, home: Path) -> bool:
    """Tell whether a command has printed what the text shows."""
    lines = printed.replace(str(home), "~").splitlines()
    found = "".join(f"{_alike(line)}\n" for line in lines if line.strip())
    shown = [line for line in step.shown if line.strip()]
    return not shown or re.fullmatch("".join(_pattern(shown)), found) is not None
