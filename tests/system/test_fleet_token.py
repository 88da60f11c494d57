"""The token is found where it may be, and seen nowhere else."""

import base64
import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from command_lines import command_lines
from do_double import Cloud
from shell import TOKEN, Bash
from standin import StandIns

from llama.errors import LlamaError
from llama.fleet.token import find_token, refuse_token, token_file, withheld


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DIGITALOCEAN", raising=False)
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN", raising=False)


def put(mode: int = 0o600, content: str = TOKEN + "\n") -> Path:
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_where_it_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(LlamaError, match="export DIGITALOCEAN=<token>"):
        find_token()
    path = put()
    assert path == tmp_path / "config/llama/digitalocean-token"
    assert find_token() == TOKEN
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "second-token")
    assert find_token() == "second-token"
    monkeypatch.setenv("DIGITALOCEAN", " first-token\n")
    assert find_token() == "first-token"
    monkeypatch.setenv("DIGITALOCEAN", "")
    assert find_token() == "second-token"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777, 0o610])
def test_a_file_that_others_may_see(mode: int):
    path = put(mode)
    with pytest.raises(LlamaError, match=f"chmod 600 {path}") as error:
        find_token()
    assert TOKEN not in str(error.value)
    path.chmod(0o400)
    assert find_token() == TOKEN


def test_a_directory_is_no_token_file():
    token_file().mkdir(parents=True)
    with pytest.raises(LlamaError, match="cannot read the token"):
        find_token()


@pytest.mark.parametrize(
    "content", ["", "\n", f"export DIGITALOCEAN={TOKEN} #", f"{TOKEN}\n\n{TOKEN}"]
)
def test_what_is_no_token(content: str):
    put(content=content)
    with pytest.raises(LlamaError, match="holds no DigitalOcean token") as error:
        find_token()
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "\0" * 50])
@pytest.mark.parametrize("after", ["", "z", "zz", "\n"])
def test_user_data_never_holds_it(before: str, after: str):
    content = before + TOKEN + after
    for text in (content, base64.b64encode(content.encode()).decode(),
                 base64.encodebytes(content.encode()).decode()):  # fmt: skip
        with pytest.raises(LlamaError, match="never reach a droplet") as error:
            refuse_token(text, TOKEN, "the user data")
        assert TOKEN not in str(error.value)
    refuse_token(before + TOKEN[:-1] + after, TOKEN, "the user data")


def test_programs_do_not_inherit_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIGITALOCEAN", TOKEN)
    with withheld():
        assert TOKEN not in subprocess.check_output(["env"], text=True)
    assert os.environ["DIGITALOCEAN"] == TOKEN


def test_canary(fleet: Cloud, stand_ins: StandIns, bash: Bash, tmp_path: Path, monkeypatch):
    """All commands, with the token as a canary: it is in no output, file, process or request."""
    monkeypatch.setenv("DIGITALOCEAN", TOKEN)
    lines = {
        "llama com do -D": "", "llama com do -S": "", "llama com do -c llama-{0..2}": "y",
        "llama com do -c llama-9 -i nothing": "", "sleep 0.5": "", "llama dev dv init": "y",
        "llama dev dv eval 'env; ps -ef; cat /proc/*/environ'": "", "llama dev dv tail": "",
        "llama dev dv ls-procs": "", "llama dev dv killall": "", "llama com do --reap": "y",
        "llama com do --snapshot s -i llama-0": "", "llama com do -d 'llama-*'": "y",
    }  # fmt: skip
    seen, stop = set(), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for process, content in command_lines():
                if b"ssh" in content and b"-F" in content:
                    with contextlib.suppress(OSError):
                        content += Path(process, "environ").read_bytes()
                        seen.add("ssh")
                if TOKEN.encode() in content:
                    seen.add(content)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for line, answers in lines.items():
            done = bash(line, answers + "\n")
            assert TOKEN not in done.stdout + done.stderr, line
            assert "Traceback" not in done.stderr, line
    finally:
        stop.set()
        watcher.join()
    assert seen == {"ssh"}  # the watcher has seen ssh, and no token in any process
    assert fleet.created == 3
    assert fleet.droplets == {}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.jsonl" for path in files)
    assert any(path.name == "llama.log" for path in files)
    for path in files:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in "".join(fleet.log)
