"""Which event is meant, and each of its names."""

import pytest

from llama.errors import LlamaError
from llama.event.find import EventRef, is_run, run_named

NAMES = [
    ("events/S190425z", "current_run/S190425z", "events/S190425z"),
    ("./events/S190425z", "current_run/S190425z", "events/S190425z"),
    ("current_run/MS181101ab", "current_run/MS181101ab", "events/MS181101ab"),
    ("S190425z", "current_run/S190425z", "events/S190425z"),
    ("past_runs/o3/G268562", "past_runs/o3/G268562", "past_runs/o3/G268562"),
    # a past run may be called as the link to the current one is
    ("past_runs/events/S190425z", "past_runs/events/S190425z", "past_runs/events/S190425z"),
]


@pytest.mark.parametrize(("text", "directory", "named"), NAMES)
def test_an_event_has_one_directory_target_and_log(text: str, directory: str, named: str) -> None:
    event = EventRef.parse(text)
    assert (event.directory, event.named) == (directory, named)
    assert (event.target, event.logs) == (f"{named}/all", f"logs/{named}")
    assert EventRef.parse(event.directory) == EventRef.parse(event.named) == event


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("events/nothing", "'nothing' is not a GraceDB id"),
        ("events/", "'' is not a GraceDB id"),
        ("past_runs/S190425z", "names no event of a run"),
        ("past_runs/../S190425z/S190425z", "names no event of a run"),
        ("studies/bns-o3-H1L1/S190425z", "names no event of a run"),
        ("/srv/current_run/S190425z", "names no event of a run"),
    ],
)
def test_what_is_no_event_of_a_run_is_refused(text: str, says: str) -> None:
    with pytest.raises(LlamaError, match=says):
        EventRef.parse(text)


def test_a_run_has_one_directory() -> None:
    assert {run_named(text) for text in ("", "events", "./events", "current_run")} == {
        "current_run"
    }
    assert run_named("past_runs/o3") == "past_runs/o3"
    assert is_run("past_runs/o3")
    assert not any(map(is_run, ("events", "past_runs", "past_runs/o3/x", "/srv/current_run")))
