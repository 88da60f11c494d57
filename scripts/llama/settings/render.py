"""What is generated from the model: `config.yaml`, the schema for editors, the manual's table."""

import inspect
import json
import textwrap
from typing import Any

from llama.settings.block import Block
from llama.settings.model import Settings, block_of

_HEAD = """\
# yaml-language-server: $schema=docs/config.schema.json
# Settings of LLAMA. Change values here; no secrets. Every key is needed, and a wrong one stops
# the run with the lines to paste. Comments are generated (python -m llama.settings --write).
"""


def defaults() -> dict[str, Any]:
    """Return all default values as plain nested data, ready for YAML."""
    return Settings().model_dump(mode="json")


def default_yaml() -> str:
    """Return the text of `config.yaml` with every setting at its default."""
    return config_yaml(defaults())


def config_yaml(values: dict[str, Any]) -> str:
    """Return the text of `config.yaml` with `values`: nested data with every key."""
    return _HEAD + yaml_lines(values)


def yaml_lines(values: dict[str, Any], model: type[Block] = Settings, depth: int = 0) -> str:
    """Return YAML, with comments, of those settings that `values` holds, in the model's order."""
    indent = "  " * depth
    default = model().model_dump(mode="json")
    text = ""
    for name, field in model.model_fields.items():
        if name not in values:
            continue
        block = block_of(model, name)
        if block:
            text += "" if depth else "\n"
            text += _comment(_one_line(block.__doc__), indent) + f"{indent}{name}:\n"
            text += yaml_lines(values[name], block, depth + 1)
            continue
        text += "" if depth else "\n"
        note = f"{_one_line(field.description)} Default: {_scalar(default[name])}."
        text += _comment(note, indent) + f"{indent}{name}:"
        if isinstance(values[name], dict) and values[name]:
            text += "\n" + "".join(
                f"{indent}  {key}: {_scalar(value)}\n" for key, value in values[name].items()
            )
        elif isinstance(values[name], list) and values[name]:
            text += "\n" + "".join(f"{indent}  - {_scalar(item)}\n" for item in values[name])
        else:
            text += f" {_scalar(values[name])}\n"
    return text


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of `config.yaml`, for editors and other checkers."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
    }


def markdown_table() -> str:
    """Return `docs/settings.md`: one table per block, one row per setting."""
    text = "# Settings\n\nGenerated from `scripts/llama/settings/model.py` by "
    text += "`python -m llama.settings --write`.\n"
    text += "Set them in `config.yaml`; every key is needed.\n"
    return text + _tables("", "Top level", Settings, defaults())


def _tables(prefix: str, title: str, model: type[Block], values: dict[str, Any]) -> str:
    text = f"\n## {title}\n\n{_one_line(model.__doc__)}\n\n"
    text += "| setting | default | meaning |\n|---|---|---|\n"
    nested = ""
    for name, field in model.model_fields.items():
        block = block_of(model, name)
        if block:
            nested += _tables(f"{prefix}{name}.", f"`{prefix}{name}`", block, values[name])
        else:
            meaning = _one_line(field.description).replace("|", "\\|")
            text += f"| `{prefix}{name}` | `{_scalar(values[name])}` | {meaning} |\n"
    return text + nested


def _one_line(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split())


def _comment(text: str, indent: str) -> str:
    start = f"{indent}# "
    # a break inside a path or URL would make it useless
    lines = textwrap.wrap(
        text,
        96,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    if isinstance(value, float) and value and not 1e-3 <= abs(value) < 1e6:
        # YAML 1.1 takes 1e-06 for a text: it wants the point and the exponent's sign
        texts = (f"{value:.{digits}e}" for digits in range(1, 18))
        return next(text for text in texts if float(text) == value)
    return json.dumps(value, ensure_ascii=False)
