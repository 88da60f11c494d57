"""`python -m llama.running.warm`: compiles the statistic once, so that no alert has to wait for it.

Compiled code is kept (llama.stats.compiled) until the sources change; then it takes ten to
sixty seconds, which the daemon spends when it starts, in a process of its own with low priority.
"""

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

from llama.settings import Settings, load

log = logging.getLogger("llama.run")


@contextlib.contextmanager
def compiling_ahead() -> Iterator[None]:
    """Compile the statistic in the background; without neutrino archive that fails, in silence."""
    silent = subprocess.DEVNULL
    command = [sys.executable, "-m", "llama.running.warm"]
    process = None
    try:
        process = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
    except OSError as error:  # the first alert takes some seconds longer
        log.warning("the statistic is not compiled ahead: %s", error)
    try:
        yield
    finally:
        if process:
            process.terminate()
            process.wait()


def main() -> None:
    """Compute the significance of a made-up event with the settings in force; write nothing."""
    os.nice(19)
    compute(load())


def compute(settings: Settings) -> float:
    """Return the odds ratio of a made-up event with two neutrinos."""
    from llama.event.detectors import open_site
    from llama.event.significance import compute_significance
    from llama.event.skymap_info import unchecked_info
    from llama.neutrinos.response import response_file
    from llama.sky.mock import mock_skymap

    archives = settings.neutrinos.archives
    where = [settings.output_dir / "archive" / archive for archive in archives.values()]
    tables = [path / response_file(path, settings.search.response) for path in where]
    search = settings.search_parameters()
    event = {"graceid": "MS230601a", "gps_time": 1.4e9, "instruments": ["H1", "L1"], "far": 1e-9}
    neutrino = {"ra": 40.0, "dec": 20.0, "sigma": 0.5, "energy": 1e4, "detector": min(archives)}
    events = [neutrino | {"gps": 1.4e9 + dt, "id": str(dt), "dt": dt} for dt in (1.0, 2.0)]
    significance = compute_significance(
        mock_skymap(40.0, 20.0, (4.0, 2.0), (100.0, 20.0)),
        unchecked_info(event),
        {"population": "bns", "p_astro": 0.9},
        {"events": events},
        open_site(tables if "detectors" in search else tables[0], search).response,
        search,
        {"class": "bns-o4-H1L1", "reason": "made up"},
    )
    return float(str(significance["odds_ratio"]))


if __name__ == "__main__":
    main()
