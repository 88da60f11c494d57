"""What tests of the fleet's commands type with: a token to look for, settings, a shell."""

import subprocess
from collections.abc import Callable
from pathlib import Path

TOKEN = "dop_v1_canary0123456789abcdef"  # noqa: S105
Bash = Callable[..., subprocess.CompletedProcess[str]]


def change(path: Path, **values: object) -> None:
    """Change settings of the blocks `fleet` and `spaces` in place."""
    lines = path.read_text().splitlines()
    for name, value in values.items():
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"  {name}: "))
        lines[at] = f"  {name}: {value}"
    path.write_text("\n".join(lines) + "\n")
