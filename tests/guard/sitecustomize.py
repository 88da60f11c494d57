"""The guard of the tests: this Python, and every Python that it starts, reaches this machine only.

An audit hook sees every socket of the interpreter, whoever opens it, and cannot be taken off
again. It does not see C libraries with sockets of their own.
"""

import ipaddress
import os
import sys

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


sys.addaudithook(_refuse_other_machines)

# what `llama run` starts is forked where its test says so, as tests/workflow/preloaded.py does it
if (_typed := os.environ.get("LLAMA_TEST_TYPED")) and sys.orig_argv[1:3] == ["-m", "snakemake"]:
    os.execv(os.path.join(_typed, "snakemake"), ["snakemake", *sys.orig_argv[3:]])  # noqa: S606
