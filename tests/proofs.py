"""Proofs by simulation: `make proofs` repeats the whole of each, every other run a seeded part.

What the whole has found is kept in proofs.json; a part refuses a proof of which there is none.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("proofs.json")
WHOLE = os.environ.get("PROOFS") == "whole"


def size(whole: int, part: int) -> int:
    """Return how many simulations there are in this run."""
    return whole if WHOLE else part


def known() -> dict[str, dict[str, Any]]:
    """Return what the whole of each test has found, by the name of the test."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def check(test: str, about: dict[str, Any]) -> None:
    """Fail if the whole of a test was never run with this seed and size."""
    kept = known().get(test, {})
    same = {name: kept.get(name) for name in about}
    assert same == about, f"{test} is not proven as a whole, only {same}; run `make proofs`"


def keep(found: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Write what whole proofs have found beside what is known of others."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    results = known() | {test: {"date": today, **result} for test, result in found}
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=2) + "\n")
