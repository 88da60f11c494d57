"""Reading a smearing matrix: every form that is served, and what is none."""

import gzip
import os

import numpy as np
import pytest
from smearing_samples import COLUMNS, analytic_matrix, as_rows, as_text

from llama.errors import LlamaError
from llama.neutrinos import smearing
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.smearing_table import Grid, is_of_ten_years, read_smearing

GRID = Grid(energies=2, declinations=3)
ENERGIES, DECS = np.array([3.0, 3.5, 4.0]), np.array([-90.0, 0.0, 10.0, 90.0])


@pytest.fixture
def small():
    """A matrix of 2 x 3 cells; one was not simulated."""
    matrix = analytic_matrix(500, energies=ENERGIES, dec_deg=DECS)
    matrix.edges[0, 1] = 0
    matrix.events[0, 1] = 0
    return matrix


@pytest.mark.parametrize(
    ("name", "header", "quoted"),
    [
        ("a.csv", "#  " + COLUMNS, False),
        ("a.csv", COLUMNS, False),
        ("a.csv", f'"# {COLUMNS}"', True),
        ("a.tab", "\ufeff" + COLUMNS, True),
        ("a.csv.gz", "# " + COLUMNS, False),
    ],
)
def test_every_form_is_read_alike(small, tmp_path, name, header, quoted):
    text = as_text(as_rows(small), header, quoted).encode()
    (tmp_path / name).write_bytes(gzip.compress(text, 1) if name.endswith(".gz") else text)
    seen = []
    found = read_smearing(tmp_path / name, lambda done, whole: seen.append((done, whole)), GRID)
    np.testing.assert_array_equal(found.events, small.events)
    np.testing.assert_allclose(found.edges, small.edges, rtol=1e-8)
    np.testing.assert_allclose(found.dec_deg, DECS)
    assert found.simulated[0, 1] == 0
    size = (tmp_path / name).stat().st_size
    assert seen[-1] == (size, size)
    assert len(seen) > 1
    assert sorted(seen) == seen


def test_order_of_cells_and_columns_does_not_matter(small, tmp_path):
    rows = as_rows(small).reshape(6, 8000, 11)[[3, 0, 5, 1, 4, 2]].reshape(-1, 11)
    lines = as_text(rows).splitlines()[1:]
    moved = [" ".join(line.split()[-1:] + line.split()[:-1]) for line in lines]
    titles = COLUMNS.split()
    text = "\n".join([" ".join(titles[-1:] + titles[:-1]), *moved, ""])
    (tmp_path / "a.csv").write_text(text)
    np.testing.assert_array_equal(read_smearing(tmp_path / "a.csv", grid=GRID).events, small.events)


def _set(row, column, value):
    def change(rows):
        rows[row, column] = value
        return rows

    return change


def _all(column, function):
    def change(rows):
        rows[:, column] = function(rows[:, column])
        return rows

    return change


def _no_width(rows):
    some = np.nonzero(rows[:8000, 10])[0][0]
    same = rows[:8000, 5] == rows[some, 5]
    after = rows[:8000, 4] == rows[some, 5]
    rows[:8000][same, 5] = rows[some, 4]
    rows[:8000][after, 4] = rows[some, 4]
    return rows


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[:-1], r"ends or has a gap after 47,999 rows, .* 48,000; fetch it again"),
        (lambda rows: rows[:-8000], r"gap after 40,000 rows"),
        (lambda rows: np.concatenate([rows[:8000], rows]), r"another grid .*cells overlap"),
        (lambda rows: rows[np.r_[1:8000, 0, 8000:48000]], r"another grid .*not 20 x 20 x 20"),
        (lambda rows: rows[np.r_[4000:48000, 0:4000]], r"another grid .*8000 rows are one cell"),
        (
            _set(5, 10, -1e-4),
            r"has -0.0001 in column fractional_counts, not a fraction .*; replace",
        ),
        (_set(5, 10, np.nan), r"has nan in column fractional_counts"),
        (_set(5, 10, 0.3), r"fractions sum to 1.3"),
        (_all(4, lambda x: 10**x), r"in column log10\(e/gev\)_min, not log10 of GeV"),
        (_all(6, lambda x: np.log10(np.maximum(x, 1e-3))), r"in column psf_min, not degrees"),
        (_all(0, lambda x: 10**x), r"in column log10\(e_nu/gev\)_min, not log10"),
        (_no_width, r"events in a bin of no width"),
    ],
)
def test_bad_rows_are_explained(small, tmp_path, change, sentence):
    (tmp_path / "a.csv").write_text(as_text(change(as_rows(small))))
    with pytest.raises(LlamaError, match=sentence) as error:
        read_smearing(tmp_path / "a.csv", grid=GRID)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a b c\n1 2 3\n", r"has no column log10\(e_nu/gev\)_min, .*names its columns"),
        (COLUMNS.replace("PSF_min[deg]", "PSF_min[rad]").encode() + b"\n", r"psf_min\[rad\] where"),
        (COLUMNS.replace("/GeV)_min", "/GeV)_min[deg]").encode() + b"\n", r"\[deg\] where log10"),
        (COLUMNS.encode() + b"\n" + b"1 " * 11 + b"\nx y\n", r"cannot be read as a table"),
        (COLUMNS.encode() + b"\n", r"ends or has a gap after 0 rows|cannot be read as a table"),
        (b"\xff\xfe\x00", r"cannot be read to its end"),
        (None, r"cannot be read to its end"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, content, sentence):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LlamaError, match=sentence):
        read_smearing(path)


def test_a_download_cut_in_the_middle_is_refused(small, tmp_path):
    whole = gzip.compress(as_text(as_rows(small)).encode(), 1)
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LlamaError, match=r"cannot be read to its end .*it may be cut"):
        read_smearing(tmp_path / "a.csv.gz", grid=GRID)


def test_a_matrix_of_the_ten_year_release_is_told_by_its_declinations(small, tmp_path):
    for number, dec in enumerate(([-90, -10, 10, 90], [-90, 0, 10, 90])):
        matrix = analytic_matrix(20, energies=ENERGIES, dec_deg=np.array(dec, float))
        path = tmp_path / f"{number}.csv"
        path.write_text(as_text(as_rows(matrix)))
        assert is_of_ten_years(path) == (number == 0)
    with pytest.raises(LlamaError, match=r"another grid than 1 energies x 3 .*take it out of irf"):
        read_smearing(path, grid=Grid(energies=1, declinations=3))
    path.write_text(COLUMNS + "\n")
    assert not is_of_ten_years(path)  # and the reader says what is wrong


def test_the_matrix_is_kept_whole(tmp_path):
    matrix = analytic_matrix(100)
    matrix.save(tmp_path / "m.h5")
    again = Smearing.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.events, matrix.events)
    np.testing.assert_allclose(again.edges, matrix.edges, rtol=1e-7)
    assert again.source == matrix.source
    (tmp_path / "m.h5").write_bytes(b"no")
    with pytest.raises(LlamaError, match=r"missing or not a smearing matrix; import"):
        Smearing.load(tmp_path / "m.h5")


def test_the_public_matrix_ships_with_its_source():
    public = Smearing.load()
    assert int(public.events.sum()) == 12_097_409  # the release's readme
    assert public.events.shape == (14, 30, 20, 20, 20)
    assert "10.7910/DVN/MMIIZA" in public.source
    assert "CC0" in public.source
    assert os.path.getsize(smearing.PUBLIC_IC86) < 2**20
