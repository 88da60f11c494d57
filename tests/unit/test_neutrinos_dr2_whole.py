"""IceTracks-DR2 at its real size: events, and the smearing matrix with them."""

import itertools
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dr2_samples import EVENT, SEASONS, contents, table, write_dr2
from smearing_samples import analytic_matrix, whole_text

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.response import LOG10_ENERGY, load_response, response_file
from llama.neutrinos.smearing import Smearing

UNDESCRIBED = runpy.run_path(str(Path(__file__).parents[1] / "bench/files_page.py"))["undescribed"]
ROWS = 14 * 30 * 20**3


@pytest.fixture
def release(tmp_path):
    return write_dr2(tmp_path / "dr2", seasons=("IC86_I",))


def _write(path, text):
    path.write_text(text)


@pytest.fixture(scope="module")
def whole_matrix(tmp_path_factory):
    """Path of a matrix with all 3,360,000 rows, written once."""
    path = tmp_path_factory.mktemp("matrix") / "IC86_smearing.csv"
    with path.open("w") as file:
        file.writelines(whole_text(analytic_matrix(events=50)))
    return path


def _matrix(directory, whole, change):
    path = directory / "irfs" / "IC86_smearing.csv"
    with whole.open("rb") as lines, path.open("wb") as file:
        file.writelines(change(lines))
        shutil.copyfileobj(lines, file, 1 << 20)


def _first(rows):
    """Cut a matrix after so many rows."""

    def change(lines):
        yield from itertools.islice(lines, 1 + rows)
        lines.seek(0, os.SEEK_END)

    return change


def test_the_matrix_goes_into_the_archive(release, whole_matrix, tmp_path):
    without = import_release(release, tmp_path / "archive", "dr2")
    assert without["smearing"] == "public IC86"
    directory = tmp_path / "archive" / "dr2"
    public = (directory / "detector.hdf5").read_bytes()
    (release / "irfs" / "IC86_smearing.csv").hardlink_to(whole_matrix)
    seen = []
    about = import_release(
        release, tmp_path / "archive", "dr2", progress=lambda *read: seen.append(read)
    )
    assert about["smearing"] == "own"
    assert about["smearing_reason"] == "IC86_smearing.csv"
    assert (directory / "detector.hdf5").read_bytes() != public
    assert about["identity"] != without["identity"]
    assert len(about["inputs"]["irfs/IC86_smearing.csv"]) == 64
    for name in ("archive.json", "events.hdf5", "detector.hdf5", "smearing.hdf5", "response.hdf5"):
        different = UNDESCRIBED(f"archive/<name>/{name}", directory / name)
        assert different == (set(), set()), name
    matrix = Smearing.load(directory / "smearing.hdf5")
    assert matrix.simulated.sum() == 14 * 30 * 50
    detector = load_response(directory / response_file(directory, "matrix"))
    assert (detector.energy_response, detector.psf) == ("smearing", "mixture")
    response = Archive.open(directory).response()
    np.testing.assert_array_equal(detector.background_per_dex, response.background_per_dex)
    seen_at = detector.signal_per_dex[:, detector.area_relative > 0]
    assert np.trapezoid(seen_at, LOG10_ENERGY, axis=0) == pytest.approx(1, abs=1e-9)
    assert seen[-1][0] == seen[-1][1] > 1e8


def _negative(lines):
    yield from itertools.islice(lines, 4)
    yield b"   ".join([*next(lines).split()[:-1], b"-0.5\n"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_first(ROWS - 112_000), "ends or has a gap after"),
        (_first(5 * 8000 + 17), "ends or has a gap after"),
        (_negative, "has -0.5 in column fractional_counts"),
    ],
    ids=["the last slice", "in a cell", "negative"],
)
def test_a_wrong_matrix_leaves_the_old_archive(release, whole_matrix, tmp_path, change, says):
    import_release(release, tmp_path / "archive", "dr2")
    before = contents(tmp_path / "archive")
    _matrix(release, whole_matrix, change)
    with pytest.raises(LlamaError, match=says) as error:
        import_release(release, tmp_path / "archive", "dr2")
    assert "\n" not in str(error.value)
    assert contents(tmp_path / "archive") == before


BIG = """
import re, sys, time  # rusage has the memory of the process that forked
from llama.neutrinos.importing import import_release
about = import_release(sys.argv[1], sys.argv[2], "big")
print(about["events"], time.process_time(),
      int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def test_the_size_of_the_whole_release(tmp_path):
    release = write_dr2(tmp_path / "dr2", seasons=("IC86_I",))
    rng = np.random.default_rng(1)
    n, seasons = 145_000, ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI"]
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    sky = np.stack([rng.uniform(0, 360, n), dec, rng.uniform(0, 360, n), 90 + dec], 1)
    day = np.sort(rng.uniform(0, 9, n))
    lines = [
        f'"   RUN  {i}  0  TENS{t:.8f}  {e:.2f}  0.48  {a:.3f}  {b:.3f}  {c:.3f}  {d:.3f}"\n'
        for i, (t, e, (a, b, c, d)) in enumerate(zip(day, rng.uniform(2, 6, n), sky, strict=True))
    ]
    text = "".join([f"# {EVENT}\n", *lines])
    for k, season in enumerate(seasons):
        name = f"IC86_{season}_exp.tab"
        tens = str(SEASONS["IC86_I"] // 10 + k)
        _write(
            release / "events" / name,
            text.replace("  RUN  ", f"  {120000 + k}  ").replace("  TENS", f"  {tens}"),
        )
        runs = [[str(SEASONS["IC86_I"] + 10 * k), str(SEASONS["IC86_I"] + 10 * k + 9)]]
        _write(release / "uptime" / name, table("MJD_start[days]  MJD_stop[days]", runs, "tab"))
    made = subprocess.run(
        [sys.executable, "-c", BIG, str(release), str(tmp_path / "archive")],
        capture_output=True,
        text=True,
        check=True,
    )
    events, seconds, mb = map(float, made.stdout.split())
    print(f"{events:.0f} events, {seconds:.1f} s of CPU, {mb:.0f} MB")
    assert events == n * len(seasons) == 1_595_000
    assert seconds < 20  # of the processor
    assert mb < 1024
