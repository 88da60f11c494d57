"""A background study: a million injections on 24 maps, from the list to table and p-values.

And a weighted one that tells a p-value of 5 sigma, beside plain injections that would.
Real maps and the real neutrino archive where the shared data are, mock ones of like size else.
"""

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from measure import CLONE, Run, row, snakemake

from llama.event.populations import read_background
from llama.files import write_bytes
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.settings import Settings
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.pvalue import weighted_p_values

SHARED = CLONE.parent / "shared" / "data"
STUDY = "bns-o3-H1L1V1"
INJECTIONS = 1_000_000
MAPS = 24
SMALL, JOBS = 3_000, 10  # the same injections in one job and in ten: what a job costs
ANOTHER = "bbh-o3-H1L1V1"  # the same maps, of which nothing is there
FIVE_SIGMA, WEIGHTED = 2.9e-7, 20_000  # so many tell that p within 10 %


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of a study; takes some minutes."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        _inputs(output)
        targets = ("populations.hdf5", f"studies/{STUDY}.txt")
        snakemake(_config(output, SMALL, 1_000), *targets)  # compiles; makes the bank
        one, _ = _timed(_config(output, SMALL, SMALL), *targets)
        ten, _ = _timed(_config(output, SMALL, SMALL // JOBS), *targets)
        job_s = (ten - one) / (JOBS - 1)
        yield row("study_job_cpu_s", job_s, "s", None)
        shard_size = Settings().background.shard_size
        config = _config(output, INJECTIONS, shard_size)
        cpu_s, run = _timed(config, *targets)
        yield row("study_1e6_s", run.seconds, "s", 360)
        yield row("study_1e6_mib", run.memory_mib, "MiB", 1536)
        yield row("study_injection_ms", 1e3 * cpu_s / INJECTIONS, "ms", None)
        noop_s, noop = _timed(config, *targets)
        yield row("study_noop_s", noop.seconds, "s", None)
        share = (noop_s + job_s * -(-INJECTIONS // shard_size)) / cpu_s
        yield row("study_overhead_percent", 100 * share, "%", 5)
        snakemake(_config(output, SMALL, SMALL, "weighted"), "populations.hdf5")  # compiles
        config = _config(output, WEIGHTED, WEIGHTED // 2, "weighted", ANOTHER)
        weighted = snakemake(config, "populations.hdf5")
        error = _relative_error(output, FIVE_SIGMA)
        plain = 1 / (FIVE_SIGMA * error**2)
        plain_s = plain * run.seconds / INJECTIONS
        yield row("class_5sigma_s", weighted.seconds, "s", 120)
        yield row("class_5sigma_percent", 100 * error, "%", 10)
        yield row("class_5sigma_mib", weighted.memory_mib, "MiB", None)
        yield row("class_5sigma_plain_injections", plain, "", None)
        yield row("class_5sigma_plain_s", plain_s, "s", None)
        yield row("class_5sigma_ratio", plain_s / weighted.seconds, "", None)


def _relative_error(output: Path, p: float) -> float:
    """Return the standard error of a p-value in the weighted class, over it; maps are as given."""
    background = read_background(output / "populations.hdf5", ANOTHER)
    odds, weights = background["odds"], background["weights"]["weights"]
    above = np.cumsum(weights[::-1])[::-1] / odds.size
    at = np.flatnonzero(above >= p)[-1:]
    found = weighted_p_values(odds[at], weights[at], odds, weights)
    return float(found.error[0] / found.p[0])


def _timed(config: Path, *targets: str) -> tuple[float, Run]:
    """Return the processor time [s] of a run, and the run."""
    before = _cpu_s()
    run = snakemake(config, *targets)
    return _cpu_s() - before, run


def _inputs(output: Path) -> None:
    release = SHARED / "icecube" / "icecube_10year_ps"
    if not release.is_dir():
        release = output / "release"
        write_mock_release(release, n_events=40_000)
    import_release(release, output / "archive", "bench")
    if not (SHARED / "skymaps").is_dir():
        for k in range(MAPS):
            sigma = (3.0 + k, 1.5 + 0.25 * k)
            tiles = mock_skymap(15.0 * k, 70 * (2 * (k + 0.5) / MAPS - 1), sigma, (100.0, 30.0))
            write_bytes(output / "maps" / f"{k}.fits", to_fits(tiles, "2019-07-01T00:00:00"))


def _config(
    output: Path, injections: int, shard_size: int, sampling: str = "plain", study: str = STUDY
) -> Path:
    maps = SHARED / "skymaps" if (SHARED / "skymaps").is_dir() else output / "maps"
    values = {
        "output_dir": str(output),
        "neutrinos": {"archive": "bench"},
        "background": {
            "injections": injections,
            "shard_size": shard_size,
            "sampling": sampling,
            "studies": {study: {"skymaps": str(maps)}},
        },
    }
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
