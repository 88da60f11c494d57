"""Simulated binaries: masses and spins of a population, uniform in comoving volume and time."""

import gzip
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from llama.errors import LlamaError
from llama.event.provenance import software
from llama.files import write_bytes
from llama.stats.arrays import Floats

Draw = Callable[[Floats], Floats]  # from uniform numbers in [0, 1)

# Noise lifts an SNR of 5.5 over 8 in one case of fifty; what is weaker than this below the
# threshold would cost a second of CPU each and give no sky maps.
NOISE_MARGIN = 2.5
# Of the table of SNRs. A+ has two black holes of 50 Msun above 5.5 out to z = 9.9; detectors that
# see farther are refused.
Z_MAX = 12.0
_BATCH = 8192
COLUMNS = (
    *("mass1", "mass2", "spin1z", "spin2z", "distance", "longitude", "latitude"),
    *("inclination", "polarization", "coa_phase", "time_geocent"),
)
_START_GPS, _YEAR_S = 1_000_000_000.0, 365.25 * 86400


class Simulation(TypedDict, total=False):
    """Settings of a simulation (`background.simulations`), as many as a step needs."""

    distribution: str
    psds: dict[str, str]
    injections: int
    net_snr: float
    duty_cycle: float
    f_high_hz: float | None
    seed: int


class Reach(TypedDict):
    """SNR of each detector at 1 Mpc over both detector-frame masses [Msun] and the spin."""

    mass1: list[float]
    mass2: list[float]
    spin: list[float]
    detectors: list[str]
    snr_1mpc: list[list[list[list[float]]]]


class Waveform(NamedTuple):
    """Approximant of LALSimulation and the frequency it starts at [Hz]."""

    name: str
    f_low_hz: float


class Population(NamedTuple):
    """Ranges of both masses [Msun, source frame] and both aligned spins, and how to draw them."""

    mass1: tuple[float, float, Draw]
    mass2: tuple[float, float, Draw]
    spin1: float  # uniform within +- this
    spin2: float
    waveform: Waveform


def _normal(low: float, high: float, mean: float, sigma: float) -> tuple[float, float, Draw]:
    from scipy.special import ndtr, ndtri

    ends = ndtr((np.array([low, high]) - mean) / sigma)
    return low, high, lambda u: mean + sigma * ndtri(ends[0] + u * (ends[1] - ends[0]))


def _power(low: float, high: float, index: float) -> tuple[float, float, Draw]:
    if index == -1:
        return low, high, lambda u: low * (high / low) ** u
    power = index + 1
    return low, high, lambda u: (low**power + u * (high**power - low**power)) ** (1 / power)


def population(distribution: str) -> Population:
    """Return the population that `bayestar-inject --distribution` calls so.

    astro: neutron stars N(1.33, 0.09) Msun with spins below 0.05, black holes m^-2.3 (the
    observing scenarios: Abbott et al., Living Reviews in Relativity 23, 3, 2020; Petrov et al.,
    ApJ 924, 54, 2022); broad: flat in 1-2 Msun and flat in log m.
    """
    kind, _, width = distribution.partition("_")
    astro = width == "astro"
    star = _normal(1.0, 2.0, 1.33, 0.09) if astro else _power(1.0, 2.0, 0)
    hole = _power(5.0, 50.0, -2.3 if astro else -1)
    star_spin, hole_spin = (0.05 if astro else 0.4), 0.99
    # TaylorF2 ends before two stars touch, and needs no data files as the ROM families do
    inspiral = Waveform("TaylorF2threePointFivePN", 30.0)
    return {
        "bns": Population(star, star, star_spin, star_spin, inspiral),
        "nsbh": Population(hole, star, hole_spin, star_spin, Waveform("IMRPhenomD", 30.0)),
        "bbh": Population(hole, hole, hole_spin, hole_spin, Waveform("IMRPhenomD", 20.0)),
    }[kind]


def draw_injections(
    numbers: range, seed: int, binaries: Population, reach: Reach, net_snr: float
) -> tuple[dict[str, Floats], int]:
    """Return the columns of `numbers` as a sim_inspiral table has them, and how many were drawn.

    Sources have a constant rate per comoving volume and proper time (dV/dz / (1 + z), Planck
    2015), out to where the loudest binary could still be found, and isotropic directions and
    orientations; of those drawn, the ones stay whose SNR in the network is above net_snr -
    NOISE_MARGIN. Masses in the detector frame [Msun], angles in rad, distance [Mpc] is the
    luminosity distance, times in GPS seconds. Seed and first number alone decide what is drawn.
    """
    from astropy.cosmology import Planck15
    from scipy.interpolate import RegularGridInterpolator

    log_table = RegularGridInterpolator(
        (np.log(reach["mass1"]), np.log(reach["mass2"]), reach["spin"]),
        np.log(np.maximum(reach["snr_1mpc"], 1e-30)),
    )

    def snr_1mpc(mass1: Floats, mass2: Floats, spin: Floats) -> Floats:
        point = np.stack(np.broadcast_arrays(np.log(mass1), np.log(mass2), spin), axis=-1)
        return np.asarray(np.exp(log_table(point)))  # last axis: detectors

    limit = max(net_snr - NOISE_MARGIN, 1.0)
    z = np.geomspace(1e-5, Z_MAX, 4000)
    masses = [np.geomspace(low, high, 8) for low, high, _ in (binaries.mass1, binaries.mass2)]
    loudest = np.max(
        [
            np.linalg.norm(
                snr_1mpc(m1 * (1 + z), m2 * (1 + z), np.full(z.size, reach["spin"][-1])), axis=-1
            )
            for m1 in masses[0]
            for m2 in masses[1]
        ],
        axis=0,
    )
    seen = np.flatnonzero(loudest >= limit * Planck15.luminosity_distance(z).to_value("Mpc"))
    if not seen.size or seen[-1] == z.size - 1:
        raise LlamaError(
            f"these detectors see such binaries nowhere, or beyond redshift {Z_MAX:g}; "
            "correct psds and net_snr in background.simulations"
        )
    z = np.linspace(0.0, z[seen[-1] + 1], 4000)
    density = Planck15.differential_comoving_volume(z).value / (1 + z)
    volume = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    distance_mpc = Planck15.luminosity_distance(z).to_value("Mpc")

    rng = np.random.default_rng([seed, numbers.start])
    kept: list[Floats] = []
    count = drawn = 0
    while count < len(numbers):
        uniform = rng.random((11, _BATCH))
        redshift = np.interp(uniform[0], volume / volume[-1], z)
        mass1 = binaries.mass1[2](uniform[1]) * (1 + redshift)
        mass2 = binaries.mass2[2](uniform[2]) * (1 + redshift)
        spin1 = binaries.spin1 * (2 * uniform[3] - 1)
        spin2 = binaries.spin2 * (2 * uniform[4] - 1)
        distance = np.interp(redshift, z, distance_mpc)
        swap = mass1 < mass2
        batch = np.array(
            [
                np.where(swap, mass2, mass1),
                np.where(swap, mass1, mass2),
                np.where(swap, spin2, spin1),
                np.where(swap, spin1, spin2),
                distance,
                2 * math.pi * uniform[5],
                np.arcsin(2 * uniform[6] - 1),
                np.arccos(2 * uniform[7] - 1),
                2 * math.pi * uniform[8],
                math.pi * (2 * uniform[9] - 1),
                _START_GPS + _YEAR_S * uniform[10],
            ]
        )
        spin = (mass1 * spin1 + mass2 * spin2) / (mass1 + mass2)
        snr = snr_1mpc(mass1, mass2, spin) / distance[:, None]
        loud = np.flatnonzero(np.linalg.norm(snr, axis=1) >= limit)  # if it were overhead
        snr = snr[loud] * antenna_factors(batch[5:, loud], reach["detectors"])
        loud = loud[np.linalg.norm(snr, axis=1) >= limit][: len(numbers) - count]
        kept.append(batch[:, loud])
        count += loud.size
        drawn += int(loud[-1]) + 1 if count == len(numbers) else _BATCH
    return dict(zip(COLUMNS, np.hstack(kept), strict=True)), drawn


def antenna_factors(angles: Floats, detectors: Sequence[str]) -> Floats:
    """Return each detector's SNR relative to that of the same binary overhead and face-on.

    angles: rows longitude, latitude, inclination, polarization, coa_phase [rad], GPS time.
    """
    import lal
    from lalsimulation import DetectorPrefixToLALDetector

    responses = [DetectorPrefixToLALDetector(name).response for name in detectors]
    factors = np.empty((angles.shape[1], len(detectors)))
    for row, (ra, dec, inclination, psi, _, time) in enumerate(angles.T):
        gmst, u = lal.GreenwichMeanSiderealTime(lal.LIGOTimeGPS(float(time))), math.cos(inclination)
        for column, response in enumerate(responses):
            plus, cross = lal.ComputeDetAMResponse(response, ra, dec, psi, gmst)
            factors[row, column] = math.hypot((1 + u * u) / 2 * plus, u * cross)
    return factors


def write_injections(
    path: str | Path, columns: dict[str, Floats], first: int, waveform: Waveform, comment: str = ""
) -> None:
    """Write a sim_inspiral table (LIGO_LW XML, .gz) whose simulation_id count from `first`."""
    import lal
    from igwn_ligolw import ligolw, lsctables

    lsctables.ProcessTable.reset_next_id()  # it counts on from document to document
    document = ligolw.Document()
    root = document.appendChild(ligolw.LIGO_LW())
    process = document.register_process("llama", {}, comment=f"{software()}: {comment}")
    table = root.appendChild(lsctables.SimInspiralTable.new())
    for number, row in enumerate(zip(*columns.values(), strict=True), first):
        values = dict(zip(columns, map(float, row), strict=True))
        m1, m2 = values["mass1"], values["mass2"]
        table.appendRow(
            **dict.fromkeys(table.validcolumns)
            | values
            | {
                "process_id": process.process_id,
                "simulation_id": number,
                "waveform": waveform.name,
                "f_lower": waveform.f_low_hz,
                "mchirp": (m1 * m2) ** 0.6 / (m1 + m2) ** 0.2,
                "eta": m1 * m2 / (m1 + m2) ** 2,
                "time_geocent": lal.LIGOTimeGPS(values["time_geocent"]),
            }
        )
    write_document(path, document)


def write_document(path: str | Path, document: Any) -> None:
    """Write a LIGO_LW document, gzipped, so that equal content gives equal bytes."""
    from igwn_ligolw import lsctables

    for row in lsctables.ProcessTable.get_table(document):
        for name in ("node", "username", "unix_procid", "start_time", "end_time", "jobid"):
            setattr(row, name, None)
    write_bytes(path, document_bytes(document))


def document_bytes(document: Any) -> bytes:
    """Return a LIGO_LW document as gzipped XML without a date."""
    stream = io.StringIO()
    document.write(stream)
    return gzip.compress(stream.getvalue().encode(), 6, mtime=0)
