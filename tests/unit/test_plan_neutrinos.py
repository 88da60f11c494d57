"""The archive of the settings, and what outdates an event's neutrinos."""

from pathlib import Path

import pytest
from event_samples import GPS
from plan_samples import EVENT, events, settings, write_event

from llama.errors import LlamaError
from llama.event.flags import write_flags
from llama.neutrinos.archive import Archive
from llama.plan import events as plan_neutrinos
from llama.plan.events import Neutrinos
from llama.settings import Settings


def neutrinos(wanted: Settings) -> Neutrinos:
    return Neutrinos(wanted, events(wanted))


@pytest.fixture
def site(tmp_path: Path, archive: Archive) -> Settings:
    """Settings whose archive is there, and an event."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/toy").symlink_to(archive.directory)
    write_event(tmp_path)
    return settings(tmp_path, neutrinos__archive="toy")


def test_a_missing_archive_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="no neutrino archive icecube_10year_ps; make it with: ll"):
        neutrinos(settings(tmp_path)).response()


def test_the_archive_that_is_there(site: Settings) -> None:
    assert neutrinos(site).response() == "archive/toy/response.hdf5"


def test_a_list_is_outdated_when_its_window_closes(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = neutrinos(site)
    monkeypatch.setattr(plan_neutrinos, "now_gps", lambda: GPS + 499)
    state, sources = one.window_version(EVENT)
    assert state == "open"
    monkeypatch.setattr(plan_neutrinos, "now_gps", lambda: GPS + 501)
    assert one.window_version(EVENT) == ["closed", sources]
    assert [name for name, _ in sources] == ["archive"]


def test_given_neutrinos_are_all_that_matters(site: Settings) -> None:
    name = "alerts/1-neutrinos.json"
    write_event(site.output_dir, "events/S190404b", neutrino_file=name)
    assert neutrinos(site).window_version("events/S190404b")[1] == name


def test_a_mock_is_outdated_by_the_archive_that_it_is_drawn_from(
    site: Settings, archive: Archive
) -> None:
    write_event(site.output_dir, "events/MS190404a")
    assert neutrinos(site).window_version("events/MS190404a")[1] == archive.identity


def test_sources_on_other_machines_are_asked_as_the_flag_says(site: Settings) -> None:
    write_flags(site.output_dir / EVENT, {"ONLINE": False})
    assert neutrinos(site).may_ask(EVENT)
    source = {"https_json": {"url": "https://127.0.0.1:9/?from={start_gps}&to={stop_gps}"}}
    asking = settings(site.output_dir, neutrinos__archive="toy", neutrinos__source=source)
    assert not neutrinos(asking).may_ask(EVENT)
