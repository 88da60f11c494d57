"""Write the table of `llama.stats.cosmology`: redshift by luminosity distance, from astropy.

python tests/bench/planck18.py > scripts/llama/stats/templates/planck18.csv
"""

import sys

import numpy as np
from astropy import units
from astropy.cosmology import Planck18, z_at_value


def main() -> None:
    """Write it to stdout."""
    distance = 10.0 ** np.round(np.arange(-2.0, 5.5001, 0.01), 2)  # Mpc
    redshift = z_at_value(
        Planck18.luminosity_distance, distance * units.Mpc, zmin=1e-9, zmax=60, ztol=1e-13
    )
    sys.stdout.write("# astropy.cosmology.Planck18, by tests/bench/planck18.py\n")
    sys.stdout.write("# luminosity distance [Mpc], redshift\n")
    for row in zip(distance, redshift.value, strict=True):
        sys.stdout.write(f"{row[0]:.9e},{row[1]:.9e}\n")


if __name__ == "__main__":
    main()
