"""What the hypotheses without a common source of wave and neutrinos give."""

import math
from typing import TYPE_CHECKING

import numpy as np

from llama.stats.area import AnyArea, Area, area_in
from llama.stats.arrays import Floats, bracket
from llama.stats.cosmology import depth_mpc
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters

if TYPE_CHECKING:
    from llama.stats.odds import Neutrinos


def gw_only(
    prepared: PreparedMap, q: float, params: SearchParameters, unseen: float = 1.0
) -> float:
    """Return Lambda_cgw: the GW is from a source that no neutrino comes from.

    q: p_astro / (1 - p_astro); unseen: probability that no other messenger sees a source.
    """
    # <exp(-mu)> from the map itself; 1 - fb^-1 of the sources do not point at us
    return float(q * ((1 - 1 / params.fb) + prepared.weights[0].sum() * unseen / params.fb))


def neutrino_only(
    neutrinos: "Neutrinos", params: SearchParameters, area_relative: AnyArea
) -> Floats:
    """Return Lambda_cnu of each neutrino (n,): GW noise, neutrino from an unseen source.

    Leading order, docs/method.md (14), with sources of all redshifts, the detector's response in
    the neutrino's own direction, and no source seen in GW.
    """
    emitted = params.fb * (params.Enumax - params.Enumin) / math.log(params.Enumax / params.Enumin)
    depth = depth_mpc(params.events_by_redshift)
    volume = params.nu_51_100 * emitted * 1e4 * depth  # int dV_c / 4 pi / (1 + z) <mu>
    start_s, stop_s = params.window
    inside = (neutrinos.dt_s > start_s) & (neutrinos.dt_s < stop_s)
    node, part = bracket(neutrinos.vectors[:, 2], -1.0, 1.0, area_relative.size)
    k = np.arange(node.size)
    intensity = neutrinos.intensity
    here, next_ = (intensity[k, :, at].sum(axis=1) for at in (node, node + 1))
    if isinstance(area_relative, Area):
        response = ((1 - part) * here + part * next_) * area_in(area_relative, neutrinos.vectors)
    else:
        here, next_ = here * area_relative[node], next_ * area_relative[node + 1]
        response = (1 - part) * here + part * next_
    return np.asarray(params.ndotgwnu / params.fb * volume * response * inside)
