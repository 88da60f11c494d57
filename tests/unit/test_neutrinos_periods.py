"""One detector, one period: a release of several configurations, and the one of an event's time."""

import shutil

import numpy as np
import pytest
from dr2_samples import SEASONS, contents, write_dr2
from event_samples import INFO
from plan_samples import events, settings, write_event

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive, summary
from llama.neutrinos.event_list import make_list
from llama.neutrinos.importing import import_release
from llama.neutrinos.sources import open_sources
from llama.plan.events import Neutrinos
from llama.times import gps_to_iso, mjd_to_gps


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An output directory with an archive, and the release that it is made of."""
    directory = tmp_path_factory.mktemp("site")
    import_release(write_dr2(directory / "dr2"), directory / "archive", "dr2")
    return directory


@pytest.fixture
def archive(site):
    return Archive.open(site / "archive" / "dr2")


def at(season, days):
    return float(mjd_to_gps(SEASONS[season] + days))


def test_every_configuration_is_a_complete_archive(site, archive, tmp_path):
    assert [older.name for older in archive.older] == ["dr2/IC79", "dr2/IC40"]
    assert list(summary(site / "archive")) == ["dr2", "dr2/IC79", "dr2/IC40"]
    for older in archive.older:
        kind = older.name.partition("/")[2]
        alone = import_release(site / "dr2", tmp_path, kind, seasons=[kind])
        different = {"name", "left_out_seasons"}
        assert {k: v for k, v in older.about.items() if k not in different} == {
            k: v for k, v in alone.items() if k not in different
        }
        assert older.response().season == kind
        assert older.about["smearing"] is None  # the public matrix is of IC86
        assert "energy proxy is another" in older.about["smearing_reason"]
    assert archive.about["left_out_seasons"] == []
    assert archive.about["event_seasons"] == ["IC86_I", "IC86_II"]


@pytest.mark.parametrize(
    ("season", "days", "name"),
    [
        ("IC40", 5, "dr2/IC40"),
        ("IC79", 0.1, "dr2/IC79"),
        ("IC79", 10.2, "dr2/IC79"),  # hours after its last run
        ("IC79", 20, "dr2"),
        ("IC86_I", 5, "dr2"),
        ("IC86_II", 5, "dr2"),
        ("IC86_II", 5000, "dr2"),
    ],
)
def test_a_time_has_the_configuration_that_took_data_then(archive, season, days, name):
    assert archive.at(at(season, days)).name == name


def test_where_two_overlap_it_is_the_one_with_more_uptime(tmp_path):
    release = write_dr2(tmp_path / "dr2")
    path = release / "uptime" / "IC79_exp.tab"
    rows = path.read_text().splitlines(keepends=True)
    rows.append('"   55709.50000000   55709.80000000"\n')  # of a day on which IC86 had all but this
    path.write_text("".join(rows))
    events_ = release / "events" / "IC79_exp.tab"
    last = events_.read_text().splitlines()[-1]
    events_.write_text(f"{events_.read_text()}{last.replace('55409.8', '55709.6')}\n")
    import_release(release, tmp_path / "archive", "dr2")
    archive = Archive.open(tmp_path / "archive" / "dr2")
    assert archive.at(float(mjd_to_gps(55709.6))).name == "dr2"
    assert archive.at(float(mjd_to_gps(55409.5))).name == "dr2/IC79"


def test_an_event_takes_list_and_response_of_its_time(site, archive):
    older = archive.older[0]
    gps = float(older.events()["gps"][20])
    (source,) = open_sources({}, site, "dr2")
    window = gps - 500, gps + 500
    assert source.state(*window) == older.identity != archive.identity
    made = make_list("S100101a", gps, now_gps=gps + 1e6, archive=archive)
    assert made == make_list("S100101a", gps, now_gps=gps + 1e6, sources=[source])
    assert made["source"]["name"] == "dr2/IC79"
    assert made["source"]["identity"] == older.identity
    assert [event["energy"] for event in made["events"]] == [older.events()["energy_gev"][20]]
    mock = make_list("MS100101a", gps, now_gps=gps + 1e6, archive=archive, rate_hz=0.05)
    assert {e["energy"] for e in mock["events"]} < set(older.events()["energy_gev"])

    wanted = settings(site, neutrinos__archive="dr2")
    plan = Neutrinos(wanted, events(wanted))
    for name, when, place in (
        ("S100101a", gps, "archive/dr2/IC79"),
        ("MS100101b", gps, "archive/dr2/IC79"),
        ("S190404a", INFO.trigger_gps, "archive/dr2"),
    ):
        event = f"events/{name}"
        write_event(site, event, gps_time=when, event_time=gps_to_iso(when))
        assert plan.directory(event) == place
        tables = "response.hdf5" if "IC79" in place else "detector.hdf5"
        assert plan.response(event) == f"{place}/{tables}"
        assert plan.background(event) == f"{place}/events.hdf5"
        assert (site / plan.response(event)).is_file()
    assert plan.response() == "archive/dr2/detector.hdf5"  # of studies
    write_event(site, "events/S100101c", retracted=True, gps_time=None, event_time=None)
    assert plan.directory("events/S100101c") == "archive/dr2"
    assert plan.window_version("events/MS100101b")[1] == older.identity
    assert plan.window_version("events/S100101a")[1] == [["archive", older.identity]]


def test_an_older_one_without_an_area_of_its_own_is_left_out(site, tmp_path):
    release = shutil.copytree(site / "dr2", tmp_path / "dr2")
    (release / "irfs" / "IC40_effectiveArea.tab").unlink()
    about = import_release(release, tmp_path / "archive", "dr2")
    assert about["left_out_seasons"] == ["IC40"]
    assert list(summary(tmp_path / "archive")) == ["dr2", "dr2/IC79"]


def test_what_is_wrong_with_an_older_one_leaves_all_as_it_was(site, tmp_path):
    shutil.copytree(site / "archive", tmp_path / "archive")
    release = shutil.copytree(site / "dr2", tmp_path / "dr2")
    (release / "uptime" / "IC40_exp.tab").unlink()
    before = contents(tmp_path)
    with pytest.raises(LlamaError, match=r"uptime has no IC40_exp.tab; add"):
        import_release(release, tmp_path / "archive", "dr2")
    assert contents(tmp_path) == before
    about = import_release(release, tmp_path / "archive", "dr2", seasons=["IC86"])
    assert about["left_out_seasons"] == ["IC40", "IC79"]
    assert Archive.open(tmp_path / "archive" / "dr2").older == ()


def test_the_ten_years_have_a_public_matrix_for_ic86_and_none_for_ic40(shared_data, tmp_path):
    """Areas, uptimes and IC40 are those of the release, the events of IC86 are IC40's, later."""
    release = shutil.copytree(shared_data / "icecube" / "icecube_10year_ps", tmp_path / "ten")
    for path in (release, *release.rglob("*")):
        path.chmod(0o755)
    rows = np.loadtxt(release / "events" / "IC40_exp.csv")
    runs = np.loadtxt(release / "uptime" / "IC86_VII_exp.csv")
    starts = np.concatenate([[0], np.cumsum(runs[:, 1] - runs[:, 0])])
    at_ = np.linspace(0, starts[-1] * 0.9999, len(rows))
    run = np.searchsorted(starts, at_, "right") - 1
    rows[:, 0] = runs[run, 0] + at_ - starts[run]
    header = (release / "events" / "IC40_exp.csv").read_text().partition("\n")[0]
    path = release / "events" / "IC86_VII_exp.csv"
    np.savetxt(path, rows, fmt="%.8f", header=header, comments="")
    about = import_release(release, tmp_path / "archive", "ten")
    assert about["effective_area_season"] == "IC86_II"  # that of all later ones
    assert about["smearing"] == "public IC86"
    assert (tmp_path / "archive/ten/detector.hdf5").is_file()
    (older,) = Archive.open(tmp_path / "archive" / "ten").older
    assert older.about["events"] == 36900
    assert older.about["smearing"] is None
    assert not (older.directory / "detector.hdf5").exists()
