"""An injection opened as an event: its files say what its row says, to the last bit."""

import json

import numpy as np
import pytest
from sky_samples import flat, multiorder, random_tiles

from llama.alerts.content import classification, skymap_bytes
from llama.alerts.content import p_astro as p_astro_content
from llama.background.draws import SOURCES, Draws, draw_skymaps
from llama.errors import LlamaError
from llama.event.detectors import open_site
from llama.event.flags import read_flags
from llama.event.names import run_name
from llama.event.significance import compute_significance
from llama.event.skymap_info import read_info
from llama.event.vetoes import signs_of_test
from llama.neutrinos.event_list import make_list
from llama.neutrinos.given import read_given
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky import read_skymap
from llama.study.bank import Bank, build_bank, link_banks
from llama.study.injections import run_shard, study_parameters
from llama.study.opening import injection_number, open_injection, trigger_p_astro

SEARCH = from_dict(defaults(), "defaults").search_parameters()
STUDY, SEED = "bns-o3-H1L1V1", 11
COUNTS = {"background": 25, "signal": 4, "doublet": 4}


@pytest.fixture
def maps(tmp_path):
    contents = {
        "a.fits": multiorder(random_tiles(1)),
        "b b.fits.gz": flat(random_tiles(2, distance=False), ring=True),
        "broken.fits": b"<html>",
        "c.fits": multiorder(random_tiles(3)),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def opened(directory, number, maps, archive, kind="background", p_astro=0.99, **more):
    event = directory / f"{kind}-{number}"
    site = open_site(archive.directory / "response.hdf5", SEARCH)
    arguments = {"maps": maps, "site": site, "search": SEARCH, "seed": SEED, "kind": kind}
    arguments |= {"p_astro": p_astro, "skip_broken": True}
    open_injection(event, STUDY, number, **(arguments | more))
    return event


def significance(event, archive):
    """Return what the rules make of an event directory, without a background."""
    info = read_info(event)
    p_astro = p_astro_content(classification(event, info)[0], info.far_hz, 6.5e-8, info.group)
    given = read_given((event / info.neutrino_file).read_bytes(), "neutrinos")
    neutrinos = make_list(info.graceid, info.gps_time, now_gps=2e9, given=given)
    tiles = read_skymap(skymap_bytes(event, info), "map")
    listed = json.loads(json.dumps(neutrinos))
    return compute_significance(
        tiles, info, p_astro, listed, archive.response(), SEARCH, {"class": STUDY, "reason": "none"}
    )


@pytest.mark.parametrize(
    ("kind", "p_astro"),
    [
        *(("background", 0.99), ("background", 0.1), ("signal", 0.7), ("doublet", 0.99)),
        ("weighted", 0.99),
    ],
)
def test_an_event_has_the_numbers_of_its_row(tmp_path, maps, archive, kind, p_astro):
    response = archive.response()
    params = study_parameters(SEARCH, STUDY, response)
    build_bank(maps, tmp_path / "part.hdf5", response, params)
    link_banks([tmp_path / "part.hdf5"], tmp_path / "bank.hdf5", "skip")
    numbers = range(20, 28)
    with Bank(tmp_path / "bank.hdf5") as bank:
        draws = Draws(SEED, kind, archive.events(), response, params)
        rows, single = run_shard(bank, draws, trigger_p_astro(STUDY, p_astro), numbers)
    ends = np.cumsum(rows["neutrinos"])
    for k, number in enumerate(numbers):
        event = opened(tmp_path / "events", number, maps, archive, kind, p_astro)
        found = significance(event, archive)
        row = rows[k]
        assert found["odds_ratio"] == row["odds"]
        assert (found["p_h_s1"], found["p_h_s2"]) == (row["lambda_s"], row["lambda_cgw"])
        mine = {one["id"]: one["odds_ratio"] for one in found["single_neutrino"]}
        mine = [mine[one["id"]] for one in found["inputs"]["neutrino_info"]]
        assert mine == single[ends[k] - row["neutrinos"] : ends[k]].tolist()
        injection = read_info(event).others["injection"]
        assert injection["skymap"] == str(maps[row["skymap"]])
        assert (injection["number"], injection["kind"]) == (number, kind)
        if kind in SOURCES:
            assert injection["distance_mpc"] == row["distance_mpc"]
            assert (injection["ra_deg"], injection["dec_deg"]) == (row["ra_deg"], row["dec_deg"])


def test_it_can_never_be_taken_for_real(tmp_path, maps, archive):
    event = opened(tmp_path, 3, maps, archive)
    info = read_info(event)
    assert (info.alert_type, info.role, info.graceid) == ("injection", "test", "M3")
    assert len(signs_of_test(info)) == 4
    assert read_flags(event)["ROLE"] == "test"
    assert run_name(info.gps_time) == "o3"
    assert info.instruments == ["H1", "L1", "V1"]


def test_opening_it_again_changes_nothing_and_another_seed_what_it_must(tmp_path, maps, archive):
    def dates(event):
        return {path.name: path.stat().st_mtime_ns for path in event.rglob("*") if path.is_file()}

    event = opened(tmp_path, 5, maps, archive)
    before = dates(event)
    (event / "flags.json").write_text('{"VETOED": true}')
    flags = dates(event)["flags.json"]
    opened(tmp_path, 5, maps, archive)
    assert dates(event) == before | {"flags.json": flags}
    opened(tmp_path, 5, maps, archive, seed=SEED + 1)
    assert dates(event)["skymap_info.json"] > before["skymap_info.json"]
    assert dates(event)["flags.json"] == flags


def test_a_broken_map_is_named_or_drawn_again(tmp_path, maps, archive):
    drawn = draw_skymaps(SEED, 0, np.arange(30), len(maps)).tolist()
    number = drawn.index(2)
    with pytest.raises(LlamaError, match=r"broken\.fits is an HTML page"):
        opened(tmp_path, number, maps, archive, skip_broken=False)
    again = read_info(opened(tmp_path, number, maps, archive)).others["injection"]["skymap"]
    assert again in [str(path) for path in maps if path.name != "broken.fits"]
    with pytest.raises(LlamaError, match="all sky maps of the list are broken"):
        opened(tmp_path, 0, maps[2:3], archive)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("studies/bns-o3-H1/shard-0000/injection-0", ("bns-o3-H1", "background", 0)),
        ("studies/bns-o3-H1/shard-0002/injection-4", ("bns-o3-H1", "background", 24)),
        ("studies/bns-o3-H1/doublet/shard-0/injection-3", ("bns-o3-H1", "doublet", 3)),
    ],
)
def test_directories_name_injections(name, expected):
    assert injection_number(name, 10, COUNTS) == expected


@pytest.mark.parametrize(
    "name",
    [
        "studies/bns-o3-H1/shard-0000/injection-10",
        "studies/bns-o3-H1/shard-0002/injection-5",
        "studies/bns-o3-H1/signal/shard-0000/injection-4",
    ],
)
def test_an_injection_that_is_not_there_is_a_sentence(name):
    with pytest.raises(LlamaError, match=f"{name} is not there: the .* correct the number"):
        injection_number(name, 10, COUNTS)


@pytest.mark.parametrize("p_astro", [1e-6, 0.1, 0.3, 0.5, 0.7, 0.99, 1 - 1e-12])
@pytest.mark.parametrize("population", ["bns", "nsbh", "bbh", "burst", "cbc"])
def test_p_astro_survives_being_an_alert(population, p_astro):
    study = f"{population}-o4-H1L1"
    once = trigger_p_astro(study, p_astro)
    assert trigger_p_astro(study, once) == once == pytest.approx(p_astro, rel=1e-8)
