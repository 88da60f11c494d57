"""One command on many droplets at once: ClusterShell over ssh."""

import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError
from llama.fleet.hostkeys import alias, confirmed_keys, write_known_hosts, write_ssh_config
from llama.fleet.records import Droplet
from llama.fleet.token import withheld

FANOUT = 100
NO_CONNECTION = 255


class Answer(NamedTuple):
    """What one host said: exit code (255: ssh has failed), stdout and stderr."""

    code: int
    out: str
    err: str


class Group(NamedTuple):
    """Hosts that said the same, folded as in `llama-[00-07]`, how many, and their answer."""

    hosts: str
    size: int
    answer: Answer


def run(
    directory: Path,
    hosts: dict[str, Droplet],
    command: str,
    progress: Callable[[int], object] = lambda done: None,
    extra: str = "",
) -> dict[str, Answer]:
    """Run `command` by the shell of every host, and return their answers.

    A host that fails stops no other. Host keys are checked against `directory`/known_hosts,
    `extra` are further options of ssh.
    """
    from ClusterShell.Event import EventHandler
    from ClusterShell.Task import task_self

    if not shutil.which("ssh"):
        raise LlamaError("there is no ssh on this machine; install openssh-client")
    if not (directory / "known_hosts").exists():
        write_known_hosts(directory, confirmed_keys(directory))

    class Counter(EventHandler):  # type: ignore[misc]
        def ev_hup(self, worker: object, node: str, rc: int) -> None:
            progress(1)

    task, counter = task_self(), Counter()
    with tempfile.TemporaryDirectory(prefix=".ssh-", dir=directory) as scratch:
        config = write_ssh_config(Path(scratch) / "config", directory, hosts)
        task.set_default("stderr", True)
        task.set_info("fanout", FANOUT)
        task.set_info("ssh_options", f"-F {shlex.quote(str(config))} {extra}".rstrip())
        try:
            with withheld():
                task.shell(command, nodes=",".join(hosts), handler=counter, stdin=False)
                task.run()
            return {
                name: Answer(
                    task.node_retcode(name),
                    _text(task.node_buffer(name)),
                    _text(task.node_error(name)),
                )
                for name in hosts
            }
        finally:
            task.abort(kill=True)


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def groups(answers: dict[str, Answer]) -> list[Group]:
    """Return equal answers together, most hosts first."""
    from ClusterShell.NodeSet import NodeSet

    alike: dict[Answer, list[str]] = {}
    for name, answer in answers.items():
        alike.setdefault(answer, []).append(name)
    found = [
        Group(str(NodeSet.fromlist(names)), len(names), answer) for answer, names in alike.items()
    ]
    return sorted(found, key=lambda group: (-group.size, group.hosts))


def fold(names: list[str]) -> str:
    """Return host names as one word, such as `llama-[00-07,12]`."""
    from ClusterShell.NodeSet import NodeSet

    return str(NodeSet.fromlist(names))


def shown_keys(directory: Path, hosts: dict[str, Droplet]) -> dict[str, str | None]:
    """Return the host key, `type base64`, that each host shows now, None for one that is away.

    Nothing is trusted: the keys go into a directory that is removed, and nobody logs in.
    """
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        into = shlex.quote(f'-oUserKnownHostsFile="{scratch}/%k"')
        extra = f"-oStrictHostKeyChecking=accept-new -oPreferredAuthentications=none {into}"
        run(directory, hosts, "true", extra=extra)
        keys: dict[str, str | None] = {}
        for name, droplet in hosts.items():
            path = Path(scratch, alias(droplet))
            words = path.read_text(encoding="utf-8").split() if path.exists() else []
            keys[name] = " ".join(words[1:3]) or None
    return keys


LOGS = "${LLAMA_LOG_DIR:-/var/log/llama}"
# The brackets keep the shell that holds this text from matching itself.
_OURS = r"[s]nakemake|(^|/)[l]lama( |$)|-m [l]lama"
LIST_PROCESSES = f"pgrep -a -f '{_OURS}' || test $? = 1"
KILL_PROCESSES = (
    f"pkill -TERM -f '{_OURS}'; for i in $(seq 40); do pgrep -f '{_OURS}' >/dev/null || exit 0; "
    f"sleep 0.25; done; pkill -KILL -f '{_OURS}'; sleep 0.5; ! pgrep -a -f '{_OURS}'"
)
TAIL = (
    f'newest=$(ls -t "{LOGS}"/*.log 2>/dev/null | head -n 1); '
    f'if [ -n "$newest" ]; then echo "$newest"; tail -n 10 "$newest"; '
    f'else echo "no log in {LOGS}"; fi'
)
