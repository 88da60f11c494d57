"""Where `events` of a clone leads, and what is made before anything is."""

from workspace import EVENT, Workspace, sentence


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


def test_a_directory_in_the_way_is_refused_before_anything_is_looked_at(event: Workspace) -> None:
    link = event.output / "events"
    link.unlink()
    link.mkdir()
    answer = sentence(event.snakemake(f"{EVENT}/all", code=1))
    assert answer.startswith(f"llama: {link} is no link to {event.output}/current_run, where")
    link.rmdir()
    assert event.plan(f"{EVENT}/all") == []


def test_a_list_of_the_rules_makes_no_directory(fresh: Workspace) -> None:
    fresh.set("output_dir: null", f"output_dir: {fresh.root}/elsewhere")
    assert "compute_significance" in fresh.snakemake("--list")
    assert "good condition" in fresh.snakemake("--lint")
    assert not (fresh.root / "elsewhere").exists()
    fresh.snakemake("--dry-run")
    assert (fresh.root / "elsewhere/events").is_dir()
