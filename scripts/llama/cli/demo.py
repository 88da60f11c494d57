"""`llama demo`: a mock event from its alert to its page, or three as a catalogue."""

import argparse
import base64
import os
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import create_event
from llama.cli.common import say
from llama.errors import LlamaError
from llama.files import dump_json, read_json, write_bytes
from llama.layout import find_workflow, path_variable, snakemake
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.settings import from_dict
from llama.sky.mock import mock_skymap, to_fits
from llama.times import gps_to_mjd, iso_to_gps
from llama.units import p_value_text

CLASS = "bns-o4-H1L1"
SEED = 20230601
RUN = "past_runs/demo"
_MAPS = 8


class _Event(NamedTuple):
    """A mock event: center of its map [deg], widths [deg], distance and its error [Mpc].

    neutrinos: dt [s], ra, dec, sigma [deg], energy [GeV].
    """

    graceid: str
    time: str
    notice_time: str
    center: tuple[float, float]
    widths: tuple[float, float]
    distance_mpc: tuple[float, float]
    neutrinos: tuple[tuple[float, float, float, float, float], ...]


# the first has a neutrino of its source, the third; all others only happen to be there
EVENTS = (
    _Event(
        *("MS230601a", "2023-06-01T08:18:05.017", "2023-06-01T08:23:11"),
        *((197.45, -23.38), (4.0, 2.0), (60.0, 15.0)),
        (
            (-388.2, 83.1, 12.7, 1.1, 900.0),
            (-120.5, 311.9, 48.2, 0.4, 2300.0),
            (41.8, 198.05, -23.68, 0.5, 61000.0),
            (207.3, 20.4, -5.6, 0.7, 1500.0),
            (455.0, 250.6, 30.9, 2.0, 640.0),
        ),
    ),
    _Event(
        *("MS230611c", "2023-06-11T14:02:51.330", "2023-06-11T14:07:40"),
        *((41.2, 33.9), (12.0, 7.0), (140.0, 40.0)),
        ((-210.7, 47.9, 21.4, 0.9, 1100.0), (88.4, 190.3, 22.2, 0.6, 1300.0)),
    ),
    _Event(
        *("MS230620e", "2023-06-20T21:40:12.508", "2023-06-20T21:45:02"),
        *((290.8, 8.1), (20.0, 9.0), (230.0, 60.0)),
        (
            (-301.9, 120.6, 61.3, 1.4, 700.0),
            (-15.2, 215.4, 11.0, 0.5, 900.0),
            (340.6, 30.1, 27.7, 0.8, 800.0),
        ),
    ),
)
GRACEID = EVENTS[0].graceid


def run(options: argparse.Namespace) -> None:
    """Run `llama demo`."""
    output = (options.output or Path("demo")).resolve()
    config = _write_inputs(output, options.injections)
    if options.catalogue:
        _catalogue(output, config)
        return
    say("demo: a mock superevent with one neutrino from its source and four from the background")
    _take(EVENTS[0], output / "current_run")
    say(f"demo: a background of {options.injections:,} injections (snakemake populations.hdf5)")
    _snakemake(config, "populations.hdf5")
    say(f"demo: the event (snakemake events/{GRACEID}/all)")
    _snakemake(config, f"events/{GRACEID}/all")
    event = output / "current_run" / GRACEID
    print(_result(event))
    print(f"The page of the event is {event / 'index.html'}")


def _catalogue(output: Path, config: Path) -> None:
    say("demo: three mock superevents, one with a neutrino from its source")
    for event in EVENTS:
        _take(event, output / RUN)
    say(f"demo: the events as one search (snakemake {RUN}/catalogue)")
    _snakemake(config, f"{RUN}/catalogue")
    found = read_json(output / RUN / "catalogue.json")["best_event"]
    print(
        f"{found['event']} is the most significant of {len(EVENTS)} events: p-value "
        f"{p_value_text(found['p_value'])}, {p_value_text(found['p_value_after_trials'])} after "
        "trials"
    )
    print(f"The page of the catalogue is {output / RUN / 'catalogue.html'}")


def _take(event: _Event, run_dir: Path) -> None:
    alert = _alert(event)
    create_event(
        run_dir,
        parse_alert(alert, "the mock alert"),
        alert_content=alert,
        alert_suffix="json",
        neutrinos=("neutrinos.json", _neutrinos(event)),
    )


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
            write_bytes(path, to_fits(tiles, EVENTS[0].time))
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


def _alert(event: _Event) -> bytes:
    skymap = to_fits(mock_skymap(*event.center, event.widths, event.distance_mpc), event.time)
    content = {
        "alert_type": "PRELIMINARY",
        "time_created": f"{event.notice_time}Z",
        "superevent_id": event.graceid,
        "urls": {"gracedb": f"https://example.org/superevents/{event.graceid}/view/"},
        "event": {
            "time": f"{event.time}Z",
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


def _neutrinos(event: _Event) -> bytes:
    names = ("mjd", "ra", "dec", "sigma", "energy")
    start = iso_to_gps(event.time)
    content = [
        dict(zip(names, (float(gps_to_mjd(start + dt)), *rest), strict=True))
        | {"type": "simulated"}
        for dt, *rest in event.neutrinos
    ]
    return dump_json(content).encode()


def _snakemake(config: Path, target: str) -> None:
    words = [target, "--quiet", "reason", "host", "--configfile", str(config)]
    done = subprocess.run(
        snakemake(find_workflow(), *words),
        cwd=config.parent,
        env=os.environ | {"PATH": path_variable()},
        check=False,
    )
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
