"""What every process of this machine was started with, read often and cheaply."""

import io
import os
from collections.abc import Iterator


def command_lines() -> Iterator[tuple[str, bytes]]:
    """Yield the directory in /proc of each process, and its words; pathlib takes twice as long."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with io.FileIO(f"/proc/{name}/cmdline") as file:
                content = file.read()
        except OSError:
            continue
        yield f"/proc/{name}", content
