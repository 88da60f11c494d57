"""Which study a list is, and the Snakemake that makes it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from llama import settings as llama_settings
from llama.errors import LlamaError
from llama.files import write_json
from llama.fleet.launch import (
    Launch,
    command,
    is_running,
    kill_command,
    launches,
    places,
    prepare,
    study_of_list,
)
from llama.fleet.launch import study_of_artifacts as artifacts_of
from llama.locks import only_one
from llama.settings.fleet import Fleet
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
    write_json(places(settings(), "bns-o3-H1L1").record, msgspec.to_builtins(record))
    with pytest.raises(LlamaError, match=r"has the sky maps of /data/another\.csv"):
        study_of_list(settings(), maps / "H1L1.csv")
    assert launches(settings()) == {"bns-o3-H1L1": record}


BROKEN = (
    '{"study": 1}',
    "[]",
    '"x"',
    "",
    '{"study": "bns-o3-H1", "skymaps": null, "injections": 1, "profile": "x", "started": 1}',
    '{"study": "bns-o3-V1", "skymaps": "", "injections": 1, "profile": "x", "started": 1}',
)


@pytest.mark.parametrize("content", BROKEN)
def test_a_launch_whose_record_is_broken_is_named_and_can_be_ended(settings, content):
    """It brings droplets whether or not anybody can read how it was launched."""
    where, said = places(settings(), "bns-o3-H1"), list[str]()
    write_json(where.record, {})
    where.record.write_text(content)
    with only_one(where.lock, "a launch"):
        (launch,) = launches(settings(), said.append).values()
        assert is_running(settings(), launch.study)
        assert kill_command(settings(), launch) == f"kill -INT {os.getpid()}"
    assert len(said) == 1
    assert said[0].startswith("how bns-o3-H1 was launched is not known: ")
    assert str(where.record) in said[0]
    named = settings(**{"bns-o3-H1": {"skymaps": "/c"}})
    assert kill_command(named, launch) == "llama dev dv launch bg /c -k"


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
    words = command(Launch("bns-o3-H1", "", None, "do-cluster", 0.0))
    assert words[1:4] == ["-m", "snakemake", "--snakefile"]
    assert words[-3:] == [
        "studies/bns-o3-H1/background",
        "--profile",
        str(Path.cwd() / "do-cluster"),
    ]
    words = command(Launch("bns-o3-H1", "/a b.csv", 10**8, "x", 0.0))
    assert words[-2] == "--config"
    name, _, value = words[-1].partition("=")
    expected = {"injections": 10**8, "studies": {"bns-o3-H1": {"skymaps": "/a b.csv"}}}
    assert (name, json.loads(value)) == ("background", expected)


PARENT = """\
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1], *sys.argv[2:]], stdout=sys.stderr,
    env=os.environ | {"LLAMA_SNAKEMAKE": str(os.getpid())},
)
child.wait()
"""
CHILD = """\
import os, sys, time
from pathlib import Path
from llama.fleet import scheduler, slurm
Path(sys.argv[1], "begun").touch()
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.01)
print(scheduler.answer_snakemake(["submit", "--wrap=:"], slurm.submit, slurm.job_state))
"""


@pytest.mark.parametrize("alive", [True, False])
def test_no_job_is_submitted_for_a_snakemake_that_has_ended(tmp_path, alive):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(f"#!/bin/sh\ntouch {tmp_path}/submitted\necho 4711\n")
    sbatch.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    words = [sys.executable, "-c", PARENT, CHILD, str(tmp_path)]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as parent:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        if not alive:
            parent.kill()
            parent.wait()
        (tmp_path / "go").touch()
        said = parent.stderr.read()
    assert (tmp_path / "submitted").exists() == alive
    assert said.endswith("4711\n0\n" if alive else "is not submitted; run it again\n1\n")


def test_the_queue_holds_a_job_for_every_core_of_the_largest_fleet():
    text = (Path(__file__).parents[2] / "profiles/do-cluster/config.yaml").read_text()
    most = next(m.le for m in Fleet.model_fields["max_droplets"].metadata if hasattr(m, "le"))
    assert int(re.findall(r"(?m)^jobs: (\d+)$", text)[0]) >= 2 * most  # s-2vcpu-4gb


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
    prepare(settings(), msgspec.structs.replace(launch, profile="other"))
    assert launches(settings())["bns-o3-H1"].profile == "other"
