"""The process that commands and jobs of tests are forked from; `preloaded.py` starts and asks it.

python forking.py LISTENER CONTROLLER    # a listening socket, and the process it ends with
"""

import contextlib
import fcntl
import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

# what Snakemake and the rules' scripts import at every start, some of it late
_IMPORTED = [
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake.script", "smart_open"),
    *("numpy", "scipy.special", "scipy.optimize", "scipy.interpolate", "scipy.integrate"),
    *("h5py", "healpy", "numba", "pandas", "requests", "pydantic", "lxml.etree", "erfa"),
    "boto3",
    *("astropy.coordinates", "astropy.cosmology", "astropy.io.fits", "astropy.table"),
    *("astropy.time", "astropy.units", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("matplotlib.backends.backend_pdf", "matplotlib.patheffects", "contourpy", "nbformat"),
    *("graphlib", "jsonschema", "snakemake.storage"),
]
# rooms that read their environment when they are imported, or that no rule and few commands need
_NOT_IMPORTED = ("llama.__main__", "llama.fleet", "llama.settings.__main__")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")


def ask(server: socket.socket, *command: Any) -> int:
    """Send a command; return its exit code. Who hangs up before that has it killed."""
    server.sendall(json.dumps(command).encode())
    server.shutdown(socket.SHUT_WR)
    answers = server.makefile()
    answers.readline()  # its process
    return int(answers.readline())


def _import_all() -> None:
    """Import what commands and jobs import, and do what Snakemake does once in each process."""
    import llama

    for name in _IMPORTED:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(llama.__path__, "llama."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    from numba.core.registry import cpu_target
    from snakemake.cli import get_argument_parser

    from llama.figures import skymap, style

    get_argument_parser()  # it looks for plugins
    for context in (cpu_target.typing_context, cpu_target.target_context):
        context.refresh()  # what Numba does before it takes anything from its cache
    # figures are looked at in tests/unit; with fewer pixels the map is drawn in half the time
    style.DPI, skymap._GRID = 50, (305, 152)
    gc.collect()
    gc.freeze()  # collections in the forks leave alone, and share, what is here


def _command(client: socket.socket) -> None:
    os.setsid()
    _, streams, *_ = socket.recv_fds(client, 1, 3)
    program, words, directory, environment, alive = _received(client)
    # shared with all that it forks: nobody else can lock it until the last of them has ended
    if alive:
        fcntl.flock(os.open(alive, os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)
    for stream, file in enumerate(streams):
        os.dup2(file, stream)
        os.close(file)
    # those that were made at the start are for other files; by lines, so that both are in order
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w", 1)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace")
    if Path(program).name == "snakemake" and "--dry-run" not in words:
        _fork_jobs()
    _become(program, words, directory, environment)


def _job(client: socket.socket) -> None:
    _become(*_received(client))


def _received(client: socket.socket) -> list[Any]:
    with client, client.makefile("rb") as content:
        return json.loads(content.read())


def _become(
    program: str, words: tuple[str, ...], directory: str, environment: dict[str, str]
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = [program, *words]
    sys.path[0] = str(Path(program).parent)
    runpy.run_path(program, run_name="__main__")


def _fork_jobs() -> None:
    """Let the scripts of rules be forks of this process as it is now, before Snakemake begins."""
    from snakemake.script import PythonScript

    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # Linux gives it an address
    listener.listen()
    address = listener.getsockname()
    snakemake = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        serve(listener, _job, until=snakemake)
    os.close(snakemake)
    listener.close()

    def execute_script(script: Any, fname: str, edit: bool = False) -> None:
        environment = dict(os.environ)
        environment |= dict.fromkeys(THREADS, str(script.threads))
        environment |= dict.fromkeys(_TEMPORARY, script.resources["tmpdir"])
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(address)
            if code := ask(server, fname, (), os.getcwd(), environment):
                raise subprocess.CalledProcessError(code, f"{sys.executable} {fname}")

    PythonScript.execute_script = execute_script


def serve(listener: socket.socket, start: Callable[[socket.socket], None], until: int) -> None:
    """Fork one process for each client, and tell it how that has ended; end with `until`."""
    events = select.poll()
    for file in (listener, until):
        events.register(file, select.POLLIN)
    started: dict[int, tuple[int, socket.socket, ForkProcess]] = {}
    while True:
        for ready, _ in events.poll():
            if ready == listener.fileno():
                client = listener.accept()[0]
                if not _is_ours(client):
                    client.close()
                    continue
                # the fork receives what is asked, so that no client waits for another one
                job = multiprocessing.get_context("fork").Process(target=start, args=(client,))
                job.start()
                assert job.pid
                with contextlib.suppress(BrokenPipeError):  # it is killed already
                    client.sendall(f"{job.pid}\n".encode())
                end = os.pidfd_open(job.pid)
                started[end] = started[client.fileno()] = end, client, job
                events.register(end, select.POLLIN)
                events.register(client, 0)  # hangs up where what was typed is killed
            elif ready == until:
                for _, _, job in started.values():
                    _kill(job)
                os._exit(0)
            elif ready in started:  # not both in one poll
                end, client, job = started[ready]
                _kill(job)
                job.join()
                for file in (end, client.fileno()):
                    events.unregister(file)
                    del started[file]
                os.close(end)
                with client, contextlib.suppress(BrokenPipeError):
                    client.sendall(f"{job.exitcode}\n".encode())


def _is_ours(client: socket.socket) -> bool:
    """Tell whether a client is of this user: all can connect to an address that is no file."""
    content = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    return struct.unpack("iII", content)[1] == os.getuid()


def _kill(job: ForkProcess) -> None:
    """Kill what a fork has left, which would hold the streams; and the fork if it is not ended."""
    assert job.pid
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    job.kill()


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # whoever has started it need not wait for it
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever it is where tests run
    controller = os.pidfd_open(int(sys.argv[2]))
    _import_all()
    serve(socket.socket(fileno=int(sys.argv[1])), _command, until=controller)
