"""What a wheel has beside the package: the workflow of the clone's top, its pages, the commit."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "scripts"))
from llama.layout import COMMIT, IN_WHEEL, commit_of  # noqa: E402

_FILES = ("Snakefile", "config.yaml", "rules/**/*", "scripts/*.py", "profiles/**/*", "envs/*")


def workflow() -> list[str]:
    """Return the files of the workflow, and the pages that its messages name."""
    found = [path for form in (*_FILES, "docs/**/*") for path in HERE.glob(form)]
    return sorted(str(path.relative_to(HERE)) for path in found if path.is_file())


def write_commit(directory: Path) -> None:
    """Write down what a directory was made from: results name it as those of a clone do."""
    if commit := commit_of(HERE):
        (directory / COMMIT).write_text(f"{commit}\n", encoding="utf-8")


class BuildPy(build_py):
    """The package, and the workflow beside it; an editable install has that of its clone."""

    def run(self) -> None:
        """Copy all of it to where the wheel is made from."""
        super().run()
        if self.editable_mode:
            return
        top = Path(self.build_lib, IN_WHEEL)
        shutil.rmtree(top, ignore_errors=True)  # of an earlier build
        for name in workflow():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / name, top / name)
        write_commit(top)

    def get_source_files(self) -> list[str]:
        """Return what a source archive must have."""
        return [*super().get_source_files(), *workflow()]


class Sdist(sdist):
    """A source archive that makes the same wheel."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, and write down the commit."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
