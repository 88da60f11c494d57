"""What people and cron do to a site by hand while everything else goes on, and hostile alerts."""

import base64
import gzip
import json
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from astropy.io import fits
from soaking import Soaked

_PATIENCE_S = 300.0  # of somebody who tries again while the disk is full and processes die
LOOKS = (("status",), ("audit",), ("flags",), ("listen", "status"))


class Operator:
    """Types commands; whatever happens, none of them may answer with a call stack."""

    def __init__(self, one: Soaked) -> None:
        self.one = one
        self.commands: Counter[str] = Counter()
        self._running: list[tuple[list[str], subprocess.Popen[str]]] = []

    def look(self, words: tuple[str, ...]) -> None:
        """Type a command that only looks."""
        self._start("llama", *words)

    def cron_pass(self) -> None:
        """Do what cron does every minute, whether or not the daemon runs."""
        self._start("llama", "run", "-o")

    def make(self, graceid: str) -> None:
        """Make an event by hand; its lock may be somebody else's."""
        self._start("snakemake", f"events/{graceid}/all", "--cores", "1")

    def give(self, graceid: str, record: bytes) -> None:
        """Give an alert to `skymap_info`, again and again until it is taken."""
        path = self.one.output.parent / "by_hand.json"
        role = ("test",) if graceid.startswith("M") else ("observation", "--yes")
        flags = () if graceid.startswith("M") else ("TRIGGERED_PUBLIC",)
        end = time.monotonic() + _PATIENCE_S
        for words in (
            ("skymap_info", "--alert", str(path), "--role", *role),
            ("llama", "flags", graceid, *flags),
        ):
            while True:
                path.write_bytes(record)
                process = self._start(*words)
                while process.poll() is None:
                    self.one.wait(0.1)
                if process.returncode == 0:
                    break
                assert time.monotonic() < end, (words, process.communicate())
                self.one.wait(0.5)

    def finish(self) -> None:
        """Wait until all commands have ended, and look at what they said."""
        for words, process in self._running:
            out, err = process.communicate(timeout=_PATIENCE_S)
            said = f"{' '.join(words)}: exit {process.returncode}\n{out}{err}"
            assert "Traceback" not in said, said
            assert process.returncode in (0, 1, -9), said
        self._running.clear()

    def _start(self, *words: str) -> "subprocess.Popen[str]":
        command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[2], env=self.one.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.commands[" ".join(words[:2])] += 1
        self._running.append((command, process))
        return process


def hostile(alert: bytes, number: int) -> bytes:
    """Return an alert whose sky map takes all memory of a reader that believes it."""
    record: dict[str, Any] = json.loads(alert)
    record["superevent_id"] = f"S2311{number % 28 + 1:02d}zz"
    record["event"]["skymap"] = base64.b64encode(_BOMBS[number % len(_BOMBS)]()).decode()
    return json.dumps(record).encode()


def _header(**cards: object) -> bytes:
    """Return a FITS file whose table has a header and no data."""
    table = fits.Header([("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2)])
    table.update({"NAXIS1": 8, "NAXIS2": 0, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 1})
    table.update({"TTYPE1": "PROB", "TFORM1": "D", "ORDERING": "NESTED", "NSIDE": 16} | cards)
    primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    return primary.tostring().encode() + table.tostring().encode()


def _zeros(head: bytes, mebibytes: int) -> bytes:
    """Return gzip twice of `head` and so many zeros: a few kilobytes."""
    block = zlib.compressobj(9, wbits=31)
    member = block.compress(bytes(1 << 24)) + block.flush()
    return gzip.compress(gzip.compress(head) + member * (mebibytes // 16))


_BOMBS = (
    lambda: _header(TFIELDS=10**9),
    lambda: _header(NAXIS2=1 << 40),
    lambda: _header() + _header()[2880:] * 3000,
    lambda: _zeros(_header(NAXIS2=12 << 24, NSIDE=4096), 1536),
    lambda: _zeros(b"SIMPLE  =                    T".ljust(80), 4096),
    lambda: _header(TFORM1="1000000000D", NAXIS1=8 * 10**9, NAXIS2=1),
)
