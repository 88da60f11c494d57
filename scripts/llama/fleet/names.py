"""Names of droplets: what may be one, what a pattern or range means, and which are there twice."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from llama.errors import LlamaError
from llama.fleet.records import Droplet

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,253}[a-zA-Z0-9])?")
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_MOST = 10_000  # as fleet.max_droplets


def expand(name: str) -> list[str]:
    """Return `llama-00`, `llama-01` for `llama-{00..01}`, which fish passes on as it was typed."""
    found = _RANGE.search(name)
    if not found:
        return [name]
    first, last = (int(number) for number in found.groups())
    if abs(last - first) >= _MOST:
        raise _too_many(name)
    width = max(map(len, found.groups())) if "0" in (found[1][0], found[2][0]) else 0
    numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
    names = list[str]()
    for number in numbers:
        names += expand(f"{name[: found.start()]}{number:0{width}}{name[found.end() :]}")
        if len(names) > _MOST:
            raise _too_many(name)
    return names


def _too_many(name: str) -> LlamaError:
    return LlamaError(f"{name} is more than {_MOST:,} names; order fewer droplets")


def check_names(names: Iterable[str]) -> None:
    """Raise `LlamaError` when a droplet cannot have one of `names`."""
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        shown = ", ".join(name[:100] for name in wrong[:5]) + ", ..." * (len(wrong) > 5)
        raise LlamaError(
            f"no droplet can be called {shown}; use letters, digits, dashes and dots, with a "
            "letter or digit first and last"
        )


def doubles(droplets: Iterable[Droplet]) -> list[Droplet]:
    """Return all but the oldest droplet of each name."""
    seen: set[str] = set()
    found = []
    for droplet in sorted(droplets):
        if droplet.name in seen:
            found.append(droplet)
        seen.add(droplet.name)
    return found


def matching(droplets: Iterable[Droplet], patterns: Iterable[str]) -> list[Droplet]:
    """Return the droplets whose names match any of `patterns` (the shell's wildcards), by name."""
    patterns = [one for pattern in patterns for one in expand(pattern)]
    chosen = [d for d in droplets if any(fnmatchcase(d.name, pattern) for pattern in patterns)]
    return sorted(chosen, key=lambda droplet: (droplet.name, droplet.id))
