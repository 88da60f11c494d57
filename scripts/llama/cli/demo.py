"""`llama demo`: a mock event from its alert to its page, with a background of its own."""

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import create_event
from llama.cli.common import say
from llama.errors import LlamaError
from llama.files import dump_json, read_json, write_bytes
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.settings import from_dict
from llama.settings.load import find_clone
from llama.sky.mock import mock_skymap, to_fits
from llama.times import gps_to_mjd, iso_to_gps
from llama.units import p_value_text

GRACEID = "MS230601a"
CLASS = "bns-o4-H1L1"
EVENT_TIME = "2023-06-01T08:18:05.017"
SEED = 20230601
_MAPS = 8
_CENTRE = (197.45, -23.38)  # ra, dec [deg] of the source
_DISTANCE_MPC = (60.0, 15.0)


def run(options: argparse.Namespace) -> None:
    """Run `llama demo`."""
    clone = find_clone()
    output = (options.output or clone / "demo").resolve()
    config = _write_inputs(output, options.injections)
    say("demo: a mock superevent with one neutrino from its source and four from the background")
    alert = _alert()
    create_event(
        output / "current_run",
        parse_alert(alert, "the mock alert"),
        alert_content=alert,
        alert_suffix="json",
        neutrinos=("neutrinos.json", _neutrinos()),
    )
    say(f"demo: a background of {options.injections:,} injections (snakemake populations.hdf5)")
    _snakemake(clone, config, "populations.hdf5")
    say(f"demo: the event (snakemake events/{GRACEID}/all)")
    _snakemake(clone, config, f"events/{GRACEID}/all")
    event = output / "current_run" / GRACEID
    print(_result(event))
    print(f"The page of the event is {event / 'index.html'}")


def _write_inputs(output: Path, injections: int) -> Path:
    """Make archive, sky maps and settings of the demo; what is there already stays."""
    if not (output / "archive" / "mock" / "archive.json").exists():
        say("demo: a mock neutrino archive")
        with tempfile.TemporaryDirectory() as release:
            write_mock_release(
                Path(release), SEED, mjd_start=60_080.0, mjd_stop=60_140.0, matrix=True
            )
            import_release(release, output / "archive", "mock")
    for index in range(_MAPS):
        path = output / "maps" / f"{index}.fits"
        if not path.exists():
            # round the sky by the golden angle, from narrow to wide, from near to far
            ra, dec = 137.5 * index % 360, 70.0 * (2 * (index + 0.5) / _MAPS - 1)
            sigma, distance = (
                (3.0 + 2 * index, 1.5 + 0.5 * index),
                (40.0 + 20 * index, 12.0 + 4 * index),
            )
            tiles = mock_skymap(ra, dec, sigma, distance)
            write_bytes(path, to_fits(tiles, EVENT_TIME))
    study = {CLASS: {"skymaps": str(output / "maps")}}
    values: dict[str, object] = {
        "output_dir": str(output),
        "neutrinos": {"archive": "mock"},
        "background": {"sampling": "weighted", "injections": injections, "studies": study},
    }
    from_dict(values, "the demo's settings")
    config = output / "config.yaml"
    write_bytes(config, yaml.safe_dump(values, sort_keys=False).encode())
    return config


def _alert() -> bytes:
    skymap = to_fits(mock_skymap(*_CENTRE, (4.0, 2.0), _DISTANCE_MPC), EVENT_TIME)
    content = {
        "alert_type": "PRELIMINARY",
        "time_created": "2023-06-01T08:23:11Z",
        "superevent_id": GRACEID,
        "urls": {"gracedb": f"https://example.org/superevents/{GRACEID}/view/"},
        "event": {
            "time": f"{EVENT_TIME}Z",
            "far": 3.2e-10,
            "significant": True,
            "instruments": ["H1", "L1"],
            "group": "CBC",
            "pipeline": "gstlal",
            "search": "MDC",
            "properties": {"HasNS": 1.0, "HasRemnant": 1.0, "HasMassGap": 0.0},
            "classification": {"BNS": 0.97, "NSBH": 0.01, "BBH": 0.0, "Terrestrial": 0.02},
            "duration": None,
            "central_frequency": None,
            "skymap": base64.b64encode(skymap).decode(),
        },
        "external_coinc": None,
    }
    return dump_json(content).encode()


def _neutrinos() -> bytes:
    """Return one neutrino from the source and four that only happen to be there."""
    rows = [  # dt [s], ra, dec, sigma [deg], energy [GeV]
        (-388.2, 83.1, 12.7, 1.1, 900.0),
        (-120.5, 311.9, 48.2, 0.4, 2300.0),
        (41.8, _CENTRE[0] + 0.6, _CENTRE[1] - 0.3, 0.5, 61000.0),
        (207.3, 20.4, -5.6, 0.7, 1500.0),
        (455.0, 250.6, 30.9, 2.0, 640.0),
    ]
    names = ("mjd", "ra", "dec", "sigma", "energy")
    start = iso_to_gps(EVENT_TIME)
    content = [
        dict(zip(names, (float(gps_to_mjd(start + dt)), *rest), strict=True))
        | {"type": "simulated"}
        for dt, *rest in rows
    ]
    return dump_json(content).encode()


def _snakemake(clone: Path, config: Path, target: str) -> None:
    command = [sys.executable, "-m", "snakemake", target, "--quiet", "reason", "host"]
    command += ["--configfile", str(config)]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    done = subprocess.run(command, cwd=clone, env=environment, check=False)
    if done.returncode:
        raise LlamaError(
            f"snakemake {target} failed; its messages are above, "
            f"its logs in {config.parent / 'logs'}"
        )


def _result(event: Path) -> str:
    significance = read_json(event / "significance_lvc-i3.json")
    return (
        f"{GRACEID}: odds ratio {significance['odds_ratio']:.3g}, "
        f"p-value {p_value_text(significance['p_value'], significance['p_value_error'])} "
        f"({significance['p_value_population']}, {significance['n_background']:,} injections)"
    )
