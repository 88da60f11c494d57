"""Where secrets come from, and what may be told of them."""

import contextlib
import os
import stat
from pathlib import Path

from llama.errors import LlamaError, system_errors


def secret(name: str, credential: str = "") -> str:
    """Return a secret from the environment, else from systemd's credentials, else "".

    credential: its name there, if that is not `name` in lower case.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / (credential or name.lower()) if directory else None
    with (
        system_errors(f"cannot read {path}", "correct LoadCredential of the unit"),
        contextlib.suppress(FileNotFoundError),
    ):
        return os.environ.get(name) or (path.read_text(errors="replace").strip() if path else "")
    return ""


def config_home() -> Path:
    """Return where secrets are looked for: `$XDG_CONFIG_HOME/llama`, else `~/.config/llama`."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".config") / "llama"


def read_private(path: Path, what: str, missing: str) -> str:
    """Return the first 4096 characters of a file that holds a secret, `what`.

    `LlamaError` when others may read or write it, when we cannot, and `missing` without the file.
    """
    try:
        stream = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise LlamaError(missing) from error
    except OSError as error:
        raise LlamaError(f"cannot read {what} in {path} ({error.strerror})") from error
    with stream:
        about = os.fstat(stream.fileno())
        if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise LlamaError(
                f"others may read or write {path}, which holds {what}; "
                f"make it yours with chmod 600 {path}, and replace what may be known"
            )
        return stream.read(4096)
