"""The command `skymap_info`, as typed: what it makes, asks, prints and refuses."""

import os
import pty
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alert_samples import RETRACTION, gwalert_bytes, skymap_fits, skymap_gz, voevent
from gracedb_server import SUPEREVENT, gracedb_server

from llama.cli.skymap_info import main
from llama.event.flags import read_flags
from llama.event.skymap_info import read_info
from llama.settings import default_yaml

COMMAND = [sys.executable, "-c", "from llama.cli.skymap_info import main; raise SystemExit(main())"]
NEUTRINOS = "mjd,ra,dec,sigma,energy\n60310.0,10,20,0.5,1000\n"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output directory, and files to give in the working directory."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "notice.xml").write_bytes(voevent())
    (work / "alert.json").write_bytes(gwalert_bytes())
    (work / "mock.json").write_bytes(gwalert_bytes(superevent_id="MS240101ab"))
    (work / "retraction.json").write_bytes(RETRACTION)
    (work / "map.fits.gz").write_bytes(skymap_gz())
    (work / "neutrinos.csv").write_text(NEUTRINOS)
    return tmp_path / "data" / "llama"


def everything(directory: Path) -> dict[str, bytes]:
    """Every file but the log of errors, with its content."""
    return {
        str(path): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "skymap_info.log"
    }


def run(*words: str, typed: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command in a new process; `typed` at a terminal, if given."""
    if typed is None:
        return subprocess.run(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    try:
        return subprocess.run(
            [*COMMAND, *words], stdin=slave, capture_output=True, text=True, check=False
        )
    finally:
        os.close(master)
        os.close(slave)


def test_help_and_version_are_quick(output: Path) -> None:
    for option, says in (("-h", "usage: skymap_info"), ("-V", "skymap_info 0.")):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(option)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(says)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        assert used < 0.5
    assert not output.exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--voevent", "notice.xml", "--graceid", "S240101ab"],
        ["--voevent"],
        ["--alert", "alert.json", "--role", "real"],
        ["--alert", "alert.json", "S240101ab"],
    ],
)
def test_wrong_usage(output: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: skymap_info" in capsys.readouterr().err


def test_a_voevent_with_map_and_neutrinos(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--voevent", "notice.xml", "--skymap", "map.fits.gz", "--neutrinos", "neutrinos.csv"]
    assert main([*words, "--role", "test"]) == 0
    event = output / "current_run/S240101ab"
    out, err = capsys.readouterr()
    assert out == f"{event}\nsnakemake events/S240101ab/all\n"
    assert err == "S240101ab: revision 1, Initial\n"
    info = read_info(event)
    assert (info["skymap_file"], info["neutrino_file"]) == (
        "alerts/1-Initial.fits.gz",
        "alerts/1-neutrinos.csv",
    )
    assert info["skymap_filename"] == "map.fits.gz"
    before = everything(output)
    assert main([*words, "--role", "test"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{event}\nsnakemake events/S240101ab/all\n"
    assert err == "S240101ab: nothing new, revision 1 stays\n"
    assert everything(output) == before


def test_revisions_and_a_retraction(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--alert", "alert.json", "--role", "test"]) == 0
    assert main(["--voevent", "notice.xml"]) == 0
    assert "the notice names the map bayestar.multiorder.fits,1" in capsys.readouterr().err
    assert main(["--alert", "retraction.json"]) == 0
    assert "revision 3, Retraction (RETRACTED)" in capsys.readouterr().err
    info = read_info(output / "current_run/S240101ab")
    assert (info["retracted"], info["revision"]) == (True, 3)
    assert info["skymap_alert_file"] == "alerts/1-Preliminary.json"
    assert main(["--alert", "alert.json"]) == 0
    assert "is older than the present one" in capsys.readouterr().err
    assert main(["--alert", "alert.json", "--force"]) == 0
    assert read_info(output / "current_run/S240101ab")["revision"] == 4


def test_a_voevent_without_map_says_what_to_do(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--voevent", "notice.xml", "--role", "test"]) == 0
    assert "no sky map yet: the notice names bayestar.multiorder.fits,1" in capsys.readouterr().err


def test_a_mock_needs_no_role_and_takes_no_other(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--alert", "mock.json", "--role", "observation", "--yes"]) == 1
    assert "can only be a test" in capsys.readouterr().err
    assert everything(output) == {}
    assert main(["--alert", "mock.json"]) == 0
    assert read_flags(output / "current_run/MS240101ab")["ROLE"] == "test"


def test_the_role_is_asked_and_yes_is_typed(output: Path) -> None:
    done = run("--alert", "alert.json", typed="real\nyes\n")
    assert done.returncode == 1
    assert "not confirmed" in done.stderr
    assert everything(output) == {}
    done = run("--alert", "alert.json", typed="what\nreal\nYES\n")
    assert done.returncode == 0, done.stderr
    assert "Is S240101ab a real event" in done.stderr
    assert "Type YES" in done.stderr
    assert done.stdout.startswith(str(output))
    assert read_flags(output / "current_run/S240101ab")["ROLE"] == "observation"


@pytest.mark.parametrize(
    ("words", "typed", "code", "role"),
    [
        ([], "test\n", 0, "test"),
        ([], "\n\n\n", 1, None),
        (["--role", "observation"], "YES\n", 0, "observation"),
        (["--role", "observation", "--yes"], None, 0, "observation"),
        (["--role", "observation"], None, 1, None),
        (["--yes"], None, 1, None),
    ],
)
def test_roles(
    output: Path, words: list[str], typed: str | None, code: int, role: str | None
) -> None:
    done = run("--alert", "alert.json", *words, typed=typed)
    assert done.returncode == code, done.stderr
    if role is None:
        assert done.stderr.splitlines()[-1].count("skymap_info: ") == 1
        assert everything(output) == {}
    else:
        assert read_flags(output / "current_run/S240101ab")["ROLE"] == role


def test_the_flags_of_an_event_that_exists_stay(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--alert", "alert.json", "--role", "test"]) == 0
    assert main(["--voevent", "notice.xml", "--role", "observation", "--yes"]) == 0
    assert "--role does not change it" in capsys.readouterr().err
    assert read_flags(output / "current_run/S240101ab")["ROLE"] == "test"


@pytest.mark.parametrize(
    ("rundir", "command"),
    [
        ("OUTPUT/past_runs/o3", "snakemake past_runs/o3/S240101ab/all\n"),
        ("OUTPUT/current_run", "snakemake events/S240101ab/all\n"),
        ("other/current_run", "snakemake events/S240101ab/all --config output_dir=CWD/other\n"),
        (
            "other/past_runs/x",
            "snakemake past_runs/x/S240101ab/all --config output_dir=CWD/other\n",
        ),
        ("elsewhere", ""),
    ],
)
def test_the_next_command(
    output: Path, rundir: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rundir = rundir.replace("OUTPUT", str(output))
    assert main(["--alert", "alert.json", "--role", "test", "--rundir", rundir]) == 0
    out = capsys.readouterr().out
    assert out == f"{rundir}/S240101ab\n{command.replace('CWD', str(Path.cwd()))}"


def test_graceid(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "S240101ab": {
            "bayestar.multiorder.fits,0": skymap_fits(3),
            "bayestar.multiorder.fits,1": skymap_fits(4),
            "p_astro.json": b'{"BBH": 1.0, "Terrestrial": 0.0}',
        }
    }
    words = ["--graceid", "S240101ab", "--role", "test"]
    with gracedb_server({"S240101ab": SUPEREVENT}, files) as server:
        text = default_yaml().replace("https://gracedb.ligo.org/api/", server.url)
        assert server.url in text
        Path("mine.yaml").write_text(text)
        monkeypatch.setenv("LLAMA_CONFIG", str(Path("mine.yaml").resolve()))
        assert main(words) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info["skymap_filename"] == "bayestar.multiorder.fits,1"
        assert info["alert_type"] == "gracedb"
        capsys.readouterr()
        assert main(words) == 0
        assert "nothing new" in capsys.readouterr().err
        assert main([*words, "--skymap", "bayestar.multiorder.fits,0"]) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info["skymap_filename"] == "bayestar.multiorder.fits,0"
        assert main([*words, "--skymap", "map.fits.gz"]) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info["skymap_filename"] == "map.fits.gz"
        assert main(["--graceid", "S240101zz", "--role", "test"]) == 1
    before = everything(output)
    capsys.readouterr()
    assert main(words) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert everything(output) == before


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
    Path("bad.csv").write_text(NEUTRINOS.replace(",20,", ",95,"))
    assert main([*words, "--role", "test"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("skymap_info: ")
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in err
    assert everything(output) == {}
    assert "LlamaError" in (output / "logs/skymap_info.log").read_text()


def test_bad_input_does_not_touch_an_event(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--alert", "alert.json", "--role", "test"]) == 0
    before = everything(output)
    Path("update.json").write_bytes(gwalert_bytes({"skymap": "PGh0bWw+"}, alert_type="UPDATE"))
    assert main(["--alert", "update.json"]) == 1
    assert everything(output) == before


def test_wrong_settings_stop_before_anything(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text("searchh: {}\n")
    monkeypatch.setenv("LLAMA_CONFIG", str(Path("mine.yaml").resolve()))
    assert main(["--alert", "alert.json", "--role", "test"]) == 1
    assert "needs to be corrected" in capsys.readouterr().err
    assert everything(output) == {}


def test_a_log_that_cannot_be_written_hides_nothing(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.parent.mkdir(parents=True)
    output.write_text("in the way")
    assert main(["--alert", "alert.json", "--role", "test"]) == 1
    assert capsys.readouterr().err.startswith("skymap_info: cannot write")


def test_real_alerts(output: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events: Any = shared_data / "events"
    for kind in ("Preliminary", "Initial", "Update"):
        path = events / f"S230518h/S230518h-{kind}_alert.json"
        assert main(["--alert", str(path), "--role", "test"]) == 0
    notice = str(events / "S190425z/S190425z-2-Initial.xml")
    for name in ("bayestar.fits.gz", "LALInference.fits.gz", "bayestar.multiorder.fits"):
        path = events / "S190425z" / name
        assert main(["--voevent", notice, "--skymap", str(path), "--role", "test"]) == 0
    for graceid in ("S230518h", "S190425z"):
        assert read_info(output / "current_run" / graceid)["revision"] == 3
    assert capsys.readouterr().out.count("snakemake events/") == 6
