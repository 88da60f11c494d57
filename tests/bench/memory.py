"""Print how many MiB the memory grows between 1,000 and 100,000 injections in one process.

Called by the benchmark of the statistic with a directory that has `map.fits` and the archive
`mock`. The memory in use after each shard counts, which a high peak at the start cannot hide.
"""

import sys
from pathlib import Path

import psutil

from llama.background.draws import Draws
from llama.event.parameters import published_parameters
from llama.neutrinos.archive import Archive
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard

SHARD = 1_000


def main() -> None:
    """Run shards one after the other, as a worker of a study may."""
    directory, params = Path(sys.argv[1]), published_parameters("cbc")
    archive = Archive.open(directory / "mock")
    response = archive.response()
    draws = Draws(1, "background", archive.events(), response, params)
    build_bank([directory / "map.fits"], directory / "bank.hdf5", response, params)
    used = []
    with Bank(directory / "bank.hdf5") as bank:
        for first in range(0, 100_000, SHARD):
            run_shard(bank, draws, 0.99, range(first, first + SHARD))
            used.append(psutil.Process().memory_info().rss / 2**20)
    print(max(used) - used[0])


if __name__ == "__main__":
    main()
