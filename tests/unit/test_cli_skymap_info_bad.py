"""The command `skymap_info`, given what it cannot use: one sentence, and nothing is touched."""

from pathlib import Path

import pytest
from alert_samples import NEUTRINOS, go_to_work, gwalert_bytes, without_log

from llama.cli.skymap_info import main


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return go_to_work(tmp_path, monkeypatch)


BAD: list[tuple[list[str], str]] = [
    (["--voevent", "missing.xml"], "cannot read missing.xml"),
    (["--voevent", "."], "cannot read ."),
    (["--voevent", "alert.json"], "not well-formed XML"),
    (["--voevent", "huge.xml"], "larger than 1 MB"),
    (["--alert", "huge.xml"], "larger than 8 MB"),
    (["--alert", "map.fits.gz"], "neither a VOEvent"),
    (["--alert", "alert.json", "--skymap", "missing.fits"], "there is no file missing.fits"),
    (["--alert", "alert.json", "--skymap", "."], "cannot read ."),
    (["--alert", "alert.json", "--skymap", "notice.xml"], "notice.xml"),
    (["--alert", "alert.json", "--neutrinos", "missing.csv"], "cannot read missing.csv"),
    (["--alert", "alert.json", "--neutrinos", "bad.csv"], "bad.csv"),
    (["--graceid", "../../x"], "not a GraceDB id"),
    (["--graceid", "S" * 300], "not a GraceDB id"),
    (["--alert", "alert.json", "--rundir", "notice.xml"], "cannot write notice.xml/S240101ab"),
    (["--alert", "alert.json", "--rundir", "/proc/x"], "cannot write /proc/x/S240101ab"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words)[:50] for words, _ in BAD])
def test_bad_input_is_one_sentence_and_leaves_no_trace(
    output: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("huge.xml").open("wb") as huge:
        huge.truncate(200_000_000)  # sparse: 200 MB to read, none on disk
    Path("bad.csv").write_bytes(NEUTRINOS.replace(b",20,", b",95,"))
    assert main([*words, "--role", "test"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("skymap_info: ")
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in err
    assert without_log(output) == {}
    assert "LlamaError" in (output / "logs/skymap_info.log").read_text()


def test_bad_input_does_not_touch_an_event(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--alert", "alert.json", "--role", "test"]) == 0
    before = without_log(output)
    Path("update.json").write_bytes(gwalert_bytes({"skymap": "PGh0bWw+"}, alert_type="UPDATE"))
    assert main(["--alert", "update.json"]) == 1
    assert without_log(output) == before


def test_wrong_settings_stop_before_anything(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text("searchh: {}\n")
    monkeypatch.setenv("LLAMA_CONFIG", str(Path("mine.yaml").resolve()))
    assert main(["--alert", "alert.json", "--role", "test"]) == 1
    assert "needs to be corrected" in capsys.readouterr().err
    assert without_log(output) == {}


def test_a_log_that_cannot_be_written_hides_nothing(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.parent.mkdir(parents=True)
    output.write_text("in the way")
    assert main(["--alert", "alert.json", "--role", "test"]) == 1
    assert capsys.readouterr().err.startswith("skymap_info: cannot write")
