"""From a settings file, or Snakemake's `config`, to checked settings."""

import os
from pathlib import Path
from typing import Any

import yaml

from llama.errors import LlamaError
from llama.settings.model import Settings
from llama.settings.problems import Problem, find_problems, lines_to_paste


def load(path: str | os.PathLike[str] | None = None) -> Settings:
    """Return the settings of `path`, else of `$LLAMA_CONFIG`, else of the clone, else the defaults.

    The clone is the working directory when it holds Snakefile and config.yaml, else the one that
    the package is installed from. `LlamaError` with the lines to paste when anything is wrong.
    """
    found = Path(path) if path else find_config()
    return from_dict(read_config(found), str(found)) if found else Settings()


def find_config() -> Path | None:
    """Return the settings file that `load` reads when it is given none, or None."""
    given = os.environ.get("LLAMA_CONFIG")
    if given:
        return Path(given)
    candidates = (Path.cwd(), clone_directory())
    return next((clone / "config.yaml" for clone in candidates if _is_clone(clone)), None)


def clone_directory() -> Path:
    """Return the directory that is the clone's top when the package is installed from a clone."""
    return Path(__file__).resolve().parents[3]


def find_clone() -> Path:
    """Return the clone whose workflow runs: the working directory, else the package's own.

    `LlamaError` when neither is a clone.
    """
    for clone in (Path.cwd(), clone_directory()):
        if _is_clone(clone):
            return clone
    raise LlamaError("this is no clone of LLAMA; run the command in the directory of its Snakefile")


def read_config(path: Path) -> dict[str, Any]:
    """Return a settings file's nested data, unchecked.

    `LlamaError` if it cannot be read, or names a setting twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        top = loader.get_single_node()
        repeated = _repeated_keys(top)
        content: Any = None if top is None else loader.construct_document(top)
    except OSError as error:
        raise LlamaError(
            f"cannot read the settings in {path} ({error.strerror}); "
            "correct the path, or $LLAMA_CONFIG if it names it"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "a character that is not UTF-8"
        raise LlamaError(
            f"{path} is not valid YAML{line} ({reason}); "
            "correct it, or print fresh settings with python -m llama.settings"
        ) from error
    if repeated:
        raise LlamaError(f"{path} has {'; '.join(repeated)}; leave one line of each")
    if content is not None and not isinstance(content, dict):
        raise LlamaError(
            f"{path} holds no settings; print fresh ones with python -m llama.settings"
        )
    return content or {}


def _repeated_keys(top: yaml.Node | None) -> list[str]:
    """Return `search.fb in lines 12 and 40` for every key that replaces an earlier one."""
    found: list[str] = []
    waiting: list[tuple[str, yaml.Node | None]] = [("", top)]
    seen: list[yaml.Node] = []  # an anchor may lead back
    while waiting:
        prefix, node = waiting.pop()
        if not isinstance(node, yaml.MappingNode) or node in seen:
            continue
        seen.append(node)
        lines: dict[str, list[str]] = {}
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            lines.setdefault(name, []).append(str(key.start_mark.line + 1))
            waiting.append((f"{name}.", value))
        found += [
            f"{name} in lines {' and '.join(at)}" for name, at in lines.items() if len(at) > 1
        ]
    return sorted(found)


def from_dict(raw: dict[str, Any], source: str = "config.yaml") -> Settings:
    """Return checked settings of nested data, such as Snakemake's `config`.

    Every key must be there and none besides, in the file or in `--config`; `source` names the
    file in the `LlamaError`, which holds a sentence per problem and the lines to paste.
    """
    problems = find_problems(raw)
    if problems:
        raise LlamaError(_message(source, problems))
    settings = Settings.model_validate(raw)
    try:
        os.fsencode(settings.output_dir)
    except UnicodeEncodeError as error:
        raise LlamaError(
            f"output_dir {settings.output_dir} has letters that cannot be written in this locale "
            f"({error.encoding}); export PYTHONUTF8=1, or choose a directory without them"
        ) from error
    return settings


def _message(source: str, problems: list[Problem]) -> str:
    message = f"{source} needs to be corrected:\n"
    message += "".join(f"  - {problem.sentence}\n" for problem in problems)
    lines = lines_to_paste(problems)
    if lines:
        message += f"Paste these lines in the place of the wrong or missing ones:\n\n{lines}"
    return message.rstrip("\n")


def _is_clone(directory: Path) -> bool:
    return (directory / "Snakefile").is_file() and (directory / "config.yaml").is_file()
