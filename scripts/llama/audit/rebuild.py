"""Making the significance of an earlier manifest again, from the archive and the code it names."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama.alerts.content import skymap_bytes
from llama.audit.checkout import check_out
from llama.errors import LlamaError
from llama.event.bursts import read_bursts
from llama.event.manifest import INPUTS, External, Manifest, kept_files, versions
from llama.event.names import BURSTS_NAME, HEARD_NAME, MAP_BACKGROUND, skymap_name
from llama.event.populations import numbers_sha256, read_background, read_p_astro
from llama.event.provenance import TILES, code_sha256, software
from llama.event.skymap_info import check_info, read_info
from llama.files import read_json, sha256_bytes, sha256_file, write_bytes
from llama.neutrinos.event_list import list_is_from_archive
from llama.neutrinos.network_list import list_observing

_OWN = Path(__file__).parents[2]
_SHOWN = 5
_CAUSES = ("inputs", "provenance")
_ABSENT = object()


@dataclass(frozen=True)
class Rebuilt:
    """The file that was made, its sha256, the recorded one, and what differs, in sentences."""

    path: Path
    sha256: str
    recorded_sha256: str
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every bit is as it was."""
        return self.sha256 == self.recorded_sha256


def rebuild(
    output_dir: Path, event_dir: Path, manifest: Manifest, tell: Callable[[str], None]
) -> Rebuilt:
    """Make the significance that a manifest of the event names again, and compare.

    The result is put into `history/` under its sha256. `tell` is given a sentence about what takes
    long. `LlamaError` names everything that is missing, each with its remedy.
    """
    products = manifest["products"]
    name = next((name for name in products if name.startswith("significance")), None)
    if name is None:
        raise LlamaError(
            f"at this manifest {event_dir.name} had no significance: it was retracted before a "
            "sky map came; choose another manifest"
        )
    if not {"made_by", "external", "settings", "versions"} <= manifest.keys():
        raise LlamaError(
            f"this manifest is by {manifest.get('software')}, which kept nothing to rebuild from; "
            "choose a later one"
        )
    with tempfile.TemporaryDirectory(prefix="llama-rebuild-") as temporary:
        pieces = _Pieces(output_dir, event_dir, manifest, Path(temporary))
        tiles_code, code = pieces.code(TILES), pieces.code(name)
        map_code = pieces.code(MAP_BACKGROUND)
        source, drawing, job = pieces.collect()
        if not pieces.missing and code != _OWN:
            tell(f"with the code of {manifest['made_by'][name]['software']}, which compiles first")
        if pieces.missing:
            listed = "".join(f"\n  - {sentence}" for sentence in pieces.missing)
            raise LlamaError(f"{name} cannot be rebuilt; what is missing:{listed}")
        tiles, made = Path(temporary) / TILES, Path(temporary) / name
        _run(tiles_code, {"make": "tiles", "source": source, "output": str(tiles)})
        drawn = Path(temporary) / MAP_BACKGROUND
        _run(map_code, {"make": "map_background", "output": str(drawn), **drawing})
        _run(code, {"make": "significance", "output": str(made), **job})
        content, tiles_sha256 = made.read_bytes(), sha256_file(tiles)
    sha256, recorded = sha256_bytes(content), products[name]["sha256"]
    path = event_dir / "history" / f"{sha256}.json"
    if not path.exists() or sha256_file(path) != sha256:
        write_bytes(path, content)
    differences: list[str] = []
    if sha256 != recorded:
        if tiles_sha256 != products[TILES]["sha256"]:
            differences.append(f"{TILES}, made from the archived map, has other bytes")
        differences += _differences(kept_files(event_dir, manifest)[name], recorded, content)
        differences += _other_versions(manifest["versions"])
    return Rebuilt(path, sha256, recorded, tuple(differences))


class _Pieces:
    """What the significance of a manifest was made of; `missing` says what is not there."""

    def __init__(
        self, output_dir: Path, event_dir: Path, manifest: Manifest, directory: Path
    ) -> None:
        self._output_dir, self._event_dir, self._directory = output_dir, event_dir, directory
        self._manifest, self._products = manifest, manifest["products"]
        self._trees: dict[str, Path] = {}
        self.missing: list[str] = []

    def collect(self) -> tuple[str | None, dict[str, object], dict[str, object]]:
        """Return the sky map's path and the arguments of what else is made, as far as there."""
        files = dict(self._inputs())
        settings, external = self._manifest["settings"], self._manifest["external"]
        background = external["background"]
        inputs: dict[str, Any] = {
            "skymap": str(self._directory / TILES),
            "distances": files.get("lvc_skymap_distances.json"),
            "p_astro": files.get("p_astro.json"),
            "neutrinos": files.get("icecube_neutrino_list.json"),
            "info": files.get("skymap_info.json"),
            "response": self._responses(external),
        }
        bursts, digest = files.get(BURSTS_NAME) or files.get(HEARD_NAME), background["sha256"]
        source = self._skymap(files.get("skymap_info.json"))
        populations = self._background(background["class"], digest) if digest else None
        if tables := inputs["response"]:
            whole = [tables] if isinstance(tables, str) else tables
            events = [str(Path(path).with_name("events.hdf5")) for path in whole if path]
            inputs["events"] = events[0] if isinstance(tables, str) else events
        inputs["map_background"] = str(self._directory / MAP_BACKGROUND)
        of_background = {name: settings["background"][name] for name in ("seed", "p_astro")}
        drawing = of_background | {
            "inputs": {name: inputs.get(name) for name in ("skymap", "response", "events")},
            "search": settings["search"],
            "injections": settings["background"]["map_injections"],
            "from_archive": list_is_from_archive(Path(inputs["neutrinos"] or "")),
            "population": inputs["p_astro"] and read_p_astro(inputs["p_astro"])["population"],
        }
        if "responses" in external:
            gps = inputs["info"] and read_info(Path(inputs["info"]).parent).trigger_gps
            drawing |= {"observing": list_observing(Path(inputs["neutrinos"] or "")), "gps": gps}
        if bursts:
            listed = read_bursts(Path(bursts), settings["grb"])
            drawing |= {"grb": settings["grb"], "burst_sigma_deg": listed.sigma_deg}
        job = {
            "inputs": inputs | ({"bursts": bursts} if bursts else {}),
            "search": settings["search"],
            "grb": settings["grb"] if bursts else None,
            "run": settings["background"]["run"],
            "populations": populations,
            "backgrounds": {background["class"]: digest} if digest else {},
            "alert_rates": settings["alert_rates"],
            "method": external["p_value_method"],
            "near": external["near_classes"],
        }
        return source, drawing, job

    def _inputs(self) -> Iterator[tuple[str, str]]:
        kept = kept_files(self._event_dir, self._manifest)
        for name in (name for name in INPUTS if name in self._products):
            sha256 = self._products[name]["sha256"]
            places = (kept[name], self._event_dir / name)
            path = next((p for p in places if p.exists() and sha256_file(p) == sha256), None)
            if path is None:
                self.missing.append(
                    f"{name} of then: {kept[name]} is gone or damaged; "
                    "put it back from a backup of the event"
                )
                continue
            (self._directory / name).write_bytes(path.read_bytes())
            if name == "icecube_neutrino_list.json":
                self._copy_maps(read_json(path)["events"])
            yield name, str(self._directory / name)

    def _copy_maps(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Copy the maps of neutrinos, which lie beside a list."""
        for row in rows:
            if digest := row.get("map_sha256"):
                path = self._event_dir / (name := str(row["map"]))
                if not path.exists() or sha256_file(path) != digest:
                    self.missing.append(
                        f"{name}, the map of a neutrino, is gone or damaged; put it back"
                    )
                    continue
                (self._directory / name).parent.mkdir(exist_ok=True)
                (self._directory / name).write_bytes(path.read_bytes())

    def _skymap(self, info_path: str | None) -> str | None:
        """Copy the sky map as published, out of the archived alert."""
        if info_path is None:
            return None
        info = check_info(read_json(info_path), info_path)
        name = skymap_name(info)
        archived = self._event_dir / (info.skymap_source or "")
        try:
            content = skymap_bytes(self._event_dir, info)
        except LlamaError:
            content = b""
        if sha256_bytes(content) != self._products[name]["sha256"]:
            self.missing.append(
                f"the sky map: {archived} is gone or has been changed; put the original back, "
                f"gcn/ in {self._output_dir} has every alert that was heard"
            )
            return None
        (self._directory / name).write_bytes(content)
        return str(self._directory / name)

    def _responses(self, external: External) -> str | list[str | None] | None:
        if "responses" in external:
            return [self._response(**one) for one in external["responses"]]
        return self._response(**external["response"])

    def _response(self, path: str, sha256: str) -> str | None:
        others = f"archive/**/{Path(path).name}"
        places = [self._output_dir / path, *self._output_dir.glob(others)]
        for place in places:
            if place.exists() and sha256_file(place) == sha256:
                return str(place)
        self.missing.append(
            f"the detector's response: no {others} has the sha256 {sha256}, "
            f"as {path} had; import that release again beside: "
            "llama neutrinos import PATH --name NAME"
        )
        return None

    def _background(self, name: str, sha256: str) -> str | None:
        for path in sorted(self._output_dir.glob("populations*.hdf5")):
            if numbers_sha256(read_background(path, name)) == sha256:
                return str(path)
        self.missing.append(
            f"the background {name} with the sha256 {sha256} is no longer in populations.hdf5; "
            f"put the file that had it beside, as {self._output_dir}/populations-old.hdf5"
        )
        return None

    def code(self, name: str) -> Path:
        """Return where the code is that made a product: here, or a copy of the clone."""
        made = self._manifest["made_by"][name]
        if (made["software"], made["code_sha256"]) == (software(), code_sha256()):
            return _OWN
        try:
            if made["software"] not in self._trees:
                self._trees[made["software"]] = check_out(made["software"], self._directory)
            scripts = self._trees[made["software"]]
            if code_sha256(scripts / "llama") != made["code_sha256"]:
                raise LlamaError(
                    f"the code: {name} was made by {made['software']} with changes that are in no "
                    "commit; only whoever has them can make it again"
                )
        except LlamaError as error:
            if str(error) not in self.missing:
                self.missing.append(str(error))
            return _OWN
        return scripts


def _run(scripts: Path, job: Mapping[str, object]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llama.event.make"],
        input=json.dumps(job),
        env=os.environ | {"PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise LlamaError(f"the {job['make']} could not be made again: {lines[-1]}")


def _differences(path: Path, recorded_sha256: str, content: bytes) -> list[str]:
    if not path.exists() or sha256_file(path) != recorded_sha256:
        return [f"what differs is not known: {path} is gone or damaged"]
    found = list(_compare(read_json(path), json.loads(content), ""))
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [*found[:_SHOWN], *more]


def _compare(old: Any, new: Any, where: str) -> Iterator[str]:
    """Yield a sentence for every value that differs, causes first, then by their keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=lambda key: (key not in _CAUSES, key)):
            place = f"{where}.{key}" if where else key
            yield from _compare(old.get(key, _ABSENT), new.get(key, _ABSENT), place)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from _compare(*pair, f"{where}[{number}]")
    elif old != new:
        yield f"{where}: was {_text(old)}, is {_text(new)}"


def _text(value: Any) -> str:
    return "not there" if value is _ABSENT else json.dumps(value, ensure_ascii=False)[:80]


def _other_versions(recorded: Mapping[str, str]) -> list[str]:
    present = versions()
    other = [
        f"{name} was {recorded.get(name, 'not there')}, is {version}"
        for name, version in present.items()
        if recorded.get(name) != version
    ]
    return [f"libraries: {', '.join(other)}"] if other else []
