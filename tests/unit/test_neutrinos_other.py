"""Archives of other detectors: ARCA's tables, Super-K's areas, ANTARES' list, declared ECSV."""

import itertools
import shutil

import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from llama.cli.main import main
from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.local import load_local
from llama.neutrinos.other_release import sidereal_area
from llama.neutrinos.response import expected_events, load_response
from llama.neutrinos.sources import ArchiveSource

ENERGIES = (1e2, 1e4, 1e6, 1e8)
UP = (-1.0, 0.0, 1.0)  # cos(zenith)


def ecsv(path, columns, rows, **meta):
    """Write an ECSV file; columns: names and units."""
    lines = ["%ECSV 1.0", "---", "datatype:"]
    for name, unit in columns.items():
        said = f", unit: {unit}" if unit else ""
        lines.append(f"- {{name: {name}{said}, datatype: float64}}")
    if meta:
        lines += ["meta:", *(f"  {name}: {value}" for name, value in meta.items())]
    text = [f"# {line}" for line in lines] + [" ".join(columns)]
    text += [" ".join(f"{value:.10g}" for value in row) for row in rows]
    path.write_text("\n".join(text) + "\n")


AREA = {"energy_min": "TeV", "energy_max": "TeV", "cos_zenith_min": "", "cos_zenith_max": ""}


def write_area(directory, up=UP, **meta):
    """An area that is 1 m^2 for upgoing neutrinos and grows with energy, nothing from above."""
    rows = [
        (low / 1e3, high / 1e3, a, b, (a < 0) * low / 1e2)
        for low, high in itertools.pairwise(ENERGIES)
        for a, b in itertools.pairwise(up)
    ]
    meta = {"latitude_deg": 36.0, "longitude_deg": 16.0, "name": "toy"} | meta
    ecsv(directory / "area.ecsv", {**AREA, "area": "m2"}, rows, **meta)


def write_background(directory, is_local=False, **changes):
    columns = {"energy_min": "GeV", "energy_max": "GeV"}
    if is_local:  # three times as much from just below the horizon, and little from above
        columns |= {"cos_zenith_min": "", "cos_zenith_max": ""}
        bins = (-1.0, -0.3, 1.0), (-0.3, 0.0, 3.0), (0.0, 1.0, 0.05)
    else:
        columns |= {"dec_min": "deg", "dec_max": "deg"}
        bins = (-90.0, 0.0, 1.0), (0.0, 90.0, 1.0)
    columns |= {"rate": "1/h", "sigma": "arcmin"} | changes
    rows = [
        (low, high, a, b, much * 3.6 / low, 30.0)
        for low, high in itertools.pairwise(ENERGIES)
        for a, b, much in bins
    ]
    ecsv(directory / "background.ecsv", columns, rows)


def imported(directory, name="other", season=None):
    import_release(directory, directory / "archive", name, season)
    return Archive.open(directory / "archive" / name)


def test_an_area_of_upgoing_neutrinos_is_half_the_sky_at_the_equator():
    x, up = np.array([2.0, 3.0]), np.array([-1.0, 0.0, 1.0])
    at_equator = sidereal_area("toy", x, up, np.array([[1.0, 0.0]]), 0.0)
    assert at_equator.area_cm2 == pytest.approx(0.5, abs=2e-3)
    # from the south pole what is below the horizon is always the north
    pole = sidereal_area("toy", x, up, np.array([[1.0, 0.0]]), -90.0).area_cm2[0]
    assert (pole[:100] == 0).all()
    assert (pole[100:] == 1).all()
    # the sky's mean is that of the local sky, wherever the site is
    somewhere = sidereal_area("toy", x, np.linspace(-1, 1, 6), np.arange(5.0)[None], 36.3)
    assert somewhere.area_cm2.mean() == pytest.approx(2.0, rel=1e-3)


def test_a_declared_detector_with_a_table_of_its_background(tmp_path):
    write_area(tmp_path)
    write_background(tmp_path)
    archive = imported(tmp_path)
    events, response = archive.events(), archive.response()
    assert archive.rate_hz == pytest.approx(2 * (1e-5 + 1e-7 + 1e-9), rel=1e-6)
    assert (events["sigma_deg"] == 0.5).all()
    assert archive.about["background"] == "sidereal mean"
    low = (events["energy_gev"] < 1e4).mean()
    assert low == pytest.approx(1 / 1.0101, abs=1e-3)
    # 1 m^2 in the cells of the first energies, below the horizon: never at the north pole
    assert response.effective_area_cm2[60, 0] == pytest.approx(1e4, rel=1e-2)
    assert response.effective_area_cm2[60, -1] == 0
    # drawn events happened to nobody
    source = ArchiveSource.of(archive)
    assert source.state(0.0, 1e9) is None
    assert not source.fetch(0.0, 1e9).covers


def write_antares(directory, n=400, head="dec ra nhit beta mjd"):
    rng = np.random.default_rng(1)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 0.8, n)))
    columns = dec, rng.uniform(0, 360, n), rng.integers(20, 200, n), rng.uniform(0.2, 1, n)
    rows = np.column_stack([*columns, np.sort(rng.uniform(54_130, 58_118, n))])
    text = [head, *(" ".join(f"{value:.8g}" for value in row) for row in rows)]
    (directory / "events.txt").write_text("\n".join(text) + "\n")


def test_antares_list_has_no_energies(tmp_path):
    write_area(tmp_path)
    write_antares(tmp_path)
    archive = imported(tmp_path, "antares")
    events, response = archive.events(), archive.response()
    assert events["dec_deg"].size == 400
    assert np.isnan(events["energy_gev"]).all()
    assert (events["sigma_deg"] <= 1).all()
    assert not response.tells_energy
    found = ArchiveSource.of(archive).fetch(*archive.query(0, 2e9)["gps"][[0, -1]])
    assert found.covers
    assert found.rows[0]["energy"] is None
    # of a list in local coordinates, as astropy has them
    where = EarthLocation.from_geodetic(16.0, 36.0)
    time = Time(events["mjd"], format="mjd", scale="utc")
    seen = SkyCoord(events["ra_deg"], events["dec_deg"], unit="deg").transform_to(
        AltAz(obstime=time, location=where)
    )
    assert events["zenith_deg"] == pytest.approx(90 - seen.alt.deg, abs=0.2)
    assert found.rows[0]["zenith"] == events["zenith_deg"][0]
    assert archive.about["site"] == {"latitude_deg": 36.0, "longitude_deg": 16.0}
    runs = {"start": "d", "stop": "d"}
    ecsv(tmp_path / "uptime.ecsv", runs, [(54_120, 56_000), (56_500, 58_200)])
    assert imported(tmp_path).about["livetime_s"] == pytest.approx(3580 * 86_400)


def test_super_k_takes_its_background_from_a_declared_table(tmp_path, shared_data):
    (tmp_path / "effarea_superk.h5").symlink_to(shared_data / "detectors/superk/effarea_superk.h5")
    with pytest.raises(LlamaError, match=r"has an area and no background; put background\.ecsv"):
        imported(tmp_path)
    write_background(tmp_path)
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "background.ecsv", tmp_path / "alone")
    with pytest.raises(LlamaError, match=r"has a background and no area; put area\.ecsv beside"):
        imported(tmp_path / "alone")
    archive = imported(tmp_path)
    assert archive.about["effective_area_season"] == "SK_UPMU"
    area = archive.response().area_relative
    assert area[0] > 1 > area[-1]  # it looks down, from 36 deg north
    assert imported(tmp_path, season="FC").about["effective_area_season"] == "SK_FC"
    with pytest.raises(LlamaError, match="has no area of muons; name FC, PC or UPMU"):
        imported(tmp_path, season="muons")


def test_arca_is_as_published(tmp_path, shared_data):
    import_release(shared_data / "detectors/arca230", tmp_path, "arca230")
    archive = Archive.open(tmp_path / "arca230")
    assert archive.rate_hz == pytest.approx(0.0027311, rel=1e-4)
    assert archive.drawn
    tables = load_response(tmp_path / "arca230/detector.hdf5")
    assert expected_events(tables, 10.0, 1e8) == pytest.approx(1.393, rel=1e-2)
    # drawn errors follow from the proxy: they say nothing, and energies alone are compared
    x, sigma = np.array([3.0, 5.0]), np.array([0.5, 0.2])
    # rates in local coordinates, whose means over a day are the published ones, within a percent
    published = np.loadtxt(
        shared_data / "detectors/arca230/bkg_track.csv", delimiter=",", skiprows=1
    )
    rates = np.bincount(np.rint(20 * (published[:, 3] + 1)).astype(int), published[:, 6], 40)
    drawn, _ = np.histogram(np.sin(np.radians(archive.events()["dec_deg"])), np.linspace(-1, 1, 41))
    assert drawn / drawn.sum() == pytest.approx(rates / rates.sum(), abs=2e-3)
    local = load_local(tmp_path / "arca230/detector.hdf5")
    assert local.response.area_relative[:115].min() > 0.9 * local.response.area_relative[0]
    assert local.response.area_relative[118:].max() == 0  # nothing more than 10 deg from above
    assert np.isfinite(local.response.weights).all()
    same = tables.neutrinos(x, sigma, np.array([-0.5, -0.5])).ratio.sum(axis=1)
    other = tables.neutrinos(x, sigma * 3, np.array([-0.5, -0.5])).ratio.sum(axis=1)
    assert other == pytest.approx(same, rel=1e-9)
    assert (same[1] > same[0])[:150].all()


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda d: write_area(d, latitude_deg=400), "give latitude_deg .* and longitude_deg"),
        (lambda d: write_area(d, up=(-0.5, 0.0, 1.0)), "are -0.5 to 1, not -1 to 1; give bins of"),
        (lambda d: write_background(d, rate=""), "rate has no unit; say one, such as 1/s"),
        (lambda d: write_background(d, rate="GeV"), "'GeV' .* not convertible"),
        (lambda d: (d / "area.ecsv").write_text("no table"), "area.ecsv cannot be read"),
        (lambda d: ecsv(d / "area.ecsv", {"area": "m2"}, [(1,)]), "it has no column energy_min"),
        (lambda d: ecsv(d / "background.ecsv", {"rate": "Hz"}, [(1,)]), "no column sin_dec_min"),
    ],
)
def test_what_is_declared_wrongly_is_a_sentence(tmp_path, write, says):
    write_area(tmp_path)
    write_background(tmp_path)
    write(tmp_path)
    with pytest.raises(LlamaError, match=says):
        imported(tmp_path)
    assert not (tmp_path / "archive/other").exists()


def test_another_detector_needs_a_name_of_its_own(tmp_path, capsys, monkeypatch):
    write_area(tmp_path)
    write_background(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(f"output_dir: {tmp_path / 'out'}\n")
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    assert main(["neutrinos", "import", str(tmp_path)]) == 1
    assert "give its archive a name: --name" in capsys.readouterr().err
    assert main(["neutrinos", "import", str(tmp_path), "--name", "sk"]) == 0
    assert "background: sidereal mean, events drawn from a table" in capsys.readouterr().out
