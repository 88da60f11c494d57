"""Point-spread function as a mixture of von Mises-Fisher densities of fixed widths.

The widths are multiples of a neutrino's stated error (AngErr), the last one is the whole sky, so
that a fit to simulated events has only the weights to find and is convex. Weights change linearly
between nodes of log10(proxy) and log10(AngErr), stay non-negative, and sum to 1.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MULTIPLES = np.array([0.25, 0.5, 0.9, 1.6, 3.5, 12.0, 60.0])
ERROR_MOST_DEG = 8.0  # larger errors are stated where the angle is no larger
WIDTH_MOST_DEG = 40.0  # wider, it would reach where no lost track is
NODES_PROXY = np.array([2.5, 3.5, 4.5, 5.5, 6.5])  # log10(proxy/GeV)
# log10(AngErr/deg); the first is that of all errors at the floor
NODES_ANGERR = np.log10([0.225, 0.283, 0.4, 0.65, 1.1, 1.7, 2.6, 4.0, 7.0, 12.0, 20.0])
FLOOR_EDGE = np.log10(0.2) + 0.1  # errors below are at the floor of 0.2 deg
ANGLES_DEG = np.geomspace(0.05, 170.0, 60)  # at which distributions are compared

_TAILS_DEG = (5.0, 10.0, 30.0)
_TAIL_ERROR = 0.2  # of a tail that counts as much as an error of _ERROR in the distribution
_ERROR = 0.02
_TAILS_AS = 10.0  # a tail counts as much as so many parts of all angles would
_TAIL_LEAST = 0.006  # rarer tails are not fitted closer than this share of the events
_EACH_BIN = 0.3  # weight of the bins themselves against bins pooled over the proxy
_SUM = 5.0  # of the wish that the weights of a node sum to 1 before they are made to
_ALIKE = 1e-4  # weight of the wish that neighbouring nodes be alike, against one of all events


def tents(values: Floats, nodes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the node below values, and the part of the step beyond it.

    nodes: ascending; beyond the outermost, these hold.
    """
    position = np.interp(values, nodes, np.arange(nodes.size))
    node = np.minimum(position.astype(np.int64), nodes.size - 2)
    return node, position - node


def error_tents(log10_angerr: Floats, nodes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return `tents` of log10(AngErr/deg), where the first node is a class of its own.

    Smaller errors than 0.2 deg are stated as 0.2: half of a southern source's events have it,
    and they are unlike those next to them.
    """
    node, part = tents(np.maximum(log10_angerr, nodes[1]), nodes)
    floor = log10_angerr < FLOOR_EDGE
    return np.where(floor, 0, node), np.where(floor, 0.0, part)


def shares(place: tuple[NDArray[np.int64], Floats], nodes: int) -> Floats:
    """Return what share each node has in a linear interpolation (values, nodes)."""
    node, part = place
    matrix = np.zeros((node.size, nodes))
    k = np.arange(node.size)
    matrix[k, node], matrix[k, node + 1] = 1 - part, part
    return matrix


def concentrations(sigma_deg: Floats, multiples: Floats = MULTIPLES) -> Floats:
    """Return kappa = 1 / width^2 [rad^-2] of each component (..., components).

    width = m min(AngErr, 8 deg), at most 40 deg.
    """
    width = np.minimum(sigma_deg, ERROR_MOST_DEG)[..., None] * multiples
    return np.asarray(np.radians(np.minimum(width, WIDTH_MOST_DEG)) ** -2.0)


def distribution(angle_rad: Floats, kappa: Floats) -> Floats:
    """Return the probability that a von Mises-Fisher direction is closer than an angle.

    Exact for every kappa; (angles, *kappa's shape).
    """
    away = 2.0 * np.sin(np.asarray(angle_rad) / 2.0) ** 2  # 1 - cos
    return np.asarray(np.expm1(np.multiply.outer(-away, kappa)) / np.expm1(-2.0 * kappa))


def radii_deg(kappa: Floats, shares: Floats, sin_dec: Floats, probability: float) -> Floats:
    """Return the angle [deg] within which each point spread has a probability (n,).

    kappa [rad^-2] of the components (n, components), their shares (n, components, uniform nodes of
    sin(dec) from -1 to 1), of which those at `sin_dec` (n,) count; NaN where all of these are 0.
    """
    node, part = tents(sin_dec, np.linspace(-1.0, 1.0, shares.shape[2]))
    k = np.arange(node.size)
    share = (1 - part)[:, None] * shares[k, :, node] + part[:, None] * shares[k, :, node + 1]
    total = share.sum(axis=1)
    weight = share / (np.expm1(-2.0 * kappa) * np.where(total > 0, total, 1.0)[:, None])
    low, high = np.zeros(node.size), np.full(node.size, np.pi)
    for _ in range(50):  # halves the range, to 1e-14 rad
        middle = (low + high) / 2
        away = 2.0 * np.sin(middle / 2.0) ** 2
        reached = (weight * np.expm1(-away[:, None] * kappa)).sum(axis=1) >= probability
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.degrees(np.where(total > 0, high, np.nan))


def fit_weights(share: Floats, found: Floats, log10_proxy: Floats, log10_angerr: Floats) -> Floats:
    """Return the weights (proxy nodes, AngErr nodes, components) at one declination.

    share (proxies, errors): probability of the bins with centres `log10_proxy` and
    `log10_angerr` [deg]; found (proxies, errors, angles): distribution of the angle in each, at
    `ANGLES_DEG`. Non-negative least squares of the distributions, and of the probabilities
    beyond 5, 10 and 30 deg relative to themselves, over all bins and over all proxies of an error.
    """
    from scipy.optimize import nnls

    x = shares(tents(log10_proxy, NODES_PROXY), NODES_PROXY.size)
    a = shares(error_tents(log10_angerr, NODES_ANGERR), NODES_ANGERR.size)
    error_deg = np.where(log10_angerr < FLOOR_EDGE, 0.2, 10.0**log10_angerr)
    each = distribution(np.radians(ANGLES_DEG), concentrations(error_deg))
    n_x, n_a, n_k = NODES_PROXY.size, NODES_ANGERR.size, MULTIPLES.size
    n_errors = log10_angerr.size
    share = share / share.sum()
    by_error = share.sum(axis=0)
    some = np.maximum(by_error, 1e-300)[:, None]
    pooled = np.einsum("xa,xag->ag", share, found) / some
    gate = np.einsum("xa,xn->an", share, x) / some
    normal, target = _alike(n_x, n_a, n_k)
    for weight, truth, gates, errors in (  # all proxies of an error together; each bin, less
        (by_error, pooled, gate, np.arange(n_errors)),
        (
            _EACH_BIN * share.ravel(),
            found.reshape(-1, ANGLES_DEG.size),
            np.repeat(x, n_errors, axis=0),
            np.tile(np.arange(n_errors), log10_proxy.size),
        ),
    ):
        for at in np.nonzero(weight > 1e-7)[0]:
            angles, scale = _closeness(truth[at])
            scale = scale * np.sqrt(weight[at])
            part = np.multiply.outer(gates[at], a[errors[at]]).ravel()
            used = np.nonzero(part)[0]
            columns = (used[:, None] * n_k + np.arange(n_k)).ravel()
            rows = np.kron(part[used], each[angles, errors[at]] * scale[:, None])
            normal[np.ix_(columns, columns)] += rows.T @ rows
            target[columns] += rows.T @ (truth[at][angles] * scale)
    lower = np.linalg.cholesky(normal + 1e-10 * np.trace(normal) * np.eye(normal.shape[0]))
    weights, _ = nnls(lower.T, np.linalg.solve(lower, target))
    weights = weights.reshape(n_x, n_a, n_k)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def _closeness(truth: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the angles of a least squares and how much each counts: all, then the tails."""
    tails = np.searchsorted(ANGLES_DEG, _TAILS_DEG)
    beyond = np.maximum(1 - truth[tails], _TAIL_LEAST)
    scale = _ERROR / (_TAIL_ERROR * beyond) * np.sqrt(ANGLES_DEG.size / _TAILS_AS)
    whole = np.arange(ANGLES_DEG.size)
    return np.concatenate([whole, tails]), np.concatenate([np.ones(whole.size), scale])


def _alike(n_x: int, n_a: int, n_k: int) -> tuple[Floats, Floats]:
    """Return normal equations that want sums of 1, and neighbouring nodes alike.

    The latter decides where nothing was simulated.
    """
    number = np.arange(n_x * n_a * n_k).reshape(n_x, n_a, n_k)
    same_node = np.arange(number.size) // n_k
    normal = _SUM**2 * (same_node[:, None] == same_node).astype(float)
    for here, there in ((number[1:], number[:-1]), (number[:, 1:], number[:, :-1])):
        i, j = here.ravel(), there.ravel()
        np.add.at(normal, (i, i), _ALIKE)
        np.add.at(normal, (j, j), _ALIKE)
        normal[i, j] -= _ALIKE
        normal[j, i] -= _ALIKE
    return normal, np.full(number.size, _SUM**2)
