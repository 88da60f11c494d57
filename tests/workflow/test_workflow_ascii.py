"""A terminal, and a locale, that know ASCII only."""

import pytest
from workspace import EVENT, GRACEID, Workspace, alert

# as a job of cron or Slurm may have it; the last two keep Python from taking UTF-8 all the same
ASCII = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}


@pytest.fixture(scope="module")
def site(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = finished.copy(tmp_path_factory.mktemp("ascii"))
    made.take(alert(graceid="S240101zz"))  # not yet made: a table with dashes
    return made


@pytest.mark.parametrize(
    "words",
    [
        ("llama", "status"),
        ("llama", "explain", GRACEID),
        ("llama", "flags"),
        ("llama", "publish", "--dry-run"),
        ("llama", "audit"),
        ("llama", "run", "-r"),
        ("llama", "listen", "status"),
        ("llama", "neutrinos", "show"),
        ("llama", "dev", "dv", "done", "bg"),
        ("snakemake", f"{EVENT}/all", "--forcerun", "draw_scatter", "write_page"),
    ],
)
def test_commands_print_there(
    site: Workspace, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ASCII.items():
        monkeypatch.setenv(name, value)
    with site.started(*words) as process:
        printed = process.communicate(timeout=400)[0]
    assert "Traceback" not in printed, printed
    assert "Error" not in printed, printed
    assert printed.isascii()
    if words[0] == "snakemake":
        assert process.returncode == 0, printed
        assert "σ" in (site.event / "coinc_summary_i3_lvc.html").read_text(encoding="utf-8")
