"""The account's token: where it comes from, and that it goes nowhere else."""

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from llama.errors import LlamaError
from llama.secrets import config_home, read_private

VARIABLES = ("DIGITALOCEAN", "DIGITALOCEAN_ACCESS_TOKEN")
_TOKEN = re.compile(r"[!-~]{8,512}")


def token_file() -> Path:
    """Return where the token is looked for when it is not in the environment."""
    return config_home() / "digitalocean-token"


def find_token(path: Path | None = None) -> str:
    """Return the token of the environment (`VARIABLES`), else of `path` (default: `token_file()`).

    `LlamaError` when there is none, when others may read the file, or when it is no token; the
    sentence never shows it.
    """
    for name in VARIABLES:
        if os.environ.get(name, "").strip():
            return _checked(os.environ[name], f"${name}")
    path = path or token_file()
    missing = (
        f"there is no DigitalOcean token; export DIGITALOCEAN=<token>, or put it into {path} "
        "with mode 600"
    )
    return _checked(read_private(path, "the token", missing), str(path))


def _checked(text: str, source: str) -> str:
    token = text.strip()
    # requests would quote the whole header in its error
    if not _TOKEN.fullmatch(token):
        raise LlamaError(f"{source} holds no DigitalOcean token; put the token there, nothing else")
    return token


def refuse_token(text: str, token: str, what: str) -> None:
    """Raise `LlamaError` when `text`, such as user data, holds `token`, plain or in base64."""
    squeezed = "".join(text.split())
    forms = [token]
    for shift in range(3):  # base64 has three forms, by where in a group of three it begins
        encoded = base64.b64encode(b"\0" * shift + token.encode()).decode().rstrip("=")
        forms.append(encoded[(0, 2, 3)[shift] : -1])
    if any(form in squeezed for form in forms):
        raise LlamaError(
            f"{what} holds the account's token, which must never reach a droplet; take it out"
        )


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Keep the token out of the environment of programs that are started within the block."""
    kept = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
