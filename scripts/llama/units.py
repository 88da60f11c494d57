"""Units as others write them, in TUNITs, brackets and headers; p-values and rates in words."""

import decimal
import math
import re
import warnings

# Case is not kept in headers, and nobody means millielectronvolts or milliparsecs.
_WORDS = {
    **{word: word for word in ("cm", "m", "km", "s", "d", "deg", "rad", "sr", "pix", "kpc")},
    **{word.lower(): word for word in ("Mpc", "Gpc", "GeV", "TeV", "PeV", "EeV")},
    **dict.fromkeys(("degree", "degrees", "degs", "°"), "deg"),
    **dict.fromkeys(("radian", "radians", "rads"), "rad"),
    **dict.fromkeys(("steradian", "steradians", "ster", "str"), "sr"),
    **dict.fromkeys(("pixel", "pixels", "px"), "pix"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("prob", "probability", "probabilities", "density"), "1"),
    "per": "/",
}
_NOTHING = ("", "1", "none", "unknown", "unitless", "dimensionless", "n/a", "-")


YEAR_S = 365.25 * 86400.0
R90_PER_SIGMA = math.sqrt(2 * math.log(10))  # 90 % radius of a 2-D Gaussian, 2.145966


def gaussian_circle_deg(sigma_deg: float) -> float:
    """Return the radius that holds 90 % of a Gaussian of sigma."""
    return min(R90_PER_SIGMA * sigma_deg, 180.0)


def p_value_text(p_value: float, error: float | None = None, effective: float | None = None) -> str:
    """Return a p-value as IceCube rounds it: four decimals, below 1e-4 two significant digits.

    With fewer where its standard error is as large as the last one. Where not one injection of its
    background decides it (effective number 0) it is only known to be smaller than this: with "<",
    and one digit, rounded up.
    """
    if effective == 0 and p_value < 1:
        up = decimal.Context(prec=1, rounding=decimal.ROUND_UP)
        return f"< {float(up.create_decimal(repr(p_value))):g}"
    tens, digits = math.floor(math.log10(p_value)) if p_value > 0 else 0, 9
    if error and p_value < 1:
        digits = max(tens - math.floor(math.log10(error)) + 1, 1)
    text = f"{p_value:.{min(digits, 2) - 1}e}"
    if p_value >= 1e-4:
        text = f"{p_value:.{min(digits - 1 - tens, 4)}f}"
    return text


def rate_words(per_year: float, digits: int = 3, *, is_limit: bool = False) -> str:
    """Return a rate in words that need no calculator, `one in 12 years` or `3.4 per year`.

    A limit is `less than` that, and rounded so that it still holds.
    """
    often = per_year == 0 or per_year >= 1
    up = decimal.ROUND_UP if often else decimal.ROUND_DOWN
    context = decimal.Context(prec=digits, rounding=up if is_limit else decimal.ROUND_HALF_EVEN)
    number = float(context.create_decimal(per_year if often else 1 / per_year))
    million = "" if number < 1e6 else " million"
    shown = number / 1e6 if million else number
    words = f"{shown:.{digits}g}" if shown < 10**digits else f"{shown:,.0f}"
    is_yearly = often or (words, million) == ("1", "")
    words = f"{words}{million} per year" if is_yearly else f"one in {words}{million} years"
    return f"less than {words}" if is_limit else words


def unit_factor(text: str, wanted: str) -> float | None:
    """Return what numbers in the unit `text` are multiplied by to be in `wanted`.

    None where `text` names no unit; ValueError where it is unknown or of another kind.
    """
    text = text.strip()
    if inside := re.search(r"\[(.*)\]|^\((.*)\)$", text):
        text = (inside[1] or inside[2] or "").strip()
    if text == wanted:
        return 1.0
    if text.lower() in _NOTHING:
        return None
    unknown = f"{text[:40]!r} is not a unit like {wanted}"
    if len(text) > 60 or re.search(r"\d{5}", text):  # powers that take for ever
        raise ValueError(unknown)
    from astropy import units  # imports slowly

    spelled = re.sub(r"\b(?:square|sq\.?) ?([a-z]+)", r"\1^2", text, flags=re.IGNORECASE)
    spelled = re.sub(r"[^\W\d_]+|°", lambda word: _WORDS.get(word[0].lower(), word[0]), spelled)
    spelled = re.sub(r"^(1 ?)*/ ?", "1/", spelled)  # /sr, probability density per sr
    try:
        with warnings.catch_warnings(action="ignore"):
            unit = units.Unit(re.sub(r"^1( 1)+$", "1", spelled))
            if not isinstance(unit, units.UnitBase):  # dex(GeV), of which there is no factor
                raise ValueError(unknown)
            if unit == units.dimensionless_unscaled:
                return None
            factor = float(unit.to(wanted))
    except (ValueError, TypeError, ArithmeticError) as error:  # TypeError: of another kind
        raise ValueError(unknown) from error
    if not 0 < factor < math.inf:
        raise ValueError(unknown)
    return factor
