"""`llama dev dv`: the fleet's droplets at work, all at once."""

import argparse
import sys

from llama.cli.common import ask, counter, plural, say
from llama.errors import LlamaError
from llama.fleet import hostkeys, remote
from llama.fleet.cloud import Cloud
from llama.fleet.crew import Crew
from llama.fleet.launch import is_running, kill_command, launches
from llama.fleet.records import Droplet
from llama.fleet.token import find_token
from llama.settings import load


def _hosts(options: argparse.Namespace) -> tuple[Crew, dict[str, Droplet]]:
    """Return the fleet and those of its droplets that match and can be reached."""
    crew = Crew(load(), Cloud(find_token(), tell=say))
    found = crew.droplets([options.pattern])
    hosts = hostkeys.host_names(droplet for droplet in found if droplet.status == "active")
    if len(hosts) < len(found):
        idle = len(found) - len(hosts)
        be = "is" if idle == 1 else "are"
        say(f"{plural(idle, 'droplet')} {be} not active and left out")
    if not hosts:
        raise LlamaError(
            f"no active droplet with the tag {crew.limits.tag} matches {options.pattern}; "
            "see llama com do -D"
        )
    return crew, hosts


def _run(options: argparse.Namespace, command: str) -> dict[str, remote.Answer]:
    crew, hosts = _hosts(options)
    return remote.run(crew.directory, hosts, command, counter("answered", len(hosts)))


def _show(answers: dict[str, remote.Answer]) -> int:
    """Print equal answers once, under the names of their hosts; return the exit code."""
    for group in remote.groups(answers):
        if group.answer.code == remote.NO_CONNECTION and not group.answer.out:
            continue
        print(f"--- {group.hosts}" + (f" ({group.size})" if group.size > 1 else ""))
        if group.answer.out:
            print(group.answer.out)
        sys.stdout.flush()
        if group.answer.err:
            sys.stderr.write(group.answer.err + "\n")
    return _summary(answers)


def _summary(answers: dict[str, remote.Answer]) -> int:
    """Say on stderr how many hosts have done it, and why each of the others has not."""
    failed: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if answer.code == remote.NO_CONNECTION:
            failed.setdefault(_why(answer.err), []).append(name)
        elif answer.code:
            failed.setdefault(f"exit code {answer.code}", []).append(name)
    for reason, names in failed.items():
        say(f"failed: {remote.fold(names)}: {reason}")
    bad = sum(map(len, failed.values()))
    say(f"{len(answers) - bad} of {len(answers)} droplets done")
    return 1 if bad else 0


def _why(error: str) -> str:
    if "Host key verification failed" in error or "IDENTIFICATION HAS CHANGED" in error:
        return "its host key is not known; see llama dev dv init"
    if "Permission denied" in error:
        return "it does not let us in; is your ssh key in the account, and in the agent?"
    last = error.strip().splitlines()[-1:] or ["no answer"]
    return f"no connection ({last[0].strip()})"


def init(options: argparse.Namespace) -> int:
    """Run `llama dev dv init`."""
    crew, hosts = _hosts(options)
    ours, known = hostkeys.fleet_key(crew.directory)[1], hostkeys.confirmed_keys(crew.directory)
    everyone = crew.droplets()
    alive = {hostkeys.alias(droplet) for droplet in everyone}
    known = {name: keys for name, keys in known.items() if name in alive}
    shown = remote.shown_keys(crew.directory, hosts)
    away = [name for name, key in shown.items() if key is None]
    changed, unknown, good = [], {}, []
    for name, key in shown.items():
        before = known.get(hostkeys.alias(hosts[name]), set())
        if key == ours or key in before:
            good.append(name)
        elif key and before:
            changed.append(name)
        elif key:
            unknown[name] = key
    if unknown:
        for name, key in unknown.items():
            print(f"{name}  {hosts[name].ip}  {key.split()[0]}  {hostkeys.fingerprint(key)}")
        say(
            "These droplets were not made from here. Compare with the fingerprints that\n"
            "cloud-init has printed on each one's console (DigitalOcean's web page, Access)."
        )
        keys = "this key" if len(unknown) == 1 else f"these {len(unknown)} keys"
        if ask(f"Trust {keys}? [y/N]") == "y":
            known |= {hostkeys.alias(hosts[name]): {key} for name, key in unknown.items()}
            good += unknown
            unknown = {}
    hostkeys.write_known_hosts(crew.directory, known)
    config = crew.directory / "ssh_config"
    hostkeys.write_ssh_config(config, crew.directory, hostkeys.host_names(everyone))
    for names, what in (
        (away, "no answer"),
        (changed, "ANOTHER host key than before; somebody may be in between. Destroy them"),
        (list(unknown), "not trusted"),
    ):
        if names:
            say(f"{remote.fold(names)}: {what}")
    say(f"{len(good)} of {len(hosts)} known; to log in: ssh -F {config} {min(hosts)}")
    return 0 if len(good) == len(hosts) else 1


def ls_procs(options: argparse.Namespace) -> int:
    """Run `llama dev dv ls-procs`."""
    answers = _run(options, remote.LIST_PROCESSES)
    busy = {name: answer for name, answer in answers.items() if answer.out}
    for name, answer in busy.items():
        print(f"--- {name}")
        print(answer.out)
    code = _summary(answers)
    total = sum(len(answer.out.splitlines()) for answer in busy.values())
    processes = "running process" + "es" * (total != 1)
    print(f"total of {total} {processes} on {plural(len(busy), 'droplet')}")
    return code


def tail(options: argparse.Namespace) -> int:
    """Run `llama dev dv tail`."""
    return _show(_run(options, remote.TAIL))


def evaluate(options: argparse.Namespace) -> int:
    """Run `llama dev dv eval`."""
    return _show(_run(options, " ".join(options.command)))


def killall(options: argparse.Namespace) -> int:
    """Run `llama dev dv killall`."""
    settings = load()
    at_work = [one for one in launches(settings, say).values() if is_running(settings, one.study)]
    for launch in at_work:
        say(
            f"{launch.study} was launched here and is at work: its jobs start again until you end "
            f"it with: {kill_command(settings, launch)}"
        )
    code = _show(_run(options, remote.KILL_PROCESSES))
    return 1 if at_work else code
