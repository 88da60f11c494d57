"""A small release in the form of IceTracks-DR2, and a web server that serves it like Dataverse."""

import hashlib
from pathlib import Path

import numpy as np
from https_server import Answer, Request

EVENT = (
    "run event subevent MJD[days] log10(E/GeV) AngErr[deg] RA[deg] Dec[deg] Azimuth[deg] "
    "Zenith[deg]"
)
UPTIME = "MJD_start[days]  MJD_stop[days]"
AREA = "log10(E_nu/GeV)_min  log10(E_nu/GeV)_max  Dec_nu_min[deg]  Dec_nu_max[deg]   A_Eff[cm^2]"
SEASONS = {"IC40": 54600, "IC79": 55400, "IC86_I": 55700, "IC86_II": 56050}


def table(header, rows, form="csv", title="#  {}"):
    """A table as published (csv), or as Dataverse serves it (tab)."""
    lines = ["   " + "   ".join(row) for row in rows]
    if form == "tab":
        lines = [f'"{line}"' for line in lines]
    return "\n".join([title.format(header), *lines]) + "\n"


def event_rows(season, n=60):
    """Events of ten days; the first two of IC86_II are the last two of IC86_I again."""
    rng = np.random.default_rng(SEASONS[season])
    start, run = SEASONS[season], 100_000 + SEASONS[season]
    rows = [
        [
            *(str(run), str(1000 + k), "0", f"{start + k * 10 / n:.8f}"),
            *(f"{rng.uniform(2, 6):.2f}", f"{rng.uniform(0.2, 2):.2f}"),
            f"{rng.uniform(0, 360):.3f}",
            f"{np.degrees(np.arcsin(rng.uniform(-1, 1))):.3f}",
            *(f"{rng.uniform(0, 360):.3f}", f"{rng.uniform(1, 179):.3f}"),
        ]
        for k in range(n)
    ]
    if season == "IC86_II":  # reconstructed anew
        rows[:2] = [[*row[:4], "3.33", *row[5:]] for row in event_rows("IC86_I")[-2:]]
    return rows


def area_rows(factor=1.0):
    edges = np.linspace(2, 9, 8)
    return [
        [f"{e:.2f}", f"{e + 1:.2f}", dec, stop, f"{factor * 10 ** (e - 2):.2f}"]
        for dec, stop in (("-90.00", "0.00"), ("0.00", "90.00"))
        for e in edges[:-1]
    ]


def write_dr2(directory, form="tab", title="#  {}", seasons=tuple(SEASONS)):
    """Write events, uptimes and areas of some seasons."""
    files = {}
    for season in seasons:
        start = SEASONS[season]
        files[f"events/{season}_exp"] = table(EVENT, event_rows(season), form, title)
        runs = [[f"{start + k:.8f}", f"{start + k + 1:.8f}"] for k in range(10)]
        files[f"uptime/{season}_exp"] = table(UPTIME, runs, form, title)
        name = season.partition("_")[0]
        files[f"irfs/{name}_effectiveArea"] = table(AREA, area_rows(float(name[2:])), form, title)
    for place, text in files.items():
        path = Path(directory) / f"{place}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Path(directory)


class Dataverse:
    """Answers like Dataverse: redirects to a storage, refuses Python's own user agents."""

    def __init__(self, directory, md5=True, doi="10.7910/DVN/MMIIZA", plain=()):
        write_dr2(directory / "tab", "tab")
        write_dr2(directory / "csv", "csv")
        self.files = sorted(p.relative_to(directory / "csv") for p in directory.glob("csv/*/*.csv"))
        self.directory, self.doi, self.md5, self.plain = directory, doi, md5, plain
        self.ranges = []

    def content(self, number, original):
        path = self.files[number]
        if original or path.name in self.plain:
            return (self.directory / "csv" / path).read_bytes()
        return (self.directory / "tab" / path.with_suffix(".tab")).read_bytes()

    def row(self, number):
        path = self.files[number]
        plain = path.name in self.plain
        data = {
            "id": 700 + number,
            "filename": path.name if plain else path.with_suffix(".tab").name,
            "filesize": len(self.content(number, original=False)),
        }
        if self.md5:  # of what was uploaded
            data["md5"] = hashlib.md5(
                self.content(number, original=True), usedforsecurity=False
            ).hexdigest()
        if not plain:
            data |= {
                "originalFileFormat": "text/csv",
                "originalFileSize": len(self.content(number, original=True)),
            }
        return {"label": data["filename"], "directoryLabel": str(path.parent), "dataFile": data}

    def __call__(self, request: Request) -> Answer:
        agent = request.headers.get("User-Agent", "")
        if not agent or agent.startswith(("python-requests", "Python-urllib")):
            return Answer(403, b"<html>Forbidden</html>")
        if request.path.startswith("/api/datasets/:persistentId"):
            if request.query.get("persistentId") != f"doi:{self.doi}":
                return Answer(404, {"status": "ERROR", "message": "not found"})
            rows = [self.row(k) for k in range(len(self.files))]
            rows.append({"label": "readme.txt", "dataFile": {"id": 1, "filesize": 3, "md5": "x"}})
            return Answer(200, {"status": "OK", "data": {"latestVersion": {"files": rows}}})
        number = int(request.path.rpartition("/")[2]) - 700
        original = request.query.get("format") == "original"
        if request.path.startswith("/api/access/datafile/"):
            form = "?format=original" if original else ""
            return Answer(303, b"", {"Location": f"/storage/{number + 700}{form}"})
        content = self.content(number, original)
        begin = request.headers.get("Range")
        if begin is None:
            return Answer(200, content)
        at = int(begin.removeprefix("bytes=").rstrip("-"))
        self.ranges.append((str(self.files[number]), at))
        if at >= len(content):
            return Answer(416)
        part = f"bytes {at}-{len(content) - 1}/{len(content)}"
        return Answer(206, content[at:], {"Content-Range": part})

    def number(self, place):
        return 700 + [str(path) for path in self.files].index(place)


def contents(directory):
    return {p: p.read_bytes() for p in Path(directory).rglob("*") if p.is_file()}
