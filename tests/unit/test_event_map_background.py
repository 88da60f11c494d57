"""The background of an event's own sky map, and the p-values that it gives."""

import numpy as np
import pytest
from event_samples import INFO, NONE, P_ASTRO, THREE, made_up_background, neutrino
from scipy.stats import norm

from llama.background.draws import Draws, draw_background, join
from llama.errors import LlamaError
from llama.event.make import make_map_background
from llama.event.map_background import map_background
from llama.event.parameters import search_parameters
from llama.event.populations import read_map_background, with_events
from llama.event.prepared import odds_of_drawn, prepare_skymap
from llama.event.significance import compute_significance
from llama.files import sha256_file
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky import SkyTiles, read_skymap
from llama.sky.mock import mock_skymap, to_fits
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard, run_without_energy, study_parameters

SEARCH = from_dict(defaults(), "defaults").search_parameters()
SEED, P, N = 5, 0.99, 400
N_MAP = defaults()["background"]["map_injections"]


@pytest.fixture(scope="module")
def tiles():
    return mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


@pytest.fixture(scope="module")
def draws(archive):
    response = archive.response()
    return Draws(
        SEED,
        "weighted",
        archive.events(),
        response,
        study_parameters(SEARCH, "bns-o3-H1L1", response),
    )


@pytest.fixture(scope="module")
def prepared(tiles, draws):
    return prepare_skymap(tiles, draws.response.area_relative, draws.params)


def test_the_tail_of_a_map_is_none_and_costs_nothing(tiles, draws):
    """Tails down to 1e-320 had made sums ten times as long."""
    far = tiles.prob < np.quantile(tiles.prob, 0.7)
    tail = 10.0 ** np.linspace(-320, -31, far.sum())
    columns = draw_background(draws, np.arange(64))
    made = []
    for small in (tail, np.zeros(far.sum())):
        prob = tiles.prob.copy()
        prob[far] = small
        with_tail = SkyTiles(tiles.order, tiles.ipix, prob, tiles.distmu, tiles.distsigma)
        prepared = prepare_skymap(with_tail, draws.response.area_relative, draws.params)
        weights = prepared.weights
        assert not ((weights > 0) & (weights < 1e-100)).any()
        made.append(odds_of_drawn(prepared, draws, *columns, P).odds_ratio)
    np.testing.assert_array_equal(*made)
    assert (made[0] > 0).any()


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiles, archive):
    """What the rule makes, with one thread and with three."""
    root = tmp_path_factory.mktemp("own")
    tiles.save(root / "lvc_skymap.hdf5")
    inputs = {
        "skymap": str(root / "lvc_skymap.hdf5"),
        "response": str(archive.directory / "response.hdf5"),
        "events": str(archive.directory / "events.hdf5"),
    }
    for threads in (1, 3):
        output = str(root / f"{threads}.hdf5")
        make_map_background(inputs, output, SEARCH, "bns", SEED, P, N, False, threads)
    return root


@pytest.fixture(scope="module")
def own(files, archive):
    background = read_map_background(files / "1.hdf5")
    return with_events(background, str(archive.directory / "events.hdf5"))


@pytest.fixture(scope="module")
def compute(tiles, draws):
    def computed(events, own, p_astro=0.4, **changes):
        info, content = P_ASTRO | {"p_astro": p_astro}, {"events": events}
        arguments = {"background": NONE, "own_map": own} | changes
        return compute_significance(tiles, INFO, info, content, draws.response, SEARCH, **arguments)

    return computed


def test_any_number_of_threads_gives_the_same_bytes(files):
    assert sha256_file(files / "1.hdf5") == sha256_file(files / "3.hdf5")


def test_its_injections_are_those_of_a_study_with_this_map_alone(tmp_path, tiles, draws, own):
    (tmp_path / "map.fits").write_bytes(to_fits(tiles, "2019-04-04T00:00:00"))
    build_bank([tmp_path / "map.fits"], tmp_path / "bank.hdf5", draws.response, draws.params)
    with Bank(tmp_path / "bank.hdf5") as bank:
        same = read_skymap((tmp_path / "map.fits").read_bytes(), "map")
        made = map_background(
            prepare_skymap(same, draws.response.area_relative, draws.params), draws, P, 90, 2
        )
        rows, single = run_shard(bank, draws, P, range(90))
        hidden, _ = run_without_energy(bank, draws, P, range(90))
    along = np.argsort(rows["odds"], kind="stable")
    made = made["map"]
    np.testing.assert_array_equal(made[""], rows["odds"][along])
    np.testing.assert_array_equal(made["weights"], rows["weight"][along])
    np.testing.assert_array_equal(made["single"], np.sort(single))
    np.testing.assert_array_equal(made["without_energy"], np.sort(hidden["odds"]))


def test_p_values_are_those_of_plain_injections(prepared, draws, compute, own):
    plain = draws._replace(kind="background", seed=1)
    counts, columns = join([draw_background(plain, np.arange(6000))])
    odds = np.sort(odds_of_drawn(prepared, plain, counts, columns, P).odds_ratio)
    faint = neutrino(-300.0, 58.5, 26.0, 1.5, 800.0)
    for events in ([faint], [faint, neutrino(450.0, 63.0, 22.0, 2.0, 600.0)], THREE[1:]):
        found = compute(events, own)
        above = np.count_nonzero(odds >= found["p_value_odds"])
        share, error = above / odds.size, np.sqrt(above) / odds.size
        assert above > 20
        # 4 standard errors of both
        assert abs(found["p_value"] - share) < 4 * np.hypot(error, found["p_value_error"])
        assert found["p_value"] == found["p_value_map"]
        assert (found["p_value_method"], found["n_background"]) == ("map", N)


def bright(tiles, **changes):
    """A neutrino at the map's peak, at the time of the wave."""
    from llama.stats.healpix import tiles_geometry

    x, y, z = tiles_geometry(tiles.order, tiles.ipix)[0][np.argmax(tiles.prob / tiles.area_deg2)]
    place = {"ra": np.degrees(np.arctan2(y, x)) % 360, "dec": np.degrees(np.arcsin(z))}
    return neutrino(**({"dt": 1.0, **place, "sigma": 0.3, "energy": 1e5} | changes))


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"energy": 1e8}, 1e-4),  # above all of the archive
        ({"sigma": 0.02, "energy": 1e7}, 1e-4),  # below the classes
        ({"sigma": 25.0}, 1.0),  # above them
        ({"ra": 300.0, "dec": -80.0}, 1.0),  # off the map
    ],
)
def test_neutrinos_unlike_the_archives_have_a_p_value_of_their_own_weight(
    tiles, compute, own, changes, most
):
    found = compute([bright(tiles, **changes)], own)
    assert 0 < found["p_value_map"] <= most
    assert np.isfinite(found["p_value_map_error"])
    # not what falling back to the natural part of the mixture would give, 1 / (a0 n)
    assert found["p_value_map"] < 1 / (0.2 * N) or most == 1.0


def test_an_empty_list_has_p_1_and_a_crowded_one_has_one(compute, own):
    empty = compute([], own)
    assert (empty["p_value"], empty["p_value_error"], empty["odds_ratio"]) == (1.0, 0.0, 0.0)
    rng = np.random.default_rng(3)
    crowd = [
        {**neutrino(dt, ra, dec, 1.0, 10**x), "id": str(k)}
        for k, (dt, ra, dec, x) in enumerate(
            zip(
                rng.uniform(-499, 499, 400), rng.uniform(0, 360, 400),
                np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.normal(3.5, 0.4, 400),
                strict=True,
            )
        )
    ]  # fmt: skip
    assert 0 < compute(crowd, own)["p_value"] <= 1


def test_both_p_values_are_named_and_the_method_may_be_chosen(compute, own):
    classes = made_up_background()
    both = compute(THREE, own, background=classes)
    assert both["p_value_method"] == "class"
    assert both["p_value"] == both["p_value_class"] != both["p_value_map"]
    assert (both["n_background"], both["n_map_background"]) == (999, N)
    chosen = compute(THREE, own, background=classes, method="map")
    assert chosen["p_value"] == chosen["p_value_map"] == both["p_value_map"]
    assert chosen["p_value_class"] == both["p_value_class"]
    # the neutrinos' are from the same background; where one of them decides, so does its p-value
    for method in ("class", "map"):
        one = compute([THREE[0], THREE[2]], own, background=classes, method=method)
        assert one["single_neutrino"][0]["p_value"] == pytest.approx(one["p_value"], rel=1e-3)
    # without a study nothing is null but what needs one
    missing = compute(THREE, own, method="class")
    assert missing["p_value_class"] is None
    assert missing["p_value_class_reason"] == NONE["reason"]
    assert missing["p_value"] == missing["p_value_map"] == both["p_value_map"]
    assert missing["p_value_method"] == "map"


def test_energies_that_are_not_known_are_hidden_in_it_too(compute, own):
    found = compute([{**THREE[0], "energy": None}], own)
    assert found["p_value_without_energy"]
    assert (found["n_background"], found["p_value_method"]) == (N // 10, "map")
    assert 0 < found["p_value_error"] < found["p_value"] < 1


def test_a_background_at_the_rate_of_another_stream_gives_none(compute, own):
    found = compute(THREE, own | {"rate_hz": 2 * own["rate_hz"]})
    assert found["p_value"] is None is found["p_value_map"]
    assert "another stream" in found["p_value_map_reason"]


def test_a_p_value_of_1e_8_has_an_error_of_a_fifth(tiles, draws, prepared):
    """What `background.map_injections` promises, with so many."""
    made = map_background(prepared, draws, P, N_MAP, 2)["map"]
    weights = made["weights"][::-1]
    above, error = np.cumsum(weights) / N_MAP, np.sqrt(np.cumsum(weights**2)) / N_MAP
    k = np.searchsorted(above, 1e-8)
    assert 0 < error[k] / above[k] < 0.25
    # and all of them together are 1: 5 standard errors
    z = (made["weights"].mean() - 1) / (made["weights"].std() / np.sqrt(N_MAP))
    assert abs(z) < norm.isf(1e-6)


def test_a_broken_file_is_named(tmp_path, files):
    (tmp_path / "map_background.hdf5").write_bytes((files / "1.hdf5").read_bytes()[:-100])
    with pytest.raises(LlamaError, match=r"map_background\.hdf5 is broken; delete it"):
        read_map_background(tmp_path / "map_background.hdf5")


def test_the_rate_is_that_of_the_list(files, archive, tiles):
    """A list of the archive has its rate, whatever other streams there are."""
    live = {**SEARCH, "real_time": True}
    response = archive.response()
    rates = [search_parameters(live, "bns", response, own).ratebgnu for own in (True, False)]
    assert rates[0] == response.rate_hz != rates[1]
    inputs = {
        "skymap": str(files / "lvc_skymap.hdf5"),
        "response": str(archive.directory / "response.hdf5"),
        "events": str(archive.directory / "events.hdf5"),
    }
    for is_archive, rate_hz in zip((True, False), rates, strict=True):
        make_map_background(inputs, str(files / "rate.hdf5"), live, "bns", SEED, P, 20, is_archive)
        assert read_map_background(files / "rate.hdf5")["rate_hz"] == rate_hz
