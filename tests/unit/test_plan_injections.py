"""How many injections a study has, in which shards, and how one becomes an event."""

from pathlib import Path
from typing import Any

import pytest
from artifact_samples import write_artifacts
from plan_samples import settings

from llama.errors import LlamaError
from llama.plan.engine import Job
from llama.plan.injections import Injections
from llama.plan.studies import Studies
from llama.settings import Settings
from llama.study.plan import Plan, read_plan

STUDY, PAIRED = "bns-o4-H1L1", "cbc-o3-H1L1"
SIZES = {"background__injections": 50, "background__shard_size": 20}
SIGNAL = {"background__signal_injections": 30, "background__seed": 5}


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    """Settings with a study whose neutrinos are drawn, and one of three superevents and lists."""
    (tmp_path / "0.fits").touch()
    (tmp_path / "maps.csv").write_text("0.fits\n")
    root = write_artifacts(tmp_path / "artifacts")
    studies = {STUDY: {"skymaps": str(tmp_path / "maps.csv")}, PAIRED: {"artifacts": str(root)}}
    return settings(tmp_path, background__studies=studies, **SIZES, **SIGNAL)


def injections(site: Settings, requested: tuple[str, ...] = ()) -> Injections:
    studies = Studies(site, lambda sentence: None, lambda simulation, detectors: None)
    return Injections(site, studies, requested)


def test_the_last_shard_is_shorter(site: Settings) -> None:
    one = injections(site)
    assert one.shards(STUDY) == [f"studies/{STUDY}/background/shard-000{k}.hdf5" for k in range(3)]
    assert [one.numbers(STUDY, "background", f"{k}") for k in range(3)] == [
        *([0, 20], [20, 40], [40, 50]),
    ]
    assert len(one.shards(STUDY, "doublet")) == 2
    with pytest.raises(
        LlamaError, match="there are 30 injections of kind signal, 20 per shard: no"
    ):
        one.numbers(STUDY, "signal", "0002")


def test_there_are_only_so_many_pairs(site: Settings) -> None:
    one = injections(site)
    assert one.plan(PAIRED, "background") == Plan(3 * 5, 20)
    assert one.plan(PAIRED, "signal") == Plan(30, 20)
    assert len(one.shards(PAIRED)) == 1


def test_background_that_is_drawn_can_be_weighted(site: Settings, tmp_path: Path) -> None:
    assert injections(site).sampling("background") == "plain"
    background = site.background.model_copy(update={"sampling": "weighted"})
    one = injections(site.model_copy(update={"background": background}))
    assert (one.sampling("background"), one.sampling("signal")) == ("weighted", "plain")
    assert len(one.shards(STUDY)) == 3
    with pytest.raises(LlamaError, match=r"pairs superevents with lists .*\.sampling: plain"):
        one.shards(PAIRED)
    assert len(one.shards(PAIRED, "signal")) == 2


def test_pairs_are_not_drawn(site: Settings) -> None:
    one = injections(site)
    paired, drawn = (PAIRED, "background"), (STUDY, "background")
    assert (one.seed(*paired), one.seed(*drawn), one.seed(PAIRED, "signal")) == (-1, 5, 5)
    assert one.gps(*paired) is not None
    assert one.gps(*drawn) is None
    assert one.lists(*paired) == [f"studies/{PAIRED}/lists/part-0000.hdf5"]
    assert one.lists(*drawn) == one.lists(PAIRED, "signal") == []


def test_what_a_study_is_to_consist_of_is_written_once_it_is_made(site: Settings) -> None:
    jobs = [
        Job("inject", {"study": STUDY, "kind": kind, "shard": "0000"}, [])
        for kind in ("background", "background", "signal")
    ]
    injections(site).write_plans([*jobs, Job("link_bank", {"study": PAIRED}, [])])
    studies = site.output_dir / "studies"
    assert read_plan(studies / STUDY) == Plan(50, 20)
    assert read_plan(studies / STUDY, "signal") == Plan(30, 20)
    assert read_plan(studies / PAIRED) is None


def test_only_an_injection_that_was_named_is_opened_and_once(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Path, str, int, Any]] = []

    def open_injection(directory: Path, study: str, number: int, **more: Any) -> None:
        opened.append((directory, study, number, more["kind"]))

    monkeypatch.setattr("llama.study.opening.open_injection", open_injection)
    monkeypatch.setattr("llama.plan.detectors.Detectors.study_tables", lambda self, study: "a")
    monkeypatch.setattr("llama.event.detectors.open_site", lambda tables, search: None)
    named = f"studies/{STUDY}/signal/shard-0001/injection-3"
    one = injections(site, (named,))
    for directory in (named, f"studies/{STUDY}/shard-0000/injection-3", named, "events/S240101ab"):
        one.open_requested(directory)
    assert opened == [(site.output_dir / named, STUDY, 23, "signal")]


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        (f"studies/{STUDY}/shard-0002/injection-10", "the background has 50 injections"),
        (f"studies/{STUDY}/signal/shard-0000/injection-20", "30 injections, 20 per shard"),
        ("studies/bns-o4-V1/shard-0000/injection-0", "bns-o4-V1 is not in background.studies"),
    ],
)
def test_an_injection_that_is_not_there_is_a_sentence(
    site: Settings, directory: str, says: str
) -> None:
    with pytest.raises(LlamaError, match=says):
        injections(site, (directory,)).open_requested(directory)
