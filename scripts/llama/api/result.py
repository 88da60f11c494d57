"""What a search has found."""

import json
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llama.api.border import value_errors
from llama.api.neutrinos import RankedNeutrino, ranked_table
from llama.api.skymap import SkyMap
from llama.event.combined import locate_source, source_maps
from llama.event.detectors import Site
from llama.event.page_files import EventFiles
from llama.event.parameters import SearchBlock
from llama.event.populations import PAstro
from llama.event.provenance import provenance
from llama.event.results import Classification, Distances, NeutrinoList, Significance
from llama.event.skymap_info import EventInfo
from llama.files import dump_json
from llama.neutrinos.event_list import NeutrinoList as Listed
from llama.sky.tiles import SkyTiles
from llama.typed import typed

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

_DEFECT = "report it: this is a defect of LLAMA"


class Searched(NamedTuple):
    """What was searched, as the functions of an event take it."""

    tiles: SkyTiles
    info: EventInfo
    p_astro: PAstro
    listed: Listed
    site: Site
    search: SearchBlock


class Result:
    """Odds ratio, p-value and what follows from them; `search` makes it."""

    def __init__(self, searched: Searched, content: dict[str, object]) -> None:
        self._searched = searched
        self._content: dict[str, Any] = json.loads(dump_json(content))
        self._told = typed(self._content, Significance, "the result", _DEFECT)
        self._listed = typed(
            json.loads(dump_json(searched.listed)), NeutrinoList, "the list", _DEFECT
        )

    @property
    def odds_ratio(self) -> float:
        """Odds of a common source over all else: no wave, or neutrinos from elsewhere."""
        return float(self._content["odds_ratio"])

    @property
    def p_value(self) -> float | None:
        """How often chance has such odds with this sky map; None for `p_value_reason`.

        Not corrected for trials: times your rate of waves, it is a false-alarm rate.
        """
        return self._told.p_value

    @property
    def p_value_error(self) -> float | None:
        """Standard error of the p-value, as its background has so many injections."""
        return self._told.p_value_error

    @property
    def p_value_reason(self) -> str | None:
        """Why there is no p-value, None if there is one."""
        return self._told.p_value_reason

    @property
    def p_astro(self) -> float:
        """Probability that the wave is real, without the neutrinos."""
        return self._searched.p_astro["p_astro"]

    @property
    def p_astro_joint(self) -> float:
        """Probability that the wave is real, with the neutrinos."""
        return float(self._content["p_astro_joint"])

    @property
    def most_probable_direction(self) -> tuple[float, float]:
        """Right ascension and declination of a common source, ICRS [deg]."""
        where = self._content["most_probable_direction"]
        return float(where["ra"]), float(where["dec"])

    @property
    def neutrinos(self) -> tuple[RankedNeutrino, ...]:
        """The neutrinos one by one, the least probable by chance first."""
        return tuple(map(RankedNeutrino.of, self._told.single_neutrino))

    def to_table(self) -> "QTable":
        """Return `neutrinos` as a table with units."""
        return ranked_table(self.neutrinos)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, as the workflow's significance_lvc-i3.json has them (docs/files.md).

        Not there are what needs files or alerts: provenance, and the joint false-alarm rate.
        """
        return json.loads(json.dumps(self._content))

    @value_errors()
    def explain(self) -> str:
        """Return what drove the odds ratio, in words: factors whose product it is."""
        from llama.figures.explain import explain, explain_lines

        distances = typed(self._searched.tiles.summary(), Distances, "the sky map", _DEFECT)
        info = self._searched.info
        files = EventFiles(info, {}, Classification(), distances, self._listed, self._told)
        return "\n".join(explain_lines(explain(files), self._told.odds_ratio))

    @property
    def combined(self) -> SkyMap:
        """Where the source of the wave is, given that it is real and given the neutrinos."""
        return self._maps["combined"]

    @property
    def coincidence(self) -> SkyMap | None:
        """Where a source of wave and neutrinos is; None where none of these can be from it."""
        return self._maps.get("coincidence")

    @cached_property
    def _maps(self) -> dict[str, SkyMap]:
        tiles, info, astro, listed, site, search = self._searched
        with value_errors():
            found = locate_source(
                tiles, info.trigger_gps, astro["population"], listed, site.response, search
            )
            made = provenance({}, search)
            maps = source_maps(found, info, listed, tiles, self._told, made)
        if not found.coincidence:
            del maps["coincidence"]
        return {name: SkyMap(*one) for name, one in maps.items()}

    @value_errors()
    def plot(self, path: str | PathLike[str] | None = None) -> "Figure":
        """Return the sky map with its neutrinos as a figure of Matplotlib, 6.7 inches wide.

        path: where to write it, .png or .pdf, too. Notebooks show what is returned.
        """
        from llama.figures.skymap import draw_skymap

        file = None if path is None else Path(path)
        kind = None if file is None else file.suffix.lower()
        if kind not in (None, ".png", ".pdf"):
            raise ValueError(f"a figure cannot be written to {path}; name it .png or .pdf")
        figure: Any = draw_skymap(
            self._searched.tiles,
            self._listed,
            self._searched.info,
            self._told,
            file if kind == ".png" else None,
            file if kind == ".pdf" else None,
            role=None,
            combined=self.combined.tiles,
        )
        figure._repr_png_ = partial(_png, figure)  # what notebooks ask for
        return figure

    def __repr__(self) -> str:
        p = "no p-value" if self.p_value is None else self._told.p_words
        return f"<Result: odds ratio {self.odds_ratio:.3g}, {p}, neutrinos: {len(self.neutrinos)}>"


def _png(figure: "Figure") -> bytes:
    import io

    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    return image.getvalue()
