"""Studies whose settings or sky maps change when a part of them is made."""

import re

import preloaded
from study_samples import (
    STUDY,
    gate,
    larger,
    numbers,
    remove_study,
    wait_for_work,
    write_maps,
)
from workspace import Workspace, sentence

BBH = "bbh-o4-H1L1"


def test_a_setting_changed_in_the_middle_of_two_studies(study: Workspace) -> None:
    larger(study, 30, 10)
    maps = write_maps(study.root / "maps")
    config = study.clone / "config.yaml"
    more = f"{{{BBH}: {{skymaps: {maps}}}, {STUDY}:"
    config.write_text(config.read_text().replace(f"{{{STUDY}:", more))
    with (
        gate(study, 4),
        preloaded.typed(study.typed),
        study.started(f"{study.typed}/snakemake", "populations.hdf5", "--cores", "2"),
    ):
        # a shard per core; so Snakemake knows that the others are done
        wait_for_work(study.output / "studies", 4, at_work=2)
        # and is killed with them
    study.set("    bbh: 2000.0", "    bbh: 1000.0")
    done = list((study.output / "studies").glob("*/background/shard-*"))
    dates = {path: path.stat().st_mtime_ns for path in done}
    study.snakemake("populations.hdf5")
    kept = [path for path, date in dates.items() if path.stat().st_mtime_ns == date]
    assert kept == [path for path in done if STUDY in path.parts]
    assert 1 <= len(kept) < len(done)  # each study has three shards
    resumed = [numbers(study, f"studies/{name}") for name in (STUDY, BBH)]
    # from the beginning, with the new setting and other shards
    remove_study(study)
    for path in (study.output / "studies" / BBH).rglob("*.hdf5"):
        path.unlink()
    study.set("  shard_size: 10", "  shard_size: 17")
    study.snakemake("populations.hdf5")
    assert [numbers(study, f"studies/{name}") for name in (STUDY, BBH)] == resumed


def test_broken_maps_that_are_no_longer_to_be_left_out(study: Workspace) -> None:
    maps = write_maps(study.root / "maps")
    config = study.clone / "config.yaml"
    config.write_text(re.sub(r"skymaps: [^}]+", f"skymaps: {maps}", config.read_text()))
    third = maps.with_name("2.fits")
    whole = third.read_bytes()
    third.write_bytes(whole[:4000])
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    study.snakemake("populations.hdf5")
    without = numbers(study)
    study.set('  broken_maps: "skip"', '  broken_maps: "fail"')
    for _ in range(2):
        said = sentence(study.snakemake("populations.hdf5", code=1))
        assert re.search(rf"1 files of {STUDY} are broken, such as .*/2\.fits; replace them", said)
    # nothing was lost
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    assert study.plan("populations.hdf5") == []
    assert numbers(study) == without
    # and a whole map is all that it takes
    study.set('  broken_maps: "skip"', '  broken_maps: "fail"')
    third.write_bytes(whole)
    study.snakemake("populations.hdf5")
    assert numbers(study) != without
