"""What studies and events can see, as typed: made whole, made once, remade when outdated."""

import re
from pathlib import Path

import pytest
from artifact_samples import write_artifacts
from astropy.table import Table
from study_samples import DIRECTORY, STUDY
from workspace import EVENT, Workspace, assert_described, jobs, sentence, strict_json

from llama.figures.study_page import study_content

ALL = f"{DIRECTORY}/all"
FIGURES = [
    f"{name}.{form}"
    for name in ("efficiency", "pp_plot", "distributions")
    for form in ("png", "pdf")
]
PRODUCTS = ["sensitivity.json", *FIGURES, "summary.html", "summary.pdf"]
DRAWN = ["draw_study", "write_study_summary"]
LIMIT = f"{EVENT}/upper_limit_lvc-i3.json"


@pytest.fixture
def small(study: Workspace) -> Workspace:
    study.set("  injections: 60", "  injections: 150")
    study.set("  shard_size: 20", "  shard_size: 150")
    study.set("  signal_injections: 10000", "  signal_injections: 60")
    return study


def test_a_study_is_summed_up_and_only_what_is_outdated_is_made_again(
    small: Workspace,
) -> None:
    small.snakemake(ALL, "--cores", "2")
    directory = small.output / DIRECTORY
    assert all((directory / name).stat().st_size for name in PRODUCTS)
    assert small.plan(ALL) == []
    for name, made in (
        ("sensitivity.json", "sensitivity.json"),
        ("skymaps.hdf5", "skymaps.hdf5"),
        ("skymaps/part-<n>.hdf5", "skymaps/part-0000.hdf5"),
        ("<kind>/shard-<n>.hdf5", "background/shard-0000.hdf5"),
        ("<kind>/shard-<n>.hdf5", "doublet/shard-0000.hdf5"),
    ):
        assert_described(f"studies/<class>/{name}", directory / made)
    content = strict_json(directory / "sensitivity.json")
    assert content["study"] == STUDY
    assert content["injections"] == {
        "background": 150, "signal": 60, "doublet": 60, "quadruplet": 60,
    }  # fmt: skip
    first, joint = content["thresholds"]
    assert first["efficiency_quadruplet"]["value"] > first["efficiency_signal"]["value"] > 0.1
    assert "raise background.injections to 9,999" in joint["reason"]
    assert "background/shard-0000.hdf5" in content["provenance"]["inputs"]
    assert len(content["provenance"]["settings_sha256"]) == 64
    assert re.search(r"Half of the sources .* erg", (directory / "summary.html").read_text())
    printed = small.run("llama", "dev", "dv", "done", "bg")
    assert re.search(rf"{STUDY} +quadruplet +60 +60 +100% +- +done", printed)
    # a figure that is gone is drawn again
    kept = (directory / "pp_plot.png").rename(directory / "kept.png")
    assert small.plan(ALL) == DRAWN
    kept.rename(directory / "pp_plot.png")
    # another trigger rate changes no injection
    config = small.clone / "config.yaml"
    rate = r"\1, triggers_per_year: 0.9}"
    config.write_text(re.sub(r"(skymaps: [^}]+)}", rate, config.read_text()))
    assert jobs(small.snakemake(f"{DIRECTORY}/sensitivity.json")) == ["compute_sensitivity"]
    joint = strict_json(directory / "sensitivity.json")["thresholds"][1]
    assert joint["reason"] is None
    assert joint["p_value"] == pytest.approx(1 / 90)
    assert small.plan(ALL) == DRAWN
    # more injections of a source leave the background alone
    small.set("  signal_injections: 60", "  signal_injections: 90")
    remade = small.plan(ALL)
    assert remade == sorted(["compute_sensitivity", *["inject"] * 3, *DRAWN])
    small.set("  signal_injections: 90", "  signal_injections: 60")
    small.set("  max_set_size: 4", "  max_set_size: 3")
    assert small.plan(ALL) == sorted(
        ["collate_table", "compute_sensitivity", *["inject"] * 4, *DRAWN]
    )


def test_a_study_of_superevents_and_lists_is_summed_up_too(fresh: Workspace) -> None:
    artifacts = write_artifacts(fresh.root / "artifacts")
    fresh.set("  studies: {}", f"  studies: {{cbc-o3-H1L1: {{artifacts: {artifacts}}}}}")
    fresh.set("  signal_injections: 10000", "  signal_injections: 30")
    fresh.snakemake("studies/cbc-o3-H1L1/sensitivity.json", "--cores", "2")
    content = strict_json(fresh.output / "studies/cbc-o3-H1L1/sensitivity.json")
    assert (content["injections"]["background"], content["skymaps"]) == (15, 3)
    assert "raise background.injections" in content["thresholds"][0]["reason"]
    assert study_content(content)["lead"].startswith("Nothing can be found")


def test_a_study_that_is_not_there(fresh: Workspace) -> None:
    printed = fresh.snakemake("studies/bns-o9-H1/summary.html", code=1)
    assert "bns-o9-H1 is not in background.studies" in sentence(printed)


def test_an_event_has_a_limit_and_a_run_a_catalogue_when_asked_for(event: Workspace) -> None:
    assert event.plan(f"{EVENT}/all") == []
    event.snakemake("current_run/catalogue")
    assert event.plan(LIMIT, f"{EVENT}/all", "current_run/catalogue") == []
    limit = strict_json(event.event / Path(LIMIT).name)
    assert_described(Path(LIMIT).name, event.event / Path(LIMIT).name)
    assert_described("upper_limit_lvc-i3.hdf5", event.event / "upper_limit_lvc-i3.hdf5")
    significance = strict_json(event.event / "significance_lvc-i3.json")
    assert limit["odds_ratio"] == significance["odds_ratio"] > 0
    assert limit["e_iso_erg"] is None or limit["e_iso_erg"] > 1e49
    assert (limit["e_iso_erg"] is None) == (limit["reason"] is not None)
    assert set(limit["provenance"]["inputs"]) >= {"lvc_skymap.fits", "significance_lvc-i3.json"}
    run = event.event.parent
    assert_described("<run>/catalogue.json", run / "catalogue.json")
    catalogue = strict_json(run / "catalogue.json")
    best = catalogue["best_event"]
    # of one event there is one trial, and its sum is its odds
    assert best["p_value_after_trials"] == pytest.approx(significance["p_value_map"])
    assert catalogue["binomial_scan"]["p_value"] == pytest.approx(best["p_value"])
    summed = catalogue["summed_odds"]
    assert summed["p_value"] == pytest.approx(best["p_value"], abs=3 * summed["p_value_error"])
    table = Table.read(run / "catalogue.ecsv")
    assert table["odds_ratio"][0] == significance["odds_ratio"]
    assert str(table["area_90_deg2"].unit) == "deg2"
    assert f'href="{event.event.name}/index.html"' in (run / "catalogue.html").read_text()
    assert (run / "catalogue.pdf").read_bytes().startswith(b"%PDF")
    event.set("  fb: 10.0", "  fb: 20.0")
    remade = ["build_map_background", "compute_significance", "compute_upper_limit"]
    assert event.plan(LIMIT) == remade
    pages = ["draw_catalogue", "make_catalogue", "write_catalogue"]
    assert event.plan("current_run/catalogue") == sorted([*remade, *pages])


def test_a_run_without_events_has_no_catalogue(fresh: Workspace) -> None:
    printed = fresh.snakemake("past_runs/o3/catalogue", code=1)
    assert "past_runs/o3 has no event for a catalogue" in sentence(printed)
