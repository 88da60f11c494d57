"""LLAMA: gravitational-wave and high-energy-neutrino coincidences in low latency.

    from llama import Archive, SkyMap, search

finds the neutrinos of one wave without files or settings (docs/python.md); commands and rules are
in the rooms below. Nothing heavy is imported before one of these names is used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "Neutrinos",
    "RankedNeutrino",
    "Result",
    "SearchSettings",
    "SkyMap",
    "__version__",
    "search",
]

if TYPE_CHECKING:
    from llama.api import (
        Archive,
        Neutrinos,
        RankedNeutrino,
        Result,
        SearchSettings,
        SkyMap,
        search,
    )
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module("llama.api"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
