"""GPS, MJD and ISO against known pairs, over leap seconds, and for any text."""

import math
import time

import numpy as np
import pytest
from alert_samples import outcome
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.times import gps_to_iso, gps_to_mjd, iso_to_gps, mjd_to_gps, now_gps

KNOWN = [
    ("1980-01-06T00:00:00", 0.0, 44244.0),
    ("2017-01-01T00:00:00", 1167264018.0, 57754.0),
    ("2019-04-25T08:18:05.017", 1240215503.017, 58598 + 29885.017 / 86400),  # S190425z
    ("2023-05-18T12:59:08.167", 1368449966.167, 60082 + 46748.167 / 86400),  # S230518h
]


@pytest.mark.parametrize(("iso", "gps", "mjd"), KNOWN)
def test_known_times(iso, gps, mjd):
    assert iso_to_gps(iso) == pytest.approx(gps, abs=1e-6)
    assert float(mjd_to_gps(mjd)) == pytest.approx(gps, abs=2e-6)  # MJD in double: 0.6 us
    assert float(gps_to_mjd(gps)) == pytest.approx(mjd, abs=1e-11)
    assert gps_to_iso(gps, digits=3) == f"{iso if '.' in iso else iso + '.000'}Z"


def test_the_leap_second_of_2016():
    assert iso_to_gps("2016-12-31T23:59:59") == pytest.approx(1167264016, abs=1e-6)
    assert iso_to_gps("2016-12-31T23:59:60") == pytest.approx(1167264017, abs=1e-6)
    assert iso_to_gps("2016-12-31T23:59:60.5Z") == pytest.approx(1167264017.5, abs=1e-6)
    assert gps_to_iso(1167264017.25, digits=2) == "2016-12-31T23:59:60.25Z"
    assert gps_to_iso(1167264016.9999, digits=0) == "2016-12-31T23:59:60Z"
    assert gps_to_iso(1167264017.9999, digits=0) == "2017-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2019-04-25T08:18:05.017Z", "2019-04-25 08:18:05.017", " 2019-04-25T08:18:05.017 ",
        "2019-04-25 08:18:05.017 UTC", "2019-04-25T08:18:05.017+00:00",
        "2019-04-25T08:18:05.017+0000", "2019-04-25T08:18:05.0170000000",
    ],
)  # fmt: skip
def test_spellings_of_utc(text):
    assert iso_to_gps(text) == iso_to_gps("2019-04-25T08:18:05.017")


def test_seconds_may_be_left_out():
    assert iso_to_gps("2019-04-25T08:18") == iso_to_gps("2019-04-25T08:18:00")


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2019-04-25", "2019-13-01T00:00:00", "2019-02-29T00:00:00",
        "2019-04-25T24:00:00", "2019-04-25T08:60:00", "2019-04-25T08:18:60",
        "2019-04-25T08:18:99", "2016-12-31T23:59:61", "2018-12-31T23:59:60",
        "2016-12-31T12:59:60", "2019-04-25T08:18:05+02:00", "2019-04-25T08:18:05 PST", "1240215503",
        "58598.34", "0000-01-01T00:00:00", "2019-04-25T08:18:05.017Z; rm -rf /", None, math.nan,
    ],
)  # fmt: skip
def test_what_is_no_utc_time_is_refused(text):
    with pytest.raises(LlamaError, match="is not a UTC time; write it like 2019-04-25T08:18:05"):
        iso_to_gps(text)


NUMBERS = [st.integers(0, high) for high in (9999, 13, 32, 25, 61)]
SHAPED = st.builds("{:04}-{:02}-{:02}T{:02}:{:02}:{}".format, *NUMBERS, st.floats(0, 99))


@given(st.text(max_size=40) | SHAPED)
def test_any_text_is_a_time_or_a_sentence(text):
    gps = outcome(iso_to_gps, text)
    assert len(gps) < 250 if isinstance(gps, str) else math.isfinite(gps)


SECONDS = st.floats(0, 2.2e9)  # 1980 to 2049


@given(SECONDS)
def test_iso_round_trip(gps):
    assert iso_to_gps(gps_to_iso(gps)) == pytest.approx(gps, abs=1.5e-6)


@given(st.lists(SECONDS, max_size=5))
def test_mjd_round_trip(gps):
    # MJD counts seconds, and has no name for those within a leap second
    there = gps_to_mjd(np.array(gps))
    assert there.shape == (len(gps),)
    back = mjd_to_gps(there)
    np.testing.assert_allclose(back, gps, rtol=0, atol=1.1)
    apart = [all(abs(g - leap) > 86400 for leap in LEAPS) for g in gps]
    np.testing.assert_allclose(back[apart], np.array(gps)[apart], rtol=0, atol=2e-6)


LEAPS = [
    iso_to_gps(f"{day}T00:00:00")
    for day in (
        "1981-07-01", "1982-07-01", "1983-07-01", "1985-07-01", "1988-01-01", "1990-01-01",
        "1991-01-01", "1992-07-01", "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01",
        "1999-01-01", "2006-01-01", "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01",
    )
]  # fmt: skip


def test_eighteen_leap_seconds():
    for number, leap in enumerate(LEAPS):
        day = float(gps_to_mjd(leap))
        assert day == pytest.approx(round(day), abs=1e-11)
        assert (leap - number - 1) % 86400 == pytest.approx(0, abs=1e-5)


def test_now():
    assert now_gps() == pytest.approx(time.time() - 315964800 + 18, abs=5)
