"""What a study consists of, and how its sky maps, lists and simulations are cut into parts."""

import os
from pathlib import Path

import pytest
from artifact_samples import GPS, GRACEIDS, write_artifacts
from plan_samples import settings

from llama.errors import LlamaError
from llama.plan import studies as plan_studies
from llama.plan.studies import Simulations, Studies
from llama.settings import Settings

STUDY = "bns-o4-H1L1"
PAIRED = "cbc-o3-H1L1"


class AwaitedError(Exception):
    """As Snakemake raises it until a checkpoint is done."""


def wait(simulation: str, detectors: str) -> None:
    raise AwaitedError(simulation, detectors)


def studies(wanted: Settings, said: list[str] | None = None) -> Studies:
    return Studies(wanted, (said if said is not None else []).append, wait)


def listed(output_dir: Path, count: int = 3, **changes: object) -> Settings:
    """Settings with a study of `count` sky maps."""
    maps = [output_dir / f"{k}.fits" for k in range(count)]
    for path in maps:
        path.touch()
    (output_dir / "maps.csv").write_text("".join(f"{path.name}\n" for path in maps))
    study = {STUDY: {"skymaps": str(output_dir / "maps.csv"), "triggers_per_year": 7.0}}
    return settings(output_dir, background__studies=study, **changes)


@pytest.fixture
def paired(tmp_path: Path) -> Settings:
    """Settings with a study of artifacts: three superevents, five lists."""
    root = write_artifacts(tmp_path / "artifacts")
    return settings(tmp_path, background__studies={PAIRED: {"artifacts": str(root)}})


def test_a_study_that_is_not_in_the_settings_is_a_sentence(tmp_path: Path) -> None:
    one = studies(settings(tmp_path))
    with pytest.raises(LlamaError, match=r"bns-o4-H1L1 is not in background\.studies of the"):
        one.skymaps(STUDY)
    with pytest.raises(
        LlamaError, match=r"no studies are named in the settings; add their sky maps"
    ):
        one.wanted()


def test_a_study_of_listed_maps(tmp_path: Path) -> None:
    one = studies(listed(tmp_path))
    assert one.wanted() == ["populations.hdf5"]
    assert one.skymaps(STUDY) == [str(tmp_path / f"{k}.fits") for k in range(3)]
    assert one.lists(STUDY) == []
    assert one.triggers_per_year(STUDY) == 7.0
    with pytest.raises(LlamaError, match="bns-o4-H1L1 has no artifacts, its neutrinos are drawn"):
        one.part_lists(STUDY, "0000")


def test_the_bank_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_studies, "MAPS_PER_PART", 2)
    one = studies(listed(tmp_path, count=5))
    assert one.bank_parts(STUDY) == [
        f"studies/{STUDY}/skymaps/part-000{part}.hdf5" for part in range(3)
    ]
    cut = [one.part_skymaps(STUDY, f"000{part}") for part in range(3)]
    assert [len(part) for part in cut] == [2, 2, 1]
    assert [path for part in cut for path in part] == one.skymaps(STUDY)


def test_artifacts_are_superevents_and_lists(
    paired: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_studies, "LISTS_PER_PART", 4)
    one = studies(paired)
    assert one.artifacts(PAIRED).pairs == 3 * 5
    assert one.lists_gps(PAIRED) == GPS
    assert [Path(path).parent.name for path in one.skymaps(PAIRED)] == GRACEIDS
    assert one.lists(PAIRED) == [f"studies/{PAIRED}/lists/part-000{part}.hdf5" for part in range(2)]
    assert [piece[0] for piece in one.part_lists(PAIRED, "0001")] == ["bklist/4.json"]
    assert one.part_superevents(PAIRED, "0000") == []  # they are on this machine
    assert len(one.part_skymaps(PAIRED, "0000")) == 3
    source = str(paired.output_dir / "artifacts")
    assert one.source_and_cache(PAIRED) == [source, f"studies/{PAIRED}/artifacts"]


def test_artifacts_that_are_missing_matter_unless_they_are_to_be_skipped(paired: Settings) -> None:
    (paired.output_dir / "artifacts/bklist/3.json").unlink()
    with pytest.raises(LlamaError, match=r"1 piece is missing in .*bklist/3\.json"):
        studies(paired).lists(PAIRED)
    said: list[str] = []
    chosen = {PAIRED: {"artifacts": str(paired.output_dir / "artifacts")}}
    skipping = settings(
        paired.output_dir, background__studies=chosen, background__broken_maps="skip"
    )
    one = studies(skipping, said)
    assert (one.artifacts(PAIRED).pairs, one.artifacts(PAIRED).pairs) == (12, 12)
    (sentence,) = said
    assert sentence.startswith("cbc-o3-H1L1 goes on without them: 1 piece is missing in ")


@pytest.mark.parametrize(("age_s", "refused"), [(10, True), (-10, False)])
def test_what_the_bank_left_out_is_refused_until_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: int, refused: bool
) -> None:
    one, broken = studies(listed(tmp_path)), tmp_path / "1.fits"
    bank = tmp_path / f"studies/{STUDY}/skymaps.hdf5"
    bank.parent.mkdir(parents=True)
    bank.touch()
    monkeypatch.setattr(plan_studies, "broken_files", lambda path: [str(broken)])
    os.utime(broken, (bank.stat().st_mtime - age_s,) * 2)
    if refused:
        with pytest.raises(LlamaError, match=r"1 files of bns-o4-H1L1 are broken, such as .*1\.fi"):
            one.bank_parts(STUDY)
        broken.unlink()  # what is not there cannot have been replaced
        with pytest.raises(LlamaError, match=r"leave them out with background\.broken_maps: skip"):
            one.bank_parts(STUDY)
    else:
        assert len(one.bank_parts(STUDY)) == 1
    skipping = studies(listed(tmp_path, background__broken_maps="skip"))
    assert len(skipping.bank_parts(STUDY)) == 1


SIMULATION = {
    "distribution": "bbh_broad",
    "injections": 120,
    "psds": {"H1": "aLIGOaLIGOO3LowT1800545", "L1": "/data/l1.txt"},
}
STUDIES = {name: {"skymaps": "simulated"} for name in ("bbh-o4-H1L1", "bbh-o4-H1V1")}


@pytest.fixture
def simulated(tmp_path: Path) -> Settings:
    """Settings with a simulation for two studies, one with a detector that it lacks."""
    return settings(
        tmp_path, background__simulations={"bbh-o4": SIMULATION}, background__studies=STUDIES
    )


def test_a_study_waits_for_its_simulation(simulated: Settings) -> None:
    one = studies(simulated)
    with pytest.raises(AwaitedError) as caught:
        one.bank_parts("bbh-o4-H1L1")
    assert caught.value.args == ("bbh-o4", "H1L1")
    with pytest.raises(LlamaError, match="have not been simulated yet; make them with: snak"):
        one.skymaps("bbh-o4-H1L1")
    with pytest.raises(LlamaError, match=r"add V1 to the psds of background\.simulations\.bbh-o4"):
        one.bank_parts("bbh-o4-H1V1")


def test_simulated_maps_are_those_of_the_list(simulated: Settings) -> None:
    made = simulated.output_dir / "simulations/bbh-o4"
    made.mkdir(parents=True)
    (made / "0.fits").touch()
    (made / "H1L1.csv").write_text("0.fits\n")
    assert studies(simulated).skymaps("bbh-o4-H1L1") == [str(made / "0.fits")]


def test_a_simulation_is_made_in_shards(simulated: Settings) -> None:
    one = Simulations(simulated)
    assert one.shards("bbh-o4") == [f"simulations/bbh-o4/maps/shard-000{k}" for k in range(3)]
    assert one.numbers("bbh-o4", "0001") == [50, 100]
    assert one.numbers("bbh-o4", "0002") == [100, 120]
    with pytest.raises(LlamaError, match="bbh-o4 has 120 injections: no shard 0003; name a lower"):
        one.numbers("bbh-o4", "0003")
    assert one.noise("bbh-o4") == ["/data/l1.txt"]
    assert one.values("bbh-o4", ["seed", "distribution"]) == {
        "seed": 1,
        "distribution": "bbh_broad",
    }
    assert one.values("bbh-o4").keys() > {"seed", "psds", "injections"}
    with pytest.raises(
        LlamaError, match=r"bns-o4 is not in background.simulations of the settings"
    ):
        one.shards("bns-o4")


def test_a_study_depends_on_what_changes_its_numbers(tmp_path: Path) -> None:
    one = studies(listed(tmp_path))
    model = one.search(STUDY)
    assert one.weight_search(STUDY).items() <= model.items()
    other = studies(listed(tmp_path, search__tnuplus=100.0))
    assert other.search(STUDY) != model
