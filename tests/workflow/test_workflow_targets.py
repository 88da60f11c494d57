"""What a target means, and what it makes."""

import pytest
from workspace import (
    ALL,
    EVENT,
    GRACEID,
    Workspace,
    alert,
    assert_described,
    skymap_fits,
)

from llama.event.regions import NAMES


def test_the_tree_of_an_event_is_complete(finished: Workspace) -> None:
    missing = [path.name for path in finished.products() if not path.stat().st_size]
    assert missing == []
    assert len(finished.products()) == 24
    assert not (finished.event / "all").exists()


def test_every_key_of_an_event_is_described(finished: Workspace) -> None:
    for path in finished.products():
        if path.suffix in (".json", ".hdf5"):
            assert_described(path.name, path)
    archive = "icecube_10year_ps"
    for name in ("archive.json", "events.hdf5", "response.hdf5"):
        assert_described(f"archive/<name>/{name}", finished.output / "archive" / archive / name)
    for name in ("populations.hdf5", "populations.json"):
        assert_described(name, finished.output / name)


def test_the_clone_and_the_home_stay_clean(finished: Workspace) -> None:
    made = {path.name for path in finished.clone.iterdir()}
    assert made == {
        *("Snakefile", "config.yaml", "rules", "profiles", "envs", "scripts"),
        *("events", ".snakemake", "do-cluster"),
    }
    assert {path.name for path in (finished.clone / ".snakemake").iterdir()} <= {"log"}
    assert not (finished.home / ".local").exists()


@pytest.mark.parametrize(
    "target",
    [f"{EVENT}/", f"./{EVENT}/all", f"current_run/{GRACEID}"],
)
def test_all_ways_to_name_an_event_mean_the_same(event: Workspace, target: str) -> None:
    for path in event.products()[2:]:
        path.unlink()
    assert event.plan(target) == sorted(ALL)


def test_regions_are_made_when_they_are_asked_for(event: Workspace) -> None:
    target = f"{EVENT}/regions"
    assert event.plan(target) == ["write_regions"]
    event.snakemake(target)
    assert {path.name for path in (event.event / "regions").iterdir()} == set(NAMES)
    assert event.plan(target) == event.plan(f"{EVENT}/all") == []


def test_the_page_of_all_events_is_made_whenever_it_is_asked_for(event: Workspace) -> None:
    page = event.output / "status.html"
    assert "S240101ab  TEST" in event.run("llama", "status")
    assert f'href="{EVENT}/index.html"' in page.read_text()
    for _ in range(2):
        before = page.stat().st_mtime_ns
        event.snakemake("status.html")
        assert page.stat().st_mtime_ns > before
    assert event.plan(f"{EVENT}/all") == []


def test_nothing_is_done_when_nothing_changed(event: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in event.products()}
    assert "Nothing to be done" in event.snakemake(f"{EVENT}/all")
    assert {path: path.stat().st_mtime_ns for path in event.products()} == before


def test_an_event_of_a_past_run_with_low_significance_completes(fresh: Workspace) -> None:
    skymap = fresh.root / "map.fits"
    skymap.write_bytes(skymap_fits())
    run = "past_runs/o4-check"
    printed = fresh.take(
        alert(significant=False), "--skymap", str(skymap), "--rundir", str(fresh.output / run)
    )
    command = f"snakemake {run}/{GRACEID}/all"
    assert command in printed
    fresh.run(*command.split())
    names = {path.name for path in fresh.products(f"{run}/{GRACEID}") if path.stat().st_size}
    assert "significance_subthresh_lvc-i3.json" in names
    assert len(names) == 24
    assert not fresh.event.exists()


def test_the_default_target_is_every_tracked_event_with_a_map(event: Workspace) -> None:
    event.take(alert(graceid="S240101cd"))
    assert event.plan() == []
    event.take(alert(graceid="S240101ef", skymap=skymap_fits()))
    assert event.plan() == sorted(ALL)
    event.set("  tracked_newest: 40", "  tracked_newest: 0")
    assert event.plan() == []


def test_an_event_whose_files_are_broken_is_named_and_does_not_stop_the_others(
    event: Workspace,
) -> None:
    for graceid, name in (("S240101cd", "skymap_info.json"), ("S240101ef", "flags.json")):
        event.take(alert(graceid=graceid, skymap=skymap_fits()))
        (event.output / "events" / graceid / name).write_text("{")
    (event.event / "manifest.json").unlink()
    printed = event.snakemake("--dry-run")
    assert event.plan() == ["write_manifest", "write_page"]
    assert event.plan(f"{EVENT}/all") == ["write_manifest", "write_page"]
    for graceid in ("S240101cd", "S240101ef"):
        assert f"events/{graceid} is left alone" in printed
