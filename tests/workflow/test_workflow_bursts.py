"""Gamma-ray bursts of an event: off, on, gone, changed, unreadable, and those that were heard."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from burst_samples import gbm, hear
from workspace import (
    EVENT,
    SIGNIFICANCE,
    Workspace,
    alert,
    assert_described,
    sentence,
    skymap_fits,
    strict_json,
)

from llama.event.skymap_info import read_info
from llama.files import sha256_file
from llama.times import gps_to_iso

TARGET = f"{EVENT}/all"
PRODUCT = "significance_lvc-i3.json"
OFF, ON = "  efficiency: 0.0", "  efficiency: 0.6"


def give(event: Workspace, *rows: dict[str, float]) -> Path:
    """Put a list of bursts into the event's directory: one at the map, 1.5 s after the wave."""
    burst = {"gps_time": read_info(event.event).gps_time + 1.5, "ra": 40, "dec": 20, "sigma": 4}
    path = event.event / "fermi_grbs.json"
    path.write_text(json.dumps([burst | row for row in rows]))
    return path


def result(event: Workspace) -> Any:
    return strict_json(event.event / PRODUCT)


def test_off_a_list_changes_nothing_not_even_when_all_is_made_again(event: Workspace) -> None:
    names = (PRODUCT, "gcn_notice.json", "coinc_summary_i3_lvc.html")
    before = event.digests(names)
    give(event, {})
    event.set("  rate_hz: 7.5e-06", "  rate_hz: 1.0e-05")
    # the manifest has all settings; nothing else knows of bursts
    assert event.plan(TARGET) == ["write_manifest", "write_page"]
    (event.event / PRODUCT).unlink()
    event.snakemake(TARGET)
    assert event.digests(names) == before
    assert "fermi_grbs.json" not in strict_json(event.event / "manifest.json")["products"]


WITH_MAP = sorted([*SIGNIFICANCE, "build_map_background"])


def test_on_the_bursts_count_and_the_p_value_is_of_chance_with_bursts(event: Workspace) -> None:
    alone = result(event)
    event.set(OFF, ON)
    assert event.plan(TARGET) == ["write_manifest", "write_page"]  # the event has no list
    path = give(event, {})
    assert event.plan(TARGET) == WITH_MAP
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    found = result(event)
    assert found["odds_ratio"] > 1000 * alone["odds_ratio"] > 0
    assert found["posterior"]["coincidence"] > alone["posterior"]["coincidence"]
    assert 0 < found["p_value"] == found["p_value_map"] < alone["p_value"]
    assert found["p_value_method"] == "map"
    for name in ("odds_ratio", "p_value", "p_value_population", "n_background", "posterior"):
        assert found["without_bursts"][name] == alone[name]
    assert found["single_neutrino"] == alone["single_neutrino"]
    assert found["provenance"]["inputs"]["fermi_grbs.json"] == sha256_file(path)
    assert found["provenance"]["settings_sha256"] != alone["provenance"]["settings_sha256"]
    manifest = strict_json(event.event / "manifest.json")
    assert manifest["products"]["fermi_grbs.json"]["sha256"] == sha256_file(path)
    page = (event.event / "coinc_summary_i3_lvc.html").read_text()
    assert re.search(r"Without gamma-ray bursts.*?odds ratio .*? p = 0\.", page, re.DOTALL)
    # a notice is about neutrinos
    noticed = strict_json(event.event / "gcn_notice.json")["pval_bayesian"]
    assert noticed == pytest.approx(alone["p_value"], rel=0.2)
    again = event.run("llama", "rebuild", EVENT, "--at", str(event.event / "manifest.json"))
    assert again.startswith("identical: ")

    # another in its place that is older than the result, one of other errors, the same again, none
    give(event, {"gps_time": 1.2e9})
    os.utime(path, (1.7e9, 1.7e9))
    assert event.plan(TARGET) == sorted(SIGNIFICANCE)
    give(event, {"sigma": 5})
    assert event.plan(TARGET) == WITH_MAP
    give(event, {})
    assert event.plan(TARGET) == []
    path.unlink()
    event.snakemake(f"{EVENT}/{PRODUCT}")
    assert result(event) == alone


def test_a_list_that_cannot_be_read_is_one_sentence_and_the_old_result_stays(
    event: Workspace,
) -> None:
    event.set(OFF, ON)
    before = event.digests([PRODUCT])
    path = give(event, {}, {"sigma": -1})
    wrong = r"fermi_grbs\.json, row 2: sigma -1 is out of range; give the 1-sigma error radius"
    for target in (TARGET, f"{EVENT}/{PRODUCT}"):
        assert re.search(wrong, sentence(event.snakemake(target, code=1)))
    # plain snakemake names the event and does the others
    event.take(alert(graceid="S240101cd", skymap=skymap_fits()))
    printed = event.snakemake("--dry-run")
    assert re.search(rf"{EVENT} is left alone: .*{wrong}", printed)
    assert re.search(r"\ncompute_significance +1\n", printed)
    path.write_text("GRB 190425A")
    assert "is not valid JSON" in sentence(event.snakemake(f"{EVENT}/{PRODUCT}", code=1))
    assert event.digests([PRODUCT]) == before
    give(event, {})
    event.snakemake(f"{EVENT}/{PRODUCT}")
    assert result(event)["p_value_method"] == "map"


HEARD = "  instruments: {fermi_gbm: {efficiency: 0.6, rate_hz: 7.5e-06}}"


def test_a_late_burst_that_was_heard_counts_until_it_is_retracted(event: Workspace) -> None:
    alone, gps = result(event), read_info(event.event).gps_time
    event.set("  instruments: {}", HEARD)
    assert event.plan(TARGET) == ["write_manifest", "write_page"]  # nobody listened
    for day in (gps - 1, gps):  # it was at midnight
        hear(event.output, ("igwn.gwalert", b"{}"), gps=day)
    with_list = sorted([*WITH_MAP, "list_bursts"])
    assert event.plan(TARGET) == with_list  # none was told
    time = {"trigger_time": gps_to_iso(gps + 1.5), "alert_datetime": gps_to_iso(gps + 3600)}
    hear(event.output, ("fermi_gbm", gbm(**time)), gps=gps)
    product = f"{EVENT}/{PRODUCT}"  # that is what the others are made of
    event.snakemake(product)
    assert event.plan(product) == []
    found = result(event)
    assert found["odds_ratio"] > 1000 * alone["odds_ratio"] > 0
    assert 0 < found["p_value"] == found["p_value_map"] < alone["p_value"]
    assert found["inputs"]["grb_instruments"] == {
        "fermi_gbm": {"efficiency": 0.6, "rate_hz": 7.5e-6}
    }
    assert found["dump"]["sets"][0]["bursts"] == ["fermi_gbm:123"]
    assert_described("heard_grbs.json", event.event / "heard_grbs.json")
    listed = sha256_file(event.event / "heard_grbs.json")
    assert found["provenance"]["inputs"]["heard_grbs.json"] == listed

    # one by hand comes first, if it counts
    path = give(event, {})
    event.set(OFF, ON)
    assert event.plan(product) == ["build_map_background", "compute_significance"]
    path.unlink()
    event.set(ON, OFF)

    late = time | {"alert_type": "retraction", "alert_datetime": gps_to_iso(gps + 7200)}
    hear(event.output, ("fermi_gbm", gbm(**late, ra=None, dec=None)), gps=gps + 86400)
    event.snakemake(product)
    after = result(event)
    assert after["inputs"]["burst_info"] == []
    assert after["odds_ratio"] < alone["odds_ratio"]
    assert after["without_bursts"]["odds_ratio"] == alone["odds_ratio"]
