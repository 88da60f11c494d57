"""The units for systemd, as systemd itself judges them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from needs import require

from llama.cli.main import main
from llama.errors import LlamaError
from llama.running.cron import write_units
from llama.settings import Settings

CLONE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    directory = tmp_path_factory.mktemp("units")
    paths = write_units(directory, Settings(output_dir=directory / "out"))
    return {path.name: path for path in paths}


def analyze(*words):
    require("systemd-analyze")
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_an_output_directory_that_the_environment_names_is_named_to_systemd(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = Settings()
    for path in write_units(tmp_path, settings):
        if path.suffix == ".service":
            assert f"Environment=XDG_DATA_HOME={tmp_path / 'data'}\n" in path.read_text()
            assert f"ReadWritePaths={settings.output_dir}\n" in path.read_text()


def test_systemd_finds_no_fault_in_them(units):
    assert analyze("verify", *map(str, units.values())) == (0, "")


def test_it_would_find_one(units, tmp_path):
    broken = tmp_path / "broken.service"
    text = units["llama-listen.service"].read_text()
    broken.write_text(text.replace("MemoryMax=1G", "MemoryMax=much"))
    assert "Invalid memory limit" in analyze("verify", str(broken))[1]


@pytest.mark.parametrize(
    ("name", "exposure"),
    [("llama-listen.service", 2.0), ("llama-run.service", 2.0), ("llama-pass.service", 2.0)],
)
def test_they_expose_little(units, name, exposure):
    threshold = f"--threshold={exposure * 10:.0f}"
    code, told = analyze("security", "--offline=true", threshold, str(units[name]))
    assert code == 0, told
    level = re.search(rf"exposure level for {name}: ([0-9.]+)", told)
    assert float(level[1]) <= exposure


def test_the_listener_has_its_secrets_as_credentials_and_is_watched(units):
    lines = units["llama-listen.service"].read_text().splitlines()
    for line in (
        "Type=notify",
        "WatchdogSec=60",
        "Restart=always",
        "LoadCredential=gcn_client_id:/etc/llama/gcn_client_id",
        "LoadCredential=gcn_client_secret:/etc/llama/gcn_client_secret",
        "MemoryDenyWriteExecute=yes",
        f"Environment=LLAMA_CONFIG={CLONE / 'config.yaml'}",
        f"ExecStart={sys.executable} -m llama listen gcn -F",
    ):
        assert lines.count(line) == 1, line
    assert not any(line.startswith("Environment=GCN") for line in lines)


def test_the_token_for_alarms_in_slack_is_a_credential_where_there_are_any(units, tmp_path):
    listen = Settings().listen.model_copy(update={"alarm_slack": "C0123456789"})
    settings = Settings(output_dir=tmp_path / "out", listen=listen)
    text = write_units(tmp_path, settings)[0].read_text()
    assert text.count("LoadCredential=slack_token:/etc/llama/slack_token\n") == 1
    assert "slack_token" not in units["llama-listen.service"].read_text()


def test_the_daemon_and_the_timers_pass_differ_in_what_they_must(units):
    daemon, once = (units[f"llama-{name}.service"].read_text() for name in ("run", "pass"))
    assert "-m llama run -F\n" in daemon
    assert "Restart=always\n" in daemon
    assert "-m llama run -o\n" in once
    assert "Type=oneshot\n" in once
    assert "Restart=" not in once
    # what Numba compiles is written and then run
    assert "MemoryDenyWriteExecute" not in daemon + once
    assert "OnCalendar=minutely" in units["llama-pass.timer"].read_text()


def test_a_name_that_systemd_would_misread_is_refused_and_nothing_written(tmp_path):
    for name in ("a b", "50%", "$HOME", 'a"b'):
        with pytest.raises(LlamaError, match="systemd would misread"):
            write_units(tmp_path / "units", Settings(output_dir=tmp_path / name))
    assert not (tmp_path / "units").exists()


def test_the_command_names_the_files_and_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert main(["cron", "units", "--out", str(tmp_path / "units")]) == 0
    told = capsys.readouterr()
    written = sorted(path for path in (tmp_path / "units").iterdir())
    assert sorted(told.out.splitlines()) == [str(path) for path in written]
    assert len(written) == 4
    assert "systemctl enable --now llama-listen llama-run" in told.err
    assert (tmp_path / "data" / "llama").is_dir()  # systemd refuses a sandbox without it
