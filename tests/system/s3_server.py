"""An S3 server that can be away, for a fleet whose droplets have addresses of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECRET = "spaces-secret-canary"  # noqa: S105


class S3:
    """Started at once, empty, on a port that is free; any key may read and write."""

    def __init__(self, address: str, log: Path) -> None:
        self._address, self._log = address, log
        command = [sys.executable, "-c", "from moto.server import main; main()"]
        command += ["-H", address, "-p", "0"]
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=stream,
                env=os.environ | {"MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "1"},
            )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://[\d.]+:(\d+)", log.read_text())):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.url = f"http://{address}:{found[1]}"

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id="key", aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )  # fmt: skip

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Let nobody through for the block; what is stored stays."""
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def requests(self) -> list[str]:
        """Return what it was asked."""
        return self._log.read_text().splitlines()

    def end(self) -> None:
        """End it, and all that is stored."""
        self._process.kill()
        self._process.wait()
