"""Fetching a release of sky maps from Zenodo, and GWOSC's table of events."""

from pathlib import Path
from typing import NamedTuple

from llama.catalogue.table import URL
from llama.errors import LlamaError
from llama.locks import only_one
from llama.neutrinos.fetch import Remote, Say, Store, session_with_name


class Tarred(NamedTuple):
    """A tarball of sky maps: where it is, and what must come."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2].partition("?")[0]


_ZENODO = "https://zenodo.org/records"
RELEASES = {
    "GWTC-2.1": Tarred(
        f"{_ZENODO}/6513631/files/IGWN-GWTC2p1-v2-PESkyMaps.tar.gz?download=1",
        "89bc2705eaa8a6ececa875b85c53a09e8f5edb9c537e5dc0f571620279ad32a0",
        87_364_125,
    ),
    "GWTC-3": Tarred(
        f"{_ZENODO}/8177023/files/IGWN-GWTC3p0-v2-PESkyLocalizations.tar.gz?download=1",
        "7a2554afa372619701104f208b6e8fba64be3743ac755c11ca728803ac616acb",
        71_637_588,
    ),
    "GWTC-4.1": Tarred(
        f"{_ZENODO}/20275769/files/IGWN-GWTC4p1-18965dda8_5-Archived_Skymaps.tar.gz?download=1",
        "8fbe990ee4377bbdb8af5f3d99580782809ebb90c8d14b09a41a2776fd1208eb",
        275_530_187,
    ),
    "GWTC-5": Tarred(
        f"{_ZENODO}/20348005/files/IGWN-GWTC5p0-29ebe06b7_25-Archived_Skymaps.tar.gz?download=1",
        "175b3d925286921d4ab49503faf4496d8c3f96eeeea2cd31eafbb77f0aafda7e",
        268_678_148,
    ),
}
TABLE = "gwosc_events.json"


def known_release(name: str) -> str:
    """Return a release as `RELEASES` calls it; `LlamaError` if there is none of that name."""
    wanted = name.upper().removesuffix(".0")
    if wanted not in RELEASES:
        raise LlamaError(f"there is no release {name[:40]!r}; choose one of {', '.join(RELEASES)}")
    return wanted


def fetch(release: str, directory: Path, say: Say, table: bool) -> tuple[Path, Path | None]:
    """Fetch the tarball of a release, and GWOSC's `table`, unless they are there; return both.

    The tarball is kept only with its sha256, the table of the first time stays. What was
    interrupted is taken up where it ended.
    """
    tarred = RELEASES[release]
    directory.mkdir(parents=True, exist_ok=True)
    with only_one(directory / ".fetch.lock", "llama catalogue fetch", "wait for it"):
        store = Store(directory, session_with_name(), say)
        store.fetch(Remote(tarred.name, tarred.url, tarred.size, f"sha256:{tarred.sha256}"))
        if table:
            store.fetch(Remote(TABLE, URL, 0, None))
    return directory / tarred.name, directory / TABLE if table else None
