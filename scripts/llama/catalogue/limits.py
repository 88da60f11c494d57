"""Limits on the emission of the events of a catalogue together, from the sum of log(1 + odds)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from llama.catalogue.sums import LEAST, Term, exceeding
from llama.stats.arrays import Floats
from llama.study.efficiency import CONFIDENCE, counts_of, poisson, shares_of

_STEPS = 1024  # of the sum: limits need no tails
_PER_DECADE = 4  # energies of the curve


class Sources(NamedTuple):
    """Injections with a number of neutrinos of a source: expected from 1e51 erg, log(1 + odds)."""

    neutrinos: int
    expected: Floats
    values: Floats


class Emitter(NamedTuple):
    """An event that may have emitted neutrinos: p_astro, chance, sources ascending in neutrinos."""

    p_astro: float
    background: Term
    sources: Sequence[Sources]

    def term(self, e_iso_erg: float, fraction: float) -> Term:
        """Return what the event gives if a fraction of mergers emits an energy [erg].

        A source that gives no neutrino leaves the background.
        """
        share, pool = fraction * self.p_astro, np.concatenate([k.expected for k in self.sources])
        values, weights, left = [self.background.values], [], 1.0
        for kind, counts in zip(self.sources, counts_of(self.sources), strict=True):
            of_all = share * float(poisson(pool, e_iso_erg, *counts).mean())
            left -= of_all
            values.append(kind.values)
            weights.append(of_all * shares_of(poisson(kind.expected, e_iso_erg, *counts)))
        chance = self.background.shares * max(left, 0.0)
        return Term(np.concatenate(values), np.concatenate([chance, *weights]))


class Limits(NamedTuple):
    """Limits at 90 % confidence: energy [erg] if all mergers emit it, fractions at energies [erg].

    None where nothing is excluded.
    """

    e_iso_erg: float | None
    energies_erg: list[float]
    fractions: list[float | None]


def stacked_limits(events: Sequence[Emitter], total: float) -> Limits:
    """Return what the observed sum of log(1 + odds) excludes at 90 % confidence.

    Excluded is what would give a smaller sum in at most a tenth of the catalogues in which chance
    does (CL_s, Read 2002, J. Phys. G 28, 2693): a low sum by luck excludes nothing more. Source:
    docs/method.md (33).
    """
    if not events:
        return Limits(None, [], [])
    # no odds at all are likely by chance, and are less than any odds
    total = max(total, LEAST)

    def left(log10_e: float, fraction: float) -> float:
        terms = [event.term(10.0**log10_e, fraction) for event in events]
        return 1.0 - exceeding(terms, total, _STEPS)

    chance = left(0.0, 0.0)

    def excess(log10_e: float, fraction: float) -> float:
        return (1 - CONFIDENCE) * chance - left(log10_e, fraction)

    expected = np.concatenate([k.expected for event in events for k in event.sources])
    seen = expected[expected > 0]
    if not seen.size or chance <= 0:
        return Limits(None, [], [])
    # from where the best seen source gives 0.01 neutrinos to where the worst gives 100
    bright, faint = np.quantile(seen, [0.99, 0.01])
    low, high = (51 + np.log10(value) for value in (0.01 / bright, 100 / faint))
    grid = np.linspace(low, high, int(np.ceil((high - low) * _PER_DECADE)) + 1)
    fractions: list[float | None] = []
    for log10_e in grid.tolist():
        if excess(log10_e, 1.0) < 0:
            fractions.append(None)
        else:
            fractions.append(float(brentq(lambda f, e=log10_e: excess(e, f), 0.0, 1.0, xtol=1e-3)))
    energy = None
    excluded = [f is not None for f in fractions]
    if any(excluded):
        first = excluded.index(True)
        energy = float(10 ** grid[0])
        if first:
            root = brentq(excess, grid[first - 1], grid[first], args=(1.0,), xtol=1e-3)
            energy = float(10**root)
    return Limits(energy, (10**grid).tolist(), fractions)


def sources_of(kinds: Mapping[int, tuple[Floats, Floats]]) -> list[Sources]:
    """Return injections as limits take them: {neutrinos: (expected, odds)}."""
    return [Sources(n, expected, np.log1p(odds)) for n, (expected, odds) in sorted(kinds.items())]
