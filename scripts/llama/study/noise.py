"""The noise of simulated detectors, and how loud binaries are in it."""

from pathlib import Path
from typing import Any

import numpy as np

from llama.errors import LlamaError
from llama.files import sha256_bytes, write_bytes, write_json
from llama.study.binaries import Z_MAX, Population, Reach, Simulation, document_bytes, population
from llama.study.simulate import beside, run_tool

_MASS_STEPS = 14


def sample_psds(psd: str | Path, reach: str | Path, simulation: Simulation) -> None:
    """Write the noise of the detectors (LIGO_LW, gzipped) and how far they reach (JSON).

    A detector's noise is the name of a model that `bayestar-sample-model-psd --help` lists, or a
    text file with frequency [Hz] and amplitude spectral density [1/sqrt(Hz)] per line.
    """
    from igwn_ligolw import utils
    from lal import series

    names = {d: psd for d, psd in simulation["psds"].items() if not psd.startswith("/")}
    spectra: dict[str, Any] = {}
    if names:
        with beside(psd, ".models.xml") as models:
            options = [f"--{detector}={name}" for detector, name in names.items()]
            run_tool("bayestar-sample-model-psd", "--output", str(models), *options)
            document = utils.load_filename(
                str(models), contenthandler=series.PSDContentHandler, verbose=False
            )
            spectra |= series.read_psd_xmldoc(document, root_name=None)
    for detector in simulation["psds"].keys() - names:
        spectra[detector] = _read_asd(Path(simulation["psds"][detector]), detector)
    # the detectors' order must not depend on where their noise comes from
    spectra = dict(sorted(spectra.items()))
    content = document_bytes(series.make_psd_xmldoc(spectra))
    table = network_reach(spectra, population(simulation["distribution"]), simulation["f_high_hz"])
    write_bytes(psd, content)
    write_json(reach, {**table, "psd_sha256": sha256_bytes(content)})


def network_reach(
    psds: dict[str, Any], binaries: Population, f_high_hz: float | None = None
) -> Reach:
    """Return each detector's SNR at 1 Mpc: overhead, face-on binaries, equal and aligned spins."""
    from ligo.skymap.bayestar.filter import abscissa, sngl_inspiral_psd

    noises = []
    for psd in psds.values():
        frequency, power = abscissa(psd), psd.data.data
        good = np.isfinite(power) & (power > 0) & (frequency > 0)
        noises.append((np.log(frequency[good]), -np.log(power[good])))
    mass1, mass2 = (
        np.geomspace(low, high * (1 + Z_MAX), _MASS_STEPS)
        for low, high, _ in (binaries.mass1, binaries.mass2)
    )
    # below 0.5 the spin hardly changes the amplitude
    spins = np.linspace(-1.0, 1.0, 5 if binaries.spin1 > 0.5 else 2) * binaries.spin1
    snr = np.zeros((_MASS_STEPS, _MASS_STEPS, spins.size, len(noises)))
    for i, j, k in np.ndindex(snr.shape[:3]):
        try:
            signal = sngl_inspiral_psd(
                binaries.waveform.name,
                mass1=mass1[i],
                mass2=mass2[j],
                f_min=binaries.waveform.f_low_hz,
                f_final=f_high_hz,
                spin1z=spins[k],
                spin2z=spins[k],
            )
        except RuntimeError:  # it ends below f_low: no signal
            continue
        present = np.flatnonzero(signal.data.data)
        log_f = np.log(signal.f0 + present * signal.deltaF)
        weights = [
            np.exp(np.interp(log_f, *noise, left=-np.inf, right=-np.inf)) for noise in noises
        ]
        snr[i, j, k] = np.sqrt(4 * signal.deltaF * np.dot(weights, signal.data.data[present]))
    return Reach(
        mass1=mass1.tolist(),
        mass2=mass2.tolist(),
        spin=spins.tolist(),
        detectors=list(psds),
        snr_1mpc=snr.tolist(),
    )


def _read_asd(path: Path, detector: str) -> Any:
    """Return a LAL series of 1 Hz steps from a text file: frequency, amplitude density."""
    import lal

    try:
        frequency, amplitude = np.loadtxt(path, unpack=True, usecols=(0, 1))
    except (OSError, ValueError) as error:
        raise LlamaError(
            f"{path} cannot be read as the noise of {detector} ({error}); "
            "give frequency [Hz] and amplitude spectral density per line"
        ) from error
    rising = frequency.ndim == 1 and frequency.size > 1 and bool(np.all(np.diff(frequency) > 0))
    if not rising or frequency[0] <= 0 or not np.all(amplitude > 0):
        raise LlamaError(
            f"{path} does not hold rising frequencies with amplitudes above 0; correct it"
        )
    first, last = np.ceil(frequency[0]), np.floor(min(frequency[-1], 2048.0))
    grid = np.arange(first, last + 1)
    series = lal.CreateREAL8FrequencySeries(detector, 0, first, 1.0, lal.Unit("s"), len(grid))
    series.data.data = np.exp(2 * np.interp(np.log(grid), np.log(frequency), np.log(amplitude)))
    return series
