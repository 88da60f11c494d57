"""From files and Snakemake's command line to checked settings.

The defaults count first; over them one file, which is `config.yaml` of the workflow's directory
(llama.layout) or the file that is named in its place. Over `config.yaml`, but over no other file,
`llama.yaml` in the output directory: the operator's own values, which no update touches.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from llama.errors import LlamaError, system_errors
from llama.layout import is_workflow, own_workflow
from llama.settings.block import Nested, Place, merged, pick
from llama.settings.model import Settings, leaves
from llama.settings.problems import find_problems, lines_to_paste
from llama.settings.render import defaults

OVERRIDES = "llama.yaml"


@dataclass(frozen=True)
class Layer:
    """What one source, such as a file, says over those before it."""

    source: str
    values: Nested


def load(*named: str | Path, given: Nested | None = None, workflow: Path | None = None) -> Settings:
    """Return the settings in force; the arguments are those of `layers`.

    `LlamaError` with a sentence per problem, and the lines to paste, when anything is wrong.
    """
    return settle(layers(*named, given=given, workflow=workflow))


def layers(
    *named: str | Path, given: Nested | None = None, workflow: Path | None = None
) -> list[Layer]:
    """Return what each source says, in the order of `settle`.

    The files `named` take the place of all others; without them it is the file of `$LLAMA_CONFIG`,
    else `config.yaml` of `workflow`. `given` are values of the command line.
    """
    found = find_config(workflow)
    files = [Path(path) for path in named] or ([found] if found else [])
    said = [Layer(str(path), read_config(path)) for path in files]
    last = [Layer("--config", given)] if given else []
    if all(path.name == "config.yaml" and is_workflow(path.parent) for path in files):
        own = settle(said + last).output_dir / OVERRIDES
        if own.exists() or own.is_symlink():
            values = read_config(own)
            if "output_dir" in values:
                raise LlamaError(
                    f"output_dir is set in {own}, which is read because it lies in the output "
                    "directory; set it in config.yaml, or in a file that $LLAMA_CONFIG names"
                )
            said.append(Layer(str(own), values))
    return said + last


def settle(layers: Sequence[Layer]) -> Settings:
    """Return the checked settings of `layers`, each over those before it, all over the defaults.

    `LlamaError` names the first layer that has or makes a problem.
    """
    values = defaults()
    for layer in layers:
        if problems := find_problems(layer.values, values):
            message = f"{layer.source} needs to be corrected:\n"
            message += "".join(f"  - {problem.sentence}\n" for problem in problems)
            if lines := lines_to_paste(problems):
                message += f"Paste these lines in the place of the wrong ones:\n\n{lines}"
            raise LlamaError(message.rstrip("\n"))
        values = merged(values, layer.values)
    settings = Settings.model_validate(values)
    try:
        os.fsencode(settings.output_dir)
    except UnicodeEncodeError as error:
        raise LlamaError(
            f"output_dir {settings.output_dir} has letters that cannot be written in this locale "
            f"({error.encoding}); export PYTHONUTF8=1, or choose a directory without them"
        ) from error
    return settings


def from_dict(raw: Nested, source: str = "config.yaml") -> Settings:
    """Return the checked settings of nested data, which the `LlamaError` calls `source`."""
    return settle([Layer(source, raw)])


def sources(layers: Sequence[Layer]) -> dict[Place, str]:
    """Return for each setting the source that changed it last; "default" if none did."""
    found, before = dict.fromkeys(leaves(), "default"), defaults()
    for number, layer in enumerate(layers, 1):
        after = settle(layers[:number]).model_dump(mode="json")
        changed = (place for place in found if pick(after, place) != pick(before, place))
        found |= dict.fromkeys(changed, layer.source)
        before = after
    return found


def find_config(workflow: Path | None = None) -> Path | None:
    """Return the file that `$LLAMA_CONFIG` names, else `config.yaml` of the workflow, or None.

    That is of the directory `workflow`; else of the working directory if it is one (a clone, or
    what `llama init` has made), else of the package's own.
    """
    if given := os.environ.get("LLAMA_CONFIG"):
        return Path(given).absolute()
    candidates = [workflow] if workflow else [Path.cwd(), own_workflow()]
    return next((place / "config.yaml" for place in candidates if is_workflow(place)), None)


def read_config(path: Path) -> Nested:
    """Return a settings file's nested data, unchecked.

    `LlamaError` if it cannot be read, or names a setting twice.
    """
    remedy = "correct the path, or $LLAMA_CONFIG if it names it"
    try:
        with system_errors(f"cannot read the settings in {path}", remedy):
            loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        top = loader.get_single_node()
        repeated = _repeated_keys(top)
        content: object = None if top is None else loader.construct_document(top)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise LlamaError(
            f"{path} is not valid YAML{line} ({_reason(error)}); "
            "correct it, or print fresh settings with python -m llama.settings"
        ) from error
    if repeated:
        raise LlamaError(f"{path} has {'; '.join(repeated)}; leave one line of each")
    if content is not None and not isinstance(content, dict):
        raise LlamaError(
            f"{path} holds no settings; print fresh ones with python -m llama.settings"
        )
    return content or {}


def _reason(error: Exception) -> str:
    """Return what is wrong with YAML; plain `ValueError`s come from dates and numbers in it."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ValueError) and not isinstance(error, UnicodeDecodeError):
        return str(error).partition(";")[0]
    return getattr(error, "problem", None) or "a character that is not UTF-8"


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
