"""The output directory, its links, and what is said about them."""

import shutil
from pathlib import Path

import pytest

from llama.errors import LlamaError
from llama.plan.output import prepare
from llama.settings import default_yaml


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose own settings name the output directory `out` beside it."""
    clone = tmp_path / "clone"
    clone.mkdir()
    text = default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}/out")
    (clone / "config.yaml").write_text(text)
    return clone


def test_events_of_both_lead_to_the_current_run(tmp_path: Path, clone: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        prepare(tmp_path / "out", clone, said.append)
    run = tmp_path / "out/current_run"
    assert run.is_dir()
    assert str((tmp_path / "out/events").readlink()) == "current_run"
    assert (clone / "events").readlink() == run
    assert said == []


def test_another_output_directory_leaves_the_clone_alone(tmp_path: Path, clone: Path) -> None:
    prepare(tmp_path / "other", clone, lambda sentence: None)
    assert (tmp_path / "other/events").is_dir()
    assert not (clone / "events").exists()


def test_a_link_to_another_place_is_replaced_and_that_is_said(tmp_path: Path, clone: Path) -> None:
    said: list[str] = []
    (clone / "events").symlink_to(tmp_path / "elsewhere")
    prepare(tmp_path / "out", clone, said.append)
    run = tmp_path / "out/current_run"
    link = clone / "events"
    assert link.readlink() == run
    assert said == [f"llama: {link} leads to {run} from now on; it had led to {tmp_path}/elsewhere"]
    link.unlink()
    link.symlink_to("../out/current_run")  # the same place in other words stays
    prepare(tmp_path / "out", clone, said.append)
    assert str(link.readlink()) == "../out/current_run"
    assert len(said) == 1


def test_a_directory_in_the_way_counts_in_the_output_directory_alone(
    tmp_path: Path, clone: Path
) -> None:
    said: list[str] = []
    (clone / "events").mkdir()
    prepare(tmp_path / "out", clone, said.append)
    assert said == [
        f"llama: {clone}/events is no link to {tmp_path}/out/current_run, where the events of this "
        "output directory are; move its events there and remove it: what is in it is not looked at"
    ]
    (tmp_path / "out/events").unlink()
    (tmp_path / "out/events").mkdir()
    with pytest.raises(LlamaError, match=r"out/events is no link to .* move its events there"):
        prepare(tmp_path / "out", clone, said.append)


def test_a_run_on_a_disk_that_is_not_there(tmp_path: Path, clone: Path) -> None:
    prepare(tmp_path / "out", clone, lambda sentence: None)
    run, disk = tmp_path / "out/current_run", tmp_path / "disk"
    shutil.move(run, disk)
    run.symlink_to(disk)
    prepare(tmp_path / "out", clone, lambda sentence: None)
    shutil.move(disk, tmp_path / "unmounted")
    with pytest.raises(LlamaError, match=r"current_run is a link to .*disk, which is not there"):
        prepare(tmp_path / "out", clone, lambda sentence: None)


def test_an_output_directory_that_cannot_be_made_is_named(clone: Path) -> None:
    with pytest.raises(LlamaError, match=r"cannot use the output directory /proc/llama \(.*outpu"):
        prepare(Path("/proc/llama"), clone, lambda sentence: None)
