"""`make bench`: measure, print a table, write bench.json; `make bench only="stats event"`: a part.

Rows are {name, value, unit, goal, peer, peer_value}; each module beside this one that has a
function `rows` adds its own. Nothing here is a test: goals are shown, not enforced.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.extend([str(Path(__file__).parent), str(Path(__file__).parents[1])])

import alert
import detector
import event
import fleet
import listen
import located
import own_map
import pages
import peers
import stats
import study
from needs import MissingError

MODULES = (stats, detector, peers, event, own_map, located, study, listen, alert, fleet, pages)


def main() -> None:
    """Run all benchmarks, or those of the modules named on the command line."""
    chosen = [m for m in MODULES if not sys.argv[1:] or m.__name__ in sys.argv[1:]]
    rows = []
    print(f"{'name':34} {'value':>12} {'unit':6} {'goal':>10}  peer")
    for module in chosen:
        try:
            for row in module.rows():
                rows.append(row)
                Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")
                _show(row)
        except MissingError as error:
            print(f"{module.__name__}: rows left out, {error}", flush=True)
    print("written: bench.json")


def _show(row: dict[str, Any]) -> None:
    goal = "" if row["goal"] is None else f"{row['goal']:g}"
    peer = f"{row['peer']}: {row['peer_value']:.4g}" if row.get("peer") else ""
    line = f"{row['name']:34} {row['value']:12.4g} {row['unit']:6} {goal:>10}  {peer}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
