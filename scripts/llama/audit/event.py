"""Whether the files of one event agree, by hashes, and whether anything of it went out twice."""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from llama.errors import LlamaError
from llama.event.flags import read_flags
from llama.event.manifest import Manifest, kept_files, manifests, read_manifest
from llama.event.messages import Entry, Line, described, owed, read_receipt
from llama.event.skymap_info import FILE_NAME, EventInfo, read_info
from llama.files import open_hdf5, read_json, sha256_file
from llama.publish.outbox import Outbox
from llama.typed import typed

_SHOWN = 3


class _Kept(Struct):
    revision: int


class Finding(NamedTuple):
    """What is wrong: with which event or record, found by which check, and what to do."""

    subject: str
    check: str
    sentence: str


def audit_files(output_dir: Path, event_dir: Path, target: str) -> Iterator[Finding]:
    """Yield everything that is wrong with the files of an event, which Snakemake calls `target`."""
    name = event_dir.name
    try:
        info = read_info(event_dir)
        read_flags(event_dir)
        for sentence in _history(event_dir):
            yield Finding(name, "history", sentence)
        if not (event_dir / "manifest.json").exists():
            return  # whether there should be one is known to Snakemake
        manifest = read_manifest(event_dir / "manifest.json")
    except LlamaError as error:
        yield Finding(name, "files", str(error))
        return
    paths = {product: event_dir / product for product in manifest["products"]}
    present = {p: sha256_file(path) if path.is_file() else None for p, path in paths.items()}
    for sentence in _products(event_dir, manifest, present, info, target):
        yield Finding(name, "products", sentence)
    external = manifest.get("external", {})
    if response := external.get("response"):
        present[Path(response["path"]).name] = _shared_sha256(output_dir / response["path"])
    for response in external.get("responses", []):
        name_of_one = "/".join(Path(response["path"]).parts[-2:])
        present[name_of_one] = _shared_sha256(output_dir / response["path"])
    # nothing was made of a new alert yet: its products are outdated, which Snakemake knows
    awaited = {FILE_NAME} if _is_newer(event_dir, manifest, info) else set()
    for sentence in _inputs(event_dir, list(paths), present, awaited, target):
        yield Finding(name, "inputs", sentence)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _history(event_dir: Path) -> Iterator[str]:
    found = manifests(event_dir)
    lost = sorted(set(range(1, max(found, default=0) + 1)) - set(found))
    if lost:
        names = [f"history/manifest-{number}.json" for number in lost]
        yield f"gone: {_some(names)}; put back from a backup"
    for path in found.values():
        kept = kept_files(event_dir, read_manifest(path))
        bad = [
            f"{name} ({file.name})"
            for name, file in kept.items()
            if not file.exists() or sha256_file(file) != file.stem
        ]
        if bad:
            yield (
                f"{path.name} cannot be rebuilt, gone or damaged in history/: {_some(bad)}; "
                "put back from a backup"
            )


def _products(
    event_dir: Path,
    manifest: Manifest,
    present: Mapping[str, str | None],
    info: EventInfo,
    target: str,
) -> Iterator[str]:
    """Compare every product, and every alert as received, with the manifest."""
    recorded = {name: entry["sha256"] for name, entry in manifest["products"].items()}
    changed = [name for name, sha256 in recorded.items() if present[name] != sha256]
    received = [name for name in changed if name.startswith("alerts/")]
    if received:
        yield f"not as received: {_some(received)}; put the original back, gcn/ has what was heard"
    if "flags.json" in changed:
        yield f"flags.json has changed since the manifest; if it should, run: snakemake {target}"
    if FILE_NAME in changed and not _is_newer(event_dir, manifest, info):
        yield (
            f"{FILE_NAME} has changed since the manifest, and no alert came; "
            "give the newest alert again with skymap_info --force"
        )
    made = [name for name in changed if name not in {*received, "flags.json", FILE_NAME}]
    if made:
        yield f"not as made: {_some(made)}; delete, then run: snakemake {target}"


def _is_newer(event_dir: Path, manifest: Manifest, info: EventInfo) -> bool:
    """Tell whether an alert has come of which nothing was made yet."""
    kept = kept_files(event_dir, manifest).get(FILE_NAME)
    if kept is None or not kept.exists():
        return False
    return info.revision > typed(read_json(kept), _Kept, str(kept), "put it back").revision


def _inputs(
    event_dir: Path,
    products: Sequence[str],
    present: Mapping[str, str | None],
    awaited: set[str],
    target: str,
) -> Iterator[str]:
    """Compare what each product says it was made from with what is there, but for `awaited`."""
    by_name = {Path(name).name: sha256 for name, sha256 in present.items()}
    for name in products:
        if name.startswith("alerts/") or present[name] is None:
            continue
        made_from = _made_from(event_dir / name)
        other = [
            key
            for key, sha256 in made_from.items()
            if key not in awaited and by_name.get(key, sha256) != sha256
        ]
        if other:
            yield (
                f"{name} was made from another {_some(other)}; "
                f"delete it, then run: snakemake {target}"
            )


def _made_from(path: Path) -> dict[str, str]:
    """Return name and sha256 of what a product says that it was made from."""
    try:
        if path.name == "lvc_skymap.hdf5":
            compressed = (path.parent / "lvc_skymap.fits.gz").exists()
            with open_hdf5(path) as file:
                source = f"lvc_skymap.fits{'.gz' if compressed else ''}"
                return {source: str(file.attrs["input_sha256"])}
        return dict(read_json(path)["provenance"]["inputs"]) if path.suffix == ".json" else {}
    except (LlamaError, OSError, KeyError, TypeError, ValueError):
        return {}  # it says nothing; a broken one is not as made, and named as such


@functools.cache
def _shared_sha256(path: Path) -> str | None:
    return sha256_file(path) if path.exists() else None


def audit_messages(event_dir: Path, target: str) -> Iterator[Finding]:
    """Yield everything that is wrong with an event's messages; Snakemake calls it `target`."""
    yield from _owed(event_dir, target)
    outboxes = {path.name for path in (event_dir / "outbox").glob("*")}
    receipts = {path.stem for path in (event_dir / "receipts").glob("*.json")}
    for channel in sorted(outboxes | receipts):
        try:
            for sentence in list(_channel(event_dir, channel, target)):
                yield Finding(event_dir.name, "published", sentence)
        except LlamaError as error:
            problem = f"outbox/{channel} cannot be read ({error}); put it back from a backup"
            yield Finding(event_dir.name, "published", problem)


def _owed(event_dir: Path, target: str) -> Iterator[Finding]:
    try:
        left = owed(event_dir)
    except LlamaError:
        return  # named by the audit of the event, or below
    for message in left:
        remedy = f"run: snakemake {target}"
        if message.channel == "circular":
            remedy = (
                "write the retraction as gcn_circular.txt, then run: llama publish "
                f"{event_dir.name} --circular-by-email"
            )
        sentence = f"the alert was retracted, but it still stands: {described(message)}; {remedy}"
        yield Finding(event_dir.name, "published", sentence)


def _channel(event_dir: Path, channel: str, target: str) -> Iterator[str]:
    directory = event_dir / "outbox" / channel
    messages = Outbox(event_dir, channel, "").entries()
    for message in messages:
        payload = directory / f"{message.n}.json"
        if not payload.exists() or sha256_file(payload) != message.payload_sha256:
            yield f"not as sent: outbox/{channel}/{payload.name}; put it back from a backup"
        if message.is_open:
            yield (
                f"whether {channel} has sent message {message.n} is not known; "
                f"it is asked and completed by: snakemake {target}"
            )
    sent = [message for message in messages if message.remote_id is not None]
    for destination in sorted({message.destination for message in sent}):
        there = [message for message in sent if message.destination == destination]
        for first, second in _repeated(there):
            yield (
                f"{channel} has told {destination} the same twice, as {first.remote_id} and "
                f"{second.remote_id}; take the second one back there"
            )
    receipt = event_dir / "receipts" / f"{channel}.json"
    if receipt.exists():
        yield from _compared(channel, read_receipt(receipt).history, messages, target)


def _repeated(sent: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield each two messages of which the second had nothing new to say."""
    for first, second in itertools.pairwise(sent):
        withdrawals = [message.kind == "withdrawal" for message in (first, second)]
        same = first.content_sha256 == second.content_sha256
        if all(withdrawals) or (same and not any(withdrawals)):
            yield first, second


def _compared(
    channel: str, history: Sequence[Line], messages: Sequence[Entry], target: str
) -> Iterator[str]:
    told = [(line.n, line.destination, line.remote_id) for line in history]
    known = [(message.n, message.destination, message.remote_id) for message in messages]
    lost = [str(entry[0]) for entry in told if entry not in known and entry[2] is not None]
    if lost:
        yield (
            f"outbox/{channel} has lost message {_some(lost)}, which may be sent again; "
            "put it back from a backup"
        )
    elif told != known:
        yield (
            f"receipts/{channel}.json does not have every message; "
            f"delete it, then run: snakemake {target}"
        )
