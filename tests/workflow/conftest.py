"""One machine with one finished event, made once for all workers; every test gets a copy."""

import fcntl
import shutil
from pathlib import Path

import pytest
from study_samples import STUDY, TABLE, write_maps
from workspace import EVENT_MJD, NEUTRINOS, Workspace, alert, skymap_fits

from llama.neutrinos.mock import write_mock_release
from llama.sky.mock import mock_skymap, to_fits

DIRECTION = mock_skymap(40.3, 20.2, (0.7, 0.4), (100.0, 30.0))


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that all workers of a run see."""
    base = tmp_path_factory.getbasetemp()
    directory = (base if worker_id == "master" else base.parent) / "workflow"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def machine(shared_tmp: Path) -> Workspace:
    """A machine with a clone and an imported neutrino archive; no event. Read-only: copy it."""
    with (shared_tmp / "machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home, root = shared_tmp / "home", shared_tmp / "machine"
        if root.exists():
            return Workspace(root, home)
        home.mkdir()
        release = shared_tmp / "release"
        write_mock_release(
            release, n_events=3000, mjd_start=EVENT_MJD - 10, mjd_stop=EVENT_MJD + 10
        )
        made = Workspace.make(shared_tmp / "machine-in-the-making", home)
        made.set("  map_injections: 2500", "  map_injections: 40")
        made.run("llama", "neutrinos", "import", str(release))
        made.root.rename(root)
        return Workspace(root, home)


@pytest.fixture(scope="session")
def finished(machine: Workspace, shared_tmp: Path) -> Workspace:
    """A machine with one finished event and its background. Read-only: copy it."""
    with (shared_tmp / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = shared_tmp / "finished"
        if not root.exists():
            made = machine.copy(shared_tmp / "finished-in-the-making")
            made.write_background()
            # the first one's direction is a map
            (made.root / "blob.fits").write_bytes(to_fits(DIRECTION, "2024-01-01T00:00:00"))
            neutrinos = made.root / "neutrinos.csv"
            title, *rows = NEUTRINOS.split()
            maps = "map", "blob.fits", "", ""
            lines = map(",".join, zip([title, *rows], maps, strict=True))
            neutrinos.write_text("".join(f"{line}\n" for line in lines))
            made.take(alert(skymap=skymap_fits()), "--neutrinos", str(neutrinos))
            made.snakemake("events/S240101ab/all")
            made.root.rename(root)
        return Workspace(root, machine.home)


@pytest.fixture
def fresh(machine: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the machine without events."""
    return machine.copy(tmp_path / "fresh")


@pytest.fixture
def event(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the machine with the finished event."""
    return finished.copy(tmp_path / "event")


@pytest.fixture(scope="module")
def copied(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One copy for tests that put back what they change."""
    return finished.copy(tmp_path_factory.mktemp("copied"))


@pytest.fixture(scope="session")
def finished_study(machine: Workspace, shared_tmp: Path) -> Workspace:
    """A machine with a study of three maps, 60 injections in shards of 20. Read-only: copy it."""
    with (shared_tmp / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = shared_tmp / "study"
        if not root.exists():
            made = machine.copy(shared_tmp / "study-in-the-making")
            maps = write_maps(shared_tmp / "study-maps")
            made.set("  studies: {}", f"  studies: {{{STUDY}: {{skymaps: {maps}}}}}")
            made.set("  injections: 20000", "  injections: 60")
            made.set("  shard_size: 125000", "  shard_size: 20")
            made.snakemake("populations.hdf5", TABLE, "--cores", "2")
            made.root.rename(root)
        return Workspace(root, machine.home)


@pytest.fixture
def study(finished_study: Workspace, tmp_path: Path) -> Workspace:
    return finished_study.copy(tmp_path / "study")


@pytest.fixture(scope="session")
def moved_in(finished: Workspace, finished_study: Workspace, shared_tmp: Path) -> Path:
    """The home of an operator who has a study and an event. Read-only: copy it."""
    from operators_home import move_in

    with (shared_tmp / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home = shared_tmp / "docs" / "home"
        if not home.exists():
            machine = finished.copy(shared_tmp / "docs-machine")
            shutil.copy2(finished_study.clone / "config.yaml", machine.clone)
            for name in ("studies", "logs/studies", ".snakemake/metadata"):
                source, target = (m.output / name for m in (finished_study, machine))
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            home.parent.mkdir()
            move_in(machine, home.with_name("moving"))
            home.with_name("moving").rename(home)
        return home
