"""Real events, from the alert and the map as published to the finished tree."""

from pathlib import Path

import numpy as np
import pytest
from workspace import Workspace, alert, strict_json

from llama.alerts.gwalert import parse_alert
from llama.event.skymap_info import read_info
from llama.sky import read_skymap
from llama.stats.healpix import tiles_geometry
from llama.times import gps_to_mjd, iso_to_gps


def neutrinos_on(workspace: Workspace, skymap: bytes, gps: float) -> tuple[str, str]:
    """Options that give neutrinos: one where the map is highest, one opposite to it."""
    tiles = read_skymap(skymap, "the map")
    vectors, _ = tiles_geometry(tiles.order, tiles.ipix)
    x, y, z = vectors[np.argmax(tiles.prob / tiles.area_deg2)]
    ra, dec = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))
    mjd = float(gps_to_mjd(gps))
    path = workspace.root / "neutrinos.csv"
    path.write_text(
        f"mjd,ra,dec,sigma,energy\n{mjd + 1e-4:.6f},{ra},{dec},1.5,10000\n"
        f"{mjd - 1e-3:.6f},{(ra + 180) % 360},{-dec},0.5,1000\n"
    )
    return "--neutrinos", str(path)


def odds(workspace: Workspace, graceid: str, target: str = "significance_lvc-i3.json") -> float:
    """Make a target of the event and return its odds ratio, which is above 0."""
    workspace.snakemake(f"events/{graceid}/{target}")
    ratio = strict_json(workspace.output / f"events/{graceid}/significance_lvc-i3.json")
    assert ratio["odds_ratio"] > 0
    return float(ratio["odds_ratio"])


def complete(workspace: Workspace, graceid: str) -> None:
    event = f"events/{graceid}"
    assert all(path.stat().st_size for path in workspace.products(event))
    assert workspace.plan(f"{event}/all") == []


def test_s190425z_with_each_of_its_maps(fresh: Workspace, shared_data: Path) -> None:
    source = shared_data / "events/S190425z"
    notice = (source / "S190425z-2-Initial.xml").read_bytes()
    multi_order = source / "bayestar.multiorder.fits"
    given = neutrinos_on(fresh, multi_order.read_bytes(), iso_to_gps("2019-04-25T08:18:05.017"))
    fresh.take(notice, "--skymap", str(multi_order), *given)
    from_multi_order = odds(fresh, "S190425z")
    fresh.take(notice, "--skymap", str(source / "bayestar.fits.gz"))
    assert not (fresh.output / "events/S190425z/lvc_skymap.fits").exists()
    assert odds(fresh, "S190425z") == pytest.approx(from_multi_order, rel=0.005)
    fresh.take(notice, "--skymap", str(source / "LALInference.fits.gz"))
    assert odds(fresh, "S190425z", "all") != pytest.approx(from_multi_order, rel=0.005)
    assert read_info(fresh.output / "events/S190425z").revision == 3
    complete(fresh, "S190425z")


def test_s230518h_from_preliminary_to_update(fresh: Workspace, shared_data: Path) -> None:
    kinds = ("Preliminary", "Initial", "Update")
    alerts = [
        (shared_data / f"events/S230518h/S230518h-{kind}_alert.json").read_bytes() for kind in kinds
    ]
    first = parse_alert(alerts[0], "the first")
    assert first.skymap is not None
    assert first.gps_time is not None
    fresh.take(alerts[0], *neutrinos_on(fresh, first.skymap, first.gps_time))
    preliminary = odds(fresh, "S230518h")
    for content in alerts[1:]:
        fresh.take(content)
    assert odds(fresh, "S230518h", "all") != preliminary
    assert read_info(fresh.output / "events/S230518h").notice == "S230518h-3-Update"
    complete(fresh, "S230518h")


def test_g268562_whose_map_has_no_distance(fresh: Workspace, shared_data: Path) -> None:
    skymap = shared_data / "events/G268562/gwemopt_G268562.fits"
    time = "2017-01-04T10:11:58.599Z"  # as its DATE-OBS says: the trigger of GW170104
    content = alert(
        graceid="G268562",
        time=time,
        far=1.3e-7,
        group="Burst",
        pipeline="CWB",
        classification={},
        properties={},
    )
    given = neutrinos_on(fresh, skymap.read_bytes(), iso_to_gps(time))
    fresh.take(content, "--skymap", str(skymap), *given)
    odds(fresh, "G268562", "all")
    complete(fresh, "G268562")
    significance = strict_json(fresh.output / "events/G268562/significance_lvc-i3.json")
    assert significance["distance"] == "assumed"
    # nobody has a class of bursts; its own map has a background
    assert (significance["p_value_class"], significance["p_value_method"]) == (None, "map")
    assert 0 < significance["p_value_error"] < significance["p_value"] < 0.1
    assert "burst-o2-H1L1" in significance["p_value_class_reason"]
    manifest = strict_json(fresh.output / "events/G268562/manifest.json")
    assert manifest["products"]["lvc_skymap.fits"]["bytes"] == skymap.stat().st_size
