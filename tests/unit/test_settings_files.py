"""Files of settings: which is read, and what is generated from the model."""

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from settings_samples import changed

from llama.errors import LlamaError
from llama.layout import clone_directory
from llama.settings import Settings, default_yaml, load, schema
from llama.settings.__main__ import generated, main
from llama.settings.render import defaults

CLONE = Path(__file__).parents[2]


# -- where settings are found ----


def write(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(changed(changes)))
    return path


def test_which_file_is_read(tmp_path, monkeypatch):
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    clone = tmp_path / "clone"
    write(clone / "config.yaml", **{"search.fb": 2})
    monkeypatch.chdir(clone)
    assert load().search.fb != 2  # any directory may hold a config.yaml
    (clone / "Snakefile").touch()
    assert load().search.fb != 2  # or another workflow be
    (clone / "Snakefile").write_text("from llama import anything")
    assert load().search.fb == 2
    monkeypatch.setenv("LLAMA_CONFIG", str(write(tmp_path / "b.yaml", **{"search.fb": 3})))
    assert load().search.fb == 3
    assert load(write(tmp_path / "c.yaml", **{"search.fb": 4})).search.fb == 4


def test_the_clone_is_found_from_anywhere():
    assert clone_directory() == CLONE


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"- 1\n- 2\n", "holds no settings"),
        (b"just text", "holds no settings"),
        (b"search:\n  fb: [1\n", "is not valid YAML at line"),
        (b"search: \xff\xfe", "is not valid YAML"),
        (b"search:\0  fb: 1\n", "is not valid YAML"),
        (b"search:\n\tfb: 1\n", "is not valid YAML at line 2"),
        (b"<html><body>404</body></html>", "holds no settings"),
        (b"output_dir: 2024-13-45\n", "is not valid YAML .month must be in 1..12"),
        (b"search: {fb: 0b_}\n", "is not valid YAML .invalid literal for int"),
        (b"search: {fb: " + b"9" * 5000 + b"}\n", "is not valid YAML .Exceeds the limit"),
        (b"search: " + b"[" * 600 + b"]" * 600, "is not valid YAML .it is nested too deeply"),
    ],
)
def test_files_that_are_no_settings(tmp_path, content, sentence):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(LlamaError, match=sentence) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_setting_that_is_named_twice_is_refused_with_its_lines(tmp_path):
    path = tmp_path / "config.yaml"
    lines = default_yaml().splitlines()
    at = lines.index("  fb: 10.0")
    lines.insert(at + 3, "  fb: 20.0")
    lines += ["output_dir: /data/a", "background:", "  run: O3", "output_dir: /data/b"]
    path.write_text("\n".join(lines))
    with pytest.raises(LlamaError) as caught:
        load(path)
    first = {
        name: next(k for k, line in enumerate(lines, 1) if line.startswith(f"{name}:"))
        for name in ("background", "output_dir")
    }
    end = len(lines)
    assert str(caught.value) == (
        f"{path} has background in lines {first['background']} and {end - 2}; "
        f"output_dir in lines {first['output_dir']} and {end - 3} and {end}; "
        f"search.fb in lines {at + 1} and {at + 4}; leave one line of each"
    )


def test_a_study_that_is_named_twice_is_refused_whatever_its_quotes(tmp_path):
    path = tmp_path / "config.yaml"
    studies = "  studies: {bns-o3-H1: {skymaps: /a}, 'bns-o3-H1': {skymaps: /b}}"
    path.write_text(default_yaml().replace("  studies: {}", studies))
    with pytest.raises(LlamaError, match=r"background\.studies\.bns-o3-H1 in lines (\d+) and \1;"):
        load(path)


def test_an_output_directory_that_the_locale_cannot_write_is_a_sentence(tmp_path):
    """Its files would not be found, and an audit of no files finds nothing wrong."""
    path = tmp_path / "config.yaml"
    text = re.sub("(?m)^output_dir: .*$", f"output_dir: {tmp_path}/Göttingen", default_yaml())
    path.write_text(text, encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "llama", "audit"],
        env=os.environ | ascii_only | {"LLAMA_CONFIG": str(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "/G\\xf6ttingen has letters that cannot be written in this locale" in done.stderr
    assert "(ascii); export PYTHONUTF8=1" in done.stderr


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(LlamaError, match="No such file or directory"):
        load(tmp_path / "none.yaml")
    monkeypatch.setenv("LLAMA_CONFIG", str(tmp_path))
    with pytest.raises(LlamaError, match=r"Is a directory.*LLAMA_CONFIG"):
        load()


# -- what is generated from the model ----


def test_config_yaml_has_every_setting_at_its_default():
    shipped = yaml.safe_load((CLONE / "config.yaml").read_text())
    assert shipped == defaults() == Settings().model_dump(mode="json")
    assert (CLONE / "config.yaml").read_text() == default_yaml()


def test_generated_files_are_up_to_date():
    for path, text in generated(CLONE).items():
        there = path.read_text(encoding="utf-8")
        diff = difflib.unified_diff(
            there.splitlines(), text.splitlines(), str(path), "as generated", lineterm="", n=1
        )
        if there != text:
            pytest.fail("\n".join(["repair: python -m llama.settings --write", *diff]))


def test_write_keeps_values_and_mends_the_rest(tmp_path):
    (tmp_path / "config.yaml").write_text("search:\n  fb: 3\n  k0: 1190\n")
    text = generated(tmp_path)[tmp_path / "config.yaml"]
    expected = difflib.ndiff(default_yaml().splitlines(), text.splitlines())
    assert [line for line in expected if line[0] in "+-"] == ["-   fb: 10.0", "+   fb: 3.0"]


def test_fresh_settings_are_printed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["llama.settings"])
    main()
    assert capsys.readouterr().out == default_yaml()


def test_schema_agrees_with_the_model():
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    assert validator.is_valid(yaml.safe_load(default_yaml()))
    assert validator.is_valid({"search": {"fb": 3}})  # what is missing takes its default
    for changes in ({"search.fb": "ten"}, {"k0": 1}, {"background.run": "O 3"}):
        assert not validator.is_valid(changed(changes))
    both = {"skymaps": "/x", "artifacts": "/x"}
    rated = {"skymaps": "/x", "triggers_per_year": 20}
    for study in ({"skymaps": "/x"}, {"artifacts": "/x"}, rated):
        assert validator.is_valid(changed({"background.studies": {"bns-o3-H1": study}}))
    for study in ({}, both, rated | {"triggers_per_year": 0}, rated | {"rate": 1}):
        assert not validator.is_valid(changed({"background.studies": {"bns-o3-H1": study}}))


def test_every_setting_is_documented():
    assert set(defaults()) == set(Settings.model_fields)
    pending = [schema(), *schema()["$defs"].values()]
    for block in pending:
        for name, entry in block["properties"].items():
            assert "$ref" in entry or entry["description"], name


def test_settings_load_without_what_is_slow():
    """Every command loads them."""
    program = "import sys; import llama.settings; llama.settings.load(); print(*sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(child.stdout.split())
    assert "pydantic" in loaded
    assert not loaded & {"numpy", "astropy", "scipy", "pandas", "h5py", "snakemake", "boto3"}
