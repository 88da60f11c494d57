"""`llama rebuild`: the significance of any earlier manifest once more, or what is missing for it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from workspace import EVENT, REPOSITORY, Workspace, alert, skymap_fits, strict_json

from llama.files import sha256_file

SIGNIFICANCE = "significance_lvc-i3.json"
OTHER = "mjd,ra,dec,sigma,energy\n60310.0004,41.5,19.2,0.6,9000\n60310.001,10,10,0.5,3000\n"


@pytest.fixture(scope="module")
def revised(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The finished event, then with other neutrinos, then with another background and map."""
    event = finished.copy(tmp_path_factory.mktemp("revised"))
    neutrinos = event.root / "other.csv"
    neutrinos.write_text(OTHER)
    event.take(alert(skymap=skymap_fits()), "--neutrinos", str(neutrinos))
    event.snakemake(f"{EVENT}/{'all'}")
    shutil.copy(event.output / "populations.hdf5", event.output / "populations-1.hdf5")
    event.write_background(seed=7)
    event.take(alert("INITIAL", skymap=skymap_fits(sigma_deg=2.0), minute=9, far=1e-8))
    event.set("  fb: 10.0", "  fb: 8.0")
    event.snakemake(f"{EVENT}/all")
    return event


def recorded(event: Workspace) -> list[str]:
    """Return the sha256 of the significance in every manifest of the event."""
    paths = sorted((event.event / "history").glob("manifest-*.json"))
    return [strict_json(path)["products"][SIGNIFICANCE]["sha256"] for path in paths]


def rebuild(event: Workspace, at: str, code: int = 0) -> str:
    return event.run("llama", "rebuild", EVENT, "--at", at, code=code)


def test_every_manifest_comes_back_bit_for_bit(revised: Workspace) -> None:
    digests = recorded(revised)
    assert len(digests) == len(set(digests)) == 3
    assert digests[2] == sha256_file(revised.event / SIGNIFICANCE)
    # nothing that was made may help
    kept = revised.event / "history"
    for digest in digests:
        (kept / f"{digest}.json").rename(kept / f"{digest}.aside")
    for name in (SIGNIFICANCE, "lvc_skymap.hdf5", "lvc_skymap.fits", "p_astro.json"):
        (revised.event / name).rename(revised.event / f"{name}.aside")
    try:
        for number, digest in enumerate(digests, 1):
            assert rebuild(revised, str(number)) == f"identical: sha256 {digest}\n"
            assert (kept / f"{digest}.json").read_bytes() == (kept / f"{digest}.aside").read_bytes()
    finally:
        for path in [*kept.glob("*.aside"), *revised.event.glob("*.aside")]:
            path.rename(
                path.with_suffix("") if path.parent == revised.event else path.with_suffix(".json")
            )
