"""What a target means, and how a wrong one or a wrong setting is answered."""

import os
import re
from pathlib import Path

import pytest
from workspace import (
    ALL,
    EVENT,
    GRACEID,
    Workspace,
    alert,
    assert_described,
    sentence,
    skymap_fits,
)


def test_the_tree_of_an_event_is_complete(finished: Workspace) -> None:
    missing = [path.name for path in finished.products() if not path.stat().st_size]
    assert missing == []
    assert len(finished.products()) == 20
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
    [EVENT, f"{EVENT}/", f"./{EVENT}/all", f"current_run/{GRACEID}/all", f"current_run/{GRACEID}"],
)
def test_all_ways_to_name_an_event_mean_the_same(event: Workspace, target: str) -> None:
    for path in event.products()[2:]:
        path.unlink()
    assert event.plan(target) == sorted(ALL)


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
    assert len(names) == 20
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


def test_the_newest_events_are_tracked_first(event: Workspace) -> None:
    event.take(alert(graceid="S240101cd", skymap=skymap_fits()))
    for name, age_s in ((GRACEID, 0), ("S240101cd", 3600)):
        path = event.output / "events" / name / "skymap_info.json"
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    event.set("  tracked_newest: 40", "  tracked_newest: 1")
    assert set(event.plan()) <= {"write_manifest", "write_page"}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("events/../../x/all", "'..' is not a GraceDB id"),
        (f"events/S{'1' * 300}/all", "is not a GraceDB id"),
        ("events/S190425z/all", "create the event with skymap_info"),
        ("past_runs/o3/S190425z/all", "create the event with skymap_info"),
    ],
)
def test_a_wrong_id_is_answered_in_one_sentence(fresh: Workspace, target: str, says: str) -> None:
    answer = sentence(fresh.snakemake(target, code=1))
    assert says in answer
    assert len(answer) < 250
    assert list((fresh.output / "current_run").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("skymap_info.json", None, "create the event with skymap_info"),
        ("skymap_info.json", "{", "is not valid JSON"),
        ("flags.json", None, "flags.json does not exist"),
        ("flags.json", '{"ROLE": "real"}', "use test or observation"),
    ],
)
def test_an_event_whose_files_are_broken_is_answered_in_one_sentence(
    copied: Workspace, name: str, content: str | None, says: str
) -> None:
    path = copied.event / name
    aside = path.rename(copied.root / "aside")
    if content is not None:
        path.write_text(content)
    printed = copied.run("snakemake", f"{EVENT}/all", code=1)
    aside.rename(path)
    answer = sentence(printed)
    assert says in answer


def test_a_missing_archive_is_answered_in_one_sentence(copied: Workspace) -> None:
    archive = copied.output / "archive"
    aside = archive.rename(copied.output / "aside")
    answer = sentence(copied.snakemake(f"{EVENT}/all", code=1))
    aside.rename(archive)
    assert "llama neutrinos import PATH" in answer


def test_a_wrong_setting_stops_at_once_with_the_lines_to_paste(fresh: Workspace) -> None:
    by_option = fresh.snakemake("--config", "search={fb: ten}", code=1)
    fresh.set("  fb: 10.0", "  fb: ten")
    for printed in (by_option, fresh.snakemake(code=1)):
        assert "search.fb is 'ten', but should be a valid number" in printed
        assert not re.search(r'Traceback|File "', printed)
        pasted = printed[printed.index("Paste these lines") :]
        assert "\nsearch:\n" in pasted
        assert "\n  fb: 10.0\n" in pasted + "\n"


def test_another_settings_file_takes_the_place_of_the_clones(event: Workspace) -> None:
    config, other = event.clone / "config.yaml", event.root / "other.yaml"
    other.write_text(
        config.read_text().replace("output_dir: null", f"output_dir: {event.output}", 1)
    )
    event.set("output_dir: null", f"output_dir: {event.root}/elsewhere")
    event.set("  studies: {}", "  studies: {bns-o4-H1L1: {skymaps: /nowhere}}")
    for before, after in (
        (("env", f"LLAMA_CONFIG={other}"), ()),
        ((), ("--configfile", str(other))),
    ):
        said = event.run(*before, "snakemake", f"{EVENT}/all", *after)
        assert "Nothing to be done" in said
        study = "studies/bns-o4-H1L1/background"
        answer = sentence(event.run(*before, "snakemake", study, *after, code=1))
        assert answer.startswith("llama: bns-o4-H1L1 is not in background.studies")
    assert not (event.root / "elsewhere").exists()


def test_an_output_directory_that_cannot_be_made_is_named(fresh: Workspace) -> None:
    place = Path("/proc/llama")
    answer = sentence(fresh.snakemake("--config", f"output_dir={place}", code=1))
    assert str(place) in answer
    assert "correct output_dir" in answer
