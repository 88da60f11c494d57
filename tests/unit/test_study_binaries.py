"""Simulated binaries against what they must be like, worked out another way."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from llama.errors import LlamaError
from llama.study.binaries import (
    NOISE_MARGIN,
    Z_MAX,
    antenna_factors,
    draw_injections,
    population,
    write_injections,
)
from llama.study.noise import network_reach

COUNT = 20_000
# a reach that grows like the chirp mass to 5/6, as any inspiral's; 600 Mpc for two of 1.4 Msun
AXIS = np.geomspace(0.9, 660.0, 12)
M1, M2 = np.meshgrid(AXIS, AXIS, indexing="ij")
CHIRP = (M1 * M2) ** 0.6 / (M1 + M2) ** 0.2
THRESHOLD = 8.0
NET_SNR = THRESHOLD + NOISE_MARGIN


def table(values, detectors=("H1", "L1")):
    """A reach of equal detectors, from the SNR at 1 Mpc over both masses."""
    shape = (12, 12, 2, len(detectors))
    snr_1mpc = np.broadcast_to(np.asarray(values)[..., None, None], shape).tolist()
    axes = {"mass1": AXIS.tolist(), "mass2": AXIS.tolist(), "spin": [-1, 1]}
    return axes | {"detectors": list(detectors), "snr_1mpc": snr_1mpc}


def inspirals(reach_mpc=600.0):
    return table(THRESHOLD * reach_mpc * (CHIRP / 1.2188) ** (5 / 6))


@pytest.fixture(scope="module")
def bns():
    return draw_injections(range(COUNT), 1, population("bns_broad"), inspirals(), NET_SNR)[0]


@pytest.fixture
def no_antenna(monkeypatch):
    """Detectors without blind directions: what is within reach stays."""
    monkeypatch.setattr(
        "llama.study.binaries.antenna_factors",
        lambda angles, detectors: np.ones((angles.shape[1], len(detectors))),
    )


def redshift_of(distance):
    from astropy.cosmology import Planck15

    z = np.linspace(0, 4, 20_000)
    return np.interp(distance, Planck15.luminosity_distance(z).to_value("Mpc"), z)


def uniformity(values):
    return stats.kstest(values, "uniform").pvalue


def test_sources_are_uniform_in_comoving_volume_and_time(no_antenna):
    from astropy.cosmology import Planck15

    # detectors that see every binary up to the same distance, 5 Gpc
    reach = table(np.full((12, 12), THRESHOLD * 5000), ("H1",))
    drawn, count = draw_injections(range(COUNT), 1, population("bbh_broad"), reach, NET_SNR)
    assert COUNT <= count < 1.02 * COUNT  # nearly every one stays
    z, top = redshift_of(drawn["distance"]), redshift_of(5000.0)
    assert 0.995 < z.max() / top <= 1.001
    grid = np.linspace(0, top, 1000)
    # 4 pi D_M^2 D_H / E(z) / (1 + z), written out
    expansion = np.sqrt(Planck15.Om0 * (1 + grid) ** 3 + Planck15.Ode0)
    rate = Planck15.comoving_distance(grid).to_value("Mpc") ** 2 / expansion / (1 + grid)
    cdf = integrate.cumulative_trapezoid(rate, grid, initial=0)
    assert uniformity(np.interp(z, grid, cdf / cdf[-1])) > 0.01
    # the test can tell: neither without time dilation nor in flat space
    for wrong in (rate * (1 + grid), grid**2):
        cdf = integrate.cumulative_trapezoid(wrong, grid, initial=0)
        assert uniformity(np.interp(z, grid, cdf / cdf[-1])) < 1e-6


def test_directions_and_orientations_are_isotropic(no_antenna):
    bns, _ = draw_injections(range(COUNT), 1, population("bns_broad"), inspirals(), NET_SNR)
    for values in (
        bns["longitude"] / (2 * math.pi),
        (np.sin(bns["latitude"]) + 1) / 2,
        (np.cos(bns["inclination"]) + 1) / 2,
        bns["polarization"] / (2 * math.pi),
        (bns["coa_phase"] + math.pi) / (2 * math.pi),
        (bns["time_geocent"] - 1e9) / (365.25 * 86400),
    ):
        assert uniformity(values) > 0.01
    # nothing depends on anything else but mass and distance
    names = ("distance", "longitude", "latitude", "inclination", "polarization", "coa_phase")
    correlation = np.corrcoef([bns[name] for name in (*names, "time_geocent")])
    assert np.abs(correlation - np.eye(7)).max() < 4 / math.sqrt(COUNT)


@pytest.mark.parametrize(
    ("name", "first", "second", "spins"),
    [
        ("bns_astro", stats.truncnorm(-11 / 3, 67 / 9, 1.33, 0.09), None, (0.05, 0.05)),
        ("bns_broad", stats.uniform(1, 1), None, (0.4, 0.4)),
        ("nsbh_astro", 2.3, stats.truncnorm(-11 / 3, 67 / 9, 1.33, 0.09), (0.99, 0.05)),
        ("nsbh_broad", 1.0, stats.uniform(1, 1), (0.99, 0.4)),
        ("bbh_astro", 2.3, None, (0.99, 0.99)),
        ("bbh_broad", 1.0, None, (0.99, 0.99)),
    ],
)
def test_masses_and_spins_are_those_of_the_distribution(name, first, second, spins):
    binaries = population(name)
    uniform = (np.arange(COUNT) + 0.5) / COUNT

    def law(kind, draw):
        if isinstance(kind, float):  # a power law from 5 to 50, counted directly
            grid = np.geomspace(5, 50, 20_001)
            cdf = integrate.cumulative_trapezoid(grid**-kind, grid, initial=0)
            return np.interp(draw, grid, cdf / cdf[-1])
        return kind.cdf(draw)

    for (low, high, draw), kind in ((binaries.mass1, first), (binaries.mass2, second or first)):
        masses = draw(uniform)
        assert low <= masses.min() < masses.max() <= high
        assert np.abs(law(kind, masses) - uniform).max() < 1e-4
    drawn, _ = draw_injections(range(4000), 5, binaries, inspirals(300.0), NET_SNR)
    assert np.all(drawn["mass1"] >= drawn["mass2"])
    assert (binaries.spin1, binaries.spin2) == spins
    largest = np.abs(np.concatenate([drawn["spin1z"], drawn["spin2z"]])).max()
    assert 0.99 * max(spins) < largest <= max(spins)
    z = redshift_of(drawn["distance"])
    assert drawn["mass2"].min() / (1 + z.max()) < binaries.mass2[1]
    assert np.all(drawn["mass1"] / (1 + z) < binaries.mass1[1] * 1.0001)
    assert np.all(drawn["mass2"] / (1 + z) > binaries.mass2[0] * 0.9999)


def antenna(row, name):
    """F+ and Fx from the detector's tensor and the wave's two axes, in the frame of the Earth."""
    import lal
    from lalsimulation import DetectorPrefixToLALDetector

    response = DetectorPrefixToLALDetector(name).response.astype(float)
    hour_angle = lal.GreenwichMeanSiderealTime(lal.LIGOTimeGPS(row["time_geocent"]))
    lon, lat, psi = row["longitude"] - hour_angle, row["latitude"], row["polarization"]
    east = np.array([-math.sin(lon), math.cos(lon), 0])
    north = np.array(
        [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
    )
    x = -math.cos(psi) * east + math.sin(psi) * north
    y = -math.sin(psi) * east - math.cos(psi) * north
    return x @ response @ x - y @ response @ y, x @ response @ y + y @ response @ x


def test_those_stay_that_noise_can_lift_over_the_threshold(bns):
    chirp = (bns["mass1"] * bns["mass2"]) ** 0.6 / (bns["mass1"] + bns["mass2"]) ** 0.2
    overhead = THRESHOLD * 600 * (chirp / 1.2188) ** (5 / 6) / bns["distance"]
    some = COUNT // 2
    squares = np.zeros(some)
    for k in range(some):
        row = {name: column[k] for name, column in bns.items()}
        u = math.cos(row["inclination"])
        for detector in ("H1", "L1"):
            plus, cross = antenna(row, detector)
            squares[k] += ((1 + u * u) / 2 * plus) ** 2 + (u * cross) ** 2
    snr = overhead[:some] * np.sqrt(squares)
    # 3 %: the table is interpolated between masses
    assert THRESHOLD * 0.97 < snr.min() < THRESHOLD * 1.03
    # p(snr) ~ snr^-4 wherever space is flat
    loud = snr[snr > 20]
    assert loud.size > 500
    assert uniformity((20 / loud) ** 3) > 0.01
    assert uniformity((20 / loud) ** 2) < 1e-6


def test_a_shard_depends_on_its_first_number_alone():
    def drawn(numbers, seed=3):
        return draw_injections(numbers, seed, population("bns_astro"), inspirals(), NET_SNR)

    whole, part = drawn(range(200, 300)), drawn(range(200, 240))
    assert part[1] < whole[1]
    for name, column in whole[0].items():
        assert np.array_equal(column[:40], part[0][name])
    for other, _ in (drawn(range(300, 400)), drawn(range(200, 300), seed=4)):
        assert not np.isin(other["distance"], whole[0]["distance"]).any()


@pytest.mark.parametrize("reach_mpc", [0.0, 1e6])
def test_what_is_seen_nowhere_or_everywhere_is_a_sentence(reach_mpc):
    with pytest.raises(LlamaError, match=r"nowhere, or beyond redshift 12; correct psds"):
        draw_injections(range(10), 1, population("bns_astro"), inspirals(reach_mpc), 8.0)


def test_black_holes_are_within_the_table_for_detectors_up_to_a_plus(monkeypatch):
    import lal
    from lalsimulation import SimNoisePSDaLIGOAPlusDesignSensitivityT1800042

    psd = lal.CreateREAL8FrequencySeries("H1", 0, 0.0, 1.0, lal.Unit("s"), 2048)
    SimNoisePSDaLIGOAPlusDesignSensitivityT1800042(psd, 9.0)
    monkeypatch.setattr("llama.study.noise._MASS_STEPS", 7)
    reach = network_reach({"H1": psd, "L1": psd}, population("bbh_broad"))
    drawn, _ = draw_injections(range(20), 1, population("bbh_broad"), reach, 8.0)
    assert drawn["distance"].max() > 5000


def test_the_reach_is_the_horizon_that_the_tools_use(monkeypatch):
    import lal
    from ligo.skymap.bayestar import filter as bayestar_filter

    frequency = np.arange(9.0, 2049.0)
    psd = lal.CreateREAL8FrequencySeries("H1", 0, 9.0, 1.0, lal.Unit("s"), frequency.size)
    psd.data.data = 1e-46 * ((frequency / 100) ** -4 + 2 + (frequency / 200) ** 2)
    binaries = population("bbh_astro")
    monkeypatch.setattr("llama.study.noise._MASS_STEPS", 4)
    reach = network_reach({"H1": psd, "L1": psd}, binaries)
    interpolated = bayestar_filter.InterpolatedPSD(frequency, psd.data.data)
    for i, j, k in ((0, 0, 2), (2, 1, 0), (2, 2, 4)):
        signal = bayestar_filter.sngl_inspiral_psd(
            "IMRPhenomD",
            mass1=reach["mass1"][i],
            mass2=reach["mass2"][j],
            f_min=20.0,
            spin1z=reach["spin"][k],
            spin2z=reach["spin"][k],
        )
        noise = bayestar_filter.signal_psd_series(signal, interpolated)
        horizon = bayestar_filter.SignalModel(noise).get_horizon_distance()
        # they are two interpolations of a smooth noise, and two ways to integrate
        assert reach["snr_1mpc"][i][j][k] == pytest.approx([horizon, horizon], rel=0.01)


def test_the_table_is_read_back_by_the_tools(bns, tmp_path):
    from igwn_ligolw import lsctables, utils
    from ligo.skymap.io.events.ligolw import ContentHandler

    few = {name: column[:5] for name, column in bns.items()}
    written = []
    for name in ("a.xml.gz", "b.xml.gz"):
        write_injections(tmp_path / name, few, 700, population("bns_broad").waveform)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    document = utils.load_filename(str(tmp_path / "a.xml.gz"), contenthandler=ContentHandler)
    table = lsctables.SimInspiralTable.get_table(document)
    assert [row.simulation_id for row in table] == [700, 701, 702, 703, 704]
    for name in few:
        read = [float(getattr(row, name)) for row in table]
        assert np.allclose(read, few[name], rtol=1e-6, atol=1e-6)  # the format has single precision
    assert {(row.waveform, row.f_lower) for row in table} == {("TaylorF2threePointFivePN", 30.0)}


def test_the_shared_population_is_found_as_often_as_the_sampler_expects(shared_data, monkeypatch):
    """400 binaries and the 46 of them that the tools have found (see the README there)."""
    import lal.series
    from igwn_ligolw import lsctables, utils
    from ligo.skymap.io.events.ligolw import ContentHandler

    directory = shared_data / "population"
    document = utils.load_filename(
        str(directory / "psd.xml.gz"), contenthandler=lal.series.PSDContentHandler
    )
    psds = lal.series.read_psd_xmldoc(document, root_name=None)
    psds = {name: psds[name] for name in ("H1", "L1", "V1")}
    document = utils.load_filename(
        str(directory / "injections.xml.gz"), contenthandler=ContentHandler
    )
    injections = lsctables.SimInspiralTable.get_table(document)
    names = ("longitude", "latitude", "inclination", "polarization", "coa_phase", "time_geocent")
    angles = np.array([[float(getattr(row, name)) for row in injections] for name in names])
    monkeypatch.setattr("llama.study.noise._MASS_STEPS", 2)
    binaries = population("bns_astro")._replace(
        mass1=(1.4, 1.4001 / (1 + Z_MAX), None), mass2=(1.35, 1.3501 / (1 + Z_MAX), None)
    )
    reach = network_reach(psds, binaries)
    distance = np.array([row.distance for row in injections])
    snr = antenna_factors(angles, list(psds)) * reach["snr_1mpc"][0][0][0] / distance[:, None]
    # Gaussian noise in both quadratures, each detector on for 70 % of the time
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 300, *snr.shape))
    seen = np.hypot(snr + noise[0], noise[1])
    found = (seen > 4) & (rng.random(seen.shape) < 0.7)
    loud = np.sqrt(np.sum(np.where(found, seen, 0) ** 2, axis=2)) > 8
    counts = (loud & (found.sum(axis=2) > 1)).sum(axis=1)
    # the tools also maximise over time, which finds a few more
    assert abs(46 - counts.mean()) < 3 * counts.std()
    document = utils.load_filename(str(directory / "coincs.xml.gz"), contenthandler=ContentHandler)
    coincs = lsctables.CoincInspiralTable.get_table(document)
    assert len(coincs) == 46
    times = np.array([float(row.time_geocent) for row in injections])
    excess = []
    for coinc in coincs:
        k = np.abs(times - float(coinc.end)).argmin()
        assert abs(times[k] - float(coinc.end)) < 0.05  # light takes 0.02 s through the Earth
        on = [list(psds).index(name) for name in coinc.instruments]
        excess.append(coinc.snr - np.linalg.norm(snr[k, on]))
    # noise of one unit, and the maximum over time and phase adds some
    assert abs(np.mean(excess) - 0.4) < 0.5
    assert 0.6 < np.std(excess) < 1.4
