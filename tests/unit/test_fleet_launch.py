"""Which study a list is, and the Snakemake that makes it."""

import json
import shutil

import pytest

from llama import settings as llama_settings
from llama.errors import LlamaError
from llama.files import write_json
from llama.fleet.launch import Launch, command, launches, places, prepare, study_of_list
from llama.fleet.launch import study_of_artifacts as artifacts_of
from llama.settings.render import defaults


@pytest.fixture
def settings(tmp_path):
    def make(**studies):
        values = defaults()
        values["output_dir"] = str(tmp_path / "out")
        values["background"]["studies"] = studies
        return llama_settings.from_dict(values)

    return make


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "bns-o3").mkdir()
    for name in ("H1L1.csv", "some.csv", "bbh-o3-H1.csv"):
        (tmp_path / "bns-o3" / name).touch()
    return tmp_path / "bns-o3"


def test_a_list_is_called_by_its_place_or_by_the_settings(settings, maps, monkeypatch):
    path = maps / "H1L1.csv"
    assert study_of_list(settings(), path) == ("bns-o3-H1L1", str(path))
    assert study_of_list(settings(), maps / "bbh-o3-H1.csv")[0] == "bbh-o3-H1"
    named = settings(**{"nsbh-o4-L1V1": {"skymaps": str(path)}})
    assert study_of_list(named, path) == ("nsbh-o4-L1V1", "")
    # as typed in the guide, and from where it lies
    assert study_of_list(named, maps.parent / "bns-o3" / ".." / "bns-o3" / "H1L1.csv")[1] == ""
    monkeypatch.chdir(maps)
    assert study_of_list(settings(), path.relative_to(maps)) == ("bns-o3-H1L1", str(path))


def test_lists_that_are_no_study(settings, maps, tmp_path):
    with pytest.raises(LlamaError, match=r"call it like bns-o3/H1L1V1\.csv, or add it"):
        study_of_list(settings(), maps / "some.csv")
    with pytest.raises(LlamaError, match="there is no list"):
        study_of_list(settings(), maps)
    other = settings(**{"bns-o3-H1L1": {"skymaps": "/data/other.csv"}})
    with pytest.raises(LlamaError, match=r"bns-o3-H1L1 has the sky maps of /data/other\.csv"):
        study_of_list(other, maps / "H1L1.csv")
    record = Launch("bns-o3-H1L1", "/data/another.csv", 10, "do-cluster", 1.0)
    write_json(places(settings(), "bns-o3-H1L1").record, record._asdict())
    with pytest.raises(LlamaError, match=r"has the sky maps of /data/another\.csv"):
        study_of_list(settings(), maps / "H1L1.csv")
    assert launches(settings()) == {"bns-o3-H1L1": record}
    places(settings(), "x").record.write_text('{"study": 1}')
    assert list(launches(settings())) == ["bns-o3-H1L1"]


def test_the_study_of_artifacts(settings):
    one = {"cbc-o3-H1L1": {"artifacts": "s3://llama/a"}}
    two = one | {"cbc-o3-H1L1V1": {"artifacts": "/b"}, "bns-o3-H1": {"skymaps": "/c"}}
    assert artifacts_of(settings(**one), None) == "cbc-o3-H1L1"
    assert artifacts_of(settings(**two), "cbc-o3-H1L1V1") == "cbc-o3-H1L1V1"
    for name in (None, "bns-o3-H1"):
        with pytest.raises(LlamaError, match="one of cbc-o3-H1L1, cbc-o3-H1L1V1"):
            artifacts_of(settings(**two), name)
    with pytest.raises(LlamaError, match=r"\{artifacts: s3://llama/llama/artifacts/mid-o3"):
        artifacts_of(settings(), None)


def test_the_command():
    words = command(Launch("bns-o3-H1", "", None, "do-cluster", 0.0))[1:]
    assert words == ["-m", "snakemake", "studies/bns-o3-H1/background", "--profile", "do-cluster"]
    words = command(Launch("bns-o3-H1", "/a b.csv", 10**8, "x", 0.0))
    assert words[-2] == "--config"
    name, _, value = words[-1].partition("=")
    expected = {"injections": 10**8, "studies": {"bns-o3-H1": {"skymaps": "/a b.csv"}}}
    assert (name, json.loads(value)) == ("background", expected)


def test_what_a_fleet_needs_is_looked_for_first(settings, monkeypatch):
    launch = Launch("bns-o3-H1", "", None, "do-cluster", 0.0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(LlamaError, match=r"no Slurm here \(sbatch\).*llama fleet up"):
        prepare(settings(), launch)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(LlamaError, match=r"no head of a fleet yet.*llama fleet up"):
        prepare(settings(), launch)
    write_json(settings().output_dir / "fleet/slurm/slurm.conf", "")
    with pytest.raises(LlamaError, match=r"name yours as spaces\.bucket"):
        prepare(settings(), launch)
    prepare(settings(), launch._replace(profile="other"))
    assert launches(settings())["bns-o3-H1"].profile == "other"
