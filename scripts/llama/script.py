"""What every rule's script shares: where its errors go."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from llama.errors import LlamaError


@contextlib.contextmanager
def logged(log: str | os.PathLike[str]) -> Iterator[None]:
    """Run the block of a rule's script; its errors end it with exit code 1.

    A `LlamaError` is printed as one sentence, its traceback goes to `log` only; the traceback
    of a defect goes to both.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    try:
        yield
    except LlamaError as error:
        path.write_text(traceback.format_exc())
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except Exception:
        path.write_text(traceback.format_exc())
        raise
