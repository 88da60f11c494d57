"""`make bench`: measure, print a table, write bench.json.

Rows are {name, value, unit, goal, peer, peer_value}; each module beside this one that has a
function `rows` adds its own. Nothing here is a test: goals are shown, not enforced.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import alert
import event
import fleet
import listen
import pages
import peers
import stats
import study

MODULES = (stats, peers, event, study, listen, alert, fleet, pages)


def main() -> None:
    """Run all benchmarks, or those of the modules named on the command line."""
    chosen = [m for m in MODULES if not sys.argv[1:] or m.__name__ in sys.argv[1:]]
    rows = []
    print(f"{'name':34} {'value':>12} {'unit':6} {'goal':>10}  peer")
    for module in chosen:
        for row in module.rows():
            rows.append(row)
            goal = "" if row["goal"] is None else f"{row['goal']:g}"
            peer = f"{row['peer']}: {row['peer_value']:.4g}" if row.get("peer") else ""
            print(
                f"{row['name']:34} {row['value']:12.4g} {row['unit']:6} {goal:>10}  {peer}",
                flush=True,
            )
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    print("written: bench.json")


if __name__ == "__main__":
    main()
