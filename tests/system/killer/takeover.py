"""Takes the same spool over once per step, killed there and taken up again; see test_run_kill.py.

`python takeover.py TEMPLATE DIRECTORY N` kills at every Nth step and prints JSON: the state after
an undisturbed run, all steps, and how each killed process ended and the state after the next one.
Children are forked, so that nothing is imported twice.
"""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import gcn_kafka  # noqa: F401 for the children

from llama.listening.spool import Spool
from llama.running.takeover import take_over


def child(output, **variables):
    """Take over in a child and return how it ended."""
    pid = os.fork()
    if pid == 0:
        os.environ.update(variables)
        runpy.run_path(str(Path(__file__).with_name("sitecustomize.py")))
        stays = [taken.said for taken in take_over(output, "TRIGGERED_TEST") if taken.stays]
        os._exit(len(stays))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(output):
    """Return all that was made, with contents, but for the time of the takeover."""
    files = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if path.is_file() and not path.name.startswith(".") and not name.startswith("gcn/"):
            content = path.read_text(errors="backslashreplace")
            if name.startswith("spool/") or path.name[0] in "sf" or ".heard." in path.name:
                content = {
                    key: value
                    for key, value in json.loads(content).items()
                    if key not in ("taken_over_at", "quarantined_at")
                }
            files[name] = content
    return files


def main():
    template, directory = map(Path, sys.argv[1:3])
    list(take_over(shutil.copytree(template, directory / "imports"), "TRIGGERED_TEST"))
    first = shutil.copytree(template, directory / "first")
    trace = directory / "trace"
    assert child(first, KILL_TRACE=str(trace)) == 0
    *steps, last = dict.fromkeys(trace.read_text().splitlines())
    # after a step is before the next one
    steps = [*(step for step in steps if step.startswith("before")), last]
    results = []
    for number, step in enumerate(steps[:: int(sys.argv[3])]):
        output = shutil.copytree(template, directory / str(number))
        killed = child(output, KILL_AT=step)
        again = child(output)
        results.append([step, killed, again, Spool(output).count(), state(output)])
        shutil.rmtree(output)
    print(json.dumps({"undisturbed": state(first), "steps": steps, "killed": results}))


if __name__ == "__main__":
    main()
