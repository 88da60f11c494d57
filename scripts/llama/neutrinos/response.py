"""What the statistic needs to know of the detector and its background, tabulated on one grid."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import atomic_hdf5, reading_hdf5
from llama.neutrinos.release import EffectiveArea

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector
    from llama.neutrinos.local import Local

LOG10_ENERGY = np.round(1.0 + 0.02 * np.arange(351), 10)  # 10 GeV to 1e8 GeV
SIN_DEC = np.round(-1.0 + 0.01 * np.arange(201), 10)

RESPONSE_FILES = _DETECTOR, _RESPONSE = "detector.hdf5", "response.hdf5"
# Of the published search: IceCube's real-time tracks, their systematic error, IC86.
PUBLISHED_RATE_HZ, PUBLISHED_FLOOR_DEG, PUBLISHED_51_100 = 0.0064, 0.2, 1.1
_GEV_PER_ERG, _CM_PER_MPC = 624.15090744607, 3.0856775814913673e24
_ATTRIBUTES = ("season", "rate_hz", "sigma_floor_deg")  # of files; the rest are tables
_SMOOTHING = (0.1 / 0.02, 0.04 / 0.01)  # 0.1 dex and 0.04 in sin(dec), in steps of the grid


class Stored:
    """Tables that are kept in one HDF5 file, perhaps with those in local coordinates."""

    def save(self, path: str | Path, local: "Local | None" = None) -> None:
        """Write all tables."""
        with atomic_hdf5(path) as file:
            self.write(file)
            if local:
                local.write(file)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; `LlamaError` if it is not there or not whole."""
        problem = f"{path} is missing or not a detector's tables; "
        remedy = "make it again with `llama neutrinos import PATH`"
        with reading_hdf5(path, problem + remedy) as file:
            return cls.read(file)

    def write(self, group: Any) -> None:
        """Write all tables to a group."""
        raise NotImplementedError

    @classmethod
    def read(cls, group: Any) -> Self:
        """Return what `write` wrote."""
        raise NotImplementedError


@dataclass(frozen=True)
class Response(Stored):
    """Tables over x = log10(E/GeV) (rows) and s = sin(dec) (columns), float64.

    `signal_per_dex` [x, s]: density in x of A_eff E^-2, integral over x is 1 at each s (0 where
    the detector is blind). `background_per_dex` [x, s]: density of the archive's events in x and
    s, integral 1, never 0. `effective_area_cm2` [x, s]. `flux_area_cm2_gev` [s]:
    A(dec) = int A_eff E^-2 dE in cm^2 GeV^-1; `area_relative` [s]: A(dec) over its sky average.
    All integrals are trapezoids on the grid. `rate_hz`: of the archive's events;
    `sigma_floor_deg`: the smallest error that they state.
    """

    # what results say of it
    energy_response: ClassVar[str] = "area at the reconstructed energy"
    psf: ClassVar[str] = "gaussian"

    season: str
    log10_energy: NDArray[np.float64]
    sin_dec: NDArray[np.float64]
    effective_area_cm2: NDArray[np.float64]
    flux_area_cm2_gev: NDArray[np.float64]
    area_relative: NDArray[np.float64]
    signal_per_dex: NDArray[np.float64]
    background_per_dex: NDArray[np.float64]
    rate_hz: float = PUBLISHED_RATE_HZ
    sigma_floor_deg: float = PUBLISHED_FLOOR_DEG

    def write(self, group: Any) -> None:
        """Write all tables to a group."""
        group.attrs.update({name: getattr(self, name) for name in _ATTRIBUTES})
        for name, table in self.tables.items():
            group[name] = table

    @classmethod
    def read(cls, group: Any) -> Self:
        """Return what `write` wrote."""
        values = {name: group.attrs[name] for name in _ATTRIBUTES}
        return cls(**values, **{name: group[name][()] for name in _tables(cls)})

    @property
    def tells_energy(self) -> bool:
        """Whether the archive's events have energies: without, the background is flat in them."""
        return bool((self.background_per_dex != self.background_per_dex[0]).any())

    @property
    def true_per_dex(self) -> NDArray[np.float64]:
        """Density of the true energy [x, s], here also that of the reconstructed one."""
        return self.signal_per_dex

    @property
    def tables(self) -> dict[str, NDArray[np.float64]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in _tables(type(self))}


def _tables(form: type) -> list[str]:
    return [field.name for field in fields(form) if field.name not in _ATTRIBUTES]


def response_file(directory: Path, convention: object) -> str:
    """Return the name of the tables of an archive that `search.response` chooses.

    Archives without a smearing matrix have those of the published convention only.
    """
    detector = convention == "matrix" and (directory / _DETECTOR).exists()
    return _DETECTOR if detector else _RESPONSE


def response_form(path: str | Path) -> "type[Response | Detector]":
    """Return what the tables are that `response_file` names."""
    if Path(path).name != _DETECTOR:
        return Response
    from llama.neutrinos.detector import Detector  # it compiles

    return Detector


def load_response(path: str | Path) -> "Response | Detector":
    """Read the tables that `response_file` names."""
    return response_form(path).load(path)


def expected_events(
    response: "Response | Detector", low_gev: float, high_gev: float, redshift: float = 0.0
) -> float:
    """Return the events of a source of 1e51 erg at 100 Mpc in static space, averaged over the sky.

    An E^-2 spectrum from low_gev to high_gev, which arrive as 1 / (1 + redshift) of that.
    docs/method.md (3).
    """
    x = response.log10_energy
    ends = np.log10([low_gev, high_gev]) - np.log10(1.0 + redshift)
    density = response.true_per_dex
    step = (density[1:] + density[:-1]) / 2 * np.diff(x)[:, np.newaxis]
    below = np.concatenate([np.zeros((1, density.shape[1])), np.cumsum(step, axis=0)])
    part = np.array([np.diff(np.interp(ends, x, column))[0] for column in below.T])
    area = np.trapezoid(response.flux_area_cm2_gev * part, response.sin_dec) / 2
    per_area = (
        1e51 * _GEV_PER_ERG / np.log(high_gev / low_gev) / (4 * np.pi * (100 * _CM_PER_MPC) ** 2)
    )
    return float(area * per_area)


def build_response(
    area: EffectiveArea,
    energies_gev: NDArray[np.float64],
    dec_deg: NDArray[np.float64],
    rate_hz: float = PUBLISHED_RATE_HZ,
    sigma_floor_deg: float = PUBLISHED_FLOOR_DEG,
) -> Response:
    """Return the tables for one season's effective area and the events of an archive."""
    effective_area = _on_grid(area)
    per_dex = effective_area * (np.log(10.0) * 10.0**-LOG10_ENERGY)[:, np.newaxis]
    flux_area = np.trapezoid(per_dex, LOG10_ENERGY, axis=0)
    if not flux_area.any():
        raise LlamaError(
            f"the effective area of {area.season} is zero from 10 GeV to 1e8 GeV; "
            "its table must be in cm^2 with log10 energies in GeV"
        )
    return Response(
        season=area.season,
        log10_energy=LOG10_ENERGY,
        sin_dec=SIN_DEC,
        effective_area_cm2=effective_area,
        flux_area_cm2_gev=flux_area,
        area_relative=flux_area / (np.trapezoid(flux_area, SIN_DEC) / 2.0),
        signal_per_dex=per_dex / np.where(flux_area > 0, flux_area, 1.0),
        background_per_dex=_background(np.log10(energies_gev), np.sin(np.radians(dec_deg))),
        rate_hz=rate_hz,
        sigma_floor_deg=sigma_floor_deg,
    )


def _on_grid(area: EffectiveArea) -> NDArray[np.float64]:
    """Interpolate linearly between bin centres; beyond the outermost ones the edge bins hold.

    Outside the energies of the table the area is zero.
    """
    x, s = LOG10_ENERGY, SIN_DEC
    edges_x, edges_s = area.log10_energy, np.sin(np.radians(area.dec_deg))
    rows = [np.interp(s, _centres(edges_s), row) for row in area.area_cm2]
    columns = [np.interp(x, _centres(edges_x), column) for column in np.array(rows).T]
    outside = (x < edges_x[0] - 1e-9) | (x > edges_x[-1] + 1e-9)
    return np.where(outside[:, np.newaxis], 0.0, np.array(columns).T)


def _background(
    log10_energy: NDArray[np.float64], sin_dec: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the smoothed density of events; one event is spread evenly so that it is never 0."""
    from scipy.ndimage import gaussian_filter

    if log10_energy.size and np.isnan(log10_energy).all():  # no energies: as many at all
        density = _background(np.full(sin_dec.size, 4.5), sin_dec)
        of_sin_dec = np.trapezoid(density, LOG10_ENERGY, axis=0) / np.ptp(LOG10_ENERGY)
        return np.tile(of_sin_dec, (LOG10_ENERGY.size, 1))
    # Cells around the nodes. Those at the edges of the grid are half as wide: it is the density
    # that is smoothed, not the counts, so that a flat density stays flat up to the edge.
    x_edges, s_edges = _cells(LOG10_ENERGY), _cells(SIN_DEC)
    counts, _, _ = np.histogram2d(log10_energy, sin_dec, bins=(x_edges, s_edges))
    density = counts / np.outer(np.diff(x_edges), np.diff(s_edges))
    density = np.asarray(gaussian_filter(density, _SMOOTHING, mode="nearest"))
    density += 1.0 / ((x_edges[-1] - x_edges[0]) * (s_edges[-1] - s_edges[0]))
    total = np.trapezoid(np.trapezoid(density, SIN_DEC, axis=1), LOG10_ENERGY)
    return np.asarray(density / total)


def _cells(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([nodes[:1], _centres(nodes), nodes[-1:]])


def _centres(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return (edges[1:] + edges[:-1]) / 2
