"""Neutrinos as other programs have them: the same numbers, or a sentence."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from astropy.time import Time
from event_samples import GPS

from llama import Neutrinos

ROWS = [
    {"dt": 30.0, "ra": 61.0, "dec": 24.0, "sigma": 0.8, "energy": 5e3},
    {"dt": -200.0, "ra": 58.5, "dec": 26.0, "sigma": 1.5, "energy": 800.0},
    {"dt": 499.0, "ra": 240.0, "dec": -60.0, "sigma": 0.3, "energy": 9e4},
]


def tables_of_the_same():
    """The neutrinos of `ROWS` as others have them."""
    gps = [GPS + row["dt"] for row in ROWS]
    plain = {key: [row[key] for row in ROWS] for key in ("ra", "dec", "sigma", "energy")}
    yield "dicts", [{"gps": t, **{k: v[i] for k, v in plain.items()}} for i, t in enumerate(gps)]
    yield (
        "quantities",
        [
            {"time": Time(t, format="gps"), "ra": plain["ra"][i] * u.deg, "dec": plain["dec"][i]}
            | {
                "sigma": plain["sigma"][i] * 60 * u.arcmin,
                "energy": plain["energy"][i] / 1e3 * u.TeV,
            }
            for i, t in enumerate(gps)
        ],
    )
    yield "frame", pd.DataFrame({"gps": gps} | plain)
    yield (
        "names",
        pd.DataFrame(
            {"gps": gps, "ra_deg": plain["ra"], "dec [rad]": np.radians(plain["dec"])}
            | {"sigma": plain["sigma"], "energy_tev": np.array(plain["energy"]) / 1e3}
        ),
    )
    table = Table({"gps": gps} | plain)
    yield "table", table
    units = Table(table, copy=True)
    units["ra"], units["energy"] = np.array(plain["ra"]) / 15, np.array(plain["energy"]) / 1e6
    for name, unit in (("gps", "s"), ("ra", "hourangle"), ("energy", "PeV")):
        units[name].unit = unit
    yield "units", units
    quantities = QTable(units)
    quantities["time"] = Time(gps, format="gps")
    del quantities["gps"]
    yield "qtable", quantities


def test_tables_of_others_are_the_same_neutrinos():
    for kind, table in tables_of_the_same():
        for row, wanted in zip(Neutrinos(table).rows, ROWS, strict=True):
            assert row["gps"] == pytest.approx(GPS + wanted["dt"], abs=1e-6), kind
            for key in ("ra", "dec", "sigma", "energy"):
                assert row[key] == pytest.approx(wanted[key], rel=1e-12), kind
            assert msgspec.json.encode(row)


def test_cells_without_a_value(tmp_path):
    given = {"gps": [GPS, GPS + 1], "ra": [1.0, 2.0], "dec": [3.0, 4.0], "sigma": [0.5, 0.6]}
    masked = Table(given | {"energy": [5.0, 6.0] * u.TeV}, masked=True)
    masked["energy"].mask = [True, False]
    frame = pd.DataFrame(given | {"energy": [np.nan, 6000.0]})
    for table in (masked, QTable(masked), frame):
        made = Neutrinos(table)
        assert [row["energy"] for row in made.rows] == [None, 6000.0]
        again = made.to_table()
        assert again["ra"].unit == u.deg
        assert Neutrinos(again).rows == made.rows
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ValueError, match=r"rows\.csv has no column mjd"):
        Neutrinos.read(tmp_path / "rows.csv")
    frame.assign(dt=[1, 2]).to_csv(tmp_path / "rows.csv", index=False)
    assert len(Neutrinos.read(tmp_path / "rows.csv", Time(GPS, format="gps"))) == 2
    assert len(Neutrinos([])) == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ra": 61.0 * u.m}, "row 1 has 'ra' in a unit that LLAMA cannot convert: 'm' is not a"),
        ({"energy": 3.0 * u.dex(u.GeV)}, "'energy' in a unit that LLAMA cannot convert: 'dex"),
        ({"ra": float("nan")}, "row 1: ra nan is not a finite number; give right ascension"),
        ({"energy": np.float32("nan")}, "row 1: energy nan is not a finite number"),
        ({"dec": None}, "row 1 has no dec; give declination"),
        ({"sigma": -1}, "row 1: sigma -1 is out of range; give the 1-sigma"),
        ({"dec": [1.0]}, r"row 1: dec is \[1.0\]; give numbers and texts"),
        ({"gps": None}, "row 1 has no mjd; give MJD"),
        ({"gps": 58577.3}, "the time 58577.3 is none; give GPS seconds"),
        ({"energy": None, "log10_energy": 3.0}, "has no energy but 'log10_energy'"),
        ({"map": "there.fits"}, "row 1 has a map as its direction"),
    ],
)
def test_wrong_neutrinos_are_refused_in_a_sentence(changed, sentence):
    row = {"gps": GPS, "ra": 61.0, "dec": 24.0, "sigma": 0.8, "energy": 5e3}
    given = {key: value for key, value in (row | changed).items() if value is not None}
    if changed.get("energy", 1) is None:
        given.pop("energy", None)
    with pytest.raises(ValueError, match=sentence) as raised:
        Neutrinos([given])
    assert type(raised.value) is ValueError
