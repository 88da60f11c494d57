"""Where secrets come from, and what may be told of them."""

import contextlib
import os
import stat
from pathlib import Path

from llama.errors import LlamaError, system_errors


def secret(name: str) -> str:
    """Return a secret from the environment, else from systemd's credentials, else ""."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / name.lower() if directory else None
    with (
        system_errors(f"cannot read {path}", "correct LoadCredential of the unit"),
        contextlib.suppress(FileNotFoundError),
    ):
        return os.environ.get(name) or (path.read_text().strip() if path else "")
    return ""


def config_home() -> Path:
    """Return where secrets are looked for: `$XDG_CONFIG_HOME/llama`, else `~/.config/llama`."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".config") / "llama"


def read_private(path: Path, what: str) -> str:
    """Return the first 4096 characters of a file that holds a secret, `what`.

    `LlamaError` when others may read or write it; `OSError` when we cannot.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        about = os.fstat(stream.fileno())
        if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise LlamaError(
                f"others may read or write {path}, which holds {what}; "
                f"make it yours with chmod 600 {path}, and replace what may be known"
            )
        return stream.read(4096)
