"""history/: every manifest once, the files it names by their content, nothing overwritten."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llama.errors import LlamaError
from llama.event.manifest import (
    build_manifest,
    find_manifest,
    keep,
    kept_files,
    manifests,
    read_manifest,
)
from llama.files import sha256_bytes

KEPT = (
    *("skymap_info.json", "p_astro.json", "icecube_neutrino_list.json", "flags.json"),
    *("lvc_skymap_distances.json", "fermi_grbs.json"),
)
OTHERS = ("lvc_skymap.fits", "latency.json", "gcn_notice.json", "alerts/1-Initial.json")


def close(event: Path, **settings: Any) -> dict[str, Any]:
    """Keep the manifest of what is there, as the rule does, and return it."""
    paths = [path for path in event.rglob("*") if path.is_file() and "history" not in path.parts]
    products = {path.relative_to(event).as_posix(): path for path in paths}
    manifest = build_manifest(products, {"search": settings}, "snakemake", "")
    keep(event, manifest)
    return manifest


def names(event: Path) -> set[str]:
    return {path.name for path in (event / "history").iterdir()}


@pytest.fixture
def event(tmp_path: Path) -> Path:
    event = tmp_path / "S240101ab"
    (event / "alerts").mkdir(parents=True)
    for name in (*KEPT, *OTHERS):
        (event / name).write_text(json.dumps({"is": name}))
    return event


def test_what_is_kept(event: Path) -> None:
    manifest = close(event)
    digests = {name: sha256_bytes((event / name).read_bytes()) for name in KEPT}
    assert names(event) == {"manifest-1.json", *(f"{digest}.json" for digest in digests.values())}
    assert {name: path.stem for name, path in kept_files(event, manifest).items()} == digests
    for name, path in kept_files(event, manifest).items():
        assert path.read_bytes() == (event / name).read_bytes()
    assert read_manifest(manifests(event)[1]) == manifest


def test_times_alone_make_no_new_manifest(event: Path) -> None:
    first = close(event)
    os.utime(event / "p_astro.json", (1e9, 1e9))
    second = close(event)
    assert first["products"]["p_astro.json"] != second["products"]["p_astro.json"]
    assert list(manifests(event)) == [1]
    assert read_manifest(manifests(event)[1]) == first


def test_any_change_makes_one_and_the_old_stay(event: Path) -> None:
    close(event)
    before = {path.name: path.read_bytes() for path in (event / "history").iterdir()}
    (event / "lvc_skymap.fits").write_text("other")  # named, not kept
    close(event)
    (event / "flags.json").write_text("{}")
    close(event)
    for fb in range(9):
        close(event, fb=fb)
    close(event, fb=0)  # as it was once, but not last
    assert list(manifests(event)) == list(range(1, 14))
    after = {path.name: path.read_bytes() for path in (event / "history").iterdir()}
    assert after.items() >= before.items()
    assert len(after) == 13 + len(KEPT) + 1


def test_a_damaged_copy_is_mended_and_a_changed_file_refused(event: Path) -> None:
    manifest = close(event)
    path = kept_files(event, manifest)["p_astro.json"]
    path.write_text("damaged")
    close(event)
    assert path.read_bytes() == (event / "p_astro.json").read_bytes()
    path.unlink()
    (event / "p_astro.json").write_text("changed after the manifest was built")
    with pytest.raises(LlamaError, match=r"p_astro\.json has just changed; run the same"):
        keep(event, manifest)


def test_a_manifest_is_found_by_number_or_path(event: Path) -> None:
    with pytest.raises(LlamaError, match="has no manifest 1; it has none yet; snakemake makes"):
        find_manifest(event, "1")
    close(event)
    last = close(event, fb=2)
    assert find_manifest(event, "2") == last == find_manifest(event, str(manifests(event)[2]))
    for wanted in ("0", "3", "9" * 30, "x", str(event)):
        with pytest.raises(LlamaError, match=f"has no manifest {wanted}; it has 1 to 2"):
            find_manifest(event, wanted)


BROKEN = ['{"products": 1}', '{"products": {"a": 1}}', '{"products": {"a": {"sha256": "/"}}}', "1"]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_manifest(event: Path, text: str) -> None:
    (event / "manifest.json").write_text(text)
    with pytest.raises(LlamaError, match=r"manifest\.json is no manifest; put it back"):
        find_manifest(event, str(event / "manifest.json"))
