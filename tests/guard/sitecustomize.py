"""The guard of the tests: this Python, and every Python that it starts, reaches this machine only.

An audit hook sees every socket of the interpreter, whoever opens it, and cannot be taken off
again. It does not see C libraries with sockets of their own.

It also has the gate at which shards of a study wait where a test says so.
"""

import contextlib
import ipaddress
import os
import sys
import time

LOOPBACK_ONLY = True
# this machine as its stand-in droplets see it, over a bridge without a way out
_HEAD = "10.77.0.1"


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost") or name == _HEAD == os.environ.get("LLAMA_TEST_HEAD"):
        return True
    try:
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_other_machines(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path: a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        # not an OSError: code that bears with a missing network must not bear with this
        raise RuntimeError(f"tests may connect to this machine only, not to {host!r}")


def _wait_at_gate(event: str, arguments: tuple[object, ...]) -> None:
    """Hold a shard that is about to get its name until it has taken a file of the gate's directory.

    Without the directory there is no gate; `gate` of tests/workflow/study_samples.py makes it.
    """
    if event != "os.rename" or not (gate := os.environ.get("LLAMA_TEST_GATE")):
        return
    name = os.path.basename(str(arguments[1]))
    while name.startswith("shard-") and name.endswith(".hdf5"):
        try:
            tokens = os.listdir(gate)
        except FileNotFoundError:
            return
        for token in tokens:
            with contextlib.suppress(FileNotFoundError):  # another shard has taken it
                os.unlink(os.path.join(gate, token))
                return
        time.sleep(0.02)


sys.addaudithook(_refuse_other_machines)
sys.addaudithook(_wait_at_gate)

# what LLAMA starts is forked where its test says so, as tests/workflow/preloaded.py does it
_snakemake = os.path.join(os.environ.get("LLAMA_TEST_TYPED", "/none"), "snakemake")
if sys.orig_argv[1:3] == ["-m", "snakemake"] and os.path.isfile(_snakemake):
    os.execv(_snakemake, ["snakemake", *sys.orig_argv[3:]])  # noqa: S606
