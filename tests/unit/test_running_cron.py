"""The crontab line: what the user's other lines keep, and what the line does when it is run."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llama.cli.main import main
from llama.errors import LlamaError
from llama.running import cron
from llama.settings import Settings

# what python-crontab would have written otherwise
OTHERS = (
    b"MAILTO=me@example.org\n# my  own\n\n*/5  *  * * *   echo  hi   # note\n@daily x\\%y\n"
    b" 1 2 3 4 5\tbar  \n#0 4 * * mon off\nPATH='/a b'\n0 4 * * mon gr\xc3\xbc\xdf\n"
)


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """A table of this test's own, behind a program that answers as Debian's crontab does."""
    table = tmp_path / "table"
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nT={table}\ncase $1 in\n"
        '-l) test -e "$T" && cat "$T" || { echo "no crontab for me" >&2; exit 1; } ;;\n'
        '-r) rm "$T" ;;\n-) cat >"$T.new"; grep -q BROKEN "$T.new" '
        '&& { echo "bad minute" >&2; exit 1; } || mv "$T.new" "$T" ;;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return table


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    return Settings(output_dir=tmp_path / "out 100%")


def run_as_cron(line, **more):
    """Run the line as cron does: sh, hardly any environment, \\% for %, all output to the mail."""
    command = line.split(" ", 5)[5].replace("\\%", "%")
    environment = {"HOME": "/nonexistent", "LOGNAME": "me", "SHELL": "/bin/sh"} | more
    return subprocess.run(
        ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in environment.items()), "sh", "-c", command],
        cwd="/",
        capture_output=True,
        text=True,
    )


def test_other_lines_keep_every_byte_and_ours_is_there_once(crontab, settings):
    crontab.write_bytes(OTHERS)
    line, replaced = cron.install(settings)
    assert replaced is None
    assert crontab.read_bytes() == OTHERS + line.encode() + b"\n"
    assert cron.install(settings) == (line, None)
    assert crontab.read_bytes() == OTHERS + line.encode() + b"\n"
    assert cron.installed() == line
    assert cron.remove() == line
    assert crontab.read_bytes() == OTHERS
    assert cron.remove() is None
    assert cron.installed() is None


def test_another_clones_line_is_replaced_in_its_place_and_named(crontab, settings, tmp_path):
    first, _ = cron.install(Settings(output_dir=tmp_path / "first"))
    crontab.write_bytes(OTHERS + first.encode() + b"\nSHELL=/bin/bash\n" + first.encode() + b"\n")
    line, replaced = cron.install(settings)
    assert replaced == first
    assert crontab.read_bytes() == OTHERS + line.encode() + b"\nSHELL=/bin/bash\n"


def test_a_crontab_that_was_not_there_is_not_there_afterwards(crontab, settings):
    cron.install(settings)
    assert crontab.exists()
    cron.remove()
    assert not crontab.exists()


@pytest.mark.needs("crontab")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose crontab is put back")
def test_with_the_real_crontab_of_this_machine(settings, tmp_path):
    def listing():
        return subprocess.run(["crontab", "-l"], capture_output=True)

    before = listing()
    try:
        subprocess.run(["crontab", "-"], input=OTHERS, check=True)
        line, _ = cron.install(settings)
        assert listing().stdout == OTHERS + line.encode() + b"\n"
        cron.install(settings)
        assert listing().stdout == OTHERS + line.encode() + b"\n"
        assert cron.remove() == line
        assert listing().stdout == OTHERS
        subprocess.run(["crontab", "-r"], check=True)
        cron.install(settings)
        assert listing().stdout == line.encode() + b"\n"
        cron.remove()
        assert b"no crontab for" in listing().stderr
    finally:
        if before.returncode == 0:
            subprocess.run(["crontab", "-"], input=before.stdout, check=True)
        else:
            subprocess.run(["crontab", "-r"], capture_output=True)
    assert listing().stdout == before.stdout


def test_without_cron_the_commands_say_so(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for words in (["install"], ["show"], ["remove"]):
        assert main(["cron", *words]) == 1
        assert "this machine has no" in capsys.readouterr().err


def test_a_crontab_that_cron_refuses_stays_as_it_was(crontab, tmp_path, monkeypatch):
    crontab.write_bytes(OTHERS)
    with pytest.raises(LlamaError, match=r"refuses the crontab \(bad minute\); it is as it was"):
        cron.install(Settings(output_dir=tmp_path / "BROKEN"))
    assert crontab.read_bytes() == OTHERS


def test_a_user_who_may_not_use_cron_is_told(crontab, settings, tmp_path):
    program = tmp_path / "bin" / "crontab"
    program.write_text(
        "#!/bin/sh\necho 'You (me) are not allowed to use this program' >&2\nexit 1\n"
    )
    with pytest.raises(LlamaError, match=r"cannot be read .*not allowed"):
        cron.install(settings)


def test_a_line_that_cron_would_cut_is_refused(crontab, tmp_path):
    with pytest.raises(LlamaError, match="998 characters"):
        cron.install(Settings(output_dir=tmp_path / ("x" * 250) / ("y" * 250) / ("z" * 250)))


def test_show_prints_the_line_or_exits_with_1(crontab, settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert main(["cron", "show"]) == 1
    assert "llama cron install" in capsys.readouterr().err
    assert main(["cron", "install"]) == 0
    line = capsys.readouterr().out
    assert main(["cron", "show"]) == 0
    assert capsys.readouterr().out == line == crontab.read_text()


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program in the place of Python that ends as `code` says and records how it was called."""
    program, code = tmp_path / "v e n v" / "bin" / "python", tmp_path / "code"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\necho "$@"; pwd; echo "$PATH $LLAMA_CONFIG"; exit $(cat {code})\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    return code


def test_the_line_mails_once_when_it_begins_to_fail(crontab, settings, stand_in, tmp_path):
    line, _ = cron.install(settings)
    logs = settings.output_dir / "logs"
    mails = []
    for code in "0011101100":
        stand_in.write_text(code)
        done = run_as_cron(line)
        assert done.returncode == 0
        assert done.stderr == ""
        mails.append(done.stdout)
    assert [bool(mail) for mail in mails] == [c == "1" for c in "0010001000"]
    assert mails[2].startswith("llama run -o fails; no more mail until it has succeeded.")
    assert "-m llama run -o" in mails[2]
    log = (logs / "cron.log").read_text().splitlines()
    clone = Path(__file__).parents[2]
    assert log[:3] == [
        "-m llama run -o",
        str(clone),
        f"{tmp_path / 'v e n v' / 'bin'}:/usr/local/bin:/usr/bin:/bin {clone / 'config.yaml'}",
    ]
    assert len(log) == 30
    assert not (logs / "cron.failed").exists()


def test_a_pass_that_still_runs_makes_the_next_one_quiet(crontab, settings, stand_in):
    line, _ = cron.install(settings)
    stand_in.write_text("1")
    lock = settings.output_dir / "logs" / "cron.lock"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as other:
        while subprocess.run(["flock", "-n", lock, "true"]).returncode == 0:
            pass
        done = run_as_cron(line)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        other.stdin.close()
    assert (settings.output_dir / "logs" / "cron.log").read_text() == ""
    assert "llama run -o fails" in run_as_cron(line).stdout


def test_a_place_without_locks_is_said_before_the_crontab_is_changed(crontab, settings):
    crontab.write_bytes(OTHERS)
    settings_file = crontab.parent / "config.yaml"
    text = (Path(__file__).parents[2] / "config.yaml").read_text()
    settings_file.write_text(text.replace("output_dir: null", f"output_dir: {crontab.parent}/out"))
    no_flock = Path(__file__).parents[1] / "no_flock.py"
    words = [sys.executable, no_flock, "37", sys.executable, "-m", "llama", "cron", "install"]
    environment = os.environ | {"LLAMA_CONFIG": str(settings_file)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cron.lock (No locks available): this file system has no locks" in done.stderr
    assert done.stderr.count("\n") == 1
    assert crontab.read_bytes() == OTHERS
