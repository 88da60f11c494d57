"""What Slurm calls when nodes shall come, go, or have not come; and what looks after the rest.

    python -m llama.fleet.hooks resume|suspend|failed HOSTLIST
    python -m llama.fleet.hooks keeper

Slurm counts on none of it: droplets that could not be destroyed are destroyed by the keeper, nodes
that could not be made are given back by it when money and API allow.
"""

import contextlib
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from llama.errors import LlamaError
from llama.files import read_json, write_json
from llama.fleet import slurm
from llama.fleet.cloud import Cloud
from llama.fleet.crew import Crew
from llama.fleet.money import over_budget, unix
from llama.fleet.records import Droplet, doubles
from llama.fleet.token import find_token
from llama.publish.alarm import SlackAlarm
from llama.running.watch import Watcher
from llama.settings import Settings, load

PATIENCE_S = 120.0
_MOST_FAILURES = 3
_OURS = "llama: "
_BROKEN = "llama: did not boot"
_DEFECTS = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def cluster_directory(settings: Settings) -> Path:
    """Return where the head keeps what belongs to Slurm."""
    return settings.output_dir / "fleet/slurm"


class Hooks:
    """The three hooks and the keeper's round, for one fleet."""

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        self.directory = cluster_directory(settings)
        self._settings = settings
        self._about = read_json(self.directory / "droplet.json")
        self._patience_s = min(patience_s, float(self._about["patience_s"]))
        self._failures = self.directory / "failures.json"
        token = find_token(self.directory / "token")
        self.crew = Crew(settings, Cloud(token, self._patience_s, say))
        self.suspects: set[int] = set()

    def resume(self, names: list[str]) -> None:
        """Make a droplet for each node, as many as the budget and the account allow.

        Nodes that get none are set down, so that their jobs go back to the queue at once.
        """
        lost: dict[str, list[str]] = {}
        for study, wanted in self._by_study(names).items():
            try:
                missing = self._make(wanted, study)
            except LlamaError as error:
                there = set[str]()
                with contextlib.suppress(LlamaError):
                    there = {droplet.name for droplet in self.crew.droplets()}
                missing = {name: str(error) for name in wanted if name not in there}
            for name, reason in missing.items():
                lost.setdefault(reason, []).append(name)
        for reason, left_out in lost.items():
            say(f"no droplet for {','.join(left_out)}: {reason}")
            slurm.update_nodes(left_out, "down", _OURS + reason)

    def _make(self, names: list[str], study: str) -> dict[str, str]:
        fleet = self._settings.fleet
        offer = self.crew.offer(0, fleet.image, fleet.size, fleet.region, study)
        count, reason = len(names), ""
        while count:  # as many as may be made
            usd_per_hour = count * offer.size.price_hourly_usd
            if not (over := self._over_budget(time.time(), count, usd_per_hour, study)):
                break
            count, reason = count - 1, over
        user_data = self._about["user_data"]
        made = self.crew.create(names[:count], offer, study, user_data, self._patience_s)
        say(f"made {','.join(d.name for d in made.new) or 'none'}")
        return made.missing | dict.fromkeys(names[count:], reason)

    def _over_budget(self, now: float, count: int, usd_per_hour: float, *studies: str) -> str:
        """Return the limit that so many more droplets for any of `studies` break, "" if none."""
        what = (self._settings.fleet, self.crew.ledger.lives(), now, count, usd_per_hour)
        return next(filter(None, (over_budget(*what, study) for study in studies)), "")

    def _by_study(self, names: list[str]) -> dict[str, list[str]]:
        """Return the nodes by the study whose job each of them is to come for."""
        study, found = dict[str, str](), dict[str, list[str]]()
        for job in slurm.queue("--states=CONFIGURING", "--nodelist", ",".join(names)):
            study |= dict.fromkeys(slurm.hostnames(job.nodes), job.comment)
        for name in names:
            found.setdefault(study.get(name, ""), []).append(name)
        return found

    def suspend(self, names: list[str]) -> None:
        """Destroy the droplets of nodes."""
        self._destroy([droplet for droplet in self.crew.droplets() if droplet.name in names])

    def _destroy(self, found: list[Droplet]) -> None:
        failed = self.crew.destroy(found, "idle")
        say(f"destroyed {','.join(d.name for d in found if d.name not in failed) or 'none'}")
        for name, reason in failed.items():
            say(f"{name} is not destroyed, the keeper will: {reason}")

    def failed(self, names: list[str]) -> None:
        """Destroy droplets that have not joined in time, and give their nodes another chance.

        A node whose droplets have failed three times in a row stays down: the snapshot may be
        broken. A node that has got no droplet has not failed, nor has one of which the API tells
        nothing; the keeper gives it back.
        """
        found = [droplet for droplet in self.crew.droplets() if droplet.name in names]
        late, counts = sorted({droplet.name for droplet in found}), self._failure_counts()
        counts |= {name: counts.get(name, 0) + 1 for name in late}
        write_json(self._failures, counts)
        self._destroy(found)
        again = [name for name in late if counts[name] < _MOST_FAILURES]
        slurm.update_nodes(again, "power_down_force")
        broken = [name for name in late if name not in again]
        why = f"{_BROKEN} {_MOST_FAILURES} times; see its console, then llama fleet up"
        slurm.update_nodes(broken, "down", why)

    def _failure_counts(self) -> dict[str, int]:
        return read_json(self._failures) if self._failures.exists() else {}

    def look_after(self) -> str:
        """Go round once: requeued jobs, droplets without node, money, nodes to be given back.

        Returns why jobs wait, "" if they do not.
        """
        slurm.release_requeued()
        droplets = self.crew.reconcile()
        nodes = {node.name: node for node in slurm.nodes()}
        self._reap(droplets, nodes)
        counts = self._failure_counts()
        left = {n: count for n, count in counts.items() if n in nodes and not nodes[n].up}
        if left != counts:
            write_json(self._failures, left)
        return self._spare(droplets, nodes)

    def _reap(self, droplets: list[Droplet], nodes: dict[str, slurm.Node]) -> None:
        """Destroy droplets whose node is powered down, in two rounds, and second ones of a name."""
        workers = [d for d in droplets if d.name.startswith(self.crew.worker_prefix)]
        stray = {d for d in workers if d.name not in nodes or nodes[d.name].powered_down}
        certain = [d for d in stray if d.id in self.suspects]
        certain += [d for d in doubles(workers) if d not in certain]
        self.suspects = {d.id for d in stray}
        if certain:
            say(f"droplets without a node: {','.join(d.name for d in certain)}")
            for name, reason in self.crew.destroy(certain, "stray").items():
                say(f"{name}: {reason}")

    def _spare(self, droplets: list[Droplet], nodes: dict[str, slurm.Node]) -> str:
        """Let no droplet go on beyond the budget; give nodes back within it; return the reason."""
        now, limits = time.time(), self._settings.fleet
        up = [node for node in nodes.values() if node.up and "POWER_DOWN" not in node.state]
        old = {d.name for d in droplets if now - unix(d.created) > limits.max_hours * 3600}
        slurm.update_nodes([node.name for node in up if node.name in old], "power_down_asap")
        jobs = slurm.queue()
        reason = self._over_budget(now, 0, 0.0, *{job.comment for job in jobs}, "")
        if reason and "fleet.max_hours" not in reason:
            say(reason)
            slurm.update_nodes([node.name for node in up], "power_down_asap", _OURS + reason)
            return reason
        down = [
            node.name
            for node in nodes.values()
            if "DOWN" in node.state
            and node.reason.startswith((_OURS, "ResumeTimeout reached"))
            and not node.reason.startswith(_BROKEN)
        ]
        pending = {job.comment for job in jobs if job.state == "PENDING"} if down else set()
        reason = self._over_budget(now, 1, float(self._about["price_hourly_usd"]), *pending)
        if not reason:
            slurm.update_nodes(down, "power_down_force")
        return reason


def keep(every_s: float) -> None:
    """Look after the fleet until this process is ended; the settings are read in each round.

    A round that fails, for whatever reason, is written down (see `llama.running.watch`), and the
    next one comes.
    """
    settings = load()
    channel = settings.listen.alarm_slack
    watcher = Watcher(SlackAlarm(channel, "fleet") if channel else say)
    suspects: set[int] = set()
    while True:
        notice = problem = ""
        try:
            settings = load()
            hooks = Hooks(settings, 20.0)
            hooks.suspects = suspects
            notice = hooks.look_after()
            suspects = hooks.suspects
        except LlamaError as error:
            problem = str(error)
        except _DEFECTS as error:  # droplets cost money whatever is wrong with one round
            traceback.print_exc()
            problem = f"a defect, {type(error).__name__} ({str(error)[:200]})"
        try:
            watcher.note(cluster_directory(settings), notice, problem)
        except LlamaError as error:
            problem = str(error)
        if problem:
            say(problem)
        time.sleep(every_s)


def say(text: str) -> None:
    """Write one dated line to the fleet's log."""
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")
    sys.stderr.flush()


def main(words: list[str]) -> int:
    """Run one hook, or the keeper."""
    what = words[0]
    if what == "keeper":
        keep(float(words[1]))
    try:
        names = slurm.hostnames(words[1])
        say(f"{what} {words[1]}")
        hooks = Hooks(load())
        ways = {"resume": hooks.resume, "suspend": hooks.suspend, "failed": hooks.failed}
        ways[what](names)
    except LlamaError as error:
        say(f"{what}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
