"""Where the errors of a rule's script go."""

import subprocess
import sys
import time

import pytest

from llama.errors import LlamaError
from llama.script import logged


def test_a_users_error_is_one_sentence_and_its_traceback_is_in_the_log(tmp_path, capsys):
    log = tmp_path / "logs" / "events" / "S190425z.log"
    with pytest.raises(SystemExit) as caught, logged(log):
        raise LlamaError("the map is broken; download it again")
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.err == "the map is broken; download it again\n"
    assert said.out == ""
    text = log.read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("LlamaError: the map is broken; download it again\n")


def test_the_log_has_the_cause_too(tmp_path):
    with pytest.raises(SystemExit), logged(tmp_path / "log"):
        raise LlamaError("empty") from IndexError("of what")
    assert "IndexError: of what" in (tmp_path / "log").read_text()


def test_a_defect_is_in_the_log_and_goes_on(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError), logged(tmp_path / "log"):
        _ = 1 / 0
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()
    assert capsys.readouterr().err == ""


def test_a_log_that_cannot_be_written_hides_no_error(tmp_path, capsys):
    log = tmp_path / "log"

    def fail():
        log.unlink()
        log.mkdir()  # as little to be written as on a full disk
        raise LlamaError("the map is broken; download it again")

    with pytest.raises(SystemExit) as caught, logged(log):
        fail()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "the map is broken; download it again\n"
    with pytest.raises(SystemExit), logged(log):
        print("not reached")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"cannot write {log} (Is a directory); free some space")


def test_success_leaves_an_empty_log(tmp_path, capsys):
    (tmp_path / "log").write_text("an older error")
    with logged(tmp_path / "log"):
        print("made")
    assert (tmp_path / "log").read_text() == ""
    assert capsys.readouterr().err == ""


def test_exit_code_and_output_of_a_script(tmp_path):
    code = (
        "from llama.script import logged\nfrom llama.errors import LlamaError\n"
        "with logged('log'):\n    raise LlamaError('no map; give one')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no map; give one\n")


def test_a_job_that_was_left_running_writes_first(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom llama.script import logged\n"
        "with logged('log'):\n    Path(sys.argv[1]).touch()\n    time.sleep(float(sys.argv[2]))\n"
        "    Path('out').write_text(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen([*command, "old", "1"], cwd=tmp_path) as left:
        while not (tmp_path / "old").exists():
            time.sleep(0.01)
        (tmp_path / "log").unlink()  # as Snakemake does
        subprocess.run([*command, "new", "0"], cwd=tmp_path, check=True)
        assert left.wait() == 0
    assert (tmp_path / "out").read_text() == "new"


def test_a_name_from_outside_is_escaped_in_the_log(tmp_path):
    with pytest.raises(SystemExit), logged(tmp_path / "log"):
        raise LlamaError("no mission \ud800; correct it")
    assert "no mission \\ud800; correct it" in (tmp_path / "log").read_text()
