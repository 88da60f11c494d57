"""A neutrino detector as Python programs have it: an archive of its events, imported once."""

from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from llama.api.border import value_errors
from llama.errors import LlamaError
from llama.neutrinos.archive import Archive as Imported
from llama.times import gps_to_iso

_MOCK = "mock"
_MOCK_SEED = 20190401


class Archive:
    """The events, effective area and uptime of a neutrino detector, as imported.

    Opening one reads a small file only. An archive of IceCube's public 10-year release is made by
    `llama neutrinos fetch` or `llama neutrinos import` (docs/neutrinos.md).

    >>> archive = Archive.mock("toy")
    >>> Archive.open("toy/mock").identity == archive.identity
    True
    """

    def __init__(self, imported: Imported) -> None:
        self._imported = imported

    @classmethod
    @value_errors()
    def open(cls, name_or_path: str | PathLike[str]) -> "Archive":
        """Return the archive in a directory, or the one of a name in LLAMA's output directory.

        That is `output_dir` of the settings if there are any ($LLAMA_CONFIG, or a clone's), else
        ~/.local/share/llama. ValueError tells how to import one that is not there.
        """
        path = Path(name_or_path)
        if (path / "archive.json").is_file():
            return cls(Imported.open(path))
        if len(path.parts) != 1:
            raise LlamaError(f"there is no neutrino archive in {path}; {_how('NAME')}")
        from llama.settings import load

        place = load().output_dir / "archive"
        if not (place / path / "archive.json").is_file():
            raise LlamaError(
                f"there is no neutrino archive {str(path)!r}, neither here nor in {place}; "
                f"{_how(path)}, or give the path of another one"
            )
        return cls(Imported.open(place / path))

    @classmethod
    @value_errors()
    def mock(cls, directory: str | PathLike[str]) -> "Archive":
        """Return a toy archive to try things out: 60 days from 2019-04-01 of made-up neutrinos.

        It is made in `directory`/mock if it is not there.
        """
        path = Path(directory) / _MOCK
        if not (path / "archive.json").is_file():
            from llama.neutrinos.importing import import_release
            from llama.neutrinos.mock import write_mock_release

            with TemporaryDirectory() as release:
                write_mock_release(release, _MOCK_SEED)
                import_release(release, path.parent, _MOCK)
        return cls(Imported.open(path))

    @property
    def name(self) -> str:
        """The name that it was imported under."""
        return self._imported.name

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that change when any number in the archive changes."""
        return self._imported.identity

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self._imported.directory

    @property
    def rate_hz(self) -> float:
        """Events per second of uptime [Hz], of the newest configuration of the detector."""
        return self._imported.rate_hz

    @property
    def imported(self) -> Imported:
        """The archive as LLAMA's own functions take it."""
        return self._imported

    def __repr__(self) -> str:
        about = self._imported.about
        first, last = (gps_to_iso(about[key], 0)[:10] for key in ("first_gps", "last_gps"))
        return f"<Archive {self.name}: {about['events']:,} neutrinos, {first} to {last}>"


def _how(name: object) -> str:
    return f"make it with `llama neutrinos import PATH --name {name}`"
