"""Every parser of something from outside, as a function of bytes, with samples to begin from.

A target returns, or raises `LlamaError`; anything else is our defect. `fuzz.py` looks for bytes
that break one, guided by coverage; `test_fuzz.py` tries again what was found (`corpus/`) and
changes the samples at random.
"""

import gzip
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

CLONE = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
sys.path[:0] = [str(CLONE / "tests/unit"), str(CLONE / "tests")]

from alert_samples import gwalert_bytes, skymap_fits, voevent  # noqa: E402
from bombs import bombs  # noqa: E402
from burst_samples import classic, gbm, guano, svom, wxt  # noqa: E402
from dr2_samples import AREA, EVENT, area_rows, event_rows, table  # noqa: E402
from event_samples import neutrino  # noqa: E402
from gcn_samples import km3net_alert  # noqa: E402
from gcn_samples import notice as json_notice  # noqa: E402
from gcn_samples import voevent as classic_notice  # noqa: E402
from smearing_samples import COLUMNS, as_rows, as_text  # noqa: E402

from llama.alerts.gwalert import parse_alert  # noqa: E402
from llama.event.burst_notice import read_burst  # noqa: E402
from llama.event.bursts import read_bursts  # noqa: E402
from llama.files import dump_json  # noqa: E402
from llama.fleet import slurm  # noqa: E402
from llama.neutrinos.fetch import read_listing  # noqa: E402
from llama.neutrinos.gcn_notice import read_notice  # noqa: E402
from llama.neutrinos.given import read_given  # noqa: E402
from llama.neutrinos.km3net_notice import read_km3net  # noqa: E402
from llama.neutrinos.release import read_area, read_events  # noqa: E402
from llama.neutrinos.smearing import Smearing  # noqa: E402
from llama.neutrinos.smearing_table import Grid, is_of_ten_years, read_smearing  # noqa: E402
from llama.settings.load import from_dict, read_config  # noqa: E402
from llama.settings.model import Grb  # noqa: E402
from llama.sky import read_skymap  # noqa: E402
from llama.study.skymaps import list_skymaps, read_coincs  # noqa: E402
from llama.study.tables import HEADER, read_table  # noqa: E402

Target = Callable[[bytes], Any]


@cache
def _file() -> Path:
    """A file of this process, for parsers that want a path; in memory where the machine can."""
    memory = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None)) / "input"


def _of_path(parse: Callable[[Path], Any]) -> Target:
    def target(content: bytes) -> Any:
        _file().write_bytes(content)
        return parse(_file())

    return target


def _skymap(content: bytes) -> None:
    tiles = read_skymap(content, "map.fits")
    assert abs(float(tiles.prob.sum()) - 1) < 1e-3
    assert float(tiles.prob.min()) >= 0


def _neutrinos(content: bytes) -> None:
    dump_json(read_given(content, "neutrinos", 1e9))  # refuses NaN


def _notice(content: bytes) -> None:
    found = read_notice(content, "notice", cascades=True)
    if found is not None:
        dump_json([found.row, found.problem])  # refuses NaN


def _burst_notice(content: bytes) -> None:
    swift = "gcn.classic.voevent.SWIFT_BAT_GRB_POS_ACK"
    for topic in ("replay", "gcn.notices.fermi.gbm", "gcn.notices.svom.voevent.grm", swift):
        found = read_burst(content, "notice", topic)
        if found is not None:
            dump_json([found.ids, found.gps, found.place, found.problem])  # refuses NaN


def _km3net(content: bytes) -> None:
    found = read_km3net(content, "gcn.notices.km3net.alert-0")
    if found is not None:
        dump_json([found.row, *found.others, found.problem])


def _release_events(path: Path) -> None:
    events, _ = read_events([path])
    assert all(np.isfinite(column).all() for column in events.values())


def _release_area(path: Path) -> None:
    area = read_area(path)
    assert np.isfinite(area.area_cm2).all()
    assert area.area_cm2.min() >= 0


def _smearing(path: Path) -> None:
    is_of_ten_years(path)
    matrix = read_smearing(path, grid=Grid(1, 1, 2))
    assert np.isfinite(matrix.edges).all()
    assert matrix.simulated.shape == (1, 1)


def _settings(path: Path) -> None:
    from_dict(read_config(path))


def _bursts(path: Path) -> None:
    dump_json(read_bursts(path, Grb().model_dump()).events)  # refuses NaN


@cache
def _slurm_conf() -> str:
    """A configuration: without one, scontrol asks for a controller and reads no list."""
    path = _file().with_name("slurm.conf")
    path.write_text("ClusterName=llama\nSlurmctldHost=localhost\n")
    return str(path)


def _host_list(content: bytes) -> None:
    # a word of a command has no NUL, and with a dash it would be another option than Slurm's lists
    with mock.patch.dict(os.environ, SLURM_CONF=_slurm_conf()):
        slurm.hostnames(os.fsdecode(content.replace(b"\0", b"").lstrip(b"-")))


def _slurm_answers(content: bytes) -> None:
    with mock.patch.object(slurm, "ask", return_value=content.decode(errors="replace")):
        slurm.nodes()
        slurm.queue()


_FILE = {"id": 7, "filesize": 70, "md5": "0" * 32, "originalFileFormat": "text/csv"}
_ROW = {"label": "IC86_I_exp.tab", "directoryLabel": "events", "dataFile": _FILE}
_LISTING = {"status": "OK", "data": {"latestVersion": {"files": [_ROW]}}}

TARGETS: dict[str, Target] = {
    "voevent": lambda content: parse_alert(content, "alert.xml"),
    "gwalert": lambda content: parse_alert(content, "alert.json"),
    "icecube_notice": _notice,
    "km3net_notice": _km3net,
    "burst_notice": _burst_notice,
    "skymap": _skymap,
    "neutrinos": _neutrinos,
    "release_events": _of_path(_release_events),
    "release_area": _of_path(_release_area),
    "smearing": _of_path(_smearing),
    "dataverse": lambda content: read_listing(content, "https://x", "https://x", {}),
    "bursts": _of_path(_bursts),
    "coincs": _of_path(read_coincs),
    "skymap_list": _of_path(list_skymaps),
    "table": _of_path(read_table),
    "settings": _of_path(_settings),
    "host_list": _host_list,
    "slurm_answers": _slurm_answers,
}


def _one_cell() -> Smearing:
    """A matrix of one cell of 2 x 2 x 2 bins."""
    edges = np.array([[2.0, 3.0, 4.0], [0.1, 0.5, 9.0], [0.2, 0.3, 1.0]])[None, None]
    events = np.arange(8, dtype=np.uint32).reshape(1, 1, 2, 2, 2)
    return Smearing(np.array([3.0, 3.5]), np.array([-90.0, 90.0]), edges, events, "")


@cache
def samples(name: str) -> list[bytes]:
    """Return inputs that the target accepts, or nearly so."""
    made: dict[str, Callable[[], list[bytes]]] = {
        "voevent": lambda: [voevent()],
        "gwalert": lambda: [gwalert_bytes()],
        "icecube_notice": lambda: [
            *(json.dumps(json_notice()).encode(), classic_notice()),
            classic_notice(packet="176", map="https://roc.icecube.wisc.edu/public/x.fits"),
        ],
        "km3net_notice": lambda: [json.dumps(km3net_alert()).encode()],
        "burst_notice": lambda: [
            *(json.dumps(notice()).encode() for notice in (gbm, guano, wxt)),
            *(svom(), svom("219"), *map(classic, ("111", "112", "115", "61"))),
        ],
        "skymap": lambda: [
            skymap_fits(),
            gzip.compress(skymap_fits()[:5000], mtime=0)
            + gzip.compress(skymap_fits()[5000:], mtime=0),
            skymap_fits().replace(b"'sr-1    '", b"'1/deg^2 '"),
            *[content for make, _ in bombs().values() if len(content := make()) < 20_000],
        ],
        "neutrinos": lambda: [
            b"mjd,ra,dec,sigma,energy\n58598.34589,60.0,25.0,0.8,5000.0\n",
            b"# unit: d rad deg deg TeV\n# mjd ra dec sigma energy\n58598.3 1.1 25.0 0.8 5\n",
            b"mjd;ra [rad];dec_deg;sigma (arcmin);energy/TeV\n58598.3;1.1;25.0;48;5\n",
            b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: rad, datatype: float64}\n"
            b"mjd ra dec sigma energy\n58598.34589 1.1 25.0 0.8 5000.0\n",
            b'{"units": {"ra": "rad"}, "events": [{"mjd": 58598.3, "ra": 1.1, "dec_rad": 0.4, '
            b'"sigma": 0.8, "energy [TeV]": 5}]}',
            json.dumps([neutrino()]).encode(),
        ],
        "release_events": lambda: [
            table(EVENT, event_rows("IC86_I", 4), form).encode() for form in ("csv", "tab")
        ],
        "release_area": lambda: [
            table(AREA, area_rows(), "tab").encode(),
            b"# E_min[GeV] E_max[GeV] cosZ_min cosZ_max A[m^2]\n1 10 -1 0 3\n1 10 0 1 2\n",
        ],
        "smearing": lambda: [
            b"#  " + COLUMNS.encode() + b'\n"' + b" 1" * 11 + b'"\n',
            as_text(as_rows(_one_cell())).encode(),
            as_text(as_rows(_one_cell()), COLUMNS, quoted=True).encode(),
        ],
        "dataverse": lambda: [json.dumps(_LISTING).encode()],
        "coincs": lambda: [
            b"coinc_event_id\tifos\n1\tH1,L1\n2\tH1,L1,V1\n",
            b"# id instruments snr\ncoinc_event:coinc_event_id:12 H1L1V1 12.5\n",
        ],
        "skymap_list": lambda: [b"/nowhere/1.fits.gz\n/nowhere/2.fits.gz\n"],
        "table": lambda: [
            f"{HEADER}\n{'=' * 120}\n+2.29e-36 9 shard-0000/injection-3 /1.fits\n".encode()
        ],
        "bursts": lambda: [
            b'[{"graceid": "E1", "gps_time": 1e9, "ra": 10.5, "dec": -3, "sigma": 2}]',
            b'{"events": []}',
        ],
        "host_list": lambda: [b"llama-worker-[000-003,7],llama-head", b"a[1-2]b[3-4]"],
        "slurm_answers": lambda: [
            b"NodeName=llama-worker-000 Arch=x86_64 State=IDLE+CLOUD+POWERED_DOWN ThreadsPerCore=1 "
            b"Reason=llama: no money [root@2026-11-27T08:00:00] Comment=x\n",
            b"12|RUNNING|llama-worker-[000-001]|None|bns-o3-H1L1V1|shard|0\n",
        ],
        "settings": lambda: [(CLONE / "config.yaml").read_bytes(), yaml.safe_dump({}).encode()],
    }
    return made[name]()


def corpus(name: str) -> list[bytes]:
    """Return what once broke the target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
