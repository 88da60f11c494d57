"""The command `skymap_info`, as typed: what it makes, asks, prints and refuses."""

import contextlib
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from alert_samples import go_to_work, skymap_fits, without_log
from gracedb_server import SUPEREVENT, gracedb_server

from llama.cli.skymap_info import main
from llama.event.flags import read_flags
from llama.event.skymap_info import read_info
from llama.settings import default_yaml

COMMAND = [sys.executable, "-c", "from llama.cli.skymap_info import main; raise SystemExit(main())"]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return go_to_work(tmp_path, monkeypatch)


@contextlib.contextmanager
def terminal(typed: str | None) -> Iterator[TextIO]:
    """A terminal at which this was typed, or standard input without one."""
    if typed is None:
        with Path(os.devnull).open() as nobody:
            yield nobody
        return
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    try:
        with os.fdopen(slave) as stdin:
            yield stdin
    finally:
        os.close(master)


def run(*words: str, typed: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command in a new process; `typed` at a terminal, if given."""
    with terminal(typed) as stdin:
        return subprocess.run(
            [*COMMAND, *words], stdin=stdin, capture_output=True, text=True, check=False
        )


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
    assert out == f"{event}\nllama snakemake events/S240101ab/all\n"
    assert err == "S240101ab: revision 1, Initial\n"
    info = read_info(event)
    assert (info.skymap_file, info.neutrino_file) == (
        "alerts/1-Initial.fits.gz",
        "alerts/1-neutrinos.csv",
    )
    assert info.skymap_filename == "map.fits.gz"
    before = without_log(output)
    assert main([*words, "--role", "test"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{event}\nllama snakemake events/S240101ab/all\n"
    assert err == "S240101ab: nothing new, revision 1 stays\n"
    assert without_log(output) == before


def test_revisions_and_a_retraction(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--alert", "alert.json", "--role", "test"]) == 0
    assert main(["--voevent", "notice.xml"]) == 0
    assert "the notice names the map bayestar.multiorder.fits,1" in capsys.readouterr().err
    assert main(["--alert", "retraction.json"]) == 0
    assert "revision 3, Retraction (RETRACTED)" in capsys.readouterr().err
    info = read_info(output / "current_run/S240101ab")
    assert (info.retracted, info.revision) == (True, 3)
    assert info.skymap_alert_file == "alerts/1-Preliminary.json"
    assert main(["--alert", "alert.json"]) == 0
    assert "is older than the present one" in capsys.readouterr().err
    assert main(["--alert", "alert.json", "--force"]) == 0
    assert read_info(output / "current_run/S240101ab").revision == 4


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
    assert without_log(output) == {}
    assert main(["--alert", "mock.json"]) == 0
    assert read_flags(output / "current_run/MS240101ab")["ROLE"] == "test"


def test_the_role_is_asked_and_yes_is_typed(output: Path) -> None:
    done = run("--alert", "alert.json", typed="real\nyes\n")
    assert done.returncode == 1
    assert "not confirmed" in done.stderr
    assert without_log(output) == {}
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
        ([], "YES\n", 0, "observation"),
        ([], "yes\nYES\n", 0, "observation"),
        ([], "yes\nyes\n", 1, None),
        ([], "NO\n", 0, "test"),
        ([], "\n\n\n", 1, None),
        (["--role", "observation"], "YES\n", 0, "observation"),
        (["--role", "observation", "--yes"], None, 0, "observation"),
        (["--role", "observation"], None, 1, None),
        (["--yes"], None, 1, None),
    ],
)
def test_roles(
    output: Path, words: list[str], typed: str | None, code: int, role: str | None,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with terminal(typed) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        done = main(["--alert", "alert.json", *words])
    said = capsys.readouterr().err
    assert done == code, said
    if role is None:
        assert said.splitlines()[-1].count("skymap_info: ") == 1
        assert without_log(output) == {}
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
        ("OUTPUT/past_runs/o3", "llama snakemake past_runs/o3/S240101ab/all\n"),
        ("OUTPUT/current_run", "llama snakemake events/S240101ab/all\n"),
        ("LINKED/current_run", "llama snakemake events/S240101ab/all\n"),
        (
            "other/current_run",
            "llama snakemake events/S240101ab/all --config output_dir=CWD/other\n",
        ),
        (
            "other/past_runs/x",
            "llama snakemake past_runs/x/S240101ab/all --config output_dir=CWD/other\n",
        ),
        ("elsewhere", ""),
    ],
)
def test_the_next_command(
    output: Path, rundir: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if rundir.startswith("LINKED"):
        (output.parent / "disk" / "o4b").mkdir(parents=True)
        output.mkdir(exist_ok=True)
        (output / "current_run").symlink_to(output.parent / "disk" / "o4b")
    rundir = rundir.replace("OUTPUT", str(output)).replace("LINKED", str(output))
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
    words = ["-graceid", "S240101ab", "--role", "test"]  # as the guide has it once
    with gracedb_server({"S240101ab": SUPEREVENT}, files) as server:
        text = default_yaml().replace("https://gracedb.ligo.org/api/", server.url)
        assert server.url in text
        Path("mine.yaml").write_text(text)
        monkeypatch.setenv("LLAMA_CONFIG", str(Path("mine.yaml").resolve()))
        assert main(words) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info.skymap_filename == "bayestar.multiorder.fits,1"
        assert info.alert_type == "gracedb"
        capsys.readouterr()
        assert main(words) == 0
        assert "nothing new" in capsys.readouterr().err
        assert main([*words, "--skymap", "bayestar.multiorder.fits,0"]) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info.skymap_filename == "bayestar.multiorder.fits,0"
        assert main([*words, "--skymap", "map.fits.gz"]) == 0
        info = read_info(output / "current_run/S240101ab")
        assert info.skymap_filename == "map.fits.gz"
        assert main(["--graceid", "S240101zz", "--role", "test"]) == 1
    before = without_log(output)
    capsys.readouterr()
    assert main(words) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert without_log(output) == before


@pytest.mark.parametrize("name", ["amplfi.multiorder.fits,0", "a_new_search.multiorder.fits,2"])
def test_the_only_map_on_gracedb_is_taken_and_named(
    name: str, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"S240101ab": {name: skymap_fits(3), "combined-ext.multiorder.fits,0": b"not it"}}
    with gracedb_server({"S240101ab": SUPEREVENT}, files) as server:
        text = default_yaml().replace("https://gracedb.ligo.org/api/", server.url)
        Path("mine.yaml").write_text(text)
        monkeypatch.setenv("LLAMA_CONFIG", str(Path("mine.yaml").resolve()))
        assert main(["--graceid", "S240101ab", "--role", "test"]) == 0
    assert read_info(output / "current_run/S240101ab").skymap_filename == name
    assert f"note: the sky map is {name}, the best on GraceDB" in capsys.readouterr().err


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
        assert read_info(output / "current_run" / graceid).revision == 3
    assert capsys.readouterr().out.count("snakemake events/") == 6
