"""Sky maps with weights, for tests of where a source is."""

import numpy as np
from stats_samples import blob_map

from llama.stats.area import area_in
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
    relative = area_in(response.area_relative, tiles_geometry(order, ipix)[0])
    weights = weight_moments(prob, relative, mu, sigma, params, powers=3)
    plain = distance_moments(mu, sigma) * prob
    return Weighted(order, ipix, weights, plain), prepare_map(order, ipix, weights[0])
