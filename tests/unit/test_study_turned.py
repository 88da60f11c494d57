"""Draws, backgrounds and events of a detector that sees the sky turn, beside one that does not."""

import dataclasses
import json

import numpy as np
import pytest
from settings_samples import changed
from sky_samples import multiorder, random_tiles
from stats_samples import near_blob, prepare_tiles
from test_neutrinos_other import imported, write_area, write_background
from test_study_tilts import disagreement

from llama.alerts.content import classification, skymap_bytes
from llama.alerts.content import p_astro as p_astro_content
from llama.background.cells import build_cells
from llama.background.draws import (
    Draws,
    draw_background,
    draw_signal,
    draw_sources,
    join,
)
from llama.background.tilts import draw_weighted, tilt_map, weights
from llama.background.turned import turned_density
from llama.event.detectors import open_site
from llama.event.parameters import search_parameters
from llama.event.prepared import odds_of_drawn
from llama.event.significance import compute_significance
from llama.event.skymap_info import read_info
from llama.neutrinos.given import read_given
from llama.neutrinos.local import load_local
from llama.neutrinos.network_list import Stream, make_network_list
from llama.neutrinos.scramble import simulate
from llama.settings import from_dict
from llama.sky import SkyTiles, read_skymap
from llama.stats.healpix import unit_vectors
from llama.stats.window import Window
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard, study_parameters
from llama.study.opening import open_injection, trigger_p_astro

GPS, SEED, STUDY = 1.3e9, 31, "bns-o3-H1L1-icecube_south"
SEARCH = from_dict(
    changed(
        {
            "neutrinos.detectors": {
                "icecube": {"archive": "toy", "rate_hz": 0.003, "nu_51_100": 1.0},
                "south": {"archive": "south", "rate_hz": 0.004, "nu_51_100": 1.5},
            }
        }
    )
).search_parameters()


@pytest.fixture(scope="module")
def south(tmp_path_factory):
    directory = tmp_path_factory.mktemp("south")
    write_area(directory)
    write_background(directory, is_local=True)
    return imported(directory, "south")


@pytest.fixture(scope="module")
def tables(archive, south):
    return [one.directory / "response.hdf5" for one in (archive, south)]


@pytest.fixture(scope="module")
def draws(tables):
    site = open_site(tables, SEARCH, gps=GPS)
    params = search_parameters(SEARCH, "bns", site.response)
    return Draws(SEED, "background", site.events(), site.response, params, site.truth())


def sin_altitude(draws, vectors):
    return vectors @ draws.response.turned[1].axis


def test_an_archive_keeps_the_local_sky(south):
    assert south.turns
    assert "background" not in south.about
    events = south.events()
    up = np.cos(np.radians(events["zenith_deg"]))
    shares, _ = np.histogram(up, [-1, -0.3, 0, 1])
    assert shares / up.size == pytest.approx(np.array([1, 3, 0.05]) / 4.05, abs=0.004)
    # moved to another time, they stay where they were in the detector's sky
    moved = simulate(events, 1, GPS, Window(-500, 500), 0.5, turns=True)
    where = unit_vectors(moved["ra_deg"], moved["dec_deg"])
    again = load_local(south.directory / "response.hdf5").site.sin_altitude(moved["gps"], where)
    shares, _ = np.histogram(again, [-1, -0.3, 0, 1])
    assert shares / again.size == pytest.approx(np.array([1, 3, 0.05]) / 4.05, abs=0.09)


def test_background_is_where_the_detector_sees_it(draws):
    counts, columns = draw_background(draws, np.arange(4000))
    own = columns["detector"] == 1
    assert counts.mean() == pytest.approx(7.0, rel=0.02)
    vectors = unit_vectors(columns["ra_deg"], columns["dec_deg"])
    shares, _ = np.histogram(sin_altitude(draws, vectors)[own], [-1, -0.42, -0.18, -0.12, 0.12, 1])
    # the density is smoothed by 0.04; of the bins between, what the table says
    even = np.array([1 / 0.7, 3 / 0.3, 0.05])
    widths = np.array([0.58, 0.06, 0.88])
    assert shares[[0, 2, 4]] / own.sum() == pytest.approx(even * widths / 4.05, rel=0.08, abs=0.01)
    # that of the other is at all right ascensions
    ra = columns["ra_deg"][~own]
    assert np.histogram(ra, 8, (0, 360))[0] / ra.size == pytest.approx(1 / 8, abs=0.02)
    # the mean of 1 over how much denser it is, is the part of the sky where it is anything
    assert (1 / turned_density(draws.response, columns))[own].mean() == pytest.approx(1, abs=0.02)


def test_sources_are_seen_by_the_detector_that_sees_them(draws):
    below = SkyTiles(np.full(768, 3, np.int8), np.arange(768), np.full(768, 1 / 768))
    signal = draws._replace(kind="signal")
    numbers = np.arange(6000)
    sources = draw_sources(signal, numbers, below)
    _, columns = draw_signal(signal, numbers, sources)
    up = sin_altitude(draws, sources.vectors)
    # the area falls from all to nothing between the middles of its two bins
    assert (columns["detector"][up > 0.5] == 0).all()
    seen = up < 0.4
    expected = draws.response.fractions_in(sources.vectors[seen])[1].mean()
    assert (columns["detector"][seen] == 1).mean() == pytest.approx(expected, abs=0.02)
    area = draws.response.turned[1].response.area_relative
    assert area[:50] == pytest.approx(2.0, rel=0.02)
    still = dataclasses.replace(draws.response, turned=())
    with pytest.raises(ValueError, match="need the time of the trigger"):
        draw_signal(signal._replace(response=still), numbers, sources)


@pytest.fixture(scope="module")
def prepared(draws):
    blob = near_blob(150.0, -20.0, 8.0, 120.0, 30.0, coarsest=3, finest=6, floor=1e-4)
    return prepare_tiles(*blob, draws.response.area, draws.params)


def test_weighted_background_is_distributed_as_plain(draws, prepared):
    weighted = draws._replace(kind="weighted")
    cells = build_cells(draws.events, draws.response, draws.params)
    tilt = tilt_map(prepared, weighted, cells)
    counts, columns, weight = draw_weighted(weighted, np.arange(600), cells, tilt)
    assert abs(weight.mean() - 1) < 4 * weight.std() / weight.size**0.5
    odds = odds_of_drawn(prepared, weighted, counts, columns, 0.99).lambda_s
    counts, columns = join([draw_background(draws, np.arange(3000))])
    plain = odds_of_drawn(prepared, draws, counts, columns, 0.99).lambda_s
    assert disagreement(plain, odds, weight) > 1e-3
    some = {name: column[: counts[:50].sum()] for name, column in columns.items()}
    assert (weights(weighted, counts[:50], some, cells, tilt) > 0).all()


def significance(event, tables):
    """Return what the rules make of an event directory, without a background."""
    info = read_info(event)
    p_astro = p_astro_content(classification(event, info)[0], info.far_hz, 6.5e-8, info.group)
    given = read_given((event / info.neutrino_file).read_bytes(), "neutrinos")
    streams = {name: Stream(None, ()) for name in SEARCH["detectors"]}
    listed = make_network_list(
        *(info.graceid, info.gps_time, streams, given, [*streams]), now_gps=2e9
    )
    site = open_site(tables, SEARCH, gps=info.trigger_gps)
    return compute_significance(
        *(read_skymap(skymap_bytes(event, info), "map"), info, p_astro),
        *(json.loads(json.dumps(listed)), site.response, SEARCH),
        {"class": STUDY, "reason": "none"},
    )


@pytest.mark.parametrize("kind", ["background", "weighted", "doublet"])
def test_an_event_has_the_numbers_of_its_row(tmp_path, tables, kind):
    (tmp_path / "a.fits").write_bytes(multiorder(random_tiles(3)))
    site = open_site(tables, SEARCH)
    params = study_parameters(SEARCH, STUDY, site.response)
    build_bank([tmp_path / "a.fits"], tmp_path / "bank.hdf5", site.response, params, "o3")
    with Bank(tmp_path / "bank.hdf5") as bank:
        given = Draws(SEED, kind, site.events(), site.response, params, site.truth())
        rows, _ = run_shard(bank, given, trigger_p_astro(STUDY, 0.99), range(4))
    for number in range(4):
        event = tmp_path / f"{kind}-{number}"
        opened = {"maps": [tmp_path / "a.fits"], "site": site, "search": SEARCH, "seed": SEED}
        open_injection(event, STUDY, number, p_astro=0.99, skip_broken=True, kind=kind, **opened)
        found = significance(event, tables)
        assert found["odds_ratio"] == rows[number]["odds"]
