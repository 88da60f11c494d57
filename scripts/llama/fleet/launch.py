"""A study that Snakemake makes in the background of this machine, the head, on the fleet."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from llama.errors import LlamaError
from llama.files import read_json, write_json
from llama.fleet import slurm
from llama.fleet.head import Head
from llama.fleet.scheduler import SchedulerError
from llama.fleet.spaces import Spaces, environment
from llama.fleet.token import withheld
from llama.layout import find_profile, find_workflow, path_variable, snakemake
from llama.locks import holder, only_one
from llama.processes import TooSlowError, kill, stop
from llama.settings import Settings
from llama.study.tables import STUDY_PATTERN

_END_WITHIN_S = 60.0
PROFILE = "do-cluster"  # droplets; needs a bucket and Slurm
# keys of another account, which boto3 would prefer to the credentials file
_OTHER_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


class Launch(msgspec.Struct, frozen=True):
    """A study to make; `skymaps` is its list if the settings do not name it, else "".

    injections: how many are wanted, None for `background.injections`; started: Unix s.
    """

    study: str
    skymaps: str
    injections: int | None
    profile: str
    started: float


class Places(NamedTuple):
    """Files of a launch."""

    record: Path
    lock: Path
    log: Path


def places(settings: Settings, study: str) -> Places:
    """Return where a launch of `study` is written down, locked and logged."""
    directory = settings.output_dir / "fleet" / "launches"
    log = settings.output_dir / "logs" / "studies" / study / "launch.log"
    return Places(directory / f"{study}.json", directory / f"{study}.lock", log)


def launches(
    settings: Settings, tell: Callable[[str], object] = lambda text: None
) -> dict[str, Launch]:
    """Return the last launch of each study, one that cannot be read without list and number.

    `tell` hears of those.
    """
    found = {}
    for path in sorted((settings.output_dir / "fleet" / "launches").glob("*.json")):
        try:
            found[path.stem] = _read_launch(path)
        except LlamaError as error:
            found[path.stem] = Launch(path.stem, "", None, PROFILE, path.stat().st_mtime)
            tell(f"how {path.stem} was launched is not known: {error}")
    return found


def _read_launch(path: Path) -> Launch:
    with contextlib.suppress(msgspec.ValidationError):
        launch = msgspec.convert(read_json(path), Launch)
        if launch.study == path.stem:
            return launch
    raise LlamaError(f"{path} is no record of its launch; launch it again")


def is_running(settings: Settings, study: str) -> bool:
    """Return whether a launched Snakemake makes the study now."""
    return holder(places(settings, study).lock) is not None


def study_of_list(settings: Settings, skymaps: Path) -> tuple[str, str]:
    """Return the study of a list of sky maps, and the list unless the settings name it.

    A list that they do not name is called by its place, as `llama dev skymaps lists` writes it:
    bns-o3/H1L1.csv is bns-o3-H1L1. `LlamaError` when that is another study's name, or none.
    """
    path = skymaps.absolute()
    if not path.is_file():
        raise LlamaError(f"there is no list {skymaps}; give a file with one sky map per line")
    studies = settings.background.studies
    for named, study in studies.items():
        if study.skymaps and os.path.realpath(study.skymaps) == os.path.realpath(path):
            return named, ""
    names = (path.stem, f"{path.parent.name}-{path.stem}")
    name = next((name for name in names if re.fullmatch(STUDY_PATTERN, name)), None)
    if name is None:
        raise LlamaError(
            f"{skymaps} does not tell its class; call it like bns-o3/H1L1V1.csv, or add it to "
            f"background.studies in the settings as bns-o3-H1L1V1: {{skymaps: {path}}}"
        )
    last = launches(settings).get(name)
    other = str(studies[name].skymaps or studies[name].artifacts) if name in studies else ""
    if other or (last and last.skymaps and Path(last.skymaps) != path):
        raise LlamaError(
            f"the study {name} has the sky maps of {other or (last and last.skymaps)}; "
            f"give {skymaps} another name"
        )
    return name, str(path)


def study_of_artifacts(settings: Settings, name: str | None) -> str:
    """Return the study of artifacts called `name`, or the only one there is."""
    studies = settings.background.studies
    found = sorted(key for key, study in studies.items() if study.artifacts)
    if name in found or (name is None and len(found) == 1):
        return name or found[0]
    if found:
        raise LlamaError(f"name the study, one of {', '.join(found)}")
    raise LlamaError(
        "no study of artifacts is named in the settings; add it under background.studies, such as\n"
        "    cbclow-o3-H1L1: {artifacts: s3://llama/llama/artifacts/mid-o3-subthreshold-background}"
    )


def prepare(
    settings: Settings, launch: Launch, tell: Callable[[str], object] = lambda text: None
) -> None:
    """Check what a launch needs, so that it does not fail in the background; write it down."""
    find_workflow()
    on_fleet = launch.profile == PROFILE
    if on_fleet and shutil.which("sbatch") is None:
        raise LlamaError("there is no Slurm here (sbatch); prepare this machine: llama fleet up")
    if on_fleet and not Head(settings).conf.exists():
        raise LlamaError("this machine is no head of a fleet yet; make it one: llama fleet up")
    if on_fleet or settings.spaces.bucket:
        Spaces(settings.spaces, tell).check()
    write_json(places(settings, launch.study).record, msgspec.to_builtins(launch))


def run(settings: Settings, launch: Launch, what: str, to_log: bool) -> NoReturn:
    """Become the Snakemake that makes the study; its lock lives as long as that.

    `what` is the command that has asked for it; to_log: messages go to the log of the launch.
    """
    where = places(settings, launch.study)
    with only_one(where.lock, what) as lock:
        os.set_inheritable(lock.fileno(), True)
        if to_log:
            where.log.parent.mkdir(parents=True, exist_ok=True)
            log = os.open(where.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o664)
            os.dup2(log, 1)
            os.dup2(log, 2)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stderr.write(f"{stamp} {launch.study}, {launch.injections or 'all'} injections\n")
        sys.stderr.flush()
        words = command(launch)
        with withheld():
            kept = _environment(settings)
        os.chdir(settings.output_dir)
        # ignored when a script has started it in the background, and then by Snakemake, too
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(words[0], words, kept)  # noqa: S606


def kill_command(settings: Settings, launch: Launch) -> str:
    """Return what ends a launch, to be typed."""
    named = settings.background.studies.get(launch.study)
    if skymaps := (named.skymaps or "") if named else launch.skymaps:
        what = ["launch", "bg", str(skymaps)]
    elif named:
        what = ["batch", launch.study]
    else:  # the settings do not name it any more, or its record is broken
        return f"kill -INT {holder(places(settings, launch.study).lock)}"
    return shlex.join(["llama", "dev", "dv", *what, "-k"])


def end(settings: Settings, study: str, what: str) -> str:
    """End a launch, every process of it, and its jobs in Slurm's queue; return what was ended.

    Snakemake has `_END_WITHIN_S` to cancel its jobs. Jobs that an earlier launch has left are
    cancelled, too. `LlamaError` when there is nothing to end.
    """
    import psutil

    lock = places(settings, study).lock
    pid, left = holder(lock), list[psutil.Process]()
    if pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            left = psutil.Process(pid).children(recursive=True)
        leads = _group_of(pid) == pid  # else the group is a script's that has started it with -F
        # Snakemake takes its jobs back for this signal; for SIGTERM it waits for their ends
        try:
            stop(lock, what, _END_WITHIN_S, signal.SIGINT)
        except TooSlowError:
            kill(lock, what)
        if leads:  # nothing that it has started may submit a job after it
            left += [one for one in psutil.process_iter() if _group_of(one.pid) == pid]
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=10)
    jobs = _cancel(settings, study)
    if pid is None and not jobs:
        raise LlamaError(f"{what} is not running; there is nothing to end")
    parts = [f"pid {pid}"] if pid is not None else []
    return " and ".join(parts + ([f"{len(jobs)} of its jobs in Slurm's queue"] if jobs else []))


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _cancel(settings: Settings, study: str) -> set[str]:
    conf, found = Head(settings).conf, set[str]()
    if not conf.exists() or shutil.which("scancel") is None:
        return found
    os.environ["SLURM_CONF"] = str(conf)
    try:
        for pause_s in (0.0, 1.0):  # the controller may still be at one that was just submitted
            time.sleep(pause_s)
            jobs = {job.id for job in slurm.queue() if job.comment == study} - found
            if jobs:
                slurm.ask("scancel", *sorted(jobs))
            found |= jobs
    except SchedulerError as error:
        raise LlamaError(
            f"jobs of {study} may still be in the queue and bring droplets ({error}); "
            "run llama fleet up, then the same command again"
        ) from error
    return found


def command(launch: Launch) -> list[str]:
    """Return the Snakemake to run, in any directory."""
    workflow = find_workflow()
    background = dict[str, int | dict[str, dict[str, str]]]()
    if launch.skymaps:
        background["studies"] = {launch.study: {"skymaps": launch.skymaps}}
    if launch.injections:
        background["injections"] = launch.injections
    words = [f"studies/{launch.study}/background"]
    words += ["--profile", find_profile(launch.profile, workflow)]
    words += ["--config", f"background={json.dumps(background)}"] if background else []
    return snakemake(workflow, *words)


def _environment(settings: Settings) -> dict[str, str]:
    kept = dict(os.environ)
    kept["PATH"] = path_variable()
    if given := kept.get("LLAMA_CONFIG"):
        kept["LLAMA_CONFIG"] = str(Path(given).absolute())
    if settings.spaces.bucket:
        kept = {name: value for name, value in kept.items() if name not in _OTHER_KEYS}
        kept |= environment(settings.spaces)
    return kept
