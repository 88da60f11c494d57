"""Simulated sky maps as typed: from settings to a background, and the same bits again.

One black-hole map whose signal is cut off at 64 Hz: 6 s of CPU instead of 25 s.
"""

import re
import shutil
from pathlib import Path

import pytest
from workspace import Workspace, sentence, strict_json

from llama.event.populations import read_background
from llama.files import sha256_file

STUDY = "bbh-o4-H1L1"
SIMULATION = (
    "bbh-o4: {distribution: bbh_broad, injections: 5, duty_cycle: 1.0, f_high_hz: 64, "
    "psds: {H1: aLIGOaLIGOO3LowT1800545, L1: aLIGOaLIGOO3LowT1800545}}"
)


@pytest.fixture
def fresh_study(fresh: Workspace) -> Workspace:
    fresh.set("  simulations: {}", f"  simulations: {{{SIMULATION}}}")
    fresh.set("  studies: {}", f"  studies: {{{STUDY}: {{skymaps: simulated}}}}")
    fresh.set("  injections: 20000", "  injections: 20")
    return fresh


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_background_of_simulated_maps(fresh_study: Workspace) -> None:
    event = f"studies/{STUDY}/shard-0000/injection-3"
    answer = sentence(fresh_study.snakemake(f"{event}/all", code=1))
    assert "have not been simulated yet; make them with: snakemake" in answer
    planned = fresh_study.plan("populations.hdf5")
    assert {"sample_psds", "realize_coincs", "localize_coincs", "list_simulated"} <= set(planned)
    fresh_study.snakemake("populations.hdf5", "--cores", "2")
    simulation = fresh_study.output / "simulations" / "bbh-o4"
    listed = [Path(line) for line in (simulation / "H1L1.csv").read_text().splitlines()]
    assert len(listed) == 1
    assert all(path.parent == simulation / "maps" / "shard-0000" for path in listed)
    summary = strict_json(simulation / "simulation.json")
    assert summary["sky_maps"] == {"H1L1": 1}
    assert (summary["simulation"]["seed"], summary["failed"]) == (1, [])
    background = read_background(fresh_study.output / "populations.hdf5", STUDY)
    assert background["odds"].size == 20
    assert fresh_study.plan("populations.hdf5") == []
    assert f"{event}/significance_lvc-i3.json" in fresh_study.snakemake(
        f"{event}/significance_lvc-i3.json", "--dry-run"
    )
    # llama dev lists what is in the table
    listing = ("llama", "dev", "skymaps", "lists", str(simulation / "coincs.dat"), "--out", "lists")
    assert re.search(r"H1L1.csv: 1 sky map$", fresh_study.run(*listing), re.M)
    listed_again = (fresh_study.clone / "lists" / "H1L1.csv").read_text()
    assert listed_again == (simulation / "H1L1.csv").read_text()
    # maps again, on one core: every byte the same; test_study_simulate.py has that of the rest
    products = [*listed, simulation / "coincs.dat", *simulation.glob("*/shard-0000.xml.gz")]
    assert len(products) == 4
    before = [sha256_file(path) for path in products]
    for name in ("maps", "coincs.dat"):
        remove(simulation / name)
    fresh_study.snakemake("simulations/bbh-o4/coincs.dat", "--cores", "1")
    assert [sha256_file(path) for path in products] == before
