"""Write the table of `llama.stats.cosmology`: redshift by luminosity distance, from astropy.

python tests/bench/planck18.py > scripts/llama/stats/templates/planck18.csv
"""

import sys

import numpy as np
from astropy.cosmology import Planck18


def main() -> None:
    """Write it to stdout."""
    distance = 10.0 ** np.round(np.arange(-2.0, 5.5001, 0.01), 2)  # Mpc
    redshift = distance * 2.2e-4
    for _ in range(200):
        redshift *= distance / Planck18.luminosity_distance(redshift).to_value("Mpc")
    sys.stdout.write("# astropy.cosmology.Planck18, by tests/bench/planck18.py\n")
    sys.stdout.write("# luminosity distance [Mpc], redshift\n")
    for row in zip(distance, redshift, strict=True):
        sys.stdout.write(f"{row[0]:.10e},{row[1]:.10e}\n")


if __name__ == "__main__":
    main()
