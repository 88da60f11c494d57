"""Commands and jobs in processes of their own, forked from one that has imported all they need.

Importing Snakemake, NumPy, Astropy, LLAMA, ... takes a second of processor and more, most of what
many tests would take. What a test starts with other limits or another environment is started as
typed (`Workspace.started`). What is killed can be forked by `typed`, whose end kills all of it.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import psutil

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
# libraries have read these when they were imported
_READ_EARLY = ("LANG", "LC_", "MPL", "NUMBA_", "PYTHON")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
COMMANDS = ("llama", "skymap_info", "snakemake")
# hands its streams, words, directory and environment to `_start_typed`, and then a Ctrl-C
_TYPED = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"-"], [0, 1, 2])
    command = [{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]
    server.sendall(json.dumps(command).encode())
    server.shutdown(socket.SHUT_WR)
    answers = server.makefile()
    pid = int(answers.readline())
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os.kill(pid, signal.SIGINT))
    sys.exit(int(answers.readline() or 137))
"""
_SERVER = "LLAMA_TEST_PRELOADED"  # set where this module is imported in order to import all
_TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")


def can_run(command: str, environment: Mapping[str, str]) -> bool:
    """Return whether a command is one of ours, in an environment that libraries would not see."""
    early = [
        {name: value for name, value in variables.items() if name.startswith(_READ_EARLY)}
        for variables in (environment, os.environ)
    ]
    return command in COMMANDS and early[0] == early[1]


def run(
    words: tuple[str, ...], directory: Path, environment: Mapping[str, str], timeout_s: float
) -> tuple[int | None, str]:
    """Run a command as typed in a directory; return its exit code and what it printed."""
    program = shutil.which(words[0], path=environment.get("PATH")) or words[0]
    context = multiprocessing.get_context("forkserver")
    _start_server()
    with tempfile.NamedTemporaryFile("r", errors="replace") as printed:
        process = context.Process(
            target=_main, args=(program, words[1:], str(directory), dict(environment), printed.name)
        )
        process.start()
        assert process.pid
        process.join(timeout_s)
        code = process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has left
        process.join()
        process.close()
        return code, printed.read()


@contextlib.contextmanager
def typed(directory: Path) -> Iterator[None]:
    """Write our commands into a directory of a shell: what is typed there is forked, too.

    At the end it is killed, and all that it has started.
    """
    directory.mkdir(exist_ok=True)
    _start_server()
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        address = str(Path(short) / "typed")  # the path of a socket has at most 107 characters
        listener.bind(address)
        listener.listen()
        process = multiprocessing.get_context("forkserver").Process(
            target=_serve, args=(listener, _start_typed)
        )
        process.start()
        for name in COMMANDS:
            program = str(Path(sys.executable).with_name(name))
            text = _TYPED.format(python=sys.executable, address=address, program=program)
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        try:
            yield
        finally:
            server = psutil.Process(process.pid)
            server.suspend()  # it forks no more
            forked = server.children(recursive=True)
            for one in [*forked, server]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.join()
            while not all(map(_has_ended, forked)):
                time.sleep(0.01)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # not every machine's first process reaps
    except psutil.NoSuchProcess:
        return True


def _start_typed(client: socket.socket) -> ForkProcess:
    _, streams, *_ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as content:
        command = json.loads(content.read())
    job = multiprocessing.get_context("fork").Process(target=_typed, args=(streams, *command))
    job.start()
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(BrokenPipeError):  # what was typed is killed already
        client.sendall(f"{job.pid}\n".encode())
    return job


def _typed(streams: list[int], *command: Any) -> None:
    for stream, file in enumerate(streams):
        os.dup2(file, stream)
        os.close(file)
    # those that were made at the start are for other files; by lines, so that both are in order
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    _command((0, 1, 2), *command)


def _start_server() -> None:
    """Start the process that is forked, unless it runs; it imports this module, and that all."""
    forkserver.set_forkserver_preload([__name__])
    kept = dict(os.environ)
    path = os.pathsep.join([str(Path(__file__).parent), kept.get("PYTHONPATH", "")])
    # libraries read the numbers of threads when they are imported
    os.environ.update(dict.fromkeys(_THREADS, "1") | {"PYTHONPATH": path, _SERVER: "1"})
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(kept)


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


def _main(
    program: str, words: tuple[str, ...], directory: str, environment: dict[str, str], to: str
) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    streams = (nothing, *[os.open(to, os.O_WRONLY | os.O_APPEND)] * 2)
    _command(streams, program, words, directory, environment)


def _command(
    streams: Iterable[int],
    program: str,
    words: tuple[str, ...],
    directory: str,
    environment: dict[str, str],
) -> None:
    os.setsid()
    for stream, file in enumerate(streams):
        os.dup2(file, stream)
    if Path(program).name == "snakemake" and "--dry-run" not in words:
        _fork_jobs()
    _become(program, words, directory, environment)


def _become(
    program: str, words: tuple[str, ...], directory: str, environment: dict[str, str]
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = [program, *words]
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")


def _fork_jobs() -> None:
    """Let the scripts of rules be forks of this process as it is now, before Snakemake begins."""
    from snakemake.script import PythonScript

    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # Linux gives it an address that is no file
    listener.listen()
    address = listener.getsockname()
    if os.fork() == 0:
        _serve(listener, _start_job)
    listener.close()

    def execute_script(script: Any, fname: str, edit: bool = False) -> None:
        environment = dict(os.environ)
        environment |= dict.fromkeys(_THREADS, str(script.threads))
        environment |= dict.fromkeys(_TEMPORARY, script.resources["tmpdir"])
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(address)
            server.sendall(json.dumps([fname, (), os.getcwd(), environment]).encode())
            server.shutdown(socket.SHUT_WR)
            if code := int(server.recv(9)):
                raise subprocess.CalledProcessError(code, f"{sys.executable} {fname}")

    PythonScript.execute_script = execute_script


def _start_job(client: socket.socket) -> ForkProcess:
    with client.makefile("rb") as content:
        command = json.loads(content.read())
    job = multiprocessing.get_context("fork").Process(target=_become, args=command)
    job.start()
    return job


def _serve(listener: socket.socket, start: Callable[[socket.socket], ForkProcess]) -> None:
    """Fork one process for each client, and tell the client how it has ended."""
    events = select.poll()
    events.register(listener, select.POLLIN)
    started: dict[int, tuple[int, socket.socket, ForkProcess]] = {}
    while True:
        for ready, _ in events.poll():
            if ready == listener.fileno():
                client = listener.accept()[0]
                job = start(client)
                assert job.pid
                end = os.pidfd_open(job.pid)
                started[end] = started[client.fileno()] = end, client, job
                events.register(end, select.POLLIN)
                events.register(client, 0)  # hangs up where what was typed is killed
            elif ready in started:  # not both in one poll
                end, client, job = started[ready]
                assert job.pid
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)  # what it has left would hold the streams
                job.join()
                for file in (end, client.fileno()):
                    events.unregister(file)
                    del started[file]
                os.close(end)
                with client, contextlib.suppress(BrokenPipeError):
                    client.sendall(str(job.exitcode).encode())


if os.environ.pop(_SERVER, None):
    _import_all()
