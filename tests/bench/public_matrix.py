"""Makes the smearing matrix that ships with LLAMA: python tests/bench/public_matrix.py FILE

FILE is `irfs/IC86_smearing.csv` of IceTracks-DR2 (doi:10.7910/DVN/MMIIZA, version 1.0, CC0 1.0),
598,080,195 bytes. All 12,097,409 simulated events are kept, and the edges of all bins.
"""

import sys
from dataclasses import replace
from pathlib import Path

from llama.neutrinos.smearing import PUBLIC_IC86, SOURCE
from llama.neutrinos.smearing_table import read_smearing

if __name__ == "__main__":
    replace(read_smearing(Path(sys.argv[1])), source=SOURCE).save(PUBLIC_IC86)
    print(f"written: {PUBLIC_IC86}, {PUBLIC_IC86.stat().st_size:,} bytes")
