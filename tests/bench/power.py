"""How many sources both readings of the detector find: python tests/bench/power.py [ARCHIVE]

Background and sources of studies, once with the tables of the matrix (`search.response: matrix`)
and once with the area at the proxy and a Gaussian (`published`). A source's neutrinos are drawn
from the rows of IceCube's public matrix for both. Real sky maps of three populations (of
shared/data), and a mock map in each of six bands of declination. Takes 45 minutes of one core and
writes power.json; its tables are printed, and docs/method.md shows them.

ARCHIVE is the directory of an imported archive with a matrix, whose events and area are taken.
Without one the area is IC86's, of shared/data; its events are not there, and the background has the
declinations of IC40's, with proxy and AngErr of the matrix's atmospheric neutrinos (E^-3.7).
"""

import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from llama.background.draws import Draws, draw_signal, draw_sources
from llama.event.parameters import published_parameters
from llama.event.prepared import prepare_columns
from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import Detector, build_detector
from llama.neutrinos.release import read_area, read_events
from llama.neutrinos.response import Response, build_response
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.table import Columns
from llama.neutrinos.truth import UNIFORMS, Sampler, archive_truth
from llama.settings.search import Search
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.odds import Neutrinos, event_odds
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard

RESULT = Path(__file__).with_name("power.json")
DATA = Path(__file__).parents[3] / "shared" / "data"
SEED, EVENTS_SEED = 20261130, 20261201
BACKGROUND, SOURCES, DOUBLETS, ALONE = 100_000, 6_000, 1_000, 1_500
EVENTS, ATMOSPHERIC = 200_000, 3.7  # about two years of IC86
P_FOUND, P_ASTRO = 1e-3, 0.99
RESAMPLED, LEAST = 400, 200  # LEAST: sources in a band
BANDS = np.linspace(-1, 1, 7)  # of sin(dec)
MAPS = {
    "bns": ("events/S190425z/bayestar.multiorder.fits", "skymaps/S190510g*", "population/allsky/*"),
    "nsbh": ("skymaps/S190426c*", "skymaps/GW200105*", "skymaps/GW200115*"),
    "bbh": ("skymaps/*",),  # all others
}
Floats = NDArray[np.float64]


class Site(NamedTuple):
    """A detector as both readings have it, what its events are, and the truth."""

    events: Columns
    published: Response
    matrix: Detector
    truth: Sampler
    name: str


class Power(NamedTuple):
    """Odds of the same triggers by both readings, (2, n): published, matrix.

    signal and doublet: with one and two neutrinos of a source; alone: of the first signals'
    neutrinos without background. sin_dec of the signals' sources; neutrinos expected from 1e51
    erg (isotropic-equivalent) of both.
    """

    background: Floats
    signal: Floats
    doublet: Floats
    alone: Floats
    sin_dec: Floats
    expected_signal: Floats
    expected_doublet: Floats


def site(archive: str | None) -> Site:
    """Return the detector of an archive's directory, or the public IC86 with made-up background."""
    if archive is not None:
        directory = Path(archive)
        found, matrix = Archive.open(directory), Detector.load(directory / "detector.hdf5")
        truth = archive_truth(directory, matrix)
        assert truth is not None
        return Site(found.events(), found.response(), matrix, truth, found.name)
    smearing, area = (
        Smearing.load(),
        read_area(DATA / "detectors" / "icetracks_dr2" / "IC86_effectiveArea.csv"),
    )
    real, _ = read_events([DATA / "icecube/icecube_10year_ps/events/IC40_exp.csv"])
    rng = np.random.default_rng(EVENTS_SEED)
    dec = rng.choice(real["dec_deg"], EVENTS)
    drawn = Sampler(smearing, area, ATMOSPHERIC).draw(
        np.sin(np.radians(dec)), rng.random((EVENTS, UNIFORMS))
    )
    events = {"dec_deg": dec, "sigma_deg": drawn.sigma_deg, "energy_gev": drawn.energy_gev}
    response = build_response(area, events["energy_gev"], dec)
    columns = (events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    matrix = build_detector(smearing, area, response, *columns)
    return Site(events, response, matrix, Sampler(smearing, area), "IC86, atmospheric neutrinos")


def cases(directory: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """Yield population, name and sky maps; mock maps are written into the directory."""
    taken: set[Path] = set()
    for population, patterns in MAPS.items():
        paths = {path for pattern in patterns for path in DATA.glob(pattern)} - taken
        taken |= paths
        yield population, population, sorted(paths)
    for low, high in itertools.pairwise(BANDS):
        dec = math.degrees(math.asin((low + high) / 2))
        path = directory / f"{dec:.0f}.fits"
        path.write_bytes(to_fits(mock_skymap(120.0, dec, (10.0, 3.0), (200.0, 50.0)), "2026-11-30"))
        yield "bns", f"{dec:+.0f}", [path]


def measure(at: Site, population: str, maps: list[Path], number: int) -> Power:
    """Return the odds of background and sources with these sky maps."""
    params = published_parameters(population)
    found: dict[str, list[Any]] = {"background": [], "signal": [], "doublet": [], "alone": []}
    with tempfile.TemporaryDirectory() as directory:
        build_bank(maps, Path(directory) / "bank.hdf5", at.matrix, params)
        with Bank(Path(directory) / "bank.hdf5") as bank:
            for response in (at.published, at.matrix):
                for kind, size in (
                    ("background", BACKGROUND),
                    ("signal", SOURCES),
                    ("doublet", DOUBLETS),
                ):
                    draws = Draws(SEED + number, kind, at.events, response, params, at.truth)
                    found[kind].append(run_shard(bank, draws, P_ASTRO, range(size))[0])
                draws = draws._replace(kind="signal")
                found["alone"].append(_alone(bank, draws, found["signal"][-1][:ALONE]))
    sources = found["signal"][0]
    return Power(
        *(
            np.array([r["odds"] for r in found[kind]])
            for kind in ("background", "signal", "doublet")
        ),
        np.array(found["alone"]),
        np.sin(np.radians(sources["dec_deg"])),
        sources["expected"],
        found["doublet"][0]["expected"],
    )


def _alone(bank: Bank, draws: Draws, rows: NDArray[Any]) -> Floats:
    """Return the odds of the first sources' neutrinos without any background."""
    odds = np.empty(rows.size)
    for index in np.unique(rows["skymap"]):
        numbers = np.flatnonzero(rows["skymap"] == index)
        sources = draw_sources(draws, numbers, bank.tiles(int(index)))
        _, columns = draw_signal(draws, numbers, sources)
        response, params = draws.response, draws.params
        neutrinos = prepare_columns(columns["dt_s"], columns, response, params)
        prepared = bank.prepared(int(index), response, params)
        for k, number in enumerate(numbers):
            one = Neutrinos(*(column[k : k + 1] for column in neutrinos))
            found = event_odds(prepared, one, P_ASTRO, params, response.area_relative)
            odds[number] = found.odds_ratio
    return odds


def summary(name: str, power: Power) -> dict[str, Any]:
    """Return what each reading finds, and how their odds of the same neutrinos differ.

    Sources count by the probability that the model gives them so many neutrinos. by_dec: one
    neutrino, by the source's declination (`BANDS`), share: of these neutrinos [%]; median_factor:
    of the odds, up or down; ratio: matrix over published, quantiles 10, 50, 90 %.
    """
    lowest = _thresholds(power.background)
    one, two = (power.signal, _weights(power, 1)), (power.doublet, _weights(power, 2))
    by_dec = []
    for low, high in itertools.pairwise(BANDS):
        here = (power.sin_dec >= low) & (power.sin_dec < high)
        share = {"share": round(100 * float(one[1][here].sum() / one[1].sum()), 1)}
        band = one[0][:, here], one[1][here]
        by_dec.append(_row(lowest, [band]) | share if here.sum() >= LEAST else None)
    published, matrix = power.alone
    both = (published > 0) & (matrix > 0)
    ratio = np.divide(matrix, published, out=np.full(both.size, np.inf), where=both)
    return {
        "maps": name,
        "one": _row(lowest, [one]),
        "two": _row(lowest, [two]),
        "both": _row(lowest, [one, two]),
        "by_dec": by_dec if name in MAPS else [],
        "median_factor": _rounded(np.median(np.maximum(ratio, 1 / ratio))),
        "ratio": [_rounded(q) for q in np.quantile(ratio, (0.1, 0.5, 0.9))],
    }


def _thresholds(background: Floats) -> Floats:
    """Return the odds that a found trigger exceeds, (1 + RESAMPLED, 2); the first as measured.

    The others are of as many injections drawn from them, the same by both readings.
    """
    rng, n = np.random.default_rng(SEED), background.shape[1]
    most = math.ceil(P_FOUND * (1 + n)) - 2  # background above or equal: (1 + most) / (1 + n) < p
    lowest = [np.partition(background, n - most - 1)[:, n - most - 1]]
    for _ in range(RESAMPLED):
        again = background[:, rng.integers(0, n, n)]
        lowest.append(np.partition(again, n - most - 1)[:, n - most - 1])
    return np.array(lowest)


def _row(lowest: Floats, parts: list[tuple[Floats, Floats]]) -> dict[str, float]:
    """Return the shares found [%] of sources, each part (odds, weights), and their error.

    sigma: of the difference, sources and background drawn again with their odds by both readings.
    """
    rng, shares = np.random.default_rng(SEED), []
    for k, odds_found in enumerate(lowest):
        found, total = np.zeros(2), 0.0
        for odds, weights in parts:
            n = odds.shape[1]
            at = rng.integers(0, n, n) if k else np.arange(n)
            found += (odds[:, at] > odds_found[:, None]) @ weights[at] / n
            total += weights[at].sum() / n
        shares.append(100 * found / total)
    gain = np.diff(shares)[:, 0]
    return {
        "sources": sum(odds.shape[1] for odds, _ in parts),
        "published": round(float(shares[0][0]), 1),
        "matrix": round(float(shares[0][1]), 1),
        "gain": round(float(gain[0]), 2),
        "sigma": round(float(gain[1:].std()), 2),
    }


def _weights(power: Power, n: int) -> Floats:
    """Return the probabilities of n neutrinos, with energies log-uniform as in the model."""
    search = Search()
    low, high = (search.fb * e for e in (search.Enumin, search.Enumax))
    expected = power.expected_signal if n == 1 else power.expected_doublet
    held = gammainc(n, expected * high) - gammainc(n, expected * low)
    return np.asarray(held / n / math.log(high / low))


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def tables(result: dict[str, Any]) -> str:
    """Return the three tables of docs/method.md."""
    head = "| {} | one neutrino: published | matrix | gain | two: published | matrix | gain "
    head += "| both: gain | odds |"
    lines = {"mock": [head.format("map at dec [deg]")], "real": [head.format("maps")]}
    edges = [round(math.degrees(math.asin(s))) for s in BANDS]
    bands = [f"{low:+d} to {high:+d}" for low, high in itertools.pairwise(edges)]
    by_dec = [f"| maps | {' | '.join(bands).replace('+0', '0')} |"]
    for case in result["cases"]:
        cells = [case["maps"]]
        for kind in ("one", "two"):
            cells += [f"{case[kind][name]:.0f} %" for name in ("published", "matrix")]
            cells.append(_gain(case[kind]))
        low, _, high = case["ratio"]
        cells += [_gain(case["both"]), f"{case['median_factor']:g} ({low:g} to {high:g})"]
        lines["real" if case["by_dec"] else "mock"].append(f"| {' | '.join(cells)} |")
        if case["by_dec"]:
            gains = [f"{_gain(b)} ({b['share']:.1f} %)" if b else "few" for b in case["by_dec"]]
            by_dec.append(f"| {case['maps']} | {' | '.join(gains)} |")
    found = []
    for table in (lines["mock"], lines["real"], by_dec):
        table.insert(1, "|" + "---|" * (table[0].count("|") - 1))
        found.append("\n".join(table))
    return "\n\n".join(found)


def _gain(row: dict[str, float]) -> str:
    return f"{row['gain']:+.1f} ± {row['sigma']:.1f}"


def main() -> None:
    """Measure all cases, write the result and print its tables."""
    at = site(sys.argv[1] if sys.argv[1:] else None)
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for number, (population, name, maps) in enumerate(cases(Path(directory))):
            found.append(summary(name, measure(at, population, maps, number)))
            print(json.dumps(found[-1]), flush=True)
    result = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "seed": SEED, "detector": at.name}
    result |= {"background": BACKGROUND, "cases": found}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(tables(result))


if __name__ == "__main__":
    main()
