"""The artifacts of an O3B study: real superevents and ready-made lists of background neutrinos.

Their layout is that of the operators' guide; `docs/studies.md` says what each file holds.
"""

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llama.errors import LlamaError
from llama.files import write_bytes
from llama.graceid import check_graceid
from llama.study.skymaps import SKYMAP_SUFFIXES, some
from llama.study.store import Piece, Store
from llama.times import gps_to_iso, iso_to_gps

SUPEREVENTS, LISTS = "superevents.txt", "bklist_names.txt"
TEMPLATE, PLACEHOLDER = "skymap_info.json.template", "placeholder.json"
WITHOUT_MAP = "missing_event_ids_cwb.npy"

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_GRACEID = re.compile(r"(?i:\{\{\s*graceid\s*\}\}|\$?\{graceid\}|\$graceid\b)|\bGRACEID\b")
_LIST_IN_DIRECTORY = "icecube_neutrino_list.json"


@dataclass(frozen=True)
class Artifacts:
    """What a study of artifacts consists of.

    superevents: {GraceID: its sky map}; lists: {name: its file}; both without what is missing.
    gps: time of every trigger, about which the lists were made [s]; missing: names of all that
    should be there and is not.
    """

    source: str
    superevents: dict[str, Piece]
    lists: dict[str, Piece]
    gps: float
    missing: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """How many pairs of a superevent and a list there are."""
        return len(self.superevents) * len(self.lists)


def read_artifacts(store: Store) -> Artifacts:
    """Return what lies in a directory or an S3 prefix; LlamaError when it is no such thing."""
    names = (SUPEREVENTS, LISTS, TEMPLATE, PLACEHOLDER, WITHOUT_MAP)
    texts = {name: store.read(name) for name in names}
    if all(texts[name] is None for name in (SUPEREVENTS, LISTS)):
        raise LlamaError(
            f"{store.name} holds neither {SUPEREVENTS} nor {LISTS}; give background.studies the "
            "directory or S3 prefix that has superevents/ and bklist/ in it"
        )
    missing = [name for name in names if texts[name] is None]
    if needed := [name for name in missing if name in (SUPEREVENTS, LISTS, TEMPLATE)]:
        raise LlamaError(f"{store.name} lacks {' and '.join(needed)}; add it")
    template = _json(texts[TEMPLATE], f"{store.name}/{TEMPLATE}")
    if not isinstance(template, dict):
        raise LlamaError(f"{store.name}/{TEMPLATE} is not a JSON object; correct it")
    if texts[PLACEHOLDER] is not None:
        _json(texts[PLACEHOLDER], f"{store.name}/{PLACEHOLDER}")
    graceids = [*map(check_graceid, _lines(texts[SUPEREVENTS], f"{store.name}/{SUPEREVENTS}"))]
    without = _without_map(texts[WITHOUT_MAP], f"{store.name}/{WITHOUT_MAP}")
    named = str(template.get("skymap_filename", ""))
    with_map = [graceid for graceid in graceids if graceid not in without]
    superevents = _maps(with_map, store, named, missing)
    lists = _lists(_lines(texts[LISTS], f"{store.name}/{LISTS}"), store, missing)
    if not superevents or not lists:
        raise LlamaError(
            f"{store.name} has {len(superevents)} superevents with a sky map and {len(lists)} "
            f"neutrino lists; {some(missing) or 'name them in ' + SUPEREVENTS} "
            "should be there: add what is missing"
        )
    time = template.get("event_time") or template.get("event_time_str")
    gps = _gps(template.get("gps_time"), time, store.name)
    return Artifacts(store.name, superevents, lists, gps, tuple(missing))


def check_missing(artifacts: Artifacts, broken_maps: str, log: Path) -> str:
    """Return a sentence about what is missing and left out, "" when all is there.

    broken_maps: "fail" raises it as LlamaError. More than ten names are written to `log`.
    """
    missing = artifacts.missing
    if not missing:
        return ""
    if len(missing) > 10:
        write_bytes(log, "".join(f"{name}\n" for name in missing).encode())
    told = f"{some(missing)}{f' (all in {log})' if len(missing) > 10 else ''}"
    pieces = "1 piece is" if len(missing) == 1 else f"{len(missing):,} pieces are"
    sentence = f"{pieces} missing in {artifacts.source}: {told}"
    if broken_maps == "fail":
        raise LlamaError(
            f"{sentence}; add what is missing, or go on without it with "
            "background.broken_maps: skip in the settings"
        )
    return sentence


def _maps(graceids: list[str], store: Store, template: str, missing: list[str]) -> dict[str, Piece]:
    """Return {GraceID: its map}; template: the map's name, with {graceid}, $graceid or GRACEID."""
    there = defaultdict(list)
    for path, piece in store.files("superevents").items():
        if path.endswith(SKYMAP_SUFFIXES):
            there[path.split("/")[1]].append(piece)
    found = {}
    for graceid in graceids:
        wanted = _GRACEID.sub(graceid, template).split(",")[0]
        named = [piece for piece in there[graceid] if piece.path.split("/", 2)[2] == wanted]
        pieces = named or there[graceid]
        if len(pieces) > 1:
            raise LlamaError(
                f"{store.name}/superevents/{graceid} has several sky maps "
                f"({some(piece.path.split('/', 2)[2] for piece in pieces)}); "
                f"name the one to take as skymap_filename in {TEMPLATE}"
            )
        if pieces:
            found[graceid] = pieces[0]
        else:
            missing.append(f"superevents/{graceid}/{wanted or '*.fits.gz'}")
    return found


def _lists(names: Iterable[str], store: Store, missing: list[str]) -> dict[str, Piece]:
    there = store.files("bklist")
    found = {}
    for name in names:
        if not re.fullmatch(_NAME, name):
            raise LlamaError(
                f"{store.name}/{LISTS} has the line {name[:40]!r}; put one file name of bklist/ "
                "per line"
            )
        path = f"bklist/{name}"
        piece = there.get(path) or there.get(f"{path}/{_LIST_IN_DIRECTORY}")
        if piece:
            found[name] = piece
        else:
            missing.append(path)
    return found


def _lines(content: bytes | None, name: str) -> list[str]:
    try:
        lines = [line.strip() for line in (content or b"").decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise LlamaError(f"{name} is not UTF-8 text; put one name per line") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise LlamaError(f"{name} is empty; put one name per line")
    if len(set(lines)) < len(lines):
        twice = next(line for line in lines if lines.count(line) > 1)
        raise LlamaError(f"{name} has {twice[:40]} twice; delete one of them")
    return lines


def _without_map(content: bytes | None, name: str) -> set[str]:
    """Return the ids in an array of texts, or of the numbers of GraceDB events (123 is G123)."""
    if content is None:
        return set()
    try:
        ids = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LlamaError(
            f"{name} is no array of ids ({error}); write it with numpy.save"
        ) from error
    if ids.dtype.kind not in "iuSU":
        raise LlamaError(f"{name} has {ids.dtype}, not texts or whole numbers; write ids")
    if ids.dtype.kind in "iu":
        return {f"G{number}" for number in ids.ravel().tolist()}
    return set(ids.ravel().astype(str).tolist())


def _gps(gps: Any, time: Any, source: str) -> float:
    """Return the time of the template, as precise as an alert brings it."""
    if isinstance(gps, bool) or not isinstance(gps, int | float):
        if time is None:
            raise LlamaError(
                f"{source}/{TEMPLATE} has no event_time; add the UTC time about which the lists "
                "of bklist/ were made"
            )
        gps = iso_to_gps(time)
    return iso_to_gps(gps_to_iso(gps))


def _json(content: bytes | None, name: str) -> Any:
    try:
        return json.loads(content or b"")
    except (ValueError, RecursionError) as error:
        raise LlamaError(f"{name} is not valid JSON ({error}); correct it") from error
