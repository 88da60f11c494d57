"""What the user has typed after `snakemake`: events, injections and studies by their names."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llama.event.find import CURRENT, EventRef
from llama.event.names import EVENT_DIR_PATTERN

_EVENT = re.compile(r"(?:\./)?(events|current_run|past_runs/[^/]+)/([^/]+)/?(.*)")
_INJECTION = re.compile(r"(?:\./)?(studies/[^/]+/(?:[a-z]+/)?shard-\d+/injection-\d+)/?(.*)")
_STUDY = re.compile(r"(?:\./)?studies/([^/]+)/(?:all|background)/?")
_CATALOGUE = re.compile(r"(?:\./)?(events|current_run|past_runs/[^/]+)/catalogue/?")
_LISTING = {"--lint", "--list", "--list-rules", "-l", "--list-target-rules", "--lt"}


class Target(NamedTuple):
    """An event or injection as typed, its directory as rules name it, and the product, "" for all.

    Everything is meant by the directory, with or without a slash, and by `all` in it.
    """

    typed: str
    directory: str
    product: str

    @property
    def came_in(self) -> bool:
        """Whether it is no product but a file of an injection that is there once it is opened."""
        return self.product in ("skymap_info.json", "flags.json") or self.product.startswith(
            "alerts/"
        )


class Command:
    """The words of a command line of Snakemake, options and their values among them."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    @property
    def only_lists(self) -> bool:
        """Whether Snakemake only lists or checks the rules: nothing is looked at or made."""
        return any(word.partition("=")[0] in _LISTING for word in self._words)

    def events(self) -> Iterator[Target]:
        """Return the events of this run and past ones; `LlamaError` for what is no GraceID."""
        for word in self._words:
            match = _EVENT.fullmatch(word)
            if match and not match[2].startswith("catalogue"):
                yield _target(word, EventRef.parse(f"{match[1]}/{match[2]}").named, match[3])

    def catalogues(self) -> Iterator[tuple[str, str]]:
        """Return the catalogues as typed, with their runs as rules name them."""
        for word in self._words:
            if match := _CATALOGUE.fullmatch(word):
                yield word, "events" if match[1] == CURRENT else match[1]

    def injections(self) -> Iterator[Target]:
        """Return the injections of studies."""
        for word in self._words:
            match = _INJECTION.fullmatch(word)
            if match and re.fullmatch(EVENT_DIR_PATTERN, match[1]):
                yield _target(word, match[1], match[2])

    def studies(self) -> list[str]:
        """Return the names of the studies of which everything, or the background, is wanted."""
        return [match[1] for word in self._words if (match := _STUDY.fullmatch(word))]


def _target(typed: str, directory: str, product: str) -> Target:
    return Target(typed, directory, "" if product in ("all", "all/") else product)
