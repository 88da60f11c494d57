"""`llama flags` and `llama publish` as typed."""

from pathlib import Path
from typing import Any

import pytest
from publish_samples import GRACEID, make_event, revise

from llama.cli.main import main
from llama.errors import LlamaError
from llama.event.find import find_events
from llama.event.flags import DEFAULTS, PRESETS, parse_changes, read_flags
from llama.files import read_json, write_json
from llama.publish.deliver import note_withdrawal
from llama.settings import default_yaml, load

MOCK = f"M{GRACEID}"


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current run with a real and a mock event; a directory as the only destination."""
    config = tmp_path / "config.yaml"
    real, test = default_yaml().split("\n  test:\n")
    test = test.replace("icecube: null", f"icecube: {tmp_path}/drop", 1)
    text = f"{real}\n  test:\n{test}".replace("output_dir: null", f"output_dir: {tmp_path}")
    config.write_text(text)
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    (tmp_path / "drop").mkdir()
    for graceid in (GRACEID, MOCK):
        make_event(tmp_path / "current_run", {}, graceid=graceid)
    return tmp_path / "current_run"


def test_flags_are_shown_as_a_table(run_dir: Path, capsys: Any) -> None:
    assert main(["flags"]) == 0
    head, mock, real = capsys.readouterr().out.splitlines()
    assert head.split() == ["EVENT", *DEFAULTS]
    flags = ["false", "test", "false", "false", "false", "true", "false", "auto"]
    assert mock.split() == [MOCK, *flags]
    assert real.split()[0] == GRACEID
    assert head.index("UPLOAD") == mock.index("false", mock.index("test"))


def test_flags_are_set_by_name_and_by_preset(run_dir: Path, capsys: Any) -> None:
    assert main(["flags", "MS*", "UPLOAD=true", "VETOED=TRUE"]) == 0
    assert read_flags(run_dir / MOCK) == {**DEFAULTS, "UPLOAD": True, "VETOED": True}
    assert read_flags(run_dir / GRACEID) == DEFAULTS
    assert "1 event of 1 changed" in capsys.readouterr().err
    assert main(["flags", f"events/{GRACEID}", "TRIGGERED_PUBLIC", "ONLINE=false"]) == 0
    wanted = {**DEFAULTS, **PRESETS["TRIGGERED_PUBLIC"], "ONLINE": False}
    assert read_flags(run_dir / GRACEID) == wanted
    assert main(["flags", "*", "TRIGGERED_TEST"]) == 0
    assert read_flags(run_dir / MOCK) == read_flags(run_dir / GRACEID) == DEFAULTS


def test_presets_are_those_of_the_original_defaults() -> None:
    assert {**DEFAULTS, **PRESETS["TRIGGERED_TEST"]} == DEFAULTS
    assert not PRESETS["TRIGGERED_INTERNAL"].get("UPLOAD")
    assert PRESETS["TRIGGERED_PUBLIC"]["UPLOAD"] is True


def test_equal_flags_are_not_written_again(run_dir: Path) -> None:
    path = run_dir / MOCK / "flags.json"
    before = path.stat().st_mtime_ns
    assert main(["flags", MOCK, "ROLE=test"]) == 0
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["UPLOAD=true"], "say whose flags to set"),
        (["TRIGGERED_PUBLIC"], "say whose flags to set"),
        ([MOCK, "UPLOAD=1"], "use true or false"),
        ([MOCK, "ROLE=real"], "use test or observation"),
        ([MOCK, "UPLAOD=true"], "unknown flag 'UPLAOD'"),
        ([MOCK, "PUBLIC"], "is no flag; give NAME=VALUE or one of TRIGGERED_TEST"),
        (["S999999zz"], "there is no event S999999zz"),
        (["../*"], "there is no event"),
    ],
)
def test_wrong_words_change_nothing(
    run_dir: Path, capsys: Any, words: list[str], says: str
) -> None:
    assert main(["flags", *words]) == 1
    assert says in capsys.readouterr().err
    assert read_flags(run_dir / MOCK) == DEFAULTS


def test_later_words_win() -> None:
    assert parse_changes(["UPLOAD=true", "TRIGGERED_TEST"])["UPLOAD"] is False
    assert parse_changes(["TRIGGERED_TEST", "UPLOAD=true"])["UPLOAD"] is True


def test_run_and_glob(run_dir: Path) -> None:
    output = run_dir.parent
    past = make_event(output / "past_runs" / "o3", graceid="S190425z")
    (run_dir / "S240101zz").mkdir()  # an event that is not there yet
    (run_dir / "notes").mkdir()
    both = [run_dir / MOCK, run_dir / GRACEID]
    for pattern in (None, "*", "events/*", "events/", "events", f"{run_dir}/*", f"{run_dir}/"):
        assert find_events(output, pattern) == both, pattern
    assert find_events(output, "current_run/*") == both
    assert find_events(output, "past_runs/o3/") == [past]
    assert find_events(output, "past_runs/o3/S19*") == [past]
    assert find_events(output, f"events/{MOCK}/") == [run_dir / MOCK]


def test_a_dry_run_says_where_and_why_not(run_dir: Path, capsys: Any) -> None:
    assert main(["publish", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"{GRACEID}  icecube  nothing would be sent: the flag ICECUBE_UPLOAD is false" in out
    main(["flags", "*", "ICECUBE_UPLOAD=true"])
    capsys.readouterr()
    assert main(["publish", "--dry-run"]) == 0
    out = capsys.readouterr().out
    drop = run_dir.parent / "drop"
    assert f"{MOCK}  icecube  a first message would go to {drop} (test)" in out
    assert list(drop.iterdir()) == []
    assert not (run_dir / MOCK / "outbox").exists()
    (run_dir / MOCK / "significance_lvc-i3.json").unlink()
    assert main(["publish", "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert "cannot tell" in out
    assert f"run: snakemake events/{MOCK}/all" in out


def test_publish_writes_the_receipt(run_dir: Path, capsys: Any) -> None:
    main(["flags", MOCK, "ICECUBE_UPLOAD=true"])
    assert main(["publish", MOCK]) == 0
    assert "icecube: sent to" in capsys.readouterr().out
    assert (run_dir / MOCK / "receipts" / "icecube.json").exists()
    assert len(list((run_dir.parent / "drop").iterdir())) == 1
    assert main(["publish"]) == 1
    assert "--dry-run" in capsys.readouterr().err


def test_one_destination_cannot_be_both(run_dir: Path) -> None:
    config = run_dir.parent / "config.yaml"
    config.write_text(default_yaml().replace("slack: null", "slack: C0123456789"))
    with pytest.raises(LlamaError, match="same slack for real and test"):
        load(config)


@pytest.mark.parametrize(
    "line",
    [
        "slack: '#general'", "webhook: http://example.org/x", "gcn: 'a b'", "gracedb: https://x",
        "webhook: https://user:secret@example.org/", "icecube: relative/path", "circular: nobody",
    ],
)  # fmt: skip
def test_destinations_are_checked(run_dir: Path, line: str) -> None:
    config = run_dir.parent / "config.yaml"
    config.write_text(default_yaml().replace(f" {line.partition(':')[0]}: null", f" {line}", 1))
    with pytest.raises(LlamaError, match=f"publish.real.{line.partition(':')[0]}"):
        load(config)


def test_a_withdrawal_by_hand_ends_what_cannot_be_reached(run_dir: Path, capsys: Any) -> None:
    drop, event = run_dir.parent / "drop", run_dir / MOCK
    main(["flags", MOCK, "ICECUBE_UPLOAD=true"])
    assert main(["publish", MOCK]) == 0
    info = read_json(event / "skymap_info.json")
    write_json(event / "skymap_info.json", info | {"retracted": True})
    drop.rename(run_dir.parent / "gone")
    main(["flags", MOCK, "VETOED=true"])
    assert main(["publish", MOCK]) == 1
    assert f"has not reached icecube {drop} (test)" in capsys.readouterr().err
    assert main(["publish", MOCK, "--withdrawn-by-hand", "/elsewhere"]) == 1
    assert f"but: icecube {drop} (test)" in capsys.readouterr().err
    assert main(["publish", "*", "--withdrawn-by-hand", str(drop)]) == 1
    assert "of one event, not of 2" in capsys.readouterr().err
    assert main(["publish", MOCK, "--withdrawn-by-hand", f"{drop}/"]) == 0
    assert read_json(event / "receipts/icecube.json")["status"] == "withdrawn"
    assert main(["publish", MOCK]) == 0


def test_only_what_was_retracted_is_withdrawn_by_hand(tmp_path: Path) -> None:
    event = make_event(tmp_path)
    with pytest.raises(LlamaError, match="was not retracted"):
        note_withdrawal(event, "https://example.org/")
    revise(event, retracted=True)
    with pytest.raises(LlamaError, match="but: nowhere"):
        note_withdrawal(event, "https://example.org/")
