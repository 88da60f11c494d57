"""A clock that can be moved, and neutrinos that become known late: the world of a soak."""

import random
import time
from pathlib import Path
from typing import Any

from https_server import Answer, Request

from llama.times import iso_to_gps

HOUR_S = 3600.0


class Clock:
    """The simulated clock of the site's processes; see clock/sitecustomize.py."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ahead_s = 0.0
        # files that were there before are older than everything
        self.start = (time.time() // 86400 + 1) * 86400
        self.path.touch()
        self.go_to(0.0)

    def now(self) -> float:
        """Return the simulated Unix time."""
        return time.time() + self._ahead_s

    def hours(self) -> float:
        """Return the hours since the start."""
        return (self.now() - self.start) / HOUR_S

    def go_to(self, hour: float) -> None:
        """Let it be `hour`, at once."""
        self.step(self.start + hour * HOUR_S - self.now())

    def step(self, seconds: float) -> None:
        """Move the clock, forward or backward."""
        self._ahead_s += seconds
        with self.path.open("a") as file:
            file.write(f"{time.time_ns()} {round(self._ahead_s * 1e9)}\n")


class Stream:
    """The neutrinos of a collaboration: some come late, and it says when it has all of them."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock, self.seed = clock, seed

    def answer(self, request: Request) -> Answer:
        start, stop = (float(request.query[name]) for name in ("start", "stop"))
        events, latencies, delay_s = self._window(start, stop)
        now = iso_to_gps(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.clock.now())))
        complete = now > stop + delay_s
        known = [e for e, late in zip(events, latencies, strict=True) if e["time"] + late <= now]
        return Answer(200, {"events": events if complete else known, "complete": complete})

    def times(self, start: float, stop: float) -> list[float]:
        """Return the times of all neutrinos of a window, as everybody knows them in the end."""
        return [event["time"] for event in self._window(start, stop)[0]]

    def _window(self, start: float, stop: float) -> tuple[list[Any], list[float], float]:
        """Return the events, how late each becomes known, and the list as a whole [s]."""
        source = random.Random(f"{self.seed} {start:.0f}")
        delay_s = source.uniform(0.0, 2.0) * HOUR_S
        events = [
            {
                "time": source.uniform(start, stop), "ra": source.uniform(0, 360),
                "dec": source.uniform(-80, 80), "sigma": source.uniform(0.3, 2.0),
                "energy": 10 ** source.uniform(2.5, 4.5), "run": 140000, "event": number,
            }
            for number in range(source.randint(1, 6))
        ]  # fmt: skip
        return events, [source.choice([5.0, 5.0, delay_s]) for _ in events], delay_s
