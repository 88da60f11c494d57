"""The container image: built without a registry, run by an unknown user on a read-only root."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import namespaces
import pytest
import wheelhouse

from llama.fleet.worker import revision

CLONE = Path(__file__).parents[2]
MARK = "bWFyayBvZiBhIHNlY3JldA"  # in what is lent to the build
USER = 54321  # whom the image does not know
DEBIAN = {(3, 11): "bookworm", (3, 13): "trixie"}.get(sys.version_info[:2])
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
pytestmark = [
    pytest.mark.needs("buildah", "mmdebstrap"),
    pytest.mark.skipif(not namespaces.possible(), reason="needs root, namespaces and overlays"),
    pytest.mark.skipif(not DEBIAN, reason="needs a Python that Debian has: 3.11 or 3.13"),
]


class Image(NamedTuple):
    """An image: its files, how it is started, and what `buildah inspect` tells of it."""

    root: Path
    config: dict[str, Any]
    told: str

    def run(
        self, output: Path, *words: str, program: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run its entry point, or `program`: its root read-only, `output` as the volume."""
        script = (
            'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs t "$1/tmp" '
            '&& mount --rbind /dev "$1/dev" && mount -t proc p "$1/proc" '
            '&& mount --bind "$2" "$1/output" && shift 2 && exec "$@"'
        )
        inside = [*([program] if program else self.config["Entrypoint"]), *words]
        command = ["unshare", "-mpf", "sh", "-c", script, "sh", str(self.root), str(output)]
        command += ["chroot", f"--userspec={USER}:{USER}", str(self.root), "env", "-i"]
        command += [*self.config["Env"], "sh", "-c"]
        command += [f"cd {self.config['WorkingDir']} && exec {shlex.join(inside)}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of this clone, on a Debian made here."""
    place = tmp_path_factory.mktemp("image")
    store = ["--root", str(place / "store"), "--runroot", str(place / "run")]

    def buildah(*words: str) -> str:
        command = ["buildah", *store, *words]
        done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    base, wheels = place / "base.tar", place / "wheels"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", *SLIM, str(DEBIAN), str(base)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    wheels.mkdir()
    wheelhouse.fill(wheels)
    settings = f"[global]\nno-index = true\nfind-links = /wheels\n# {MARK}\n"
    (place / "pip.conf").write_text(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place)  # gigabytes
        stack.callback(subprocess.run, ["buildah", *store, "umount", "--all"], capture_output=True)
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, str(base), "/")
        buildah("commit", "--quiet", "--rm", container, "base")
        base.unlink()
        buildah(
            *("build", "--isolation=chroot", "--layers=false", "--tag=llama"),
            *("--build-arg=BASE=localhost/base", f"--secret=id=pip,src={place / 'pip.conf'}"),
            *(f"--volume={wheels}:/wheels:ro", "."),
        )
        told = buildah("inspect", "--type=image", "llama")
        root = Path(buildah("mount", buildah("from", "llama")))
        yield Image(root, json.loads(told)["OCIv1"]["config"], told)


@pytest.fixture(scope="module")
def output(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `llama demo` leaves in the volume."""
    directory = tmp_path_factory.mktemp("output")
    os.chown(directory, USER, USER)
    done = image.run(directory, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = re.findall(r"(?m)^MS230601a: .*", (CLONE / "docs/tutorial.md").read_text())
    assert line in done.stdout
    return directory


def test_the_demo_writes_into_the_volume_only(output: Path) -> None:
    assert (output / "demo/current_run/MS230601a/index.html").exists()
    assert {path.name for path in output.iterdir()} <= {"demo", "llama", ".cache", ".config"}


def test_the_demo_compiles_nothing(image: Image, output: Path) -> None:
    def compiled(place: Path) -> set[str]:
        return {str(path.relative_to(place)) for path in place.rglob("numba-*/*/*")}

    (shipped,) = image.root.glob("opt/llama/lib/*/site-packages/llama/stats/__pycache__")
    assert len(compiled(shipped)) > 100
    assert compiled(output / ".cache/llama") == compiled(shipped)


def test_no_secret_and_no_cache_is_in_it(image: Image) -> None:
    assert MARK not in image.told
    found = subprocess.run(["grep", "-rlF", MARK, str(image.root)], capture_output=True, text=True)
    assert not found.stdout
    for place in ("src", "root/.cache", "root/.config"):
        assert not (image.root / place).exists(), place
    empty = ("tmp", "var/tmp", "var/lib/apt/lists", "var/cache/apt", "var/log", "output")
    for place in (*empty, "wheels", "run/secrets"):
        assert not [p for p in (image.root / place).rglob("*") if p.is_file()], place
    assert not list(image.root.glob("opt/llama/**/.git"))


def test_the_bill_names_all_that_is_in_it(image: Image) -> None:
    bill = json.loads((image.root / "opt/llama/bill.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    purls = [component["purl"] for component in bill["components"]]
    assert len(set(purls)) == len(purls)
    status = (image.root / "var/lib/dpkg/status").read_text().split("\n\n")
    packages = [about for about in status if "\nStatus: install ok installed\n" in about]
    installed = [re.findall(r"^Package: (.*)", about)[0] for about in packages]
    assert {re.split("[/@]", purl)[2] for purl in purls if ":deb/" in purl} == set(installed)
    names = {purl[9:].partition("@")[0] for purl in purls if ":pypi/" in purl}
    assert {"llama-multimessenger", "numpy", "snakemake"} < names
    assert len(names) == len(list(image.root.glob("opt/llama/lib/*/site-packages/*.dist-info")))


def test_droplets_with_its_files_fit_a_head_of_the_same_commit(image: Image, output: Path) -> None:
    told = "from llama.fleet.worker import revision; print(revision())"
    done = image.run(output, "-c", told, program="/opt/llama/bin/python")
    assert done.stdout.strip() == revision(), done.stderr
