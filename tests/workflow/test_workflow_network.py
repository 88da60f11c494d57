"""An event of two detectors, one of its neutrinos with a map, from the list to the texts."""

import json
import re
import shutil

from workspace import EVENT, EVENT_MJD, Workspace, alert, skymap_fits, strict_json

RESULT, DRAFT = "significance_lvc-i3.json", "gcn_circular_draft.txt"
TARGETS = f"{EVENT}/{RESULT}", f"{EVENT}/{DRAFT}"
BOTH = "  detectors: {icecube: {archive: icecube_10year_ps}, arca: {archive: arca, rate_hz: 0.002}}"


def take(event: Workspace, *detectors: str) -> None:
    """Give a list of those that were on: one at the map, the first one's direction a map."""
    listed = event.root / "both.json"
    rows = [
        {"mjd": EVENT_MJD + 3e-4 * (1 + n), "ra": 40.3, "dec": 20.2, "sigma": 0.5, "energy": 2e4}
        | {"detector": detector}
        for n, detector in enumerate(detectors)
    ]
    rows[0]["map"] = "blob.fits"
    listed.write_text(json.dumps({"detectors": detectors, "events": rows}))
    event.take(alert(skymap=skymap_fits()), "--neutrinos", str(listed))


def test_two_detectors_and_a_map_then_one_is_off(event: Workspace) -> None:
    alone = strict_json(event.event / RESULT)
    archives = event.output / "archive"
    shutil.copytree(archives / "icecube_10year_ps", archives / "arca")
    event.set("  detectors: {}", BOTH)
    take(event, "arca", "icecube")
    event.snakemake(*TARGETS)
    both = strict_json(event.event / RESULT)
    assert "bns-o4-H1L1-arca_icecube" in both["p_value_class_reason"]
    assert both["p_value_class"] is None
    assert 0 < both["p_value"] == both["p_value_map"] < 1
    assert both["odds_ratio"] > alone["odds_ratio"]
    named = {row["detector"]: row.get("map_name") for row in both["single_neutrino"]}
    assert named == {"arca": "blob.fits", "icecube": None}
    draft = " ".join((event.event / DRAFT).read_text().split())
    assert {"arca", "icecube"} == set(re.findall(r" (\w+)(?= \+\d| where dt is)", draft))
    for words in ("is the map blob.fits", "by the GW alone", "given a common source"):
        assert words in draft

    # a rate counts in odds and background, not in what was made before
    event.set(BOTH, BOTH.replace("0.002", "0.003"))
    planned = event.plan(*TARGETS)
    assert {"build_map_background", "compute_significance"} <= set(planned)
    assert not {"convert_skymap", "measure_skymap", "read_alert"} & set(planned)

    take(event, "icecube")
    event.snakemake(f"{EVENT}/{RESULT}")
    off = strict_json(event.event / RESULT)
    assert off["p_value_population"] == alone["p_value_population"]
    assert [row["detector"] for row in off["single_neutrino"]] == ["icecube"]
