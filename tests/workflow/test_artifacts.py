"""A study of artifacts as typed: from a directory and from S3, with pieces missing or broken."""

import json
import re
from typing import Any

import h5py
import pytest
from artifact_samples import neutrinos, upload, write_artifacts
from study_samples import numbers
from workspace import Workspace, jobs, sentence, strict_json

STUDY = "cbc-o3-H1L1"
DIRECTORY = f"studies/{STUDY}"
TARGETS = ("populations.hdf5", f"{DIRECTORY}.txt")


@pytest.fixture
def study(fresh: Workspace) -> Workspace:
    """A machine with a study of 3 superevents and 5 lists, not run yet."""
    artifacts = write_artifacts(fresh.root / "artifacts")
    fresh.set("  studies: {}", f"  studies: {{{STUDY}: {{artifacts: {artifacts}}}}}")
    fresh.set("  shard_size: 125000", "  shard_size: 8")
    return fresh


def configure(study: Workspace, old: str, new: str) -> None:
    path = study.clone / "config.yaml"
    path.write_text(path.read_text().replace(old, new))


def test_the_same_from_a_directory_and_from_s3(study: Workspace, s3: Any) -> None:
    study.snakemake(*TARGETS, "--cores", "2")
    from_directory = numbers(study, DIRECTORY)
    shards = sorted((study.output / DIRECTORY / "background").glob("*.hdf5"))
    assert [h5py.File(path)["injections"].size for path in shards] == [8, 7]
    done = study.run("llama", "dev", "dv", "done", "bg")
    assert re.search(rf"{STUDY} +background +15 +15 +100% +- +done", done)
    # any pair as an event
    event = f"{DIRECTORY}/shard-0001/injection-5"
    study.snakemake(f"{event}/significance_lvc-i3.json")
    found = strict_json(study.output / event / "significance_lvc-i3.json")
    with h5py.File(shards[1]) as file:
        assert found["odds_ratio"] == file["injections"]["odds"][5]
    assert (found["p_value_population"], found["n_background"]) == (STUDY, 15)
    origin = strict_json(study.output / event / "skymap_info.json")["injection"]
    assert (origin["superevent"], origin["list"][-6:]) == ("S190412m", "3.json")
    assert "is not there" in sentence(study.snakemake(f"{DIRECTORY}/shard-1/injection-7", code=1))
    # the same from S3: fetched once, the same numbers
    upload(s3, "spaces", "llama/artifacts/mid-o3", study.root / "artifacts")
    source = "s3://spaces/llama/artifacts/mid-o3"
    configure(study, str(study.root / "artifacts"), source)
    study.snakemake(*TARGETS)
    assert numbers(study, DIRECTORY) == from_directory
    assert study.plan(*TARGETS) == []
    fetched = study.output / DIRECTORY / "artifacts"
    assert len([path for path in fetched.rglob("*") if path.is_file()]) == 8
    # a list that is another now: only it is read again
    key = "llama/artifacts/mid-o3/bklist/2.json"
    s3.put_object(Bucket="spaces", Key=key, Body=json.dumps(neutrinos(99, 2)).encode())
    dates = {path: path.stat().st_mtime_ns for path in fetched.rglob("*.*")}
    made = jobs(study.snakemake("populations.hdf5"))
    assert made == ["collate_populations", "inject", "inject", "link_bank", "read_lists"]
    assert numbers(study, DIRECTORY) != from_directory
    changed = [path.name for path, date in dates.items() if path.stat().st_mtime_ns != date]
    assert changed == ["2.json"]
    # a piece that is missing
    s3.delete_object(Bucket="spaces", Key=key)
    said = sentence(study.snakemake("populations.hdf5", code=1))
    assert f"1 piece is missing in {source}: bklist/2.json; add what is missing" in said
    # a bucket that is not there is named and stays away; events do not care
    configure(study, "s3://spaces/", "s3://space/")
    said = sentence(study.snakemake("populations.hdf5", code=1))
    assert "there is no bucket space; correct background.studies" in said
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]].count("space") == 0
    study.snakemake()


def test_pieces_that_are_missing_or_broken(study: Workspace) -> None:
    root = study.root / "artifacts"
    whole_list = (root / "bklist/3.json").read_bytes()
    (root / "bklist/3.json").write_bytes(whole_list[:-10])
    fits = root / "superevents/S190412m/bayestar.multiorder.fits"
    whole_map = fits.read_bytes()
    fits.write_bytes(whole_map[:5000])
    (root / "bklist/4.json").unlink()
    said = sentence(study.snakemake("populations.hdf5", code=1))
    assert f"1 piece is missing in {root}: bklist/4.json; add" in said
    (root / "bklist_names.txt").write_text("".join(f"{k}.json\n" for k in range(4)))
    printed = study.snakemake("populations.hdf5", code=1)
    assert re.search(r"1 of 3 sky maps are broken: .*S190412m/.*broken_maps: skip", printed)
    fits.write_bytes(whole_map)
    printed = study.snakemake("populations.hdf5", code=1)
    assert re.search(r"1 of 4 neutrino lists are broken: .*3\.json .*broken_maps: skip", printed)
    assert "Traceback" not in printed
    # without it
    study.set('  broken_maps: "fail"', '  broken_maps: "skip"')
    study.snakemake("populations.hdf5")
    log = study.output / "logs" / DIRECTORY / "link_bank.log"
    assert re.search(r"1 sky maps or neutrino lists are broken .*\n.*/3\.json", log.read_text())
    with h5py.File(study.output / "populations.hdf5") as file:
        assert file["cbc/o3/H1L1"].size == 3 * 3
    # no longer to be left out: said at once, and nothing is lost
    study.set('  broken_maps: "skip"', '  broken_maps: "fail"')
    assert re.search(r"1 files of cbc-o3-H1L1 are broken, such as .*/3\.json; replace",
                     sentence(study.snakemake("populations.hdf5", code=1)))  # fmt: skip
    (root / "bklist/3.json").write_bytes(whole_list)
    study.snakemake("populations.hdf5")
    with h5py.File(study.output / "populations.hdf5") as file:
        assert file["cbc/o3/H1L1"].size == 3 * 4
