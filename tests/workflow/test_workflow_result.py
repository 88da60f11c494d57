"""What a finished event holds: manifest, report, and the mark of a retraction."""

import base64
import math
import re

import pytest
from workspace import EVENT, Workspace, alert, skymap_fits, strict_json

from llama.files import sha256_file, write_json

TARGET = f"{EVENT}/all"


def test_the_manifest_lists_every_product_byte_for_byte(finished: Workspace) -> None:
    manifest = strict_json(finished.event / "manifest.json")
    made = {path.name for path in finished.products()} - {"manifest.json", "index.html"}
    received = {
        *("alerts/1-Preliminary.json", "alerts/1-neutrinos.csv", "alerts/1-neutrinos-blob.fits")
    }
    assert set(manifest["products"]) == made | received
    for name, entry in manifest["products"].items():
        path = finished.event / name
        assert entry["sha256"] == sha256_file(path)
        assert entry["bytes"] == path.stat().st_size > 0
    assert manifest["command"] == f"snakemake {TARGET}"


def test_no_product_is_older_than_what_it_was_made_from(finished: Workspace) -> None:
    order = [
        "skymap_info.json",
        *("lvc_skymap.fits", "lvc_skymap.hdf5", "lvc_skymap_distances.json"),
        *("significance_lvc-i3.json", "coinc_skymap_lvc-i3.png", "coinc_summary_i3_lvc.html"),
        *("manifest.json", "index.html"),
    ]
    times = [(finished.event / name).stat().st_mtime for name in order]
    assert times == sorted(times)


def test_every_json_file_is_without_nan(finished: Workspace) -> None:
    files = [path for path in finished.products() if path.suffix == ".json"]
    assert len(files) == 11
    for path in files:
        assert strict_json(path)


def test_the_result_is_that_of_the_event(finished: Workspace) -> None:
    significance = strict_json(finished.event / "significance_lvc-i3.json")
    assert significance["odds_ratio"] > 0
    assert 0 < significance["p_value"] < 1
    assert (significance["p_value_population"], significance["n_background"]) == (
        "bns-o4-H1L1",
        2000,
    )
    neutrinos = strict_json(finished.event / "icecube_neutrino_list.json")
    assert [row["in_window"] for row in neutrinos["events"]] == [True, True, False]
    first = neutrinos["events"][1]
    kept = finished.event / first["map"]
    assert sha256_file(kept) == first["map_sha256"]
    assert kept.read_bytes() == (finished.event / "alerts/1-neutrinos-blob.fits").read_bytes()
    assert significance["p_value_circles"] == [first["id"]]
    said = f"the map blob.fits (90 % area {first['map_area_90_deg2']:.3g} deg², sha256"
    for name in ("index.html", "coinc_summary_i3_lvc.html"):
        assert said in (finished.event / name).read_text()
    direction = significance["most_probable_direction"]
    assert abs(direction["ra"] - 40) < 3
    assert abs(direction["dec"] - 20) < 3


def test_the_report_shows_both_figures_under_the_event_and_needs_no_network(
    event: Workspace,
) -> None:
    report = event.root / "report.html"
    event.snakemake(TARGET, "--report", str(report))
    page = report.read_text()
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page) == []
    for figure in ("coinc_skymap_lvc-i3.png", "coinc_scatter_lvc-i3.png"):
        assert f"{EVENT}/{figure}" in page
        content = base64.b64encode((event.event / figure).read_bytes()).decode()
        assert content in page
    assert f'"{EVENT}"' in page  # the category
    for caption in ("probability per square degree", "reach an odds", "Everything about"):
        assert caption in page


def test_a_retraction_marks_the_event_and_deletes_nothing(event: Workspace) -> None:
    before = {path.name for path in event.event.rglob("*")}
    printed = event.take(alert("RETRACTION", minute=40))
    assert "RETRACTED" in printed
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    assert before <= {path.name for path in event.event.rglob("*")}
    summary = (event.event / "coinc_summary_i3_lvc.html").read_text()
    assert "RETRACTED" in summary
    assert "revision 2" in summary
    assert strict_json(event.event / "lvc_gracedb_event_data.json")["retracted"] is True
    assert "alerts/2-Retraction.json" in strict_json(event.event / "manifest.json")["products"]


def test_a_retraction_alone_makes_a_page_that_says_so(fresh: Workspace) -> None:
    fresh.take(alert("RETRACTION"))
    fresh.snakemake(TARGET)
    assert "RETRACTED" in (fresh.event / "index.html").read_text()
    assert fresh.plan(TARGET) == fresh.plan() == []
    manifest = strict_json(fresh.event / "manifest.json")
    assert {"skymap_info.json", "lvc_gracedb_event_data.json"} <= manifest["products"].keys()
    # the alert that it takes back, late
    fresh.take(alert(skymap=skymap_fits(), minute=3))
    assert "compute_significance" in fresh.plan(TARGET)


def test_a_receipt_makes_the_page_again_and_nothing_else(event: Workspace) -> None:
    page = event.event / "index.html"
    assert "Nothing has been sent, and nothing was refused." in page.read_text()
    receipt = {"channel": "slack", "status": "refused", "reasons": ["the flag UPLOAD is false"]}
    write_json(event.event / "receipts" / "slack.json", receipt)
    assert event.plan(TARGET) == ["write_page"]
    event.snakemake(TARGET)
    assert "the flag UPLOAD is false" in page.read_text()
    assert event.plan(TARGET) == []


def test_the_explanation_is_that_of_the_result(finished: Workspace) -> None:
    significance = strict_json(finished.event / "significance_lvc-i3.json")
    factors = significance["explanation"]["factors"]
    assert math.prod(factors.values()) == pytest.approx(significance["odds_ratio"], rel=1e-9)
    printed = finished.run("llama", "explain", EVENT)
    assert "One source of the wave and of neutrino 2 is" in printed  # in the order of time
    assert "(p = " in printed


def test_another_rate_of_alerts_makes_the_result_again(event: Workspace) -> None:
    before = strict_json(event.event / "significance_lvc-i3.json")
    assert before["alert_kind"] == "significant CBC"
    assert before["joint_far_per_year"] == 127.0 * before["p_value"]
    event.set("  significant_cbc_per_year: 127.0", "  significant_cbc_per_year: 60.0")
    assert "compute_significance" in event.plan(TARGET)
    event.snakemake(TARGET)
    after = strict_json(event.event / "significance_lvc-i3.json")
    assert after["joint_far_per_year"] == 60.0 * after["p_value"] == 60.0 * before["p_value"]
    assert "60 significant CBC alerts per year" in (event.event / "index.html").read_text()
    assert "compute_significance" not in event.plan(TARGET)
