"""Settings, events and studies in a directory, and what a run of Snakemake tells of itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from event_samples import INFO
from settings_samples import changed

from llama.event.flags import write_flags
from llama.plan.engine import Locks
from llama.plan.events import Events
from llama.settings import Settings, from_dict

EVENT = f"events/{INFO.graceid}"
_FILES = {
    "alert_file": "alerts/1-Preliminary.json",
    "event_alert_file": "alerts/1-Preliminary.json",
    "skymap_alert_file": "alerts/1-Preliminary.json",
    "skymap_file": None,
    "skymap_sha256": "0" * 64,
    "neutrino_file": None,
    "internal": False,
    "skymap_filename": "bayestar.fits.gz",
}


def settings(output_dir: Path, **changes: object) -> Settings:
    """Return the default settings with changes, `search__fb=2` for `search.fb: 2`."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return from_dict(changed({"output_dir": str(output_dir), **named}))


def write_event(output_dir: Path, event: str = EVENT, **changes: object) -> Path:
    """Write an event with one alert, and return its directory."""
    directory = output_dir / event
    (directory / "alerts").mkdir(parents=True)
    (directory / "alerts/1-Preliminary.json").write_text("{}")
    content = INFO.as_json() | _FILES | {"graceid": directory.name} | changes
    (directory / "skymap_info.json").write_text(json.dumps(content))
    write_flags(directory, {})
    return directory


def looking(output_dir: Path) -> Locks:
    """Return the locks of a run that makes nothing."""
    return Locks(output_dir, lambda: False)


def events(wanted: Settings) -> Events:
    """Return the events of a run that makes nothing."""
    return Events(wanted, looking(wanted.output_dir), lambda directory: None)


@pytest.fixture
def making(tmp_path: Path) -> Iterator[Locks]:
    """The locks of a run that makes something."""
    locks = Locks(tmp_path, lambda: True)
    yield locks
    locks.settle([])


def workflow(clone: Path = Path(), **changes: object) -> SimpleNamespace:
    """Return what Snakemake's workflow object tells when a user has started it."""
    told: dict[str, object] = {
        "basedir": clone,
        "current_basedir": SimpleNamespace(get_path_or_uri=lambda secret_free: str(clone)),
        "config_settings": SimpleNamespace(config={}),
        "dryrun": False,
        "executor_plugin": None,
        "is_main_process": True,
        "overwrite_configfiles": [],
        "resource_settings": SimpleNamespace(default_resources=None),
        "rules": [],
    }
    return SimpleNamespace(**told | changes)
