"""Simulated sky maps: the public tools of ligo.skymap, run so that equal settings give equal bits.

Per shard of injections: `bayestar-realize-coincs` finds those that are detected,
`bayestar-localize-coincs` makes their maps, named by the injection's number.
"""

import contextlib
import gzip
import io
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llama.errors import LlamaError
from llama.event.provenance import provenance
from llama.files import read_json, write_bytes, write_json
from llama.study.binaries import (
    Simulation,
    draw_injections,
    population,
    write_document,
    write_injections,
)
from llama.study.skymaps import some

SHARD_SIZE = 50  # injections: some 10 maps, 5 to 10 minutes of CPU
_TOOLS = ("ligo.skymap", "lalsuite", "numpy", "scipy", "astropy")
MIN_SNR = 4.0  # of each of the two or more detectors that make a coincidence


class Coincidence(NamedTuple):
    """A detected binary, as LIGO_LW tables have it: of the injection `simulation_id`.

    Masses in the detector frame [Msun], distance [Mpc], angles [rad], end_time in GPS seconds.
    """

    simulation_id: int
    ifos: str
    snr: float
    end_time: float
    mass1: float
    mass2: float
    spin1z: float
    spin2z: float
    distance: float
    longitude: float
    latitude: float
    inclination: float
    polarization: float

    @property
    def map_name(self) -> str:
        """The file of its sky map."""
        return f"{self.simulation_id}.fits.gz"


def realize_coincs(
    psd: str, reach: str, injections: str, coincs: str, numbers: range, simulation: Simulation
) -> None:
    """Write the injections `numbers` and those coincidences of them that are loud enough.

    The path of `psd` is recorded in the coincidences as it is given here.
    """
    binaries = population(simulation["distribution"])
    columns, drawn = draw_injections(
        numbers, simulation["seed"], binaries, read_json(reach), simulation["net_snr"]
    )
    comment = f"{drawn} binaries drawn for {len(numbers)} that might be found"
    write_injections(injections, columns, numbers.start, binaries.waveform, comment)
    options = ["--f-high", str(simulation["f_high_hz"])] if simulation["f_high_hz"] else []
    with beside(coincs, ".realized.xml") as realized:
        run_tool(
            "bayestar-realize-coincs",
            *(injections, "--output", str(realized), "--reference-psd", psd),
            *("--detector", *sorted(simulation["psds"]), "--preserve-ids"),
            *("--snr-threshold", str(MIN_SNR), "--min-triggers", "2"),
            *("--net-snr-threshold", str(simulation["net_snr"])),
            *("--duty-cycle", str(simulation["duty_cycle"])),
            *("--measurement-error", "gaussian-noise"),
            *("--seed", str(_tool_seed(simulation["seed"], numbers.start)), *options),
        )
        write_document(coincs, _load(realized))


def localize_coincs(coincs: str, maps: str, first: int, simulation: Simulation) -> list[str]:
    """Write directory `maps`: `<number>.fits.gz` of each coincidence, and `coincs.json`.

    A kill leaves no directory. Returns the names of the maps that could not be made; they are
    in `coincs.json` too.
    """
    waveform = population(simulation["distribution"]).waveform
    rows = _coincidences(coincs)
    final = Path(maps)
    work = final.with_name(f".{final.name}")  # always the same: maps hold the command line
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        if rows:
            run_tool(
                "bayestar-localize-coincs",
                *(coincs, "--output", str(work), "--keep-going"),
                *("--waveform", waveform.name, "--f-low", str(waveform.f_low_hz)),
                *("--seed", str(_tool_seed(simulation["seed"], first))),
                may_fail=True,
            )
        failed = []
        for index, row in enumerate(rows):
            made = work / f"{index}.fits"
            if made.exists():
                (work / row.map_name).write_bytes(_reproducible_map(made, row.simulation_id))
                made.unlink()
            else:
                failed.append(row.map_name)
        if rows and len(failed) == len(rows):
            raise LlamaError(f"no sky map of {coincs} could be made; see what the tools say above")
        write_json(
            work / "coincs.json", {"coincs": [row._asdict() for row in rows], "failed": failed}
        )
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
    except OSError as error:
        raise LlamaError(
            f"cannot write {final}: {error.strerror or error}; free some space, then go on"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return failed


def collate_coincs(
    shards: Sequence[Path],
    coincs: str | Path,
    summary: str | Path,
    simulation: Simulation,
    inputs: Mapping[str, str],
    failed_maps: str = "fail",
) -> list[str]:
    """Write `coincs.dat`, a table with tabs of all coincidences that have a map, and a summary.

    failed_maps: "fail" raises LlamaError that names the maps that could not be made, "skip" goes
    on without them. Returns their names.
    """
    rows: list[Coincidence] = []
    failed: list[str] = []
    for shard in shards:
        content = read_json(shard / "coincs.json")
        failed += content["failed"]
        rows += [Coincidence(**row) for row in content["coincs"]]
    if not rows or len(failed) == len(rows) or (failed and failed_maps == "fail"):
        raise LlamaError(
            f"{len(failed)} of {len(rows)} sky maps could not be made: {some(failed)}; see the "
            "logs, or leave them out with background.broken_maps: skip in the settings"
            if rows
            else f"none of {simulation['injections']:,} injections is detected; "
            "raise injections in background.simulations"
        )
    localized = [row for row in rows if row.map_name not in set(failed)]
    lines = ["\t".join(map(str, line)) for line in (Coincidence._fields, *localized)]
    write_bytes(coincs, ("\n".join(lines) + "\n").encode())
    counts = Counter(row.ifos.replace(",", "") for row in localized)
    content = {
        "simulation": dict(simulation),
        "injections": simulation["injections"],
        "coincidences": len(rows),
        "sky_maps": dict(sorted(counts.items())),
        "failed": failed,
        "tools": {name: version(name) for name in _TOOLS},
        "provenance": provenance(inputs, simulation, simulation["seed"]),
    }
    write_json(summary, content)
    return failed


def run_tool(name: str, *words: str, may_fail: bool = False) -> None:
    """Run a tool of ligo.skymap on one core, without network; LlamaError with its last words.

    may_fail: the caller looks at what has been made.
    """
    places = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    tool = shutil.which(name, path=os.pathsep.join(places))
    if tool is None:
        raise LlamaError(
            f"{name} is not installed; install ligo.skymap with: pip install 'ligo.skymap>=2.5', "
            "or let snakemake do it with --sdm conda"
        )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [tool, "--loglevel", "ERROR", *words],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
    if done.returncode and not (may_fail and done.returncode == 1):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LlamaError(
            f"{name} ended with code {done.returncode} ({last[:200]}); "
            "correct background.simulations, or see the log"
        )


def _tool_seed(seed: int, first: int) -> int:
    """Return a seed for the tools, which take 32 bits, that no two shards share by design."""
    return int(np.random.SeedSequence([seed, first, 1]).generate_state(1)[0])


@contextlib.contextmanager
def beside(path: str | Path, suffix: str) -> Iterator[Path]:
    """Yield a path in the directory of `path`, always the same, for a file that does not stay."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}{suffix}")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _load(path: str | Path) -> Any:
    from igwn_ligolw import utils
    from ligo.skymap.io.events.ligolw import ContentHandler

    return utils.load_filename(str(path), contenthandler=ContentHandler)


def _coincidences(path: str) -> list[Coincidence]:
    """Return what is known of each coincidence, in the order of its coinc_event_id."""
    from igwn_ligolw import lsctables

    document = _load(path)
    coincs = lsctables.CoincInspiralTable.get_table(document)
    found = []
    # the tool writes one row of each per accepted injection
    for coinc, sim in zip(coincs, lsctables.SimInspiralTable.get_table(document), strict=True):
        known = int(sim.simulation_id), coinc.ifos, float(coinc.snr), float(coinc.end)
        drawn = [float(getattr(sim, name) or 0.0) for name in Coincidence._fields[len(known) :]]
        found.append(Coincidence(*known, *drawn))
    return found


def _reproducible_map(path: Path, number: int) -> bytes:
    """Return a map, gzipped, without what differs between two runs: date and run time."""
    from astropy.io import fits

    with fits.open(path) as file:
        header = file[1].header
        for name in ("DATE", "RUNTIME"):
            header.remove(name, ignore_missing=True)
        header["OBJECT"] = number
        stream = io.BytesIO()
        file.writeto(stream)
    return gzip.compress(stream.getvalue(), 6, mtime=0)
