"""Calibration of odds where signal neutrinos are IceCube's simulated events, with many triggers.

python tests/bench/detector_calibration.py [TRIGGERS]: for each part of the sky, and with the
mixture, a Gaussian, and the area at the proxy, how many sigma the number of true coincidences is
off in the worst decade of odds, and how improbable it is among low odds. 200,000 by default.
"""

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "unit"), str(Path(__file__).parents[1])]

from stats_samples import worst_deviation  # noqa: E402
from test_stats_detector_calibration import (  # noqa: E402
    PLACES,
    SEED,
    gaussian_odds,
    make_site,
    matrix_odds,
    odds_of,
    proxy_odds,
    surprise,
)

if __name__ == "__main__":
    triggers = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as directory:
        site = make_site(Path(directory) / "release")
    ways = [matrix_odds, gaussian_odds, proxy_odds]
    print(f"seed {SEED}, {triggers} triggers in each place")
    for place in PLACES:
        *odds, true = odds_of(site, place, triggers, ways)
        for way, found in zip(ways, odds, strict=True):
            worst, decades = worst_deviation(found, true)
            low = surprise(found, true)
            print(
                f"{place} {way.__name__} {worst:.2f} sigma of {decades} decades, low odds {low:.1e}"
            )
