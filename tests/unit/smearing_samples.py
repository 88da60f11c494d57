"""A detector known in closed form, its smearing matrix by simulation, and matrices as text.

Proxy: Gaussian about `proxy_mean`, 0.35 dex. AngErr: log-normal, 0.2 deg at least. Angle: von
Mises-Fisher of AngErr (nine in ten) or of six times AngErr. All follow from the middles of a
cell's true energy and declination, so that nothing but the sampling is between truth and matrix.
"""

import itertools

import h5py
import numpy as np

from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import build_detector
from llama.neutrinos.release import EffectiveArea
from llama.neutrinos.smearing import SOURCE, Smearing

LOG10_ENERGY = np.linspace(2.0, 9.0, 15)
DEC_DEG = np.degrees(np.arcsin(np.linspace(-1.0, 1.0, 31)))
PROXY_WIDTH, FAR_SHARE, FAR = 0.35, 0.1, 6.0
COLUMNS = (
    "log10(E_nu/GeV)_min log10(E_nu/GeV)_max Dec_nu_min[deg] Dec_nu_max[deg] log10(E/GeV)_min "
    "log10(E/GeV)_max PSF_min[deg] PSF_max[deg] AngErr_min[deg] AngErr_max[deg] Fractional_Counts"
)


def flat_area(area_cm2=1e4):
    """The same area at all energies and declinations; its bins do not nest with the matrix's."""
    dec = np.degrees(np.arcsin(np.linspace(-1, 1, 51)))
    return EffectiveArea("FLAT", np.linspace(2, 10, 41), dec, np.full((40, 50), area_cm2))


def proxy_mean(log10_energy, sin_dec):
    return 2.4 + 0.7 * (log10_energy - 2.0) + 0.4 * (sin_dec < 0)


def angerr_mean(log10_energy):
    return -0.05 - 0.08 * (log10_energy - 4.0)


def closer(angle_rad, sigma_deg):
    """Probability that a direction is closer than an angle to the source."""

    def vmf(width):
        return -np.expm1(-(1 - np.cos(angle_rad)) / width**2) / -np.expm1(-2 / width**2)

    sigma = np.radians(sigma_deg)
    return (1 - FAR_SHARE) * vmf(sigma) + FAR_SHARE * vmf(FAR * sigma)


def analytic_matrix(events=8000, seed=1, energies=LOG10_ENERGY, dec_deg=DEC_DEG):
    """Simulate this detector, so many events in each cell."""
    rng = np.random.default_rng(seed)
    shape = energies.size - 1, dec_deg.size - 1
    edges = np.zeros((*shape, 3, 21))
    counts = np.zeros((*shape, 20, 20, 20), dtype=np.uint32)
    sin_dec = np.sin(np.radians(dec_deg))
    for e, b in np.ndindex(*shape):
        x = (energies[e] + energies[e + 1]) / 2
        proxy = rng.normal(proxy_mean(x, (sin_dec[b] + sin_dec[b + 1]) / 2), PROXY_WIDTH, events)
        error = np.maximum(0.2, 10 ** rng.normal(angerr_mean(x), 0.25, events))
        width = np.radians(error) * np.where(rng.uniform(size=events) < FAR_SHARE, FAR, 1.0)
        away = -np.log1p(rng.uniform(size=events) * np.expm1(-2 / width**2)) * width**2
        angle = np.maximum(np.degrees(np.arccos(1 - np.minimum(away, 2))), 0.02)
        edges[e, b] = (
            np.linspace(proxy.min() - 1e-6, proxy.max() + 1e-6, 21),
            np.geomspace(angle.min() * 0.999, angle.max() * 1.001, 21),
            np.geomspace(0.2, error.max() * 1.001, 21),
        )
        edges[e, b] = np.round(edges[e, b], 9)
        counts[e, b] = np.histogramdd(np.stack([proxy, angle, error], 1), bins=edges[e, b])[0]
    return Smearing(energies, dec_deg, edges, counts, SOURCE)


def as_rows(matrix):
    """The rows of a matrix as the release has them, (rows, 11)."""
    n_e, n_b, *bins = matrix.events.shape
    rows = np.empty((n_b, n_e, *bins, 11))
    for e, b in np.ndindex(n_e, n_b):
        cell = rows[b, e]
        cell[..., 0:2] = matrix.log10_energy[e : e + 2]
        cell[..., 2:4] = matrix.dec_deg[b : b + 2]
        for axis, shape in enumerate([(-1, 1, 1), (1, -1, 1), (1, 1, -1)]):
            cell[..., 4 + 2 * axis] = matrix.edges[e, b, axis, :-1].reshape(shape)
            cell[..., 5 + 2 * axis] = matrix.edges[e, b, axis, 1:].reshape(shape)
        cell[..., 10] = matrix.events[e, b] / max(matrix.events[e, b].sum(), 1)
    return rows.reshape(-1, 11)


def as_text(rows, header="#  " + COLUMNS, quoted=False):
    """Rows as they are served; quoted: as Dataverse's .tab."""
    formats = ["%.2f", "%.2f", "%.6f", "%.6f", "%.9f", "%.9f", *["%.10g"] * 4, "%.9e"]
    lines = ["   " + "   ".join(f % v for f, v in zip(formats, row, strict=True)) for row in rows]
    return "\n".join([header, *(f'"{line}"' if quoted else line for line in lines)]) + "\n"


def whole_text(matrix):
    """Yield a matrix as text, cell by cell: its millions of rows one by one take a minute."""
    yield "#  " + COLUMNS + "\n"
    n_e, n_b = matrix.events.shape[:2]
    for b, e in np.ndindex(n_b, n_e):
        energy, dec = matrix.log10_energy[e : e + 2], matrix.dec_deg[b : b + 2]
        cell = "{:.2f}  {:.2f}  {:.6f}  {:.6f}  ".format(*energy, *dec)
        axes = [
            [f"{low:.9f}  {high:.9f}  " for low, high in itertools.pairwise(edges)]
            for edges in matrix.edges[e, b]
        ]
        total = max(matrix.events[e, b].sum(), 1)
        share = {n: f"{n / total:.9e}\n" for n in np.unique(matrix.events[e, b]).tolist()}
        counts = matrix.events[e, b].ravel().tolist()
        bins = itertools.product(*axes)
        yield "".join(
            [cell + x + y + z + share[n] for (x, y, z), n in zip(bins, counts, strict=True)]
        )


def add_detector(directory):
    """Give an archive the tables that an import makes, from the public matrix of IC86."""
    archive = Archive.open(directory)
    season, events = archive.response().season, archive.events()
    with h5py.File(directory / "events.hdf5") as file:
        group = file["effective_areas"][season]
        names = ("log10_energy_edges", "dec_edges_deg", "area_cm2")
        area = EffectiveArea(season, *(group[name][()] for name in names))
    columns = (events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    tables = build_detector(Smearing.load(), area, archive.response(), *columns)
    tables.save(directory / "detector.hdf5")
