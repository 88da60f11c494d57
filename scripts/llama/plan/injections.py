"""How many injections a study has, in which shards, and how one becomes an event."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from llama.errors import LlamaError
from llama.plan.engine import Job
from llama.plan.studies import Studies, numbers_of
from llama.settings import Settings
from llama.study.plan import Plan, write_plan

if TYPE_CHECKING:
    from llama.study.pairs import Pairs


class Injections:
    """The injections of all studies.

    requested: directories of those that the user has named, which become events.
    """

    def __init__(self, settings: Settings, studies: Studies, requested: Iterable[str]) -> None:
        self._settings, self._studies = settings, studies
        self._background = settings.background
        kinds = ("signal", "doublet", "quadruplet")
        signal = dict.fromkeys(kinds, self._background.signal_injections)
        self._counts = {"background": self._background.injections, **signal}
        self._waiting = set(requested)

    def plan(self, study: str, kind: str) -> Plan:
        """Return how many injections of a kind a study has; there are only so many pairs."""
        count = self._counts[kind]
        if self._is_paired(study, kind):
            if self._background.sampling == "weighted":
                raise LlamaError(
                    f"{study} pairs superevents with lists that were made before, which have no "
                    "weights; set background.sampling: plain in the settings"
                )
            count = min(count, self._studies.artifacts(study).pairs)
        return Plan(count, self._background.shard_size)

    def shards(self, study: str, kind: str = "background") -> list[str]:
        """Return the shards of a study; the last one is shorter when sizes do not divide."""
        return [f"studies/{study}/{kind}/{name}" for name in self.plan(study, kind).shards()]

    def sampling(self, kind: str) -> str:
        """Return how the neutrinos of a shard are drawn: only background can be weighted."""
        return self._background.sampling if kind == "background" else "plain"

    def write_plans(self, jobs: Iterable[Job]) -> None:
        """Write down what every study that these jobs make is to consist of."""
        kinds = {
            (job.wildcards["study"], job.wildcards["kind"]) for job in jobs if job.rule == "inject"
        }
        for study, kind in sorted(kinds):
            write_plan(self._settings.output_dir / "studies" / study, kind, self.plan(study, kind))

    def _is_paired(self, study: str, kind: str) -> bool:
        return kind == "background" and self._studies.has_artifacts(study)

    def lists(self, study: str, kind: str) -> list[str]:
        """Return the neutrino lists of which a shard takes pairs."""
        return self._studies.lists(study) if self._is_paired(study, kind) else []

    def seed(self, study: str, kind: str) -> int:
        """Return the seed of a shard; pairs are not drawn."""
        return -1 if self._is_paired(study, kind) else self._background.seed

    def gps(self, study: str, kind: str) -> float | None:
        """Return the time about which the lists of a shard were made [GPS s]."""
        return self._studies.lists_gps(study) if self._is_paired(study, kind) else None

    def numbers(self, study: str, kind: str, shard: str) -> list[int]:
        """Return first and last-but-one injection number of a shard."""
        plan = self.plan(study, kind)
        count, size = plan.injections, plan.shard_size
        refusal = (
            f"there are {count:,} injections of kind {kind}, {size:,} per shard: no shard "
            f"{shard}; name a lower one"
        )
        return numbers_of(shard, size, count, refusal)

    def open_requested(self, directory: str) -> None:
        """Write what came in of an injection that was named: it is then as any other event."""
        if directory in self._waiting:
            self._open(directory)
            self._waiting.remove(directory)

    def _open(self, directory: str) -> None:
        from llama.event.detectors import open_site
        from llama.study.opening import injection_number, open_injection, open_pair

        study = directory.split("/")[1]
        counts = {kind: self.plan(study, kind).injections for kind in self._counts}
        _, kind, number = injection_number(directory, self._background.shard_size, counts)
        event_dir = self._settings.output_dir / directory
        maps = [Path(path) for path in self._studies.skymaps(study)]
        p_astro = self._background.p_astro
        if self._is_paired(study, kind):
            open_pair(
                event_dir,
                study,
                number,
                pairs=self._pairs(study),
                artifacts=self._studies.artifacts(study),
                skymaps=maps,
                p_astro=p_astro,
            )
            return
        tables = self._studies.detectors.whole(self._studies.detectors.study_tables(study))
        search = self._studies.search(study)
        open_injection(
            event_dir,
            study,
            number,
            kind="weighted" if self.sampling(kind) == "weighted" else kind,
            maps=maps,
            site=open_site(tables, search),
            search=search,
            seed=self._background.seed,
            p_astro=p_astro,
            skip_broken=self._background.broken_maps == "skip",
        )

    def _pairs(self, study: str) -> "Pairs":
        from llama.study.bank import Bank
        from llama.study.pairs import Lists, Pairs

        output_dir = self._settings.output_dir
        with Bank(output_dir / f"studies/{study}/skymaps.hdf5") as bank:
            lists = Lists([output_dir / part for part in self._studies.lists(study)])
            return Pairs(len(bank.names), bank.broken, lists, self._studies.lists_gps(study))
