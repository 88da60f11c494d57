"""What Python programs call: a search without files or settings, by the functions of the rules."""

from llama.api.archive import Archive
from llama.api.coincidence import search
from llama.api.neutrinos import Neutrinos, RankedNeutrino
from llama.api.result import Result
from llama.api.settings import SearchSettings
from llama.api.skymap import SkyMap

__all__ = [
    "Archive",
    "Neutrinos",
    "RankedNeutrino",
    "Result",
    "SearchSettings",
    "SkyMap",
    "search",
]
