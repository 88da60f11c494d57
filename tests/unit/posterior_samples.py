"""Sky maps with weights, for tests of where a source is."""

import numpy as np
from stats_samples import blob_map

from llama.stats.distance import distance_moments
from llama.stats.healpix import tiles_geometry
from llama.stats.overlap import prepare_map
from llama.stats.posterior import Weighted
from llama.stats.weights import weight_moments


def weighted(response, params, where=(100.0, 20.0, 6.0), far=(60.0, 15.0), **how):
    """Return a blob at ra, dec of a sigma [deg] with distmu, distsigma [Mpc], and it prepared."""
    order, ipix, prob = blob_map(*where, **how)
    along = np.argsort(ipix << (2 * (29 - order.astype(np.int64))))
    order, ipix, prob = order[along], ipix[along], prob[along]
    mu, sigma = (np.full(order.size, value) for value in far)
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    columns = prob, sin_dec, mu, sigma, response.area_relative, params
    weights = weight_moments(*columns, powers=3)
    plain = distance_moments(mu, sigma) * prob
    return Weighted(order, ipix, weights, plain), prepare_map(order, ipix, weights[0])
