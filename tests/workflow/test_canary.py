"""Secrets in environment and credential files, commands that use them or fail, and no trace."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from command_lines import command_lines
from console import Shell, Step
from operators_home import TOKEN, services

# what an operator has in the environment; every one is in a form that is found again
SECRETS = {
    name: f"canary-{name.lower().replace('_', '-')}-0123456789abcdef"
    for name in (
        *("GCN_CLIENT_ID", "GCN_CLIENT_SECRET", "SLACK_TOKEN", "GRACEDB_TOKEN"),
        *("LLAMA_WEBHOOK_TOKEN", "LLAMA_MAIL_USER", "LLAMA_MAIL_PASSWORD", "GFU_TOKEN"),
    )
}
SPACES = ("CANARYKEYOFSPACES012", "canary/secret+of/spaces0123456789abcdefg")
# (typed, answers, exit code): some use a secret, some fail with it in their hands
TYPED = (
    ("llama com do -D", "", 0),
    ("llama com do -c llama-{0..1}", "y", 0),
    ("llama com do -c llama-9 -i nothing", "", 1),
    ("sleep 1; llama dev dv init", "", 0),
    ("llama dev dv tail", "", 0),
    ("llama com do -d 'llama-*'", "y", 0),
    ("llama com do -c llama-9 --size huge", "", 1),
    ("llama dev upload neutrinos.csv", "", 0),
    ("llama dev dv pull", "", 0),
    ("llama dev dv done bg", "", 0),
    ("sed -i 's/^  bucket: .*/  bucket: another/' config.yaml; llama dev upload alert.json", "", 1),
    ("chmod 644 ~/.config/llama/spaces-credentials; llama dev upload alert.json", "", 1),
    ("llama listen gcn --bootstrap-servers $KAFKA", "", 0),
    ("llama listen gcn --bootstrap-servers example.org:9092", "", 1),
    ("until llama listen status; do sleep 1; done", "", 0),
    ("llama listen gcn -k", "", 0),
    ("llama poll gracedb --since 300", "", 0),
    ("llama flags S240101ab UPLOAD=true", "", 0),
    ("llama publish S240101ab", "", 1),
    ("llama publish --dry-run", "", 0),
    ("skymap_info --alert update.json", "", 0),  # every rule is run with secrets about it
    ("llama run -o", "", None),
    ("llama status; llama explain S240101ab", "", 0),
    ("echo 'oops: 1' >> config.yaml; llama status", "", 1),
)


def _watch(stop: threading.Event, wanted: dict[str, bytes], seen: set[str]) -> None:
    while not stop.is_set():
        for _, content in command_lines():
            seen.update(name for name, value in wanted.items() if value in content)
            seen.update({"publish"} if b"publish" in content else ())
        time.sleep(0.05)


def _leaks(path: Path, wanted: dict[str, bytes]) -> list[str]:
    content = path.read_bytes()
    return [name for name, value in wanted.items() if value in content]


def test_no_secret_is_anywhere(moved_in: Path, tmp_path: Path, s3: Any, s3_endpoint: str) -> None:
    home = Path(shutil.copytree(moved_in, tmp_path / "home", symlinks=True))
    secrets = SECRETS | {"DIGITALOCEAN": TOKEN}
    wanted = {name: value.encode() for name, value in secrets.items()}
    wanted |= {f"Spaces {k}": value.encode() for k, value in enumerate(SPACES)}
    stop, seen = threading.Event(), set[str]()
    with services(home, tmp_path, s3, s3_endpoint) as environment:
        keys = home / ".config/llama/spaces-credentials"
        keys.write_text(f"[default]\naws_access_key_id = {SPACES[0]}\n"
                        f"aws_secret_access_key = {SPACES[1]}\n")  # fmt: skip
        config = home / "llama/config.yaml"
        text = config.read_text()
        places = {"slack": "C0123456789", "webhook": "https://127.0.0.1:9/hook"}
        places |= {"gracedb": "https://127.0.0.1:9/api/"}
        for name, value in places.items():
            before, found, after = text.rpartition(f"    {name}: null")  # of tests
            assert found
            text = f"{before}    {name}: {value}{after}"
        config.write_text(text)
        environment |= secrets | {"SLACK_API_URL": "https://127.0.0.1:9/api/"}
        watcher = threading.Thread(target=_watch, args=(stop, wanted, seen))
        watcher.start()
        printed = {}
        try:
            with Shell(home / "llama", environment, tmp_path) as shell:
                for line, answer, expected in TYPED:
                    shown = [f"[y/N] {answer}"] if answer else []
                    code, printed[line] = shell.type(Step(0, line, shown))
                    assert expected in (None, code), f"{line}: {code}\n{printed[line]}"
        finally:
            stop.set()
            watcher.join()
    assert seen == {"publish"}  # the watcher has seen commands, and no secret among their words
    for line, text in printed.items():
        assert "Traceback" not in text, line
        found = [name for name, value in wanted.items() if value.decode() in text]
        assert not found, f"{line} prints {found}"
    files = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_symlink() and p != keys]
    names = {path.name for path in files}
    assert {"gcn.log", "llama.log", "ledger.jsonl", "manifest.json", "status.html"} <= names
    assert _leaks(keys, wanted) == ["Spaces 0", "Spaces 1"]  # where they belong, they are found
    for path in files:
        assert not _leaks(path, wanted), path
