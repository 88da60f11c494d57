"""A clone with an output directory of its own, in which commands run as typed; and its inputs."""

import base64
import contextlib
import io
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import preloaded

from llama.event.names import products
from llama.event.skymap_info import read_info
from llama.files import sha256_file
from llama.study.populations import ClassOdds, write_populations

REPOSITORY = Path(__file__).parents[2]
GRACEID = "S240101ab"
EVENT = f"events/{GRACEID}"
EVENT_TIME, EVENT_MJD = "2024-01-01T00:00:00.125Z", 60310.0
CLASS = "bns-o4-H1L1"
BLOB = (40.0, 20.0)  # RA, Dec [deg] of the maps made here
# one at the blob, one off it, one outside the window
NEUTRINOS = f"""mjd,ra,dec,sigma,energy
{EVENT_MJD + 0.0004},40.3,20.2,0.5,20000
{EVENT_MJD - 0.002},200,-30,0.8,3000
{EVENT_MJD + 0.01},41,20,0.5,5000
"""

# What each job makes the jobs after it make again.
LAST = {"write_manifest", "write_page"}
FOLLOWERS = {
    *("combine_skymap", "draw_skymap", "draw_scatter", "write_latency", "write_summary"),
    *("write_notice", *LAST),
}
SIGNIFICANCE = {"compute_significance", *FOLLOWERS}
SUMMARY = {"write_summary", *LAST}
ALL = SIGNIFICANCE | {
    *("extract_skymap", "convert_skymap", "measure_skymap", "read_alert", "list_neutrinos"),
    "build_map_background",
}


@dataclass(frozen=True)
class Workspace:
    """`root/clone` is the clone, `root/data/llama` its output directory; the rest is untouched."""

    root: Path
    home: Path

    @classmethod
    def make(cls, root: Path, home: Path) -> "Workspace":
        """Make a clone with the repository's workflow and the default settings."""
        clone = root / "clone"
        (clone / "scripts").mkdir(parents=True)
        for name in ("Snakefile", "config.yaml"):
            shutil.copy2(REPOSITORY / name, clone)
        for name in ("rules", "profiles", "envs"):
            shutil.copytree(REPOSITORY / name, clone / name, symlinks=True)
        for script in (REPOSITORY / "scripts").glob("*.py"):
            shutil.copy2(script, clone / "scripts")
        (clone / "do-cluster").symlink_to("profiles/do-cluster")
        return cls(root, home)

    def copy(self, root: Path) -> "Workspace":
        """Return a copy with all dates, as if the machine had been copied."""
        shutil.copytree(self.root, root, symlinks=True, dirs_exist_ok=True)
        copied = Workspace(root, self.home)
        if (link := copied.clone / "events").is_symlink():
            link.unlink()
            link.symlink_to(copied.output / "current_run")
        return copied

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    @property
    def output(self) -> Path:
        return self.root / "data" / "llama"

    @property
    def event(self) -> Path:
        return self.output / "current_run" / GRACEID

    def products(self, event: str = EVENT) -> list[Path]:
        """Return every product of an event, in the order they are made."""
        directory = self.output / event
        return [directory / name for name in products(read_info(directory))]

    def digests(self, names: Iterable[str], event: str = EVENT) -> dict[str, str]:
        return {name: sha256_file(self.output / event / name) for name in names}

    @property
    def gate(self) -> Path:
        """Where shards of studies wait while it is there (study_samples.py)."""
        return self.root / "gate"

    @property
    def typed(self) -> Path:
        """With a Snakemake of `preloaded.typed` in it, `llama` starts that one."""
        return self.root / "typed"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a fresh machine with the virtual environment active."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "LLAMA_", "SNAKEMAKE_", "PYTEST_"))
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        kept |= {"HOME": str(self.home), "PATH": path, "XDG_DATA_HOME": str(self.root / "data")}
        return kept | {"LLAMA_TEST_GATE": str(self.gate), "LLAMA_TEST_TYPED": str(self.typed)}

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        """Start a command in the clone, in a process group of its own; both streams are one."""
        with subprocess.Popen(
            words,
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command in the clone and return what it printed."""
        if preloaded.can_run(words[0], self.environment):
            ended, printed = preloaded.run(words, self.clone, self.environment, timeout_s=400)
        else:
            with self.started(*words) as process:
                printed = process.communicate(timeout=400)[0]
            ended = process.returncode
        assert ended == code, printed
        return printed

    def snakemake(self, *words: str, code: int = 0) -> str:
        """Run Snakemake in the clone and return what it printed."""
        return self.run("snakemake", *words, code=code)

    def plan(self, *words: str) -> list[str]:
        """Return the jobs of a dry run in alphabetical order, without those that run nothing."""
        return jobs(self.snakemake(*words, "--dry-run"))

    def take(self, content: bytes, *options: str) -> str:
        """Give an alert to skymap_info, as a test; return what it printed."""
        suffix = "xml" if content.startswith(b"<") else "json"
        alert = self.root / f"alert.{suffix}"
        alert.write_bytes(content)
        option = "--voevent" if suffix == "xml" else "--alert"
        return self.run("skymap_info", option, str(alert), "--role", "test", *options)

    def set(self, old: str, new: str) -> None:
        """Change one line of the clone's config.yaml."""
        path = self.clone / "config.yaml"
        text = path.read_text()
        assert text.count(f"\n{old}\n") == 1, old
        path.write_text(text.replace(f"\n{old}\n", f"\n{new}\n"))

    def write_background(self, *classes: str, seed: int = 1) -> None:
        """Write populations.hdf5 with the class of the event and the given ones."""
        content = {}
        for number, name in enumerate([CLASS, *classes]):
            rng = np.random.default_rng(seed if name == CLASS else number)
            content[name] = ClassOdds(
                odds=np.sort(10 ** rng.normal(-4.0, 2.0, 2000)),
                single=np.sort(10 ** rng.normal(-4.0, 2.0, 5000)),
                p_astro=0.99,
                seed=seed,
                settings_sha256="0" * 64,
            )
        write_populations(self.output / "populations.hdf5", content)


def jobs(printed: str) -> list[str]:
    """Return the jobs of a run, dry or not, in alphabetical order, without those of no command."""
    if "Nothing to be done" in printed:
        return []
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", printed, re.DOTALL)
    assert table, printed
    found: list[str] = []
    for line in table[1].splitlines():
        name, count = line.split()
        if name != "all" and "/" not in name:
            found += [name] * int(count)
    return sorted(found)


def skymap_fits(
    ra: float = BLOB[0], dec: float = BLOB[1], sigma_deg: float = 4.0, distance_mpc: float = 100.0
) -> bytes:
    """A multi-order map of orders 3 to 5 with distance: a Gaussian blob, finer where it is high."""
    import healpy
    from astropy.io import fits

    centre = healpy.ang2vec(ra, dec, lonlat=True)

    def angle_deg(order: int, ipix: Any) -> Any:
        vectors = np.array(healpy.pix2vec(1 << order, ipix, nest=True))
        return np.degrees(np.arccos(np.clip(centre @ vectors, -1, 1)))

    tiles, ipix = [], np.arange(12 << 2 * 3)
    for order, reach_deg in ((3, 5 * sigma_deg), (4, 2 * sigma_deg), (5, -1.0)):
        near = angle_deg(order, ipix) < reach_deg
        tiles.append((order, ipix[~near]))
        ipix = (4 * ipix[near, None] + np.arange(4)).ravel()
    uniq = np.concatenate([(4 << 2 * order) + ipix for order, ipix in tiles])
    angle = np.concatenate([angle_deg(order, ipix) for order, ipix in tiles])
    area = np.concatenate([np.full(ipix.size, np.pi / 3 / 4**order) for order, ipix in tiles])
    density = np.exp(-((angle / sigma_deg) ** 2) / 2) + 1e-4
    density /= (density * area).sum()
    std_mpc = distance_mpc / 5
    columns = [
        ("UNIQ", "K", None, uniq),
        ("PROBDENSITY", "D", "sr-1", density),
        ("DISTMU", "D", "Mpc", np.full(uniq.size, distance_mpc)),
        ("DISTSIGMA", "D", "Mpc", np.full(uniq.size, std_mpc)),
        ("DISTNORM", "D", "Mpc-2", np.full(uniq.size, 1 / (distance_mpc**2 + std_mpc**2))),
    ]
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, form, unit, array=array) for name, form, unit, array in columns]
    )
    table.header.update(PIXTYPE="HEALPIX", ORDERING="NUNIQ", COORDSYS="C", MOCORDER=5)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()


def alert(
    kind: str = "PRELIMINARY",
    graceid: str = GRACEID,
    skymap: bytes | None = None,
    minute: int = 5,
    **event: Any,
) -> bytes:
    """An `igwn.gwalert` record; `event` replaces keys of its event, `minute` dates it."""
    content = {
        "significant": True,
        "time": EVENT_TIME,
        "far": 1e-9,
        "instruments": ["H1", "L1"],
        "group": "CBC",
        "pipeline": "gstlal",
        "search": "AllSky",
        "properties": {"HasNS": 1.0},
        "classification": {"BNS": 0.9, "NSBH": 0.02, "BBH": 0.03, "Terrestrial": 0.05},
        "skymap": base64.b64encode(skymap).decode() if skymap else None,
        **event,
    }
    record = {
        "alert_type": kind,
        "time_created": f"2024-01-01T00:{minute:02d}:00Z",
        "superevent_id": graceid,
        "urls": {"gracedb": f"https://gracedb.ligo.org/superevents/{graceid}/view/"},
        "event": None if kind == "RETRACTION" else content,
        "external_coinc": None,
    }
    return json.dumps(record).encode()


def strict_json(path: Path) -> Any:
    """Return the content of a JSON file; NaN and infinities are errors."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{path} holds {text}")

    return json.loads(path.read_bytes(), parse_constant=refuse)


def assert_described(name: str, path: Path) -> None:
    """Assert that docs/files.md has, under `name`, just the keys of a file."""
    undescribed = runpy.run_path(str(REPOSITORY / "tests/bench/files_page.py"))["undescribed"]
    assert undescribed(name, path) == (set(), set()), f"{name}: not described, and not there"


def sentence(printed: str) -> str:
    """Return the one line of an answer, which comes last and without a call stack."""
    answers = [line for line in printed.splitlines() if line.startswith("llama: ")]
    assert printed.splitlines()[-1:] == answers, printed
    assert not re.search(r'Traceback|File "|Exception|Error:', printed), printed
    return answers[0]
