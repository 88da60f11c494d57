"""`python -m llama.settings` prints fresh settings; `--write` renews the generated files."""

import argparse
import json
import sys
from pathlib import Path

from llama.layout import clone_directory, is_workflow
from llama.settings.load import read_config
from llama.settings.problems import find_problems, repaired
from llama.settings.render import config_yaml, default_yaml, markdown_table, schema


def generated(clone: Path) -> dict[Path, str]:
    """Return the text that each generated file of `clone` should have; values stay as set there."""
    config = clone / "config.yaml"
    raw = read_config(config) if config.exists() else {}
    return {
        config: config_yaml(repaired(raw, find_problems(raw))),
        clone / "docs" / "config.schema.json": json.dumps(schema(), indent=2) + "\n",
        clone / "docs" / "settings.md": markdown_table(),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m llama.settings", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew config.yaml and docs/")
    if not parser.parse_args().write:
        sys.stdout.write(default_yaml())
        return
    if not is_workflow(clone_directory()):
        sys.exit("llama: only a clone has files to renew; call its Python, or leave --write out")
    for path, text in generated(clone_directory()).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
