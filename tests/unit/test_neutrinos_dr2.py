"""IceTracks-DR2 as it is published and as it is served; releases that are told apart."""

import shutil

import numpy as np
import pytest
from dr2_samples import EVENT, SEASONS, event_rows, table, write_dr2
from smearing_samples import COLUMNS

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import Detector
from llama.neutrinos.importing import import_release
from llama.neutrinos.release import read_area, read_events, read_release
from llama.neutrinos.seasons import area_season, choose
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.truth import UNIFORMS, Sampler, archive_truth


@pytest.fixture
def release(tmp_path):
    return write_dr2(tmp_path / "dr2")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A release and its archive."""
    directory = tmp_path_factory.mktemp("imported")
    import_release(write_dr2(directory / "dr2"), directory / "archive", "dr2")
    return directory


@pytest.mark.parametrize("title", ["#  {}", "{}", '"#  {}"', '"{}"'])
@pytest.mark.parametrize("form", ["csv", "tab"])
def test_both_forms_and_all_titles_are_the_same_release(release, tmp_path, form, title):
    one = read_release(release)
    other = read_release(write_dr2(tmp_path / "other", form, title))
    for name, column in one.events.items():
        np.testing.assert_array_equal(column, other.events[name])
    np.testing.assert_array_equal(one.uptime_gps, other.uptime_gps)
    np.testing.assert_array_equal(one.areas[-1].area_cm2, other.areas[-1].area_cm2)
    assert one.events["run"].min() > 0


def test_all_seasons_of_ic86_have_one_area_and_no_other_configuration_is_mixed_in(release):
    found = read_release(release)
    assert found.seasons == ("IC86_I", "IC86_II")
    assert found.left_out == ("IC40", "IC79")
    assert found.area_season == "IC86"
    assert found.events["mjd"].min() >= SEASONS["IC86_I"]
    assert np.diff(found.uptime_gps).sum() == pytest.approx(20 * 86400)


def test_an_event_of_two_seasons_counts_once_the_older_one(release):
    found = read_release(release)
    assert found.counts["events/IC86_II_exp.tab"]["repeats"] == 2
    assert found.counts["events/IC86_II_exp.tab"]["kept"] == 58
    assert found.counts["events/IC86_I_exp.tab"]["kept"] == 60
    ids = {tuple(row) for row in np.stack([found.events["run"], found.events["event"]], 1)}
    assert len(ids) == len(found.events["gps"]) == 118
    assert 10**3.33 not in found.events["energy_gev"]


@pytest.mark.parametrize(
    ("wanted", "seasons", "area"),
    [
        (["IC40"], ("IC40",), "IC40"),
        (["IC86_II"], ("IC86_II",), "IC86"),
        (["IC86"], ("IC86_I", "IC86_II"), "IC86"),
        (["IC79", "IC86_I"], ("IC79", "IC86_I"), "IC86"),
    ],
)
def test_seasons_choose_events_and_area(release, tmp_path, wanted, seasons, area):
    about = import_release(release, tmp_path / "archive", "dr2", seasons=wanted)
    assert tuple(about["event_seasons"]) == seasons
    assert about["effective_area_season"] == area
    assert Archive.open(tmp_path / "archive" / "dr2").response().season == area
    assert set(about["left_out_seasons"]) == set(SEASONS) - set(seasons)


def test_the_ten_year_release_has_ic86_ii_for_all_later_seasons():
    areas = ["IC40", "IC59", "IC79", "IC86_I", "IC86_II"]
    assert area_season(areas, ["IC86_I", "IC86_VII"]) == "IC86_II"
    assert area_season(areas, ["IC86_I"]) == "IC86_I"
    with pytest.raises(LlamaError, match="none of them for the events of IC86_I; add"):
        area_season(["IC40", "IC86_II"], ["IC86_I"])
    with pytest.raises(LlamaError, match="no season 'IC22'; choose some of IC40, IC86_II, IC86_X"):
        choose(["IC86_X", "IC40", "IC86_II"], ["IC22"])


def test_an_archive_of_ic86_without_a_matrix_has_the_public_one(imported, tmp_path):
    directory = imported / "archive" / "dr2"
    archive = Archive.open(directory)
    assert archive.about["smearing"] == "public IC86"
    assert archive.about["smearing_reason"] == "the release has none in irfs"
    detector, response = Detector.load(directory / "detector.hdf5"), archive.response()
    np.testing.assert_array_equal(detector.background_per_dex, response.background_per_dex)
    truth = archive_truth(directory, detector)
    u = np.random.default_rng(1).uniform(size=(2000, UNIFORMS))
    expected = Sampler(Smearing.load(), read_release(imported / "dr2").areas[-1])
    for ours, theirs in zip(*(t.draw(u[:, 0], u) for t in (truth, expected)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not (directory / "smearing.hdf5").exists()
    # nor is a matrix of the 10-year release, whose declinations are three, silently left out
    irfs = shutil.copytree(imported / "dr2", tmp_path / "dr2") / "irfs"
    row = " 2.00 2.50 -90.00 -10.00 2.1 2.2 0.1 0.2 0.2 0.3 1.0"
    (irfs / "IC86_smearing.csv").write_text(f"# {COLUMNS}\n{row}\n")
    about = import_release(tmp_path / "dr2", tmp_path / "archive", "dr2")
    assert (about["smearing"], about["identity"]) == ("public IC86", archive.identity)
    assert about["smearing_reason"].startswith("IC86_smearing.csv has the three declination bins")
    assert "irfs/IC86_smearing.csv" not in about["inputs"]


def test_the_area_of_another_configuration_is_refused(release, tmp_path):
    with pytest.raises(LlamaError, match="area of IC40 is not that of the events, IC86_I, IC86_II"):
        import_release(release, tmp_path / "archive", "dr2", season="IC40")
    assert not (tmp_path / "archive").exists()


def test_times_in_whole_days_are_refused_for_coincidences(release):
    rows = [[*row[:3], row[3].partition(".")[0], *row[4:]] for row in event_rows("IC86_I")]
    (release / "events/IC86_I_exp.tab").write_text(table(EVENT, rows, "tab"))
    with pytest.raises(LlamaError, match=r"times in whole days, .* coincidences need seconds"):
        read_release(release, ["IC86_I"])


def test_the_first_years_files_are_recognized(tmp_path):
    rows = [[row[3].partition(".")[0], *row[4:8]] for row in event_rows("IC86_I")]
    header = "MJD log10(Ereco) AngErr RA Dec"
    (tmp_path / "IC86-2011-events.txt").write_text(table(header, rows))
    with pytest.raises(LlamaError, match="whole days, as the release of the first year"):
        read_release(tmp_path)


@pytest.mark.parametrize("place", ["IC86b.csv", "events/IC86b.txt"])
def test_events_around_one_source_are_recognized(tmp_path, place):
    rng = np.random.default_rng(1)
    rows = [
        [f"{56000 + k / 3:.5f}", f"{rng.uniform(75, 79):.3f}", f"{rng.uniform(4, 7):.3f}", "0.5"]
        for k in range(50)
    ]
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(table("MJD RA[deg] Dec[deg] Sigma[deg]", rows))
    with pytest.raises(
        LlamaError, match=r"within 2\.\d deg of RA 7\d\.\d, Dec 5\.\d: a release of"
    ):
        read_release(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "E_min[GeV] E_max[GeV] cos(zenith)_min cos(zenith)_max Aeff[m^2]",
        "Emin Emax cosZmin cosZmax A[m^2]",
    ],
)
def test_the_first_years_area_is_understood(release, tmp_path, header):
    rows = [
        [f"{10.0**e:g}", f"{10.0 ** (e + 1):g}", f"{c:g}", f"{c + 0.5:g}", f"{e + 10 * c:g}"]
        for e in (2, 3)
        for c in (-1.0, -0.5, 0.0, 0.5)
    ]
    rows = [[*row[:4], str(abs(float(row[4])))] for row in rows]
    path = tmp_path / "IC86_I_effectiveArea.txt"
    path.write_text(table(header, rows))
    area = read_area(path)
    assert area.season == "IC86_I"
    np.testing.assert_allclose(area.log10_energy, [2, 3, 4])
    np.testing.assert_allclose(np.sin(np.radians(area.dec_deg)), [-1, -0.5, 0, 0.5, 1], atol=1e-12)
    # cos zenith -1 is the north pole
    np.testing.assert_allclose(area.area_cm2[0], 1e4 * np.array([7, 2, 3, 8]))
    (release / "irfs" / "IC86_effectiveArea.tab").unlink()
    path.rename(release / "irfs" / path.name)
    assert read_release(release, ["IC86_I"]).area_season == "IC86_I"


def test_the_public_areas_agree_in_both_forms(shared_data):
    directory = shared_data / "detectors" / "icetracks_dr2"
    tab, csv = (read_area(directory / f"IC86_effectiveArea.{form}") for form in ("tab", "csv"))
    np.testing.assert_array_equal(tab.area_cm2, csv.area_cm2)
    assert tab.season == "IC86"
    assert tab.area_cm2.max() == pytest.approx(1.945e8, rel=1e-3)


def test_events_that_have_no_numbers_are_no_repeats(tmp_path):
    rows = [["-1", "-1", "-1", *row[3:]] for row in event_rows("IC40")]
    (tmp_path / "IC40_exp.csv").write_text(table(EVENT, rows))
    events, counts = read_events([tmp_path / "IC40_exp.csv"])
    assert len(events["gps"]) == 60
    assert "repeats" not in counts["events/IC40_exp.csv"]
