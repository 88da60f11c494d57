"""A shard as a job without a shared file system: the worker's side.

Reads the job from stdin (see `llama.fleet.job`), fetches its inputs into a cache that all jobs of
the droplet share, runs the rule's script and puts outputs and log into Spaces. With a directory as
argument inputs are here already, and outputs and log go there: the scheduler carries both.
"""

import contextlib
import functools
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import msgspec

from llama.at_hand import CACHE, at_hand
from llama.errors import LlamaError
from llama.event.provenance import code_sha256
from llama.files import read_json, sha256_bytes, sha256_file
from llama.fleet.spaces import UPLOADS, Place, Spaces, open_place
from llama.study.plan import progress_path

_FREE_BYTES = 200_000_000
_TELL_EVERY_S = 30.0
# what the last bit of a number may depend on, besides our own code
_LIBRARIES = ("numpy", "numba", "scipy", "h5py", "healpy", "astropy")


Named = dict[str, str | list[str]]  # inputs of a rule


class Job(msgspec.Struct):
    """All that a shard depends on, and where it is to go.

    The first five are Snakemake's. named: the inputs by their names; sha256: of the path of each;
    digest: of all but the bucket, which tells a result that is there already.
    """

    rule: str
    output: list[str]
    log: list[str]
    params: dict[str, object]
    wildcards: dict[str, str]
    named: Named = {}
    sha256: dict[str, str] = {}
    script: str = ""
    revision: str = ""
    digest: str = ""
    spaces: Place | None = None

    @property
    def name(self) -> str:
        """What it is called in the scheduler's queue."""
        return f"{self.rule}-{self.digest[:16]}"


class UnfitError(LlamaError):
    """This droplet cannot do the job, another can."""


@functools.cache
def revision() -> str:
    """Return what differs between machines whose results may differ: our code, its libraries."""
    content = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    content += [f"python {sys.version_info[:2]}", code_sha256()]
    return sha256_bytes("\n".join(content).encode())[:16]


def main() -> int:
    """Do the job on stdin; its log tells what went wrong."""
    # scancel and a droplet that powers off: the log is still put away
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    if job.spaces:
        return _from_bucket(job, open_place(job.spaces))
    return _from_here(job, Path(sys.argv[1]))


def _from_here(job: Job, made: Path) -> int:
    """Do a job in this directory; `made` is there already."""
    files, code = [*job.log], 1
    try:
        _check_revision(job.revision)
        for path, sha256 in job.sha256.items():
            if sha256_file(path) != sha256:
                raise LlamaError(f"{path} has changed since the job was queued; run it again")
        _run(job, Path())
        files, code = [*job.output, *job.log], 0
    except LlamaError as error:
        _tell(f"llama: {socket.gethostname()}: {error}\n")
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, made / path)
    return code


def _from_bucket(job: Job, spaces: Spaces) -> int:
    number = os.environ.get("SLURM_JOB_ID", "0")
    place = CACHE / f"job-{number}"
    log = place / job.log[0]
    try:
        _check_revision(job.revision)
        there = [spaces.find(output) for output in job.output]
        if all(found and found.notes.get("job") == job.digest for found in there):
            return 0
        _check_space(place)
        _tell(f"job {number}: {' '.join(job.output)}\n")
        _fetch(spaces, job, place)
        _run(job, place)
        for output in job.output:
            spaces.put(place / output, output, job=job.digest)
        return 0
    except LlamaError as error:
        said = f"llama: {socket.gethostname()}: {error}\n"
        _tell(said)
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as stream:
                stream.write(said)
        if isinstance(error, UnfitError):
            _leave(str(error))
        return 1
    finally:
        with contextlib.suppress(LlamaError, OSError):
            if log.exists():
                spaces.put(log, job.log[0], job=job.digest, host=socket.gethostname())
        shutil.rmtree(place, ignore_errors=True)


def _check_revision(wanted: str) -> None:
    if revision() != wanted:
        # its clones are no better: another droplet would cost an hour, and refuse too
        raise LlamaError(
            f"this machine has another LLAMA ({revision()}) than the head ({wanted}); "
            "install the head's there (of droplets make the snapshot anew, then llama fleet up)"
        )


def _check_space(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise UnfitError(f"cannot write {place} ({error.strerror})") from error
    if free < _FREE_BYTES:
        raise UnfitError(f"the disk is full ({free / 1e6:.0f} MB are left)")


def _fetch(spaces: Spaces, job: Job, place: Path) -> None:
    """Put the inputs where the script expects them."""
    for path, sha256 in job.sha256.items():
        name, target = Path(path).name, place / path
        try:
            fetch = functools.partial(spaces.fetch, f"{UPLOADS}/{sha256}/{name}")
            cached = at_hand(name, sha256, fetch)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(cached, target)
        except (LlamaError, OSError) as error:
            _blame_disk(place, error)
            raise


def _run(job: Job, place: Path) -> None:
    log = place / job.log[0]
    log.parent.mkdir(parents=True, exist_ok=True)
    (place / "job.json").write_bytes(msgspec.json.encode(job))
    command = [sys.executable, "-u", "-m", "llama.fleet.worker", "script"]
    lines = []
    with (
        _progress_told(place, job.output),
        subprocess.Popen(
            command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace"
        ) as script,
    ):
        try:
            for line in script.stdout or ():  # as it comes: `llama dev dv tail` shows it
                _tell(line)
                lines.append(line)
        except BaseException:  # the job is to end
            script.kill()
            raise
    with contextlib.suppress(OSError), log.open("a") as stream:
        stream.writelines(lines)
    if script.returncode:
        said = ("".join(lines).strip().splitlines() or [f"exit code {script.returncode}"])[-1]
        _blame_disk(place, said)
        raise LlamaError(said)


@contextlib.contextmanager
def _progress_told(place: Path, outputs: list[str]) -> Iterator[None]:
    """Tell how far a shard is, every `_TELL_EVERY_S` while the block lasts."""
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_TELL_EVERY_S):
            for path in (place / output for output in outputs):
                with contextlib.suppress(LlamaError, KeyError):  # not begun, or of another kind
                    content = read_json(progress_path(path))
                    _tell(f"{path.name}: {content['done']:,} of {content['wanted']:,} injections\n")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(line: str) -> None:
    """Write a line into Slurm's log of this job, at once."""
    sys.stderr.write(line)
    sys.stderr.flush()


def _blame_disk(place: Path, said: object) -> None:
    if shutil.disk_usage(place).free < _FREE_BYTES / 10:
        raise UnfitError(f"the disk is full ({said})")


def _leave(reason: str) -> None:
    """Have this droplet destroyed when its jobs have ended; the next job gets a fresh one."""
    node = os.environ.get("SLURMD_NODENAME")
    if node:
        words = [f"nodename={node}", "state=power_down_asap", f"reason=llama: {reason[:150]}"]
        subprocess.run(["scontrol", "update", *words], check=False, capture_output=True)


class _Named(list[object]):
    """A list whose items may also be asked for by name, as Snakemake's."""

    def __init__(self, named: Mapping[str, object]) -> None:
        items = named.values()
        super().__init__(
            item for value in items for item in (value if isinstance(value, list) else [value])
        )
        self.__dict__.update(named)


def _script() -> None:
    job = msgspec.json.decode(Path("job.json").read_bytes(), type=Job)
    path = Path(f"{job.rule}.py")
    path.write_text(job.script, encoding="utf-8")
    for output in job.output:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
    snakemake = SimpleNamespace(
        input=_Named(job.named),
        output=job.output,
        params=_Named(job.params),
        wildcards=_Named(job.wildcards),
        log=job.log,
        rule=job.rule,
    )
    runpy.run_path(str(path), init_globals={"snakemake": snakemake}, run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1:] == ["script"]:
        _script()
    else:
        sys.exit(main())
