"""A weighted study as typed, and events in it."""

import h5py
from study_samples import DIRECTORY, STUDY, TABLE, numbers
from workspace import Workspace, strict_json


def test_a_weighted_study_to_the_p_value_of_an_event(study: Workspace) -> None:
    event = f"{DIRECTORY}/shard-0001/injection-13"
    study.set('  sampling: "plain"', '  sampling: "weighted"')
    assert set(study.plan("populations.hdf5")) == {"inject", "collate_populations"}
    study.snakemake("populations.hdf5", TABLE)
    study.snakemake(f"{event}/significance_lvc-i3.json")
    one = numbers(study)
    populations = (study.output / "populations.hdf5").read_bytes()
    assert (study.output / TABLE).read_text().split("\n")[0].endswith(" WEIGHT")
    with h5py.File(study.output / DIRECTORY / "background/shard-0001.hdf5") as file:
        row = file["injections"][13]
    path = study.output / event / "significance_lvc-i3.json"
    found = strict_json(path)
    assert found["odds_ratio"] == row["odds"]
    assert (found["p_value_population"], found["n_background"]) == (STUDY, 60)
    assert 0 < found["p_value"] <= 1
    assert found["p_value_error"] > 0
    assert "events.hdf5" in found["provenance"]["inputs"]
    assert study.plan(f"{event}/significance_lvc-i3.json") == []
    # the background serves what the study can see, too; only sources are missing
    study.set("  signal_injections: 10000", "  signal_injections: 20")
    wanted = study.plan(f"{DIRECTORY}/sensitivity.json")
    assert wanted == ["compute_sensitivity", *["inject"] * 3]
    # another division, another number of cores: the same bits
    study.set("  shard_size: 20", "  shard_size: 15")
    study.snakemake("populations.hdf5", "--cores", "1")
    assert numbers(study) == one
    assert (study.output / "populations.hdf5").read_bytes() == populations
