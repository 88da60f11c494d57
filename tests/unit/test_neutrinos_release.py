"""Reading release directories: what is kept, what is rejected, what is refused."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import merge_intervals, read_area, read_events, read_release
from llama.times import mjd_to_gps

HEADER = "#     MJD[days]  log10(E/GeV)   AngErr[deg]  RA[deg]  Dec[deg]  Azimuth[deg]  Zenith[deg]"
GOOD = "   54562.37911273          3.31          0.48       203.024        16.760  218.374  106.712"


@pytest.fixture(scope="module")
def mock_release(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    write_mock_release(directory, seed=3, n_events=500, mjd_stop=58580.0)
    return directory


@pytest.fixture
def copy(mock_release, tmp_path):
    return shutil.copytree(mock_release, tmp_path / "copy")


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_mock_release_reads_back(mock_release):
    release = read_release(mock_release)
    events = release.events
    assert len(events["gps"]) == 500
    assert np.all(np.diff(events["gps"]) >= 0)
    np.testing.assert_array_equal(events["gps"], mjd_to_gps(events["mjd"]))
    assert events["sigma_deg"].min() >= 0.2
    assert set(events["run"]) == set(events["event"]) == set(events["subevent"]) == {-1}
    start, stop = release.uptime_gps.T
    run = np.searchsorted(start, events["gps"], "right") - 1
    assert np.all((run >= 0) & (events["gps"] <= stop[run] + 0.01))
    assert [(a.season, a.area_cm2.shape) for a in release.areas] == [("MOCK", (40, 50))]
    assert release.areas[0].area_cm2.min() >= 0


def test_bad_rows_are_rejected_and_counted(tmp_path):
    one = write(
        tmp_path / "A_exp.csv",
        HEADER,
        GOOD,
        GOOD.replace("54562", "54561"),
        GOOD,
        GOOD.replace("3.31", " nan"),
        GOOD.replace("3.31", " inf"),
        GOOD.replace("3.31", " abc"),
        GOOD.replace("16.760", "96.760"),
        GOOD.replace("0.48", "0.00"),
        GOOD.replace("54562.37911273", "1240215503.0  "),
        GOOD.replace("54562", "54563").replace("0.48", "0.10"),
        GOOD[: GOOD.index("218")],
    )
    two = write(tmp_path / "B_exp.csv", HEADER, GOOD, GOOD.replace("54562", "54560"))
    events, counts = read_events([one, two])
    assert counts == {
        "events/A_exp.csv": {
            "rows": 11,
            "not_finite": 4,
            "out_of_range": 3,
            "duplicates": 1,
            "kept": 3,
        },
        "events/B_exp.csv": {
            "rows": 2,
            "not_finite": 0,
            "out_of_range": 0,
            "duplicates": 1,
            "kept": 1,
        },
    }
    np.testing.assert_allclose(events["mjd"] // 1, [54560, 54561, 54562, 54563])
    np.testing.assert_allclose(events["sigma_deg"], [0.48, 0.48, 0.48, 0.1])
    np.testing.assert_allclose(events["energy_gev"], 10**3.31)


def test_columns_are_found_by_name_and_dr2_numbers_are_kept(tmp_path):
    path = write(
        tmp_path / "IC86_IX_exp.csv",
        "run event subevent MJD[days] log10(E/GeV) AngErr[deg] RA[deg] Dec[deg] Zenith[deg] "
        "Azimuth[deg] extra",
        "124551 214972 0 56757.39954178 2.69 1.23 151.087 46.800 136.734 281.057 word",
        "124551 214972 1 56757.39954178 2.69 1.23 151.087 46.800 136.734 281.057 word",
    )
    events, counts = read_events([path])
    assert counts["events/IC86_IX_exp.csv"]["duplicates"] == 0
    assert events["run"].tolist() == [124551] * 2
    assert events["event"].dtype == np.int64
    assert events["subevent"].tolist() == [0, 1]
    assert events["zenith_deg"].tolist() == [136.734] * 2
    assert events["azimuth_deg"].tolist() == [281.057] * 2


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda d: shutil.rmtree(d / "irfs"), r"irfs has no file \*_effectiveArea.csv"),
        (lambda d: shutil.rmtree(d / "uptime"), r"uptime has no file"),
        (lambda d: shutil.rmtree(d), r"events has no file"),
        (
            lambda d: (d / "uptime/MOCK_exp.csv").rename(d / "uptime/OTHER_exp.csv"),
            r"uptime has no MOCK_exp.csv",
        ),
        (
            lambda d: write(d / "events/MOCK_exp.csv", HEADER.replace("AngErr[deg]", "x"), GOOD),
            "no column angerr",
        ),
        (lambda d: write(d / "events/MOCK_exp.csv", "<html>", "<body>"), "no column mjd"),
        (lambda d: write(d / "events/MOCK_exp.csv", HEADER), "has no rows|cannot be read"),
        (lambda d: (d / "events/MOCK_exp.csv").write_bytes(b"\x89PNG\xff\xfe\n\0"), "cannot be r"),
        (lambda d: write(d / "events/MOCK_exp.csv", HEADER, GOOD, GOOD + " 1 2"), "cannot be read"),
        (lambda d: write(d / "events/MOCK_exp.csv", HEADER, GOOD + " 1 2", GOOD), "cannot be read"),
        (
            lambda d: write(d / "events/MOCK_exp.csv", HEADER, GOOD.replace("16.7", "96.7")),
            "no usable event",
        ),
        (
            lambda d: write(d / "uptime/MOCK_exp.csv", "# MJD_start[days] MJD_stop[days]", "5 4"),
            "no usable run",
        ),
    ],
)
def test_broken_releases_are_refused_in_one_sentence(copy, break_it, sentence):
    break_it(copy)
    with pytest.raises(LlamaError, match=sentence) as error:
        read_release(copy)
    assert "\n" not in str(error.value)
    assert "; " in str(error.value)


def test_uptime_of_a_season_without_events_does_not_count(copy):
    write(copy / "uptime/LATER_exp.csv", "# MJD_start[days] MJD_stop[days]", "59000 59100")
    assert read_release(copy).uptime_gps.max() < mjd_to_gps(58600)


AREA = "# log10(E_nu/GeV)_min log10(E_nu/GeV)_max Dec_nu_min[deg] Dec_nu_max[deg] A_Eff[cm^2]"
BINS = ["2 3 -90 0 1", "3 4 -90 0 2", "2 3 0 90 3", "3 4 0 90 4"]


def test_area_bins_may_come_in_any_order(tmp_path):
    area = read_area(write(tmp_path / "X_effectiveArea.csv", AREA, *reversed(BINS)))
    assert area.season == "X"
    assert area.log10_energy.tolist() == [2, 3, 4]
    assert area.dec_deg.tolist() == [-90, 0, 90]
    assert area.area_cm2.tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    "bins",
    [
        BINS[:3],
        [*BINS, BINS[0]],
        [*BINS[:3], "3 4 0 90 -4"],
        [*BINS[:3], "3 4 0 90 nan"],
        [*BINS[:3], "3 4 0 80 4"],
        [*BINS[:3], "3 4 0 91 4"],
        ["2 2 0 0 1"],
        ["4 2 -90 90 1"],
        [bin_[:-1] + "0" for bin_ in BINS],
    ],
)
def test_area_tables_with_holes_are_refused(tmp_path, bins):
    with pytest.raises(LlamaError, match="not a full grid"):
        read_area(write(tmp_path / "X_effectiveArea.csv", AREA, *bins))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("cm^2", 1),
        ("cm2", 1),
        ("m^2", 1e4),
        ("m2", 1e4),
        ("m**2", 1e4),
        ("km^2", 1e10),
        ("M^2", 1e4),
    ],
)
def test_areas_and_angles_may_have_another_unit(tmp_path, unit, factor):
    header = AREA.replace("cm^2", unit).replace("[deg]", " [rad]", 1).replace("A_Eff[", "A_eff [")
    bins = [bin_.replace(" -90 0 ", f" {-np.pi / 2!r} 0 ") for bin_ in BINS]
    bins = [bin_.replace(" 0 90 ", " 0.0 90 ") for bin_ in bins]
    area = read_area(write(tmp_path / "X_effectiveArea.csv", header, *bins))
    np.testing.assert_allclose(area.dec_deg, [-90, 0, 90], rtol=1e-15)
    np.testing.assert_allclose(area.area_cm2, np.multiply([[1, 3], [2, 4]], factor), rtol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[cm^2]", "[m]", "unit LLAMA cannot convert: 'm' is not a unit like cm2"),
        ("[cm^2]", "[m^2 sr]", "cannot convert"),
        ("[cm^2]", "", "areas without a unit; write it into its title"),
        ("[deg]", "[sin]", "'sin' is not a unit like deg"),
    ],
)
def test_units_that_are_not_understood_are_refused(tmp_path, old, new, says):
    path = write(tmp_path / "X_effectiveArea.csv", AREA.replace(old, new), *BINS)
    with pytest.raises(LlamaError, match=says):
        read_area(path)


def test_events_in_radians_and_seconds_are_converted(tmp_path):
    values = dict(zip(HEADER.split()[1:], map(float, GOOD.split()), strict=True))
    given = {title.replace("[deg]", "[rad]"): value for title, value in values.items()}
    given = {k: np.radians(v) if "rad" in k else v for k, v in given.items()}
    path = write(
        tmp_path / "A_exp.csv",
        "# " + " ".join(given),
        " ".join(map(repr, map(float, given.values()))),
    )
    events, _ = read_events([path])
    plain, _ = read_events([write(tmp_path / "B_exp.csv", HEADER, GOOD)])
    for name, column in plain.items():
        np.testing.assert_allclose(events[name], column, rtol=1e-12, err_msg=name)


def test_what_file_managers_leave_is_not_read(copy):
    before = read_release(copy)
    for path in list(copy.rglob("*_*.csv")):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (copy / "events" / ".DS_Store").write_bytes(b"\0")
    (copy / "__MACOSX" / "events").mkdir(parents=True)
    (copy / "__MACOSX" / "events" / "._MOCK_exp.csv").write_bytes(b"\0")
    after = read_release(copy)
    assert (after.files, after.counts) == (before.files, before.counts)


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("E_min E_max cosZ_min cosZ_max", "1 2 3 4", r"no column .*a_eff.*cm\^2 by declination"),
        ("E_min E_max cosZ_min cosZ_max A", "1 2 -1 1 3", "areas without a unit"),
        ("E_min E_max cosZ_min cosZ_max A[m^2]", "1 2 3", "not a full grid"),
        ("E_min E_max cosZ_min cosZ_max A[m^2]", "1 2 -3 1 5", "not a full grid"),
    ],
)
def test_areas_by_cos_zenith_that_are_not_whole_are_refused(tmp_path, header, row, says):
    path = write(tmp_path / "X_effectiveArea.csv", f"# {header}", row)
    with pytest.raises(LlamaError, match=says):
        read_area(path)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(1, 30)).map(lambda t: (t[0], t[0] + t[1])),
        min_size=1,
        max_size=20,
    )
)
def test_merged_intervals_are_disjoint_and_cover_the_same_seconds(intervals):
    merged = merge_intervals(np.array(intervals, dtype=float))
    assert np.all(merged[1:, 0] > merged[:-1, 1])
    seconds = {s for start, stop in intervals for s in range(start, stop)}
    assert {s for start, stop in merged.astype(int) for s in range(start, stop)} == seconds


def test_ten_year_release(shared_data):
    release = read_release(shared_data / "icecube" / "icecube_10year_ps")
    assert len(release.events["gps"]) == 36900
    assert [area.season for area in release.areas] == ["IC40", "IC59", "IC79", "IC86_I", "IC86_II"]
    livetime_days = np.diff(release.uptime_gps, axis=1).sum() / 86400
    assert livetime_days == pytest.approx(376.4, abs=0.1)  # published: 376.4 d for IC40
