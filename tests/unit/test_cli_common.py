"""How every command ends, and how it reads a file it is given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llama.cli.common import read_file, run_command
from llama.errors import LlamaError


def test_how_commands_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def interrupted() -> None:
        raise KeyboardInterrupt

    def wrong() -> None:
        raise LlamaError("too many moons; remove one")

    def defective() -> None:
        raise ZeroDivisionError

    assert run_command(lambda: None, "x") == 0
    assert run_command(lambda: 3, "x") == 3
    assert run_command(interrupted, "x") == 130
    assert capsys.readouterr() == ("", "")
    assert run_command(wrong, "llama x") == 1
    assert capsys.readouterr().err == "llama x: too many moons; remove one\n"
    with pytest.raises(ZeroDivisionError):
        run_command(defective, "llama x")
    assert run_command(lambda: len(os.listdir("a" * 300)), "llama x") == 1
    refused = capsys.readouterr().err
    assert refused.endswith("aaa: File name too long; correct the path\n")
    assert run_command(lambda: os.mkdir("/proc/x"), "llama x") == 1
    refused = capsys.readouterr().err
    assert refused.startswith("llama x: cannot use /proc/x: ")
    assert refused.endswith("; free some space or correct the permissions\n")
    log = (tmp_path / "llama/logs/llama_x.log").read_text()
    assert log.count("Traceback") == 4


def test_a_reader_that_has_gone_away() -> None:
    line = (
        "from llama.cli.common import run_command\n"
        "raise SystemExit(run_command(lambda: print('x' * 10**6), 'x'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait() == 1


def test_read_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5, "--alert") == b"12345"
    with pytest.raises(LlamaError, match=r"larger than .* correct --alert"):
        read_file(tmp_path / "a", 4, "--alert")
    with pytest.raises(LlamaError, match=r"larger than 1 MB"):
        read_file(Path("/dev/zero"), 1_000_000, "--alert")
    for path in (tmp_path, tmp_path / "b", tmp_path / "a/b"):
        with pytest.raises(LlamaError, match=r"cannot read .* correct --alert"):
            read_file(path, 4, "--alert")


def test_every_text_can_be_printed_on_every_terminal() -> None:
    line = (
        "from llama.cli.common import run_command, say; import sys;"
        "text = '\u2013 8 \u00d7 3 deg\u00b2 \u00b1 \u03c3 \u4e2d \\ud800';"
        "sys.exit(run_command(lambda: (print(text), say(text))[2:] or 0, 'x'))"
    )
    for encoding, expected in (
        ("ascii", "- 8 x 3 deg2 +- sigma \\u4e2d \\ud800\n"),
        ("latin-1", "- 8 \u00d7 3 deg\u00b2 \u00b1 sigma \\u4e2d \\ud800\n"),
        ("utf-8", "\u2013 8 \u00d7 3 deg\u00b2 \u00b1 \u03c3 \u4e2d \\ud800\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", line],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode(encoding) == done.stderr.decode(encoding) == expected


def test_every_text_can_be_typed() -> None:
    line = (
        "from llama.cli.common import ask, run_command; import sys;"
        "sys.exit(run_command(lambda: print(ask('?')), 'x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", line],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        input=b"j\xc3\xb6\n",
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, b"j\\ufffd\\ufffd\n")
