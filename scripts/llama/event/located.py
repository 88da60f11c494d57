"""Where the source is, with and without the neutrinos: combined_skymap.json, in words."""

from msgspec import Struct

from llama.event.compared import Number


class Region(Struct, frozen=True):
    """Areas of a map that hold 50 and 90 %, and the most probable distance."""

    area_50_deg2: Number | None = None
    area_90_deg2: Number | None = None
    distmode_mpc: Number | None = None


class Combined(Struct, frozen=True):
    """The file `combined_skymap.json`: the wave's own map, and those with the neutrinos.

    coincidence is None where no neutrino can be from the source, which leaves the distance alone.
    """

    gw: Region = Region()
    combined: Region = Region()
    coincidence: Region | None = None

    def said(self) -> list[tuple[str, str]]:
        """Return for each map what is given, and its areas and most probable distance, in words.

        Empty without a set of neutrinos that can be from the source.
        """
        if self.coincidence is None:
            return []
        return [
            ("by the GW alone", _place_words(self.gw)),
            ("given that the GW is real", _place_words(self.combined)),
            ("given a common source", _place_words(self.coincidence)),
        ]


def _place_words(region: Region) -> str:
    known = [
        f"{level} % in {area:.0f} deg^2" if area >= 100 else f"{level} % in {area:.3g} deg^2"
        for level, area in ((50, region.area_50_deg2), (90, region.area_90_deg2))
        if area is not None
    ]
    if region.distmode_mpc is not None:
        known.append(f"most probable distance {region.distmode_mpc:.0f} Mpc")
    return ", ".join(known)
