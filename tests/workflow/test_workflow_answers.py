"""How a wrong target, broken files and a wrong setting are answered."""

import re
from pathlib import Path

import pytest
from workspace import EVENT, Workspace, sentence


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (f"events/S{'1' * 300}/all", "is not a GraceDB id"),
        ("events/S190425z/all", "create the event with skymap_info"),
    ],
)
def test_a_wrong_id_is_answered_in_one_sentence(fresh: Workspace, target: str, says: str) -> None:
    answer = sentence(fresh.snakemake(target, code=1))
    assert says in answer
    assert len(answer) < 250
    assert list((fresh.output / "current_run").iterdir()) == []


def test_an_event_whose_files_are_broken_is_answered_in_one_sentence(copied: Workspace) -> None:
    path = copied.event / "skymap_info.json"
    aside = path.rename(copied.root / "aside")
    path.write_text("{")
    printed = copied.run("snakemake", f"{EVENT}/all", code=1)
    aside.rename(path)
    assert "is not valid JSON" in sentence(printed)


def test_a_missing_archive_is_answered_in_one_sentence(copied: Workspace) -> None:
    archive = copied.output / "archive"
    aside = archive.rename(copied.output / "aside")
    answer = sentence(copied.snakemake(f"{EVENT}/all", code=1))
    aside.rename(archive)
    assert "llama neutrinos import PATH" in answer


def test_a_setting_that_is_there_twice_stops_at_once(fresh: Workspace) -> None:
    fresh.set("  fb: 10.0", "  fb: 10.0\n  fb: 20.0")
    for words in ((), ("--configfile", "config.yaml")):
        answer = sentence(fresh.snakemake(*words, code=1))
        assert re.search(r"config\.yaml has search\.fb in lines (\d+) and \d+; leave one", answer)


def test_a_wrong_setting_stops_at_once_with_the_lines_to_paste(fresh: Workspace) -> None:
    by_option = fresh.snakemake("--config", "search={fb: ten}", code=1)
    fresh.set("  fb: 10.0", "  fb: ten")
    for printed in (by_option, fresh.snakemake(code=1)):
        assert "search.fb is 'ten', but should be a valid number" in printed
        assert not re.search(r'Traceback|File "', printed)
        pasted = printed[printed.index("Paste these lines") :]
        assert "\nsearch:\n" in pasted
        assert "\n  fb: 10.0\n" in pasted + "\n"


def test_another_settings_file_takes_the_place_of_the_clones(event: Workspace) -> None:
    config, other = event.clone / "config.yaml", event.root / "other.yaml"
    other.write_text(
        config.read_text().replace("output_dir: null", f"output_dir: {event.output}", 1)
    )
    event.set("output_dir: null", f"output_dir: {event.root}/elsewhere")
    event.set("  studies: {}", "  studies: {bns-o4-H1L1: {skymaps: /nowhere}}")
    for before, after in (
        (("env", f"LLAMA_CONFIG={other}"), ()),
        ((), ("--configfile", str(other))),
    ):
        said = event.run(*before, "snakemake", f"{EVENT}/all", *after)
        assert "Nothing to be done" in said
        study = "studies/bns-o4-H1L1/background"
        answer = sentence(event.run(*before, "snakemake", study, *after, code=1))
        assert answer.startswith("llama: bns-o4-H1L1 is not in background.studies")
    assert not (event.root / "elsewhere").exists()


def test_an_output_directory_that_cannot_be_made_is_named(fresh: Workspace) -> None:
    place = Path("/proc/llama")
    answer = sentence(fresh.snakemake("--config", f"output_dir={place}", code=1))
    assert str(place) in answer
    assert "correct output_dir" in answer
