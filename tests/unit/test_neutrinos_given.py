"""Neutrino lists given by people: what is read, what is refused and how it is said."""

import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.files import dump_json
from llama.neutrinos.given import read_given
from llama.times import gps_to_mjd, iso_to_gps

GPS = iso_to_gps("2019-04-25T08:18:05.017")
MJD = float(gps_to_mjd(GPS))
ROW = {"mjd": MJD, "ra": 10.0, "dec": 20.0, "sigma": 0.5, "energy": 1000.0}
HEADER = "mjd,ra,dec,sigma,energy"


def read(value, name="nu.json"):
    return read_given(json.dumps(value).encode(), name)


def test_all_forms_give_the_same():
    csv = f"# from the pole\n\n mjd, RA,dec,sigma,energy,type\n{MJD!r},10,20.0,.5,1e3,\n".encode()
    assert read([ROW]) == read({"events": [ROW], "author": "x"}) == read_given(csv, "nu.csv")
    assert read([ROW]) == [ROW]
    assert read_given(b"\xef\xbb\xbf" + csv.replace(b"\n", b"\r\n"), "nu.csv") == [ROW]


@pytest.mark.parametrize("content", [b"[]", b'{"events": []}', b"mjd,ra,dec,sigma,energy\n"])
def test_an_empty_list_is_valid(content):
    assert read_given(content, "nu") == []


def test_small_sigma_is_listed_as_published():
    assert read([ROW | {"sigma": 0.05}]) == [ROW | {"sigma": 0.05}]


def test_other_columns_are_kept():
    extra = {"run": "137892", "event": 58644007.0, "subevent": None, "colour": ["red", 1]}
    (neutrino,) = read([ROW | extra])
    assert neutrino == ROW | {"run": 137892, "event": 58644007, "colour": ["red", 1]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mjd": 1240215503}, r"mjd 1240215503 looks like GPS seconds; give MJD \(UTC\), e\.g\. "),
        ({"mjd": 2458598.8}, r"mjd 2458598\.8 is out of range; give MJD"),
        ({"mjd": math.nan}, r"mjd nan is not a finite number"),
        ({"mjd": None}, r"has no mjd; give MJD"),
        ({"ra": -10}, r"ra -10 is out of range"),
        ({"ra": 360.1}, r"ra 360\.1 is out of range"),
        ({"dec": 95}, r"dec 95 is out of range; give declination in degrees"),
        ({"sigma": 0}, r"sigma 0 is out of range"),
        ({"sigma": -1}, r"sigma -1 is out of range"),
        ({"sigma": math.inf}, r"sigma inf is not a finite number"),
        ({"energy": "abc"}, r"energy 'abc' is not a finite number; give the energy in GeV"),
        ({"energy": True}, r"energy True is not"),
        ({"energy": [1]}, r"energy \[1\] is not"),
        ({"energy": 0}, r"energy 0 is out of range"),
        ({"energy": 10**400}, r"energy 1000.*\.\.\. is not a finite number"),
        ({"zenith": 190}, r"zenith 190 is out of range"),
        ({"type": "guess"}, r"type 'guess' is none of observation, blinded"),
        ({"run": "x"}, r"run 'x' is not a whole number"),
        ({"event": 1.5}, r"event 1\.5 is not a whole number"),
        ({"gps": GPS - 18}, r"gps and mjd are more than 1 s apart"),
        ({"note": math.nan}, r"has a value that is no valid JSON"),
        ({"note": "\ud800"}, r"has a value that is no valid JSON"),
    ],
)
def test_wrong_values_name_the_row(change, sentence):
    with pytest.raises(LlamaError, match=rf"nu\.json, row 2:? {sentence}") as error:
        read([ROW, ROW | change])
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a CSV table"),
        (b"# only a comment", "not a CSV table"),
        (b"<html><body>", "no column mjd, ra, dec, sigma;"),
        (b"mjd,ra,dec,energy\n1,2,3,4", "no column sigma"),
        (b"mjd,ra,dec,sigma,energy,ra\n", "two columns of the same name"),
        (b"mjd,ra,dec,sigma,energy\n58598,1,2,3\n", "row 1 has 4 values for 5 columns"),
        (b"mjd,ra,dec,sigma,energy\n58598,1,2,,4\n", "row 1 has no sigma"),
        (b"dt,ra,dec,sigma,energy\n,1,2,3,4\n", "row 1 has no mjd"),
        (b"dt,ra,dec,r90\n7,1,2,-3\n", "row 1: r90 -3 is out of range"),
        (b"dt,ra,dec,r90\n1e9,1,2,3\n", "row 1: dt 1000000000 is out of range"),
        (b"dt,ra,dec,sigma\n7,1,2,3\n", "row 1 has dt, but this list is of no single event"),
        (b"\x89HDF\r\n", "is not UTF-8 text"),
        (b"[{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"neutrinos": []}', "without a list 'events'"),
        (b'{"events": {}}', "without a list 'events'"),
        (b"[1]", "row 1 is 1, not an object"),
        (b" " * 20_000_001, "larger than 20 MB"),
    ],
)
def test_wrong_files_are_refused(content, sentence):
    with pytest.raises(LlamaError, match=sentence) as error:
        read_given(content, "nu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"mjd,ra,dec,sigma\n58598.3,10,20,0.5\n", b"mjd,ra,dec,sigma,energy\n58598.3,10,20,0.5,\n"],
)
def test_an_energy_may_be_unknown(content):
    (neutrino,) = read_given(content, "nu")
    assert neutrino == {"mjd": 58598.3, "ra": 10.0, "dec": 20.0, "sigma": 0.5, "energy": None}
    assert read([neutrino]) == [neutrino]


def test_columns_of_a_circular_are_understood():
    """Time relative to the event, and the radius that holds 90 % (or 50 %) of a 2D Gaussian."""
    content = b"dt,ra,dec,r90\n-37,216.29,-15.35,0.8\n"
    (neutrino,) = read_given(content, "nu", GPS)
    assert neutrino["gps"] == GPS - 37.0
    assert neutrino["mjd"] == pytest.approx(MJD - 37 / 86400, abs=1e-11)
    assert neutrino["sigma"] == pytest.approx(0.8 / math.sqrt(-2 * math.log(0.1)), rel=1e-12)
    (neutrino,) = read_given(content.replace(b"r90", b"r50"), "nu", GPS)
    assert neutrino["sigma"] == pytest.approx(0.8 / math.sqrt(-2 * math.log(0.5)), rel=1e-12)
    both = {"mjd": MJD, "ra": 1.0, "dec": 2.0, "r50": 9.0, "r90": 0.8, "dt": 1.0}
    assert read([both])[0]["sigma"] == pytest.approx(0.8 / 2.1459660)
    assert read([both | {"sigma": 0.6}])[0]["sigma"] == 0.6
    assert read([both])[0]["mjd"] == MJD


def test_a_neutrino_given_twice_is_refused():
    with pytest.raises(LlamaError, match="row 3 repeats row 1"):
        read([ROW, ROW | {"ra": 11.0}, ROW])


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: (HEADER + "\n" + t).encode()))
def test_any_bytes_give_a_list_or_a_sentence(content):
    with contextlib.suppress(LlamaError):
        dump_json(read_given(content, "nu"))


@pytest.mark.parametrize(
    "title", ["log10(energy)", "log10(E/GeV)", "logE", "log10_energy", "E", "E_GeV", "nu_energy"]
)
def test_an_energy_of_another_name_is_not_taken_as_unknown(title):
    table = f"mjd,ra,dec,sigma,{title}\n61007.4,120.5,-19.0,0.5,3.7\n".encode()
    listed = json.dumps([{"mjd": 61007.4, "ra": 1, "dec": 2, "sigma": 0.5, title: 3.7}]).encode()
    for content in (table, listed):
        with pytest.raises(LlamaError, match="call it energy and give it in GeV"):
            read_given(content, "list")
    both = f"mjd,ra,dec,sigma,energy,{title}\n61007.4,120.5,-19.0,0.5,5,3.7\n".encode()
    assert read_given(both, "list")[0]["energy"] == 5


@pytest.mark.parametrize("said", ["false", "null", '"no"'])
def test_a_part_is_not_taken_for_the_whole_list(said):
    content = b'{"events": [], "complete": %s}' % said.encode()
    assert read_given(content, "nu") == []  # as one file of several
    with pytest.raises(LlamaError, match="nu says that it is not complete; give the whole list"):
        read_given(content, "nu", whole=True)
    assert read_given(b'{"events": [], "complete": true}', "nu", whole=True) == []
