"""Units as other people write them."""

import math

import pytest

from llama.units import unit_factor

DEG = math.degrees(1)


@pytest.mark.parametrize(
    ("text", "wanted", "factor"),
    [
        ("Mpc", "Mpc", 1), ("mpc", "Mpc", 1), ("MPC", "Mpc", 1), ("[kpc]", "Mpc", 1e-3),
        ("(Gpc)", "Mpc", 1e3), ("kpc^-2", "Mpc-2", 1e6), ("1/Mpc^2", "Mpc-2", 1),
        ("m^2", "cm2", 1e4), ("m2", "cm2", 1e4), ("M**2", "cm2", 1e4), ("cm²", "cm2", 1),
        ("square meter", "cm2", 1e4), ("sq. km", "cm2", 1e10), ("10**4 cm**2", "cm2", 1e4),
        ("rad", "deg", DEG), ("RADIANS", "deg", DEG), ("°", "deg", 1), ("degrees", "deg", 1),
        ("arcmin", "deg", 1 / 60), ("hourangle", "deg", 15), ("gev", "GeV", 1), ("TeV", "GeV", 1e3),
        ("days", "d", 1), ("sec", "d", 1 / 86400), ("pix-1", "pix-1", 1), ("prob/pix", "pix-1", 1),
        ("Probability per pixel", "pix-1", 1), ("/sr", "sr-1", 1),
        ("prob / sq deg", "sr-1", DEG**2),
        ("prob. density [1/deg2]", "sr-1", DEG**2), ("per square degree", "sr-1", DEG**2),
    ],
)  # fmt: skip
def test_spellings(text: str, wanted: str, factor: float) -> None:
    assert unit_factor(text, wanted) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", " ", "[]", "1", "none", "Unknown", "prob", "probability density"]
)
def test_what_says_nothing(text: str) -> None:
    assert unit_factor(text, "sr-1") is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("K", "sr-1"), ("pix-1", "sr-1"), ("m", "cm2"), ("cm^2 sr", "cm2"), ("h", "deg"),
        ("log10(GeV)", "GeV"), ("mev", "GeV"), ("nan deg", "deg"), ("0 deg", "deg"), ("1/0", "deg"),
        ("10^999999999 deg", "deg"), ("deg^" + "9" * 30, "deg"), ("(" * 500, "deg"),
        ("\ud800", "deg"),
        ("1e400 deg", "deg"), ("1e4000000 deg", "deg"), ("10^9^9 m", "cm"), ("m^9999", "cm"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"is not a unit like {wanted}"):
        unit_factor(text, wanted)
