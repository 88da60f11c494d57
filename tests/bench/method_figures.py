"""The figures of docs/method.md, from seeds alone: python tests/bench/method_figures.py [NAME ...].

Mock archive and mock sky maps, the package's own code; the same bytes every time. With names
(such as `subsets energy`) only those are drawn. The numbers that the text quotes are printed.
`proxy` and `point_spread` have IceCube's public matrix and area, the latter of shared/data.
"""

import functools
import itertools
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.special import gammainc

from llama.background.draws import Draws
from llama.event.parameters import published_parameters
from llama.event.prepared import prepare_skymap
from llama.neutrinos.archive import Archive, Columns
from llama.neutrinos.detector import Detector, build_detector
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import EffectiveArea, read_area
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response, build_response
from llama.neutrinos.smearing import Smearing
from llama.sky import SkyTiles
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.odds import Neutrinos, Odds, event_odds, prepare_neutrinos
from llama.stats.overlap import log_vmf_norm
from llama.stats.parameters import SearchParameters
from llama.stats.pvalue import p_value
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
PUBLIC = Path(__file__).parents[3] / "shared/data/detectors/icetracks_dr2"
ARCHIVE_SEED, MAPS_SEED, BACKGROUND_SEED, SIGNAL_SEED = 20190425, 20190426, 20261122, 20190427
MAPS, INJECTIONS = 24, 20_000
RA, DEC = 197.0, 15.0  # source of the examples [deg]
DECLINATIONS = (40, 3, -40)  # north, horizon and south: in the middle of bins of the matrix [deg]
PARAMS = published_parameters("cbc")

Floats = NDArray[np.float64]

# after Okabe and Ito; lines that differ in colour differ in style or marker, too
BLACK, BLUE, RED, ORANGE, GREY = "#111111", "#0072B2", "#B34700", "#E69F00", "#767676"
_STYLE = {
    "font.size": 9,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "mathtext.default": "regular",
}


# -- what the figures are made from -----------------------------------------------------------


@functools.cache
def detector() -> tuple[Response, Columns]:
    """Return response and events of the mock archive."""
    with tempfile.TemporaryDirectory() as directory:
        write_mock_release(Path(directory) / "release", ARCHIVE_SEED)
        import_release(Path(directory) / "release", directory, "mock")
        archive = Archive.open(Path(directory) / "mock")
        return archive.response(), archive.events()


@functools.cache
def background(p_astro: float, max_set_size: int = 4) -> tuple[Floats, Floats]:
    """Return ascending event odds and single-neutrino odds; the same injections every time."""
    response, events = detector()
    params = replace(PARAMS, max_set_size=max_set_size)
    rng = np.random.default_rng(MAPS_SEED)
    with tempfile.TemporaryDirectory() as directory:
        names = [Path(directory) / f"{index}.fits" for index in range(MAPS)]
        for name in names:
            distance = 300 * rng.uniform() ** (1 / 3)
            ra, dec = rng.uniform(0, 360), math.degrees(math.asin(rng.uniform(-1, 1)))
            sigma = float(rng.uniform(2, 15)), float(rng.uniform(1, 5))
            tiles = mock_skymap(ra, dec, sigma, (distance, 0.25 * distance))
            name.write_bytes(to_fits(tiles, "2019-04-25T08:18:05"))
        build_bank(names, Path(directory) / "bank.hdf5")
        with Bank(Path(directory) / "bank.hdf5") as bank:
            numbers = range(INJECTIONS)
            draws = Draws(BACKGROUND_SEED, "background", events, response, params)
            rows, single = run_shard(bank, draws, p_astro, numbers)
    return np.sort(rows["odds"]), np.sort(single)


def skymap(distance_mpc: float) -> SkyTiles:
    """Return the map of the examples: 4 by 2 deg, distance known to 20 %."""
    tiles = mock_skymap(RA, DEC, (4.0, 2.0), (distance_mpc, 0.2 * distance_mpc))
    return replace(tiles, distsigma=np.full(tiles.order.size, 0.2 * distance_mpc))


def neutrinos(n: int, south_deg: float = 0.0) -> Neutrinos:
    """Return n neutrinos of 10 TeV and 0.6 deg from the source, or one `south_deg` from it."""
    rng = np.random.default_rng(SIGNAL_SEED)
    dt, (east, north) = rng.uniform(-100, 100, 8), rng.normal(0, 0.6, (2, 8))
    if n == 1:
        dt, east, north = np.array([100.0]), np.array([0.0]), np.array([-south_deg])
    ra, dec = RA + east[:n] / math.cos(math.radians(DEC)), DEC + north[:n]
    sigma, energy = np.full(n, 0.6), np.full(n, 1e4)
    return prepare_neutrinos(dt[:n], ra, dec, sigma, energy, detector()[0], PARAMS)


def odds_of(
    tiles: SkyTiles, found: Neutrinos, p_astro: float, params: SearchParameters = PARAMS
) -> Odds:
    """Return the odds of an example."""
    area = detector()[0].area_relative
    return event_odds(prepare_skymap(tiles, area, params), found, p_astro, params, area)


def lambda_s(distances_mpc: Any, params: SearchParameters = PARAMS) -> Floats:
    """Return Lambda_s of one neutrino at the peak of the map, with Q = 1, at each distance."""
    one = neutrinos(1)
    return np.array([odds_of(skymap(d), one, 0.5, params).lambda_s for d in distances_mpc])


def product_form(tiles: SkyTiles, found: Neutrinos, distance_mpc: float) -> float:
    """Return Lambda_s at Q = 1 of sets of any size, by sums over pixels, times and distances.

    It shares nothing with `event_odds` but the intensities: prod(1 + mu l_i) is a polynomial
    in mu, whose coefficients meet <exp(-mu) mu^n>. Pixels of order 11 within 5 deg.
    """
    response, n = detector()[0], found.dt_s.size
    source = unit_vectors(np.array(RA), np.array(DEC))
    order, ipix, prob = tiles.order, tiles.ipix, tiles.prob
    for depth in range(12):
        near = tiles_geometry(order, ipix)[0] @ source > math.cos(math.radians(5))
        whole, divided = near & (order >= depth), near & (order < depth)
        children = (4 * ipix[divided][:, None] + np.arange(4)).ravel()
        ipix = np.concatenate([ipix[whole], children])
        prob = np.concatenate([prob[whole], np.repeat(prob[divided] / 4, 4)])
        order = np.concatenate([order[whole], np.repeat(order[divided] + 1, 4)])
    vectors, _ = tiles_geometry(order, ipix)
    rates = np.empty((n, prob.size))
    for i, kappa in enumerate(1 / found.sigma_rad**2):
        chord2 = ((vectors - found.vectors[i]) ** 2).sum(axis=1)
        intensity = np.interp(vectors[:, 2], response.sin_dec, found.intensity[i])
        rates[i] = np.exp(log_vmf_norm(kappa) - 0.5 * kappa * chord2) * intensity / 500
    area = np.interp(vectors[:, 2], response.sin_dec, response.area_relative)
    moments = _moments(n, area, distance_mpc)
    edges = np.unique(np.clip([-250, 250, *found.dt_s - 250, *found.dt_s + 250], -250, 250))
    total = 0.0
    for low, high in itertools.pairwise(edges):
        coefficients = np.zeros((n + 1, prob.size))
        coefficients[0] = 1
        for rate in rates[np.abs(found.dt_s - (low + high) / 2) < 250]:
            coefficients[1:] += coefficients[:-1] * rate
        total += (high - low) / 500 * float((prob * coefficients[1:] * moments).sum())
    return total / PARAMS.fb


def _moments(n_max: int, area_relative: Floats, distance_mpc: float) -> Floats:
    """Return <exp(-mu) mu^n> over energy and distance, n = 1..n_max, at each pixel."""
    r = distance_mpc * np.linspace(0.02, 2.2, 400)
    weight = r**2 * np.exp(-0.5 * ((r / distance_mpc - 1) / 0.2) ** 2)
    nodes = np.linspace(area_relative.min(), area_relative.max(), 5)
    count = PARAMS.nu_51_100 * nodes[:, None] * (100 / r) ** 2 * PARAMS.fb
    rows = []
    for n in range(1, n_max + 1):
        held = gammainc(n, count * PARAMS.Enumax) - gammainc(n, count * PARAMS.Enumin)
        mean = math.factorial(n - 1) * (held @ weight) / weight.sum()
        rows.append(np.interp(area_relative, nodes, mean))
    return np.array(rows) / math.log(PARAMS.Enumax / PARAMS.Enumin)


@functools.cache
def public() -> tuple[Smearing, EffectiveArea, Response, Detector]:
    """Return IceCube's public matrix and area of IC86, and what both readings make of them."""
    matrix, area = Smearing.load(), read_area(PUBLIC / "IC86_effectiveArea.csv")
    columns = [detector()[1][name] for name in ("energy_gev", "dec_deg", "sigma_deg")]
    response = build_response(area, *columns[:2])
    return matrix, area, response, build_detector(matrix, area, response, *columns)


class Simulated(NamedTuple):
    """The matrix's bins at one of its declinations, what each counts, and its edges (n, 3).

    Edges: log10(proxy/GeV), ln(angle/rad), log10(AngErr/deg).
    """

    sin_dec: Floats
    weight: Floats
    low: Floats
    high: Floats


def simulated(dec_deg: float) -> Simulated:
    """Return an E^-2 source at all of a declination bin alike, from the rows of the matrix.

    Nothing of the tables is in it: the energies are summed in steps of 0.01 dex.
    """
    matrix, area, *_ = public()
    b = int(np.searchsorted(matrix.dec_deg, dec_deg)) - 1
    rows, edges = matrix.rows, matrix.sin_dec[b : b + 2]
    s = np.linspace(*edges, 101)
    column = np.searchsorted(area.dec_deg, np.degrees(np.arcsin((s[1:] + s[:-1]) / 2))) - 1
    x = np.arange(2.005, 8, 0.01)
    seen = area.area_cm2[np.searchsorted(area.log10_energy, x) - 1][:, column].mean(axis=1)
    weight = np.bincount(((x - 2) / 0.5).astype(int), seen * 10**-x, 14)
    at = rows.dec == b
    each = weight[rows.energy[at]] * rows.events[at] / matrix.simulated[rows.energy[at], b]
    return Simulated(edges, each / each.sum(), rows.low[at], rows.high[at])


# -- the figures ------------------------------------------------------------------------------


@contextmanager
def page(name: str, panels: int, height: float = 3.2, **shared: Any) -> Iterator[Any]:
    """Yield the axes of a figure 1139 pixels wide; when the block ends it is in docs/figures."""
    with mpl.rc_context({**mpl.rcParamsDefault, **_STYLE, "backend": "agg"}):
        figure = Figure(figsize=(6.7, height), layout="constrained", facecolor="white")
        yield figure.subplots(1, panels, **shared)
        FIGURES.mkdir(parents=True, exist_ok=True)
        figure.savefig(FIGURES / f"{name}.png", dpi=170, metadata={"Software": None})


def describe(axes: Any, title: str, x: str, y: str, legend: str, **limits: Any) -> None:
    """Make both axes logarithmic and give them title, labels, limits and a legend."""
    axes.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    axes.set(**limits)
    axes.legend(loc=legend)


def p_astro_axis(axes: Any, ticks: list[float]) -> None:
    """Label a logarithmic axis of Q = p / (1 - p) with p_astro."""
    axes.set_xticks([t / (1 - t) for t in ticks], [f"{t:g}" for t in ticks])
    axes.tick_params(axis="x", which="minor", bottom=False)


def subsets() -> None:
    """Draw sets of up to four neutrinos, the leading order, and the product form."""
    tiles, counts = skymap(40.0), np.arange(1, 9)
    with page("subsets", 2) as (left, right):
        for size, colour, style, label in (
            (1, RED, "s:", "one at a time"),
            (2, GREY, "^--", "sets up to 2"),
            (4, BLUE, "o-", "sets up to 4 (used)"),
        ):
            params = replace(PARAMS, max_set_size=size)
            values = [odds_of(tiles, neutrinos(n), 0.5, params).lambda_s for n in counts]
            left.plot(counts, values, style, color=colour, label=label)
            if size != 2:
                odds = background(0.99, size)[0][::-1]
                rank = np.unique(np.geomspace(1, odds.size, 400).astype(int))
                line = {"color": colour, "label": label, "lw": 2, "zorder": 4 - size}
                right.plot(odds[rank - 1], rank / odds.size, style[1:], **line)
                print("  odds reached by 10, 1, 0.1 %:", odds[[2000, 200, 20]])
        every = [product_form(tiles, neutrinos(n), 40.0) for n in counts]
        left.plot(counts, every, "x-.", color=BLACK, ms=8, lw=1, label="product form")
        print("  sets up to 4 over product form:", np.round(np.array(values) / every, 4))
        y = r"$\Lambda_s$  (source at 40 Mpc, Q = 1)"
        describe(left, "a  Signal", "neutrinos from one source", y, "upper left", xscale="linear")
        title = f"b  Background, {INJECTIONS:,} injections"
        y = "share of the background above it"
        describe(right, title, "odds ratio", y, "lower left", xlim=(1e-7, None))


def energy() -> None:
    """Draw conventions of the emitted energy, and the lowest neutrino energy."""
    distances, used = np.geomspace(3, 1000, 40), lambda_s(np.geomspace(3, 1000, 40))
    with page("energy", 2) as (left, right):
        for change, colour, style, label in (
            ({"Enumin": 1e-5, "Enumax": 1.0}, RED, ":", "10⁴⁷–10⁵² erg, 1.1 (fb twice)"),
            ({"nu_51_100": 1.18}, ORANGE, "-.", "10⁴⁶–10⁵¹ erg, 1.18"),
            ({}, BLUE, "-", "10⁴⁶–10⁵¹ erg, 1.1 (used)"),
            ({"nu_51_100": 1.01}, GREY, (0, (5, 1, 1, 1, 1, 1)), "10⁴⁶–10⁵¹ erg, 1.01"),
            ({"Enumin": 1e-7, "Enumax": 0.01}, BLACK, "--", "10⁴⁵–10⁵⁰ erg, 1.1 (no fb)"),
        ):
            ratio = lambda_s(distances, replace(PARAMS, **change)) / used
            left.plot(distances, ratio, color=colour, ls=style, label=label)
            print(f"  {label}: {ratio[-1]:.3f} at 1 Gpc")
        title = r"a  Emitted energy, $\nu_{51,100}$; one neutrino"
        y = r"$\Lambda_s$ over the one used"
        describe(left, title, "distance of the source [Mpc]", y, "upper left", ylim=(0.06, 600))
        (response, events), energies = detector(), np.geomspace(10, 1e8, 200)
        one = np.ones(energies.size)
        lines = ((15, 100, BLACK, ":"), (15, 10, BLUE, "-"), (-30, 10, RED, "--"))
        for dec, low, colour, style in lines:
            params = replace(PARAMS, epsilon_min_gev=float(low))
            found = prepare_neutrinos(0 * one, one, dec * one, one, energies, response, params)
            node = np.searchsorted(response.sin_dec, math.sin(math.radians(dec)))
            value = np.where(found.intensity[:, node] > 0, found.intensity[:, node], np.nan)
            label = f"{dec:+d}°, from {low} GeV".replace("-", "\N{MINUS SIGN}")
            label += " (used)" if low == 10 else ""
            right.plot(energies, value, color=colour, ls=style, label=label)
        right.axvspan(events["energy_gev"].min(), events["energy_gev"].max(), color="#EDEDED")
        title, y = "b  Neutrino energy (grey: the archive's)", "signal / background [s sr]"
        describe(right, title, "energy proxy [GeV]", y, "lower right", ylim=(1e-4, 1e9))


def p_astro() -> None:
    """Draw p_astro from the false-alarm rate, and what the odds make of it."""
    far = np.geomspace(1e-10, 1e-3, 200)
    p = np.concatenate([np.geomspace(1e-4, 0.5, 20), 1 - np.geomspace(0.5, 1e-4, 20)[1:]])
    with page("p_astro", 2) as (left, right):
        for rate, colour, style, label in (
            (6.5e-7, RED, "--", "6.5·10⁻⁷ Hz"),
            (6.5e-8, BLUE, "-", "6.5·10⁻⁸ Hz (used)"),
            (6.5e-9, BLACK, ":", "6.5·10⁻⁹ Hz"),
        ):
            left.plot(far, rate / (rate + far), style, color=colour, label=label)
        title, x = "a  From the false-alarm rate", "false-alarm rate [Hz]"
        describe(left, title, x, r"$p_{astro}$", "lower left")
        left.legend(loc="lower left", title="rate of signals $r_s$", alignment="left")
        for distance, colour, style in ((40.0, BLUE, "o-"), (200.0, RED, "s--")):
            odds = [odds_of(skymap(distance), neutrinos(1), value).odds_ratio for value in p]
            line = {"color": colour, "markevery": 3, "label": f"{distance:g} Mpc"}
            right.plot(p / (1 - p), odds, style, **line)
        title, x = "b  One neutrino at the map's peak", r"$p_{astro}$  (scale: log Q)"
        describe(right, title, x, "odds ratio", "lower right")
        p_astro_axis(right, [1e-4, 1e-2, 0.5, 0.99, 0.9999])


def maps_2d() -> None:
    """Draw what a map without distance gets instead."""
    distances = np.geomspace(10, 3000, 40)
    flat = replace(skymap(100.0), distmu=None, distsigma=None, distnorm=None)
    with page("maps_2d", 1) as axes:
        axes.plot(distances, lambda_s(distances), color=BLACK, label="map with distance, ±20 %")
        label = "map without: its class's horizon is assumed"
        horizons = {"burst": 100, "bns": 200, "nsbh": 400, "cbc": 500, "bbh": 2000}
        for name, horizon in horizons.items():
            params = replace(PARAMS, assumed_horizon_mpc=float(horizon))
            value = odds_of(flat, neutrinos(1), 0.5, params).lambda_s
            axes.plot([10, horizon], [value, value], "--", color=BLUE, label=label, lw=1.3)
            axes.plot(horizon / 3**0.5, value, "o", color=RED, label=label and "horizon / √3")
            axes.text(9.3, value, f"{name}, {horizon} Mpc", size=8.5, ha="right", va="center")
            label = None
            print(f"  {name}: {value / lambda_s([horizon / 3**0.5])[0]:.2f} of that at horizon/√3")
        x, y = "distance of the source [Mpc]", r"$\Lambda_s$  (one neutrino, Q = 1)"
        describe(axes, "", x, y, "lower left", xlim=(2.5, 4000), ylim=(3e-3, 4))


def single_p() -> None:
    """Draw single-neutrino p-values against single neutrinos, and against whole windows."""
    odds, single = background(0.99)
    p, expected = np.geomspace(1e-4, 1, 60), PARAMS.ratebgnu * 1000
    window = [p_value(float(t), odds) for t in np.quantile(single, 1 - p)]
    with page("single_p", 1) as axes:
        axes.plot(p, window, "o", color=BLUE, ms=4, label="the same odds against whole windows")
        label = f"1 − exp(−{expected:g} p): the best of the window's neutrinos"
        axes.plot(p, 1 - np.exp(-expected * p), color=BLACK, lw=1.1, label=label)
        axes.plot(p, p, "--", color=RED, label="if it made no difference")
        x = "p-value of one neutrino against single neutrinos (as reported)"
        describe(axes, "", x, "window-level p-value", "lower right")


def background_p_astro() -> None:
    """Draw p-values with odds at one common p_astro, and without that care."""
    p = np.concatenate([np.geomspace(1e-3, 0.5, 16), 1 - np.geomspace(0.5, 1e-3, 16)[1:]])
    odds = [odds_of(skymap(200.0), neutrinos(1, south_deg=7.0), value) for value in p]
    with page("background_p_astro", 1) as axes:
        for at, colour, line, marker in ((0.99, BLUE, "-", "o"), (0.01, RED, "--", "s")):
            table, used = background(at)[0], " (used)" if at == 0.99 else ""
            there = odds_of(skymap(200.0), neutrinos(1, south_deg=7.0), at).odds_ratio
            same = [p_value(there, table)] * p.size
            raw = [p_value(o.odds_ratio, table) for o in odds]
            label = f"odds as they are, background at {at:g}"
            axes.plot(p / (1 - p), raw, marker, color=colour, ms=4.5, mfc="none", label=label)
            label = f"odds taken to {at:g} first{used}"
            axes.plot(p / (1 - p), same, line, color=colour, lw=2, label=label)
            print(f"  at {at}: p = {min(same)} to {max(same)}; as it is {min(raw)} to {max(raw)}")
        x, y = r"the event's $p_{astro}$  (scale: log Q)", "p-value of one coincidence"
        describe(axes, "", x, y, "upper right", ylim=(None, 1.5))
        p_astro_axis(axes, [1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.999])


def proxy() -> None:
    """Draw the signal's density in the proxy: as simulated, and by both readings."""
    table = np.loadtxt(PUBLIC / "signal_proxy_pdf_E-2.csv", delimiter=",", skiprows=1)
    edges = np.arange(2.0, 7.01, 0.1)
    response, ours = public()[2:]
    with page("proxy", 3, 3.4, sharey=True) as panels:
        for axes, dec in zip(panels, DECLINATIONS, strict=True):
            truth = simulated(dec)
            low, high = truth.low[:, :1], truth.high[:, :1]
            part = np.clip((edges - low) / np.maximum(high - low, 1e-6), 0, 1)
            density = truth.weight @ np.diff(part, axis=1) / 0.1
            axes.stairs(density, 10**edges, fill=True, color="#DDDDDD", label="simulated")
            here = np.abs(np.sin(np.radians(table[:, 0])) - truth.sin_dec[0]) < 1e-4
            x, mark = 10 ** (table[here, 2] + 0.05), {"color": BLACK, "ms": 3}
            axes.plot(
                x, table[here, 4], ".", **mark, label="simulated, condensed by another program"
            )
            lines = []
            for tables, colour, style, label in (
                (ours, BLUE, "-", "with the matrix (used)"),
                (response, RED, "--", "area at the proxy (published)"),
            ):
                line = [np.interp(truth.sin_dec.mean(), SIN_DEC, r) for r in tables.signal_per_dex]
                axes.plot(10**LOG10_ENERGY, line, style, color=colour, label=label)
                cumulative = cumulative_trapezoid(line, LOG10_ENERGY, initial=0)
                lines.append(np.diff(np.interp(edges, LOG10_ENERGY, cumulative)) / 0.1)
            ratios = np.array(lines)[:, 10:41:5] / np.maximum(density[10:41:5], 1e-9)
            print(f"  {dec:+d} deg, over simulated, 1e3 to 1e6 GeV:", np.round(ratios, 3).tolist())
            off = np.abs(lines[0] / np.maximum(density, 1e-9) - 1)[density > 0.01]
            print(f"  matrix against simulated: {np.median(off):.1%}, at most {off.max():.1%}")
            axes.set(xlabel="energy proxy [GeV]", xlim=(1e2, 1e7), ylim=(2e-4, 3))
        panels[0].set_ylabel("probability per dex")
        common_legend(panels, 2)


def point_spread() -> None:
    """Draw how far from the source neutrinos are seen: as simulated, mixture and Gaussian."""
    times = np.geomspace(0.2, 400, 60)
    with page("point_spread", 3, 3.7, sharey=True) as panels:
        for axes, dec in zip(panels, DECLINATIONS, strict=True):
            for first, last, colour, mark in ((0.2, 0.3, BLUE, "o"), (0.8, 1.5, RED, "s")):
                truth, mixture = beyond(simulated(dec), first, last, times)
                errors, dots = f"AngErr {first} to {last} deg", {"ms": 4, "mfc": "none"}
                label = f"{errors}, simulated"
                axes.plot(times, truth, mark, color=colour, markevery=2, label=label, **dots)
                axes.plot(times, mixture, color=colour, label=f"{errors}, mixture (used)")
                at = [f"{np.interp(5, times, line):.1%}" for line in (truth, mixture)]
                print(f"  {dec:+d} deg, {errors}, farther than 5 AngErr: {at}")
            label = "Gaussian (published)"
            axes.plot(times, np.exp(-0.5 * times**2), "--", color=BLACK, label=label)
            axes.set(xlabel="angle to the source / AngErr", xlim=(0.2, 400), ylim=(1e-3, 1.3))
        panels[0].set_ylabel("share of neutrinos that is farther")
        common_legend(panels, 2)


def common_legend(panels: Any, columns: int) -> None:
    """Give the panels of `DECLINATIONS` logarithmic axes, titles and one legend."""
    edges = np.rint(public()[0].dec_deg).astype(int)
    for axes, letter, dec in zip(panels, "abc", DECLINATIONS, strict=True):
        b = int(np.searchsorted(edges, dec)) - 1
        sides = " to ".join(f"{d:+d}°" if d else "0°" for d in edges[b : b + 2].tolist())
        title = f"{letter}  dec {sides}".replace("-", "\N{MINUS SIGN}")
        axes.set(xscale="log", yscale="log", title=title)
    named = panels[0].get_legend_handles_labels()
    panels[0].figure.legend(*named, loc="outside lower center", ncols=columns)


def beyond(truth: Simulated, first: float, last: float, times: Floats) -> tuple[Floats, Floats]:
    """Return which share is farther away than `times` AngErr: simulated, and by the mixture.

    first, last: range of AngErr [deg].
    """
    part = (np.arange(6) + 0.5) / 6  # of a bin: AngErr is even within it
    sigma = 10 ** (truth.low[:, 2:] + part * (truth.high - truth.low)[:, 2:])
    sigma[truth.low[:, 2] < np.log10(0.2001)] = 0.2
    row, column = np.nonzero((sigma >= first) & (sigma < last))
    weight = truth.weight[row] / truth.weight[row].sum()
    sums = np.zeros((2, times.size))
    for some in np.array_split(np.arange(row.size), 1 + row.size // 1000):
        at, error = row[some], sigma[row[some], column[some]]
        low, high = truth.low[at], truth.high[at]
        angle = np.minimum(np.radians(error)[:, None] * times, np.pi)
        sides = low[:, 1, None], high[:, 1, None]
        sums[0] += weight[some] @ np.clip((sides[1] - np.log(angle)) / (sides[1] - sides[0]), 0, 1)
        s = np.full(at.size, truth.sin_dec.mean())
        kappa, ratio = public()[3].neutrinos((low[:, 0] + high[:, 0]) / 2, error, s)
        share = ratio[..., int(np.argmin(np.abs(SIN_DEC - s[0])))]
        share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
        away, each = -2 * np.sin(angle / 2)[..., None] ** 2, kappa[:, None, :]
        closer = np.expm1(away * each) / np.expm1(-2 * each)
        sums[1] += np.einsum("i,ik,itk->t", weight[some], share, 1 - closer)
    return sums[0], sums[1]


FIGURES_OF = (subsets, energy, p_astro, maps_2d, single_p, background_p_astro, proxy, point_spread)
ALL = {f.__name__: f for f in FIGURES_OF}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or ALL:
        print(chosen, flush=True)
        ALL[chosen]()
