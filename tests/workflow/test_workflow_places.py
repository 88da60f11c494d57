"""Two clones, two output directories, and where `events` of each leads."""

import shutil

from workspace import EVENT, Workspace, sentence


def test_a_directory_called_events_in_the_clone_is_said_not_to_count(event: Workspace) -> None:
    mine = event.clone / "events"
    mine.unlink()
    shutil.copytree(event.event, mine / "S240101ab")
    (mine / "S240101ab" / "p_astro.json").unlink()
    printed = event.snakemake(f"{EVENT}/all", "--dry-run")
    assert "Nothing to be done" in printed  # it is the output directory's event
    said = [line for line in printed.splitlines() if line.startswith("llama: ")]
    assert said == [
        f"llama: {mine} is no link to {event.output}/current_run, where the events of this output "
        "directory are; move its events there and remove it: what is in it is not looked at"
    ]
    assert (mine / "S240101ab").is_dir()


def test_a_directory_called_events_in_the_output_directory_is_refused(event: Workspace) -> None:
    link = event.output / "events"
    link.unlink()
    shutil.copytree(event.event, link / "S240101ab")
    answer = sentence(event.snakemake(f"{EVENT}/all", code=1))
    assert answer.startswith(f"llama: {link} is no link to {event.output}/current_run, where")
    shutil.rmtree(link)
    assert event.plan(f"{EVENT}/all") == []


def test_a_link_of_another_clone_is_replaced_and_that_is_said(event: Workspace) -> None:
    link, other = event.clone / "events", event.root / "other/current_run"
    other.mkdir(parents=True)
    link.unlink()
    link.symlink_to(other)
    printed = event.snakemake(f"{EVENT}/all", "--dry-run")
    current = event.output / "current_run"
    assert f"llama: {link} leads to {current} from now on; it had led to {other}" in printed
    link.unlink()
    link.symlink_to("../data/llama/current_run")  # the same place in other words stays
    assert "llama: " not in event.snakemake(f"{EVENT}/all", "--dry-run")
    assert str(link.readlink()) == "../data/llama/current_run"
