"""Every command of `llama`: help, version, wrong usage, and quick to answer."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from dr2_samples import write_dr2

from llama import __version__
from llama.cli.main import build_parser, main
from llama.settings import default_yaml


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    """Yield the words of every command of `parser`, at any depth, and its own parser."""
    yield path, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from commands(inner, (*path, name))


COMMANDS = {" ".join(("llama", *path)): (path, parser) for path, parser in commands(build_parser())}


INSTALLED = [
    script.name
    for script in entry_points(group="console_scripts")
    if script.value.startswith("llama.")
]


def ask(capsys, *words):
    """Return exit code, stdout and stderr of `llama WORDS`."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code, *capsys.readouterr()


def test_the_walk_finds_the_commands():
    assert {"llama", "llama neutrinos import", "llama neutrinos show"} <= set(COMMANDS)
    assert {"llama", "skymap_info"} <= set(INSTALLED)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(capsys, command, option):
    path, parser = COMMANDS[command]
    code, out, err = ask(capsys, *path, option)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {command} ")
    assert parser.description in " ".join(out.split())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(capsys, command, option):
    path, _ = COMMANDS[command]
    assert ask(capsys, *path, option) == (0, f"llama {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_explained(command):
    _, parser = COMMANDS[command]
    for action in parser._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_function(command):
    _, parser = COMMANDS[command]
    if not any(isinstance(action, argparse._SubParsersAction) for action in parser._actions):
        module, name = parser.get_default("run").split(".")
        function = getattr(import_module(f"llama.cli.{module}"), name)
        assert f"`{command}`" in function.__doc__


# which hands all that is typed after it to Snakemake
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"llama snakemake"}))
def test_wrong_usage(capsys, command):
    path, _ = COMMANDS[command]
    code, out, err = ask(capsys, *path, "--no-such-option")
    assert (code, out) == (2, "")
    assert err.startswith("usage: llama")
    assert "--no-such-option" in err or "required" in err


@pytest.mark.parametrize("words", [[], ["nonsense"], ["neutrinos"], ["neutrinos", "nonsense"]])
def test_no_or_unknown_command(capsys, words):
    code, out, err = ask(capsys, *words)
    assert (code, out) == (2, "")
    assert "COMMAND" in err


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("command", INSTALLED)
def test_installed_commands(command, option):
    program = Path(sys.executable).parent / command
    child = subprocess.run([program, option], capture_output=True, text=True)
    assert (child.returncode, child.stderr) == (0, "")
    assert command in child.stdout


def test_help_is_quick():
    program = (
        "import time; start = time.process_time()\n"
        "from llama.cli.main import build_parser; build_parser().format_help()\n"
        "print(time.process_time() - start)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert float(child.stdout) < 0.4  # of the 0.5 s of CPU that the whole command may take


def test_installed_command_completes_in_the_shell(tmp_path):
    # what bash's hook does: the words typed so far in variables, the answer in a file
    line = "llama neutr"
    answer = tmp_path / "answer"
    completion = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run(
        [sys.executable, "-c", "from llama.cli.main import main; main()"],
        env=os.environ | completion,
        check=False,
    )
    assert answer.read_text().split() == ["neutrinos"]


@pytest.fixture
def output_dir(tmp_path, monkeypatch):
    """An empty output directory, and settings that name it."""
    config = tmp_path / "config.yaml"
    config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}/data"))
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    return tmp_path / "data"


def test_import_and_show(output_dir, tmp_path, capsys):
    from llama.neutrinos.mock import write_mock_release

    release = tmp_path / "release"
    write_mock_release(release, seed=1, n_events=200, mjd_start=58000.0, mjd_stop=58010.0)
    assert main(["neutrinos", "show"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "llama neutrinos import PATH" in err
    assert main(["neutrinos", "import", str(release), "--name", "toy"]) == 0
    assert (output_dir / "archive" / "toy" / "archive.json").is_file()
    shown = capsys.readouterr().out
    assert shown.startswith("toy\n  events     200; rejected: 0 not finite, ")
    assert main(["neutrinos", "show"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.usefixtures("output_dir")
def test_import_says_which_matrix_it_was_and_which_seasons_do_not_fit(tmp_path, capsys):
    release = write_dr2(tmp_path / "dr2")
    path = release / "events" / "IC40_exp.tab"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:1] + rows[4::6]))  # a sixth of them in the same time
    assert main(["neutrinos", "import", str(release), "--name", "dr2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["dr2", "dr2/IC79", "dr2/IC40"]
    matrix = [line for line in lines if line.startswith("  matrix ")]
    assert matrix[0] == "  matrix     public IC86: the release has none in irfs"
    assert matrix[1].startswith("  matrix     none: the release has none in irfs, and the public")
    assert not any(line.startswith("  !") for line in lines)
    words = ["neutrinos", "import", str(release), "--name", "dr2", "--seasons", "IC40,IC86"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "\n  ! IC40 does not fit IC86: it has 0.17 times their rate" in said
    assert "dr2/" not in said


@pytest.mark.usefixtures("output_dir")
def test_errors_are_one_sentence(tmp_path, capsys):
    assert main(["neutrinos", "import", str(tmp_path / "nothing")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("llama: ")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("dev drop", "type: llama dev dv -h"),
        ("dev drop -p llama-bns-o3-00 eval 'ls /'", "llama dev dv -p llama-bns-o3-00 eval 'ls /'"),
        ("dev drop ls-procs", "type: llama dev dv ls-procs"),
        ("dev upload pre-er14-background.tar", "there is no bucket yet"),  # a file of that name
        ("dev dv pre-er-14-tail", "pre-er-14-tail is a part of llama dev dv here"),
        ("dev pre-er-14-killall", "pre-er-14-killall is a part of llama dev dv here; type: llama"),
        ("pre-er14-background x", "pre-er14-background is a part of llama dev dv here"),
    ],
)
def test_names_of_the_original_say_what_to_type(capsys, output_dir, typed, answer):
    assert main(shlex.split(typed)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("llama: ")
    assert err.count("\n") == 1
    assert answer in err
