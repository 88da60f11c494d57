"""What the texts tell an operator to type: every console block runs, every command is described.

How console blocks are written is told in console.py; what they run on in operators_home.py. Each
chapter of the manual has a machine of its own, with one event and one small study.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console import Shell, chapters, is_as_shown
from operators_home import services
from workspace import REPOSITORY

from llama.cli.main import _formerly, build_parser
from llama.cli.skymap_info import build_parser as skymap_info_parser

DOCS = REPOSITORY / "docs"
RUN = (DOCS / "manual.md", DOCS / "tutorial.md", REPOSITORY / "README.md")
TEXTS = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
STEPS = [(path.name, name) for path in RUN for name in chapters(path)]


@pytest.mark.parametrize(("text", "chapter"), STEPS)
def test_every_command_runs(
    text: str, chapter: str, moved_in: Path, tmp_path: Path, s3: Any, s3_endpoint: str
) -> None:
    (path,) = (path for path in RUN if path.name == text)
    home = Path(shutil.copytree(moved_in, tmp_path / "home", symlinks=True))
    as_cloned = path.name != "manual.md"
    with (
        services(home, tmp_path, s3, s3_endpoint, as_cloned) as environment,
        Shell(home / "llama", environment, tmp_path) as shell,
    ):
        for step in chapters(path)[chapter]:
            code, printed = shell.type(step)
            where = f"{text}:{step.line}\n$ {step.command}\n{printed}"
            assert code == 0, f"exit code {code} of {where}"
            assert is_as_shown(step, printed, home), f"other output than shown, {where}"
            assert "Traceback" not in printed, where


def _commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield words, parser
    for action in inner:
        for name, child in action.choices.items():
            yield from _commands(child, (*words, name))


COMMANDS = dict(_commands(build_parser(), ("llama",)))
COMMANDS[("skymap_info",)] = skymap_info_parser()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_described(command: tuple[str, ...]) -> None:
    words = " ".join(command)
    # `llama dev dv -p PATTERN init` and `llama cron install | show` name them too
    pattern = re.compile(r"\b" + r"(?: -\w \S+)? (?:[\w-]+ \| )*".join(map(re.escape, command)))
    assert any(pattern.search(" ".join(path.read_text().split())) for path in TEXTS), words


def _typed(text: str) -> Iterator[str]:
    """Yield what a text shows as typed: inline code, indented lines and console blocks."""
    yield from re.findall(r"`((?:llama|skymap_info) [^`]+)`", text)
    yield from re.findall(r"(?m)^(?:    |\$ )(?:\$ )?((?:llama|skymap_info) .+)$", text)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_option_exists(path: Path) -> None:
    for typed in _typed(path.read_text()):
        line = re.split(r"\s#|[|;&]", re.sub(r"'[^']*'", "X", " ".join(typed.split())))[0]
        words = line.split()
        command = max(
            (known for known in COMMANDS if _is_called(known, words)), key=len, default=None
        )
        group = any(list(known[: len(words)]) == words for known in COMMANDS)
        known = command or group or "[" in line or _formerly(words[1:])
        assert known, f"{path.name}: there is no command {line!r}"
        if command and command != ("llama", "snakemake"):  # what follows there is Snakemake's
            options = {option for a in COMMANDS[command]._actions for option in a.option_strings}
            given = set(re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", line))
            unknown = {o for o in given if o not in options and o != "-p"}
            assert not unknown, f"{path.name}: {line!r} has {unknown}"


def _is_called(command: tuple[str, ...], words: list[str]) -> bool:
    """Tell whether `words` begin with a command, options of its groups in between left aside."""
    left = list(command)
    for word in words:
        if left and word == left[0]:
            left.pop(0)
    return words[:1] == [command[0]] and not left


def test_symptoms_are_in_our_words() -> None:
    """What the manual quotes under troubleshooting is what the code says."""
    sources = [*(REPOSITORY / "scripts").rglob("*.py"), *(REPOSITORY / "rules").glob("*.smk")]
    # literals that are continued on the next line are one
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in sources))
    table = (DOCS / "manual.md").read_text().partition("| symptom |")[2]
    symptoms = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    quoted = [text for cell in symptoms for text in re.findall(r"`([^`]+)`", cell) if " " in text]
    quoted = [text for text in quoted if not text.startswith("llama ")]
    assert len(quoted) > 8
    for text in quoted:
        assert text in said, text
