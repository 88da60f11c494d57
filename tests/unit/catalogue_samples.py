"""Small releases of sky maps, as directories and tarballs, with tables like GWOSC's."""

import io
import tarfile
from pathlib import Path

from sky_samples import multiorder, random_tiles

from llama.times import gps_to_iso, iso_to_gps

FIRST, SECOND = "GW200112_155838", "GW200115_042309"
HEADER = "commonName,version,catalog.shortName,GPS,mass_1_source,mass_2_source,far,p_astro"


def gps_of(name: str) -> float:
    """The time that a name tells, and a half second."""
    day, clock = name.removeprefix("GW").split("_")
    date = f"20{day[:2]}-{day[2:4]}-{day[4:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}.5"
    return iso_to_gps(date)


def skymap(name: str, seed: int = 0, **header: object) -> bytes:
    """A map of 48 tiles and more, made in 2021."""
    cards = {"DATE-OBS": gps_to_iso(gps_of(name))[:-1], "DATE": "2021-10-26T18:04:36"} | header
    known = {key: value for key, value in cards.items() if value is not None}
    return multiorder(random_tiles(seed, finest=2), **known)


def file_name(name: str, waveform: str = "Mixed", cosmo: str = "cosmo_reweight") -> str:
    """What GWTC-3 calls a map."""
    return f"IGWN-GWTC3p0-v2-{name}_PEDataRelease_{cosmo}_C01:{waveform}.fits"


def row(name: str, far: object = 1e-5, p_astro: object = 0.9, version: int = 1) -> str:
    """A row of the table: a binary of black holes, with a rate per year."""
    return f"{name},{version},GWTC-3-confident,{gps_of(name):.1f},30.0,20.0,{far},{p_astro}"


def write_release(directory: Path, files: dict[str, bytes] | None = None) -> Path:
    """A directory of two events, or of other files."""
    files = files or {file_name(name): skymap(name) for name in (FIRST, SECOND)}
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def tarball(*members: tuple[tarfile.TarInfo | str, bytes]) -> bytes:
    """A compressed tarball; a member may be a name, or all that its header has."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()
