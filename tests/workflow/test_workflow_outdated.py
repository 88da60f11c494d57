"""What is made again when something changes, and what is not."""

import os
import time

import pytest
from workspace import (
    ALL,
    EVENT,
    FOLLOWERS,
    LAST,
    SIGNIFICANCE,
    SUMMARY,
    Workspace,
    alert,
    skymap_fits,
    strict_json,
)

from llama.audit.event import audit_files
from llama.event.flags import read_flags, write_flags
from llama.event.skymap_info import read_info
from llama.times import gps_to_iso, gps_to_mjd, now_gps

TARGET = f"{EVENT}/all"
_BACKGROUND = {"build_map_background", *SIGNIFICANCE}
_MAP = {"convert_skymap", "measure_skymap", *_BACKGROUND}
_COMBINED = {"combine_skymap", "draw_skymap", "write_notice", *SUMMARY}
DELETED = {
    "lvc_skymap.fits": {"extract_skymap", *_MAP},
    "lvc_skymap.hdf5": _MAP,
    "map_background.hdf5": _BACKGROUND,
    "lvc_skymap_distances.json": {"measure_skymap", *SIGNIFICANCE},
    "p_astro.json": {"read_alert", *SIGNIFICANCE},
    # made by the job that makes p_astro.json
    "lvc_gracedb_event_data.json": {"read_alert", *SIGNIFICANCE},
    "icecube_neutrino_list.json": {"list_neutrinos", *SIGNIFICANCE},
    "significance_lvc-i3.json": SIGNIFICANCE,
    "combined_skymap.multiorder.fits": _COMBINED,
    "coincidence_skymap.multiorder.fits": _COMBINED,
    "combined_skymap.json": _COMBINED,
    "latency.json": {"write_latency", *SUMMARY},
    "coinc_skymap_lvc-i3.png": {"draw_skymap", *SUMMARY},
    "coinc_skymap_lvc-i3.pdf": {"draw_skymap", *SUMMARY},
    "coinc_scatter_lvc-i3.png": {"draw_scatter", *SUMMARY},
    "coinc_scatter_lvc-i3.pdf": {"draw_scatter", *SUMMARY},
    "coinc_summary_i3_lvc.html": SUMMARY,
    "coinc_summary_i3_lvc.pdf": SUMMARY,
    "gcn_circular_draft.txt": {"write_notice", *LAST},
    "gcn_notice.json": {"write_notice", *LAST},
    "manifest.json": LAST,
    "index.html": {"write_page"},
}


def test_every_product_that_a_rule_makes_is_tested_below(finished: Workspace) -> None:
    alert_files = {"skymap_info.json", "flags.json"}
    assert {path.name for path in finished.products()} - alert_files == set(DELETED)


@pytest.mark.parametrize("name", DELETED)
def test_a_deleted_product_and_what_depends_on_it_is_made_again(
    copied: Workspace, name: str
) -> None:
    product, aside = copied.event / name, copied.root / name
    product.rename(aside)
    planned = copied.plan(TARGET)
    aside.rename(product)
    assert planned == sorted(DELETED[name])


def test_inputs_touched_but_identical_remake_nothing(event: Workspace) -> None:
    # the later in the way of the data, the older: every input is newer than what it gave
    inputs = [
        event.output / "archive/icecube_10year_ps/response.hdf5",
        *event.event.glob("alerts/*"),
        *event.products(),
    ]
    present = time.time()
    for age_s, path in enumerate(inputs):
        os.utime(path, (present - age_s, present - age_s))
    assert event.plan(TARGET) == []


def test_another_alert_remakes_its_event_and_no_other(event: Workspace) -> None:
    odds = strict_json(event.event / "significance_lvc-i3.json")["odds_ratio"]
    event.take(alert("UPDATE", skymap=skymap_fits(ra=200.0, dec=-30.0), far=1e-8, minute=30))
    event.take(alert(graceid="S240101cd", skymap=skymap_fits()))
    assert event.plan(TARGET) == sorted(ALL - {"list_neutrinos"})
    event.snakemake(f"{EVENT}/significance_lvc-i3.json")
    assert event.plan(TARGET) == sorted(FOLLOWERS)
    significance = strict_json(event.event / "significance_lvc-i3.json")
    assert significance["odds_ratio"] != odds
    assert significance["inputs"]["gw_skymap_info"]["far"] == 1e-8
    assert not (event.output / "events/S240101cd/significance_lvc-i3.json").exists()
    # nor does the audit take the list, which stays, for one of another alert
    found = audit_files(event.output, event.event, TARGET)
    assert not [f for f in found if f.check == "inputs" and "neutrino_list" in f.sentence]


def test_an_alert_with_another_false_alarm_rate_remakes_what_depends_on_it(
    event: Workspace,
) -> None:
    # the map comes again, as it was
    event.take(alert("UPDATE", skymap=skymap_fits(), far=2e-9, minute=30))
    assert event.plan(TARGET) == sorted({"read_alert", *SIGNIFICANCE})


def test_an_alert_that_says_nothing_new_remakes_nothing(event: Workspace) -> None:
    event.take(alert(skymap=skymap_fits()))
    assert event.plan(TARGET) == []


@pytest.mark.parametrize(
    ("old", "new", "remade"),
    [
        ("  fb: 10.0", "  fb: 20.0", _BACKGROUND),
        ("  ratebgnu: null", "  ratebgnu: 0.0035", {"list_neutrinos", *_BACKGROUND}),
        ("  tracked_newest: 40", "  tracked_newest: 50", LAST),
    ],
)
def test_a_changed_setting_remakes_what_depends_on_it(
    copied: Workspace, old: str, new: str, remade: set[str]
) -> None:
    copied.set(old, new)
    planned = copied.plan(TARGET)
    copied.set(new, old)
    assert planned == sorted(remade)


@pytest.mark.parametrize(
    ("flag", "value", "remade"),
    [
        ("BLINDED_NEUTRINOS", True, {"list_neutrinos", *SIGNIFICANCE}),
        ("ROLE", "observation", {"draw_skymap", "draw_scatter", "write_notice", *SUMMARY}),
        ("UPLOAD", True, SUMMARY),
    ],
)
def test_a_changed_flag_remakes_what_depends_on_it(
    copied: Workspace, flag: str, value: str | bool, remade: set[str]
) -> None:
    before = read_flags(copied.event)
    write_flags(copied.event, before | {flag: value})
    planned = copied.plan(TARGET)
    write_flags(copied.event, before)
    assert planned == sorted(remade)


def test_the_background_of_the_events_class_remakes_the_significance(event: Workspace) -> None:
    event.write_background("bns-o3-H1L1", "bns-o4-H1L1V1", "bbh-o3-H1L1V1")
    assert event.plan(TARGET) == []
    event.write_background(seed=2)
    assert event.plan(TARGET) == sorted(SIGNIFICANCE)


def test_a_list_made_in_the_window_is_outdated_when_the_window_closes(fresh: Workspace) -> None:
    target = f"{EVENT}/icecube_neutrino_list.json"
    product = fresh.output / target
    neutrinos = fresh.root / "neutrinos.csv"
    for margin_s in (10.0, 60.0):  # the second one for a machine that is very busy
        gps = now_gps() - 500 + margin_s
        neutrinos.write_text(f"mjd,ra,dec,sigma,energy\n{gps_to_mjd(gps):.6f},40,20,0.5,2000\n")
        content = alert(time=gps_to_iso(gps)).replace(b"2024-01-01T", b"2026-01-01T")
        fresh.take(content, "--neutrinos", str(neutrinos), "--force")
        fresh.snakemake(target)
        provisional = strict_json(product)
        if provisional["window_state"] == "open":
            break
    assert provisional["complete"] is False
    assert len(provisional["events"]) == 1
    closes = read_info(fresh.event).gps_time + 500
    if now_gps() < closes - 5:  # a dry run takes 3 s
        assert fresh.plan(target) == []
    time.sleep(max(0.0, closes - now_gps()))
    assert fresh.plan(target) == ["list_neutrinos"]
    fresh.snakemake(target)
    assert strict_json(product)["complete"] is True
    assert fresh.plan(target) == []
