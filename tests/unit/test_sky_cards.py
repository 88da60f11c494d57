"""What the header of a map says however its cards are written, and what is our own fault."""

import io

import numpy as np
import pytest
from astropy.io import fits
from sky_samples import flat, per_pixel, refusal
from test_sky_others import GOOD, PIXELS, PROB, TILES, carded

from llama.sky import read_skymap, table


@pytest.mark.parametrize(
    "card",
    [
        "HIERARCH LVK COORDINATE FRAME = 'galactic' / of the map",
        "COORD   ='G'",
        "COORD = 'G'",
        "coord   = 'g'",
        "COORD   = 'galactic",
        "COORD   = GALACTIC / without quotes",
    ],
)
def test_a_frame_is_seen_however_its_card_is_written(card):
    assert "LLAMA needs equatorial coordinates" in refusal(carded(card, drop=["COORDSYS"]))


def test_a_text_goes_on_in_the_next_card():
    cards = ("CREATOR = 'a pro&'", "CONTINUE  'gram''s&'", "CONTINUE  ' name' / it is long")
    assert read_skymap(carded(*cards), "map.fits").meta["creator"] == "a program's name"
    cards = ("COORD   = 'galac&'", "CONTINUE  'tic'")
    assert "COORD 'galactic'" in refusal(carded(*cards))


def test_the_first_of_two_cards_counts_as_in_astropy():
    content = carded("CREATOR = 'first'", "CREATOR = 'second&'", "CONTINUE  'third'")
    with fits.open(io.BytesIO(content)) as hdus:
        assert hdus[1].header["CREATOR"] == "first"
    assert read_skymap(content, "map.fits").meta["creator"] == "first"


@pytest.mark.parametrize("key", ["TSCAL1", "TZERO1"])
@pytest.mark.parametrize("value", ["'one'", "1E999"])
def test_a_factor_that_is_no_number_is_refused(key, value):
    assert f"({key} is " in refusal(carded(f"{key:8}= {value}"))


def test_one_row_may_hold_the_map_and_rows_may_be_of_any_length():
    for width in (3, 48, 768, PIXELS):
        for ring in (False, True):
            content = flat(TILES, ring=ring, width=width)
            np.testing.assert_allclose(per_pixel(content), PROB, rtol=1e-12)


def test_a_defect_of_ours_is_not_called_a_broken_file(monkeypatch):
    def wrong(*_args):
        raise NameError("a mistake")

    monkeypatch.setattr(table.Table, "_read", wrong)
    with pytest.raises(NameError):
        read_skymap(GOOD, "map.fits")
