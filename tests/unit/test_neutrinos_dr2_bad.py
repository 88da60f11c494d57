"""Directories that are not a whole release: one sentence, and the archive of before stays."""

import shutil

import pytest
from dr2_samples import AREA, EVENT, area_rows, contents, event_rows, table, write_dr2
from smearing_samples import COLUMNS

from llama.errors import LlamaError
from llama.neutrinos.importing import import_release


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A release and its archive."""
    directory = tmp_path_factory.mktemp("imported")
    import_release(write_dr2(directory / "dr2"), directory / "archive", "dr2")
    return directory


def _first(path, text):
    path.write_text(text)


def _degrees(directory):
    path = directory / "events" / "IC86_II_exp.tab"
    header = EVENT.replace("log10(E/GeV)", "X").replace("RA[deg]", "log10(E/GeV)")
    path.write_text(table(header.replace("X", "RA[deg]"), event_rows("IC86_II"), "tab"))


def _energies(directory):
    rows = [[f"{10 ** float(x):.1f}" for x in row[:2]] + row[2:] for row in area_rows()]
    (directory / "irfs" / "IC86_effectiveArea.tab").write_text(table(AREA, rows, "tab"))


def _second_release(directory):
    text = table(AREA, area_rows(), "tab")
    (directory / "irfs" / "IC86_II_effectiveArea.tab").write_text(text)


def _unnumbered(directory):
    rows = [row[3:] for row in event_rows("IC86_II")]
    header = EVENT.removeprefix("run event subevent ")
    (directory / "events" / "IC86_II_exp.tab").write_text(table(header, rows, "tab"))


def _cut(directory):
    path = directory / "events" / "IC86_II_exp.tab"
    path.write_bytes(path.read_bytes()[:-40])


def _cut_csv(directory):
    for path in directory.rglob("*.tab"):
        path.rename(path.with_suffix(".csv"))
    path = directory / "events" / "IC86_II_exp.csv"
    path.write_text(path.read_text().replace('"', "")[:-40])


def _some_events(directory):
    path = directory / "events" / "IC79_exp.tab"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))


def _some_uptime(directory):
    path = directory / "uptime" / "IC86_II_exp.tab"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))


def _small_matrix(columns=None):
    """Return what writes a matrix of IC86 with one row, of the 10-year release's form."""

    def spoil(directory):
        header = columns or COLUMNS
        row = " 2.00 2.50 -90.00 -68.96 2.1 2.2 0.1 0.2 0.2 0.3 1.0"
        (directory / "irfs" / "IC86_smearing.csv").write_text(f"# {header}\n{row}\n")

    return spoil


def _older_area(directory):
    (directory / "irfs" / "IC40_effectiveArea.tab").write_text("nothing\n")


def _other_area(directory):
    (directory / "irfs" / "IC86_effectiveArea.tab").unlink()


def _both_forms(directory):
    path = directory / "events" / "IC86_II_exp.tab"
    path.with_suffix(".csv").write_bytes(path.read_bytes())


BAD = {
    "degrees for log10": (_degrees, r"log10_energy, which cannot be log10\(E/GeV\)"),
    "degrees in the title": (
        lambda d: _first(
            d / "events/IC86_II_exp.tab",
            table(EVENT.replace("E/GeV)", "E/GeV)[deg]"), event_rows("IC86_II"), "tab"),
        ),
        r"has \[deg\] where log10",
    ),
    "energies for log10": (_energies, "log10_energy_max, which cannot be log10|log10_energy_min"),
    "areas of two releases": (_second_release, "two releases: areas of IC86 and of IC86_II"),
    "events of two releases": (_unnumbered, "two releases: events of IC40 have run numbers"),
    "cut, without quotation marks": (_cut_csv, "ends within a row; fetch it again"),
    "events cut between rows": (
        _some_events,
        r"the events of IC79 end at 2010-\S+ and its uptime at 2010-\S+, so one .* is cut; fetch",
    ),
    "uptime cut between rows": (_some_uptime, "the events of IC86_II end at .* is cut; fetch"),
    "a matrix that is cut": (_small_matrix(), "ends or has a gap after 1 rows"),
    "no matrix": (_small_matrix("a b c"), "has no column log10"),
    "a matrix in other units": (
        _small_matrix(COLUMNS.replace("AngErr_max[deg]", "AngErr_max[rad]")),
        "where degrees are expected",
    ),
    "an older season": (_older_area, "IC40_effectiveArea.tab has no column"),
    "both forms": (_both_forms, "IC86_II_exp.csv and IC86_II_exp.tab, one season twice"),
    "cut": (_cut, "ends within a row; fetch it again"),
    "half a download": (
        lambda d: _first(d / "irfs/IC86_smearing.csv.part", "x"),
        "half a download, irfs/IC86_smearing.csv.part is not finished",
    ),
    "areas of another season": (_other_area, "areas of IC40, IC79, none of them for the events"),
}


@pytest.mark.parametrize(("spoil", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_the_old_archive_stays(imported, tmp_path, spoil, says):
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path / "archive")
    spoil(tmp_path / "dr2")
    with pytest.raises(LlamaError, match=says) as error:
        import_release(tmp_path / "dr2", tmp_path / "archive", "dr2")
    assert "\n" not in str(error.value)
    assert "; " in str(error.value)
    assert contents(tmp_path / "archive") == before
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["dr2"]
