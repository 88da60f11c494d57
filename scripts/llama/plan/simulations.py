"""Simulations of sky maps: their settings, shards and numbers."""

from collections.abc import Sequence

from llama.errors import LlamaError
from llama.plan.studies import parts
from llama.settings import Settings
from llama.settings.background import Simulation
from llama.study.simulate import SHARD_SIZE


class Simulations:
    """The simulations of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._simulations = settings.background.simulations

    def known(self, simulation: str) -> Simulation:
        """Return the settings of a simulation."""
        if simulation not in self._simulations:
            raise LlamaError(
                f"{simulation} is not in background.simulations of the settings; add it"
            )
        return self._simulations[simulation]

    def values(self, simulation: str, names: Sequence[str] = ()) -> dict[str, object]:
        """Return settings of a simulation, all without names."""
        whole = self.known(simulation).model_dump(mode="json")
        return {name: whole[name] for name in names or whole}

    def noise(self, simulation: str) -> list[str]:
        """Return the files with a detector's noise; models are no files."""
        return sorted(psd for psd in self.known(simulation).psds.values() if psd.startswith("/"))

    def shards(self, simulation: str) -> list[str]:
        """Return the directories with the sky maps of a simulation."""
        count = parts(self.known(simulation).injections, SHARD_SIZE)
        return [f"simulations/{simulation}/maps/shard-{index:04d}" for index in range(count)]

    def numbers(self, simulation: str, shard: str) -> list[int]:
        """Return first and last-but-one injection number of a shard of a simulation."""
        count = self.known(simulation).injections
        first = int(shard) * SHARD_SIZE
        if first >= count:
            raise LlamaError(
                f"{simulation} has {count:,} injections: no shard {shard}; name a lower one"
            )
        return [first, min(first + SHARD_SIZE, count)]
