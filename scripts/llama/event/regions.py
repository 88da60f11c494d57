"""Regions of the combined sky maps for other programs: MOCs, and files for DS9 and Aladin."""

import tempfile
from pathlib import Path

from llama.event.names import COINCIDENCE, COMBINED
from llama.files import write_bytes

LEVELS = (50, 90)  # percent of the probability
FORMS = {"fits": "fits", "json": "json", "txt": "ascii"}  # endings, and mocpy's names
DS9, ALADIN = "regions.reg", "regions.aladin"

# Okabe and Ito's: told apart by all eyes
_MAPS = {"combined": (COMBINED, "#CC79A7"), "coincidence": (COINCIDENCE, "#E69F00")}

NAMES = (
    *(f"{name}_{level}.moc.{end}" for name in _MAPS for level in LEVELS for end in FORMS),
    *(DS9, ALADIN),
)


def write_regions(event_dir: Path, output: Path) -> None:
    """Write the regions of both maps of an event, `NAMES` in the directory `output`.

    A region is the smallest that holds so much of the probability, in whole tiles.
    """
    import healpy  # all three import slowly
    import numpy as np
    from mocpy import MOC

    ds9 = ["# Region file format: DS9 version 4.1", "icrs"]
    aladin = []
    for name, (file, colour) in _MAPS.items():
        for level in LEVELS:
            moc = MOC.from_multiordermap_fits_file(event_dir / file, cumul_to=level / 100)
            with tempfile.TemporaryDirectory() as scratch:
                for end, form in FORMS.items():
                    made = Path(scratch) / f"{name}_{level}.moc.{end}"
                    moc.save(made, format=form)
                    write_bytes(output / made.name, made.read_bytes())
            aladin += [
                f"{name}_{level} = load {name}_{level}.moc.fits",
                f"set {name}_{level} color={colour}",
            ]
            uniq = moc.uniq_hpx.astype(np.int64)
            order = (np.log2(uniq.astype(float) / 4) // 2).astype(np.int64)
            for o, ipix in zip(order, uniq - (4 << 2 * order), strict=True):
                corners = healpy.boundaries(1 << o, ipix, step=1, nest=True).T
                ra, dec = healpy.vec2ang(corners, lonlat=True)
                places = ",".join(f"{a:.5f},{d:.5f}" for a, d in zip(ra, dec, strict=True))
                ds9.append(f"polygon({places}) # color={colour} tag={{{name} {level} %}}")
    write_bytes(output / DS9, ("\n".join(ds9) + "\n").encode())
    write_bytes(output / ALADIN, ("\n".join(aladin) + "\n").encode())
