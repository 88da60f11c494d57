"""Simulated sky maps: the tools run as they should, and what goes wrong has a name."""

import gzip
import io
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sky_samples import multiorder, random_tiles

from llama.errors import LlamaError
from llama.files import read_json
from llama.study import noise, simulate
from llama.study.noise import sample_psds
from llama.study.simulate import (
    Coincidence,
    collate_coincs,
    localize_coincs,
    realize_coincs,
    run_tool,
)
from llama.study.skymaps import read_coincs, write_list

SIMULATION = {
    "distribution": "bbh_broad",
    "psds": {"H1": "aLIGOaLIGOO3LowT1800545", "L1": "aLIGOaLIGOO3LowT1800545"},
    "injections": 20,
    "net_snr": 8.0,
    "duty_cycle": 1.0,
    "f_high_hz": 64.0,  # few samples: quick
    "seed": 1,
}


@pytest.fixture(scope="module")
def realized(tmp_path_factory):
    """A directory with noise, reach, injections and coincidences of 20 binaries."""
    directory = tmp_path_factory.mktemp("simulation")
    here = Path.cwd()
    os.chdir(directory)
    try:
        sample_psds("psd.xml.gz", "reach.json", SIMULATION)
        for name in ("a", "b"):
            realize(name, range(100, 120))
    finally:
        os.chdir(here)
    return directory


def realize(name, numbers):
    files = ("psd.xml.gz", "reach.json", f"{name}-injections.xml.gz", f"{name}.xml.gz")
    realize_coincs(*files, numbers, SIMULATION)


def test_equal_settings_give_equal_bytes(realized):
    # all that differs is the name of the injection file, which the tool writes down
    first, second = (gzip.decompress((realized / f"{n}.xml.gz").read_bytes()) for n in "ab")
    assert first.replace(b"a-injections", b"b-injections").replace(b".a.xml", b".b.xml") == second
    injections = [(realized / f"{name}-injections.xml.gz").read_bytes() for name in "ab"]
    assert injections[0] == injections[1]
    assert not list(realized.glob(".*"))


def test_coincidences_carry_the_number_of_their_injection(realized):
    rows = simulate._coincidences(str(realized / "a.xml.gz"))
    assert 2 <= len(rows) < 20
    for row in rows:
        assert row.ifos == "H1,L1"
        assert row.snr >= 8
        assert 100 <= row.simulation_id < 120
        assert all(math.isfinite(getattr(row, n)) for n in Coincidence._fields if n != "ifos")


def tool(directory, script):
    """Put a bayestar-localize-coincs of our own before the real one."""
    path = directory / "bin" / "bayestar-localize-coincs"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return str(path.parent)


def a_map():
    """A map as the tool writes it, with what differs between two runs."""
    with fits.open(io.BytesIO(multiorder(random_tiles(1)))) as file:
        file[1].header["DATE"], file[1].header["RUNTIME"] = "2026-01-01T00:00:00", 33.3
        stream = io.BytesIO()
        file.writeto(stream)
    return stream.getvalue()


@pytest.fixture
def work(realized, tmp_path, monkeypatch):
    """A directory of its own in which the first map fails and all others come out."""
    (tmp_path / "map.fits").write_bytes(a_map())
    last = len(simulate._coincidences(str(realized / "a.xml.gz"))) - 1
    script = f"""test "$OMP_NUM_THREADS" = 1 || exit 3
for k in $(seq 1 {last}); do cp {tmp_path}/map.fits "$5/$k.fits"; done
exit 1"""
    monkeypatch.setattr(sys, "executable", f"{tool(tmp_path, script)}/python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xml.gz").write_bytes((realized / "a.xml.gz").read_bytes())
    return tmp_path


def test_failed_localisations_are_named_and_counted(work):
    rows = simulate._coincidences("a.xml.gz")
    first, *others = (f"{row.simulation_id}.fits.gz" for row in rows)
    assert localize_coincs("a.xml.gz", "maps/shard-0002", 100, SIMULATION) == [first]
    made = sorted(path.name for path in (work / "maps/shard-0002").glob("*.fits.gz"))
    assert made == sorted(others)
    assert os.listdir("maps") == ["shard-0002"]
    with fits.open(work / "maps/shard-0002" / others[0]) as file:
        assert file[1].header["OBJECT"] == int(others[0].split(".")[0])
        assert not {"DATE", "RUNTIME"} & set(file[1].header)
    shards = [work / "maps/shard-0002"]
    one_of = rf"1 of {len(rows)} sky maps could not be made: {first}; .*broken_maps: skip"
    with pytest.raises(LlamaError, match=one_of):
        collate_coincs(shards, "coincs.dat", "simulation.json", SIMULATION, {})
    assert not (work / "coincs.dat").exists()
    collate_coincs(
        shards, "coincs.dat", "simulation.json", SIMULATION, {"coincs": "a.xml.gz"}, "skip"
    )
    summary = read_json("simulation.json")
    assert summary["failed"] == [first]
    assert summary["coincidences"] == len(rows)
    assert summary["sky_maps"] == {"H1L1": len(others)}
    assert summary["provenance"]["seed"] == 1
    assert read_coincs(Path("coincs.dat")) == [(n.split(".")[0], "H1L1") for n in others]
    write_list(read_coincs(Path("coincs.dat")), work / "maps", "H1L1", "H1L1.csv")
    assert Path("H1L1.csv").read_text().splitlines() == [str(shards[0] / n) for n in others]
    with pytest.raises(LlamaError, match=r"no sky map was seen by just L1V1 \(H1L1 \d+\); raise"):
        write_list(read_coincs(Path("coincs.dat")), work / "maps", "L1V1", "L1V1.csv")


def test_a_shard_that_fails_leaves_no_directory(work, monkeypatch):
    for script, says in (
        ("echo 'boom' >&2; exit 2", r"ended with code 2 \(boom\); correct"),
        ("exit 0", "no sky map of a.xml.gz could be made"),
    ):
        monkeypatch.setattr(sys, "executable", f"{tool(work, script)}/python")
        with pytest.raises(LlamaError, match=says):
            localize_coincs("a.xml.gz", "maps/shard-0000", 100, SIMULATION)
        assert os.listdir("maps") == []


def test_no_detection_is_a_sentence(tmp_path):
    (tmp_path / "coincs.json").write_text(json.dumps({"coincs": [], "failed": []}))
    with pytest.raises(LlamaError, match=r"none of 20 injections is detected; raise injections"):
        collate_coincs([tmp_path], tmp_path / "c", tmp_path / "s", SIMULATION, {})


def test_tools_that_are_not_installed_are_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LlamaError, match=r"not installed; .* pip install 'ligo.skymap>=2.5', or"):
        run_tool("bayestar-sample-model-psd")


def test_a_model_that_does_not_exist_is_a_sentence(tmp_path):
    wrong = SIMULATION | {"psds": {"H1": "aLIGOWrong", "L1": "aLIGOO3LowT1800545"}}
    with pytest.raises(
        LlamaError, match=r"bayestar-sample-model-psd ended .*aLIGOWrong.*; correct"
    ):
        sample_psds(tmp_path / "psd.xml.gz", tmp_path / "reach.json", wrong)
    assert os.listdir(tmp_path) == []


def test_noise_from_a_file_is_the_noise_of_the_file(tmp_path):
    frequency = np.geomspace(5, 3000, 500)
    density = 1e-23 * (1 + (50 / frequency) ** 2)
    path = tmp_path / "asd.txt"
    np.savetxt(path, np.transpose([frequency, density]))
    series = noise._read_asd(path, "H1")
    grid = series.f0 + series.deltaF * np.arange(len(series.data.data))
    assert (grid[0], grid[-1]) == (5.0, 2048.0)
    # a straight line between points in log-log
    assert np.allclose(series.data.data, (1e-23 * (1 + (50 / grid) ** 2)) ** 2, rtol=1e-3)


@pytest.mark.parametrize("content", ["", "x y\n", "10 1e-23\n", "10 1\n9 1\n", "10 1\n20 -1\n"])
@pytest.mark.filterwarnings("ignore:loadtxt:UserWarning")
def test_a_file_that_is_no_noise_is_a_sentence(tmp_path, content):
    (tmp_path / "asd.txt").write_text(content)
    with pytest.raises(LlamaError, match=r"cannot be read as the noise of V1|does not hold rising"):
        noise._read_asd(tmp_path / "asd.txt", "V1")
