"""Settings of several sources: defaults, `config.yaml`, the operator's own, the command line."""

import re

import pytest
import yaml
from settings_samples import changed

from llama.cli.main import main
from llama.errors import LlamaError
from llama.settings import Settings, default_yaml, from_dict, load


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A clone with the settings as shipped, typed in; its output directory is `data/llama`."""
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "Snakefile").write_text("llama")
    (clone / "config.yaml").write_text(default_yaml())
    (tmp_path / "data/llama").mkdir(parents=True)
    monkeypatch.chdir(clone)
    return tmp_path


def own(site, text):
    path = site / "data/llama/llama.yaml"
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_takes_its_default(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"output_dir: {tmp_path}\nsearch: {{fb: 3}}\n")
    expected = changed({"search.fb": 3.0, "output_dir": str(tmp_path)})
    assert load(path).model_dump(mode="json") == expected
    path.write_text("")
    assert load(path) == Settings()


def test_a_range_is_checked_against_the_default_of_its_other_end(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("search: {Enumin: 5}\n")
    with pytest.raises(LlamaError, match=r"Enumax is 0\.1, but should be greater than Enumin = 5"):
        load(path)


def test_the_own_values_count_over_the_clones(site):
    own(site, "search: {fb: 20}\nbackground: {studies: {bns-o3-H1L1: {skymaps: /a}}}\n")
    assert load().search.fb == 20
    config = default_yaml().replace("fb: 10.0", "fb: 5")
    config = config.replace("studies: {}", "studies: {bbh-o3-H1L1: {skymaps: /b}}")
    (site / "clone/config.yaml").write_text(config)
    settings = load()
    assert settings.search.fb == 20
    assert set(settings.background.studies) == {"bns-o3-H1L1", "bbh-o3-H1L1"}
    # what cron and systemd are given
    assert load(site / "clone/config.yaml") == settings
    assert load(given={"search": {"fb": "30"}}, workflow=site / "clone").search.fb == 30


def test_the_own_values_are_those_of_the_output_directory(site):
    own(site, "search: {fb: 20}\n")
    config = site / "clone/config.yaml"
    config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {site}/other"))
    assert load().search.fb == 10
    (site / "other").mkdir()
    (site / "other/llama.yaml").write_text("search: {fb: 40}\n")
    assert load().search.fb == 40
    assert load(given={"output_dir": str(site / "data/llama")}).search.fb == 20


def test_a_named_file_stands_alone(site, monkeypatch):
    own(site, "search: {fb: 20}\n")
    (site / "mine.yaml").write_text("search: {nu_51_100: 2}\n")
    assert load(site / "mine.yaml").search.fb == 10
    monkeypatch.setenv("LLAMA_CONFIG", str(site / "mine.yaml"))
    assert load().search.fb == 10
    monkeypatch.setenv("LLAMA_CONFIG", str(site / "clone/config.yaml"))
    assert load().search.fb == 20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "output_dir: /data",
            r"^output_dir is set in PATH, .*; set it in config\.yaml, or in a fi",
        ),
        ("search: {fbb: 7}", r"^PATH needs to .*\n  - search\.fbb is not a setting, it looks like"),
        ("search: {fb: ten}", r"^PATH needs to .*\n  - search\.fb is 'ten', but should be a valid"),
        ("search: {Enumax: 1e-7}", r"^PATH needs to .*\n  - search\.Enumax is .* than Enumin = 1e"),
        ("search: {fb: 1, fb: 2}", r"^PATH has search\.fb in lines 1 and 1; leave one"),
        ("search: [1", r"^PATH is not valid YAML at line 1"),
        ("- search", r"^PATH holds no settings"),
    ],
)
def test_wrong_own_values_are_answered_with_their_file(site, text, sentence):
    path = own(site, text)
    with pytest.raises(LlamaError, match=sentence.replace("PATH", re.escape(str(path)))):
        load()


def test_a_misspelt_own_value_is_given_back_and_nothing_else_is(site):
    own(site, "serach: {fb: 7}\n")
    with pytest.raises(LlamaError) as caught:
        load()
    assert yaml.safe_load(str(caught.value).partition("\n\n")[2]) == {"search": {"fb": 7.0}}


def test_own_values_that_cannot_be_read_are_no_defaults(site):
    (site / "data/llama/llama.yaml").symlink_to(site / "unmounted/llama.yaml")
    with pytest.raises(LlamaError, match=r"cannot read the settings in .*/llama/llama\.yaml"):
        load()


def test_an_update_that_adds_a_setting_needs_no_hand(site):
    """What `git pull` brings: a config.yaml with more lines than before."""
    own(site, "search:\n  fb: 20\n")
    (site / "clone/config.yaml").write_text("search:\n  fb: 10.0\n")
    before = load()
    (site / "clone/config.yaml").write_text(default_yaml())
    assert load() == before == from_dict({"search": {"fb": 20}})


def test_settings_in_force_are_shown_with_their_source(site, capsys):
    path, config = own(site, "search: {fb: 20}\n"), site / "clone/config.yaml"
    config.write_text(
        default_yaml()
        .replace("  studies: {}", "  studies: {bns-o3-H1L1: {skymaps: /a}}")
        .replace("nu_51_100: null", "nu_51_100: 2.0")
    )
    assert main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown) == load().model_dump(mode="json")
    lines = shown.splitlines()
    assert lines[:3] == [
        f"# read: {config}",
        f"# read: {path}",
        f"# output directory: {site}/data/llama",
    ]
    assert f"  fb: 20.0  # {path}" in lines
    assert f"  nu_51_100: 2.0  # {config}" in lines
    assert "  max_set_size: 4  # default" in lines
    assert main(["settings", "--changed"]) == 0
    changes = yaml.safe_load(capsys.readouterr().out)
    studies = {"studies": {"bns-o3-H1L1": {"skymaps": "/a", "triggers_per_year": 100.0}}}
    assert changes == {"search": {"fb": 20.0, "nu_51_100": 2.0}, "background": studies}
    config.write_text(default_yaml())
    before = load(given={"background": studies, "search": {"nu_51_100": 2.0}})
    own(site, yaml.safe_dump(changes))
    assert load() == before
