"""Lists whose titles, comments and units are other people's."""

import io
import json
import math

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from llama.errors import LlamaError
from llama.neutrinos.given import read_given

ROW = {"mjd": 61007.41678, "ra": 120.5, "dec": -19.0, "sigma": 0.5, "energy": 5000.0}
NAMES = list(ROW)
VALUES = list(ROW.values())


def read(text, name="nu.csv"):
    return read_given(text.encode(), name)


def lines(*rows, values=VALUES, delimiter=","):
    return "\n".join([*rows, delimiter.join(map(repr, values))]) + "\n"


def check(found, **change):
    (row,) = found
    for key, value in (ROW | change).items():
        assert row[key] == pytest.approx(value, rel=1e-12), key


@pytest.mark.parametrize("delimiter", [",", " ", "\t", ";", ", ", "   "])
@pytest.mark.parametrize("comment", ["# ", "#", "## ", "# Columns: ", ""])
@pytest.mark.parametrize("titled", [None, " ", ", "])
def test_titles_may_be_a_comment_and_cells_split_in_any_way(delimiter, comment, titled):
    titles = (titled or delimiter).join(NAMES)
    check(read(lines(f"{comment}{titles}", delimiter=delimiter)))
    check(
        read(lines("# from the pole", "", f"{comment}{titles}", "# as sent", delimiter=delimiter))
    )


@pytest.mark.parametrize("delimiter", [",", " ", "\t"])
@pytest.mark.parametrize("titles", [",".join(NAMES), " ".join(NAMES), ", ".join(NAMES).upper()])
def test_what_numpy_saves_is_read(delimiter, titles):
    stream = io.StringIO()
    np.savetxt(stream, [VALUES, [*VALUES[:1], 9.0, *VALUES[2:]]], "%.9f", delimiter, header=titles)
    assert [row["ra"] for row in read(stream.getvalue())] == [120.5, 9.0]
    empty = io.StringIO()
    np.savetxt(empty, np.empty((0, 5)), header=titles)
    assert read(empty.getvalue()) == []


@pytest.mark.parametrize("comment", ["", "# "])
@pytest.mark.parametrize(
    ("title", "key", "factor"),
    [
        ("ra [deg]", "ra", 1), ("RA(deg)", "ra", 1), ("ra_deg", "ra", 1), ("ra [rad]", "ra", None),
        ("ra_rad", "ra", None), ("RA (radians)", "ra", None), ("ra/rad", "ra", None),
        ("ra [hourangle]", "ra", 1 / 15), ("ra_icrs", "ra", 1), ("dec[degrees]", "dec", 1),
        ("Dec [rad]", "dec", None), ("dec_rad", "dec", None), ("sigma [arcmin]", "sigma", 60),
        ("sigma (°)", "sigma", 1), ("sigma_rad", "sigma", None), ("energy [TeV]", "energy", 1e-3),
        ("energy_TeV", "energy", 1e-3), ("energy (GeV)", "energy", 1),
        ("ENERGY/PeV", "energy", 1e-6),
        ("energy [MeV]", "energy", 1e3), ("mjd [days]", "mjd", 1), ("mjd_utc", "mjd", 1),
        ("MJD [UTC]", "mjd", 1), ("mjd [d]", "mjd", 1),
    ],
)  # fmt: skip
def test_units_in_titles_are_converted(comment, title, key, factor):
    k = NAMES.index(key)
    factor = math.radians(1) if factor is None else factor
    values = [*VALUES[:k], VALUES[k] * factor, *VALUES[k + 1 :]]
    titles = [*NAMES[:k], title, *NAMES[k + 1 :]]
    check(read(lines(comment + ",".join(titles), values=values)))
    row = dict(zip(titles, values, strict=True))
    check(read(json.dumps([row]), "nu.json"))


@pytest.mark.parametrize(
    "title", ["ra [h]", "ra [m]", "ra [foo]", "energy [log10(GeV)]", "energy (J m)", "mjd [TT]"]
)
def test_units_that_cannot_be_converted_are_refused(title):
    key = title.split()[0]
    titles = [title if name == key else name for name in NAMES]
    with pytest.raises(LlamaError, match=r"in a unit that LLAMA cannot convert: .*; convert it"):
        read(lines(",".join(titles)))
    with pytest.raises(LlamaError, match=r"cannot convert"):
        read(json.dumps([dict(zip(titles, VALUES, strict=True))]), "nu.json")


def test_other_columns_that_look_alike_stay_as_they_are():
    extra = ["ra_rad", "dec [rad]", "sigma_sys", "energy_proxy", "event_id", "snr [dB]"]
    (row,) = read(lines(",".join([*NAMES, *extra]), values=[*VALUES, 1, 2, 3, 4, 5, 6]))
    assert row == ROW | dict(zip([t.lower() for t in extra], "123456", strict=True))
    (row,) = read(json.dumps([ROW | dict.fromkeys(extra, 1) | {"RA": 7}]), "nu.json")
    assert row == ROW | dict.fromkeys(extra, 1) | {"RA": 7}


@pytest.mark.parametrize(
    "comment",
    [
        "# unit: d, rad, rad, rad, TeV", "# units = d;rad;rad;rad;TeV", "#Units: d rad rad rad TeV",
        "# unit: ra=rad, dec=rad, sigma=rad, energy=TeV",
        "# units: ra:rad dec:rad sigma:rad energy:TeV",
    ],
)  # fmt: skip
def test_units_in_a_comment_are_converted(comment):
    values = [VALUES[0], *np.radians(VALUES[1:4]).tolist(), VALUES[4] / 1e3]
    check(read(lines(comment, ",".join(NAMES), values=values)))
    check(read(lines("# " + ",".join(NAMES), comment, values=values)))


@pytest.mark.parametrize(
    "comment",
    ["# unit: rad", "# units: rad, GeV", "# angles in radians", "# energy is in log10(E/GeV)",
     "# unit of energy: TeV", "# sigma in arcmin"],
)  # fmt: skip
def test_a_comment_on_units_that_is_not_understood_is_refused(comment):
    with pytest.raises(LlamaError, match=r"units? .*as in ra \[rad\]"):
        read(lines(comment, ",".join(NAMES)))


def test_units_beside_the_rows_of_json_are_converted():
    row = ROW | {"ra": np.radians(120.5), "energy": 5.0}
    content = {"units": {"ra": "rad", "energy": "TeV", "dec": "deg"}, "events": [row]}
    check(read(json.dumps(content), "nu.json"))
    for wrong in ({"ra": "foo"}, "rad", ["rad"]):
        with pytest.raises(LlamaError, match="unit"):
            read(json.dumps(content | {"units": wrong}), "nu.json")


@pytest.mark.parametrize("delimiter", [" ", ","])
def test_what_astropy_writes_is_read(delimiter):
    table = Table({key: [value] for key, value in ROW.items()})
    for key, unit in {"ra": "rad", "dec": "deg", "sigma": "arcmin", "energy": "TeV"}.items():
        table[key].unit = "GeV" if key == "energy" else "deg"
        table[key] = table[key].to(units.Unit(unit))
    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv", delimiter=delimiter)
    assert "unit: rad" in stream.getvalue()
    check(read(stream.getvalue(), "nu.ecsv"))
    broken = stream.getvalue().replace("unit: rad", "unit: [rad")
    with pytest.raises(LlamaError, match="ECSV header that cannot be read"):
        read(broken, "nu.ecsv")
    with pytest.raises(LlamaError, match="cannot convert"):
        read(stream.getvalue().replace("unit: rad", "unit: Jy"), "nu.ecsv")


@pytest.mark.parametrize("title", ["_" * 300_000, " " * 99_999 + "x", "ra [" * 50_000])
def test_endless_titles_are_quickly_done_with(title):
    (row,) = read(json.dumps([ROW | {title: 1}]), "nu.json")
    assert row[title] == 1
    with pytest.raises(LlamaError):
        read(title + "\n1\n")
