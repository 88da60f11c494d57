"""manifest.json: every product byte for byte."""

import json
import re

import numpy as np
import pytest

from llama.event.manifest import build_manifest
from llama.event.provenance import code_sha256, settings_hash, software
from llama.files import sha256_bytes, write_json

SETTINGS = {"search": {"fb": 10.0}, "events": {"tracked_newest": 40}}


@pytest.fixture
def products(tmp_path):
    (tmp_path / "alerts").mkdir()
    contents = {"skymap_info.json": b"{}\n", "alerts/1-Initial.json": bytes(5000), "empty.txt": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def test_the_manifest_describes_every_product(products, tmp_path):
    manifest = build_manifest(products, SETTINGS, "snakemake events/S190425z/all", "archive/toy")
    write_json(tmp_path / "manifest.json", manifest)
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest
    assert list(manifest["products"]) == sorted(products)
    for name, path in products.items():
        entry = manifest["products"][name]
        assert entry["sha256"] == sha256_bytes(path.read_bytes())
        assert entry["bytes"] == path.stat().st_size
        assert entry["mtime"] == pytest.approx(path.stat().st_mtime, abs=0.001)
    assert manifest["command"] == "snakemake events/S190425z/all"
    assert manifest["settings"] == SETTINGS
    assert manifest["settings_sha256"] == settings_hash(SETTINGS)
    assert (manifest["software"], manifest["code_sha256"]) == (software(), code_sha256())
    assert (manifest["made_by"], manifest["external"]) == ({}, {})
    assert manifest["versions"]["numpy"] == np.__version__
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest["made_at"])


def test_a_changed_byte_shows(products):
    before = build_manifest(products, SETTINGS, "x", "")["products"]
    products["skymap_info.json"].write_bytes(b"[]\n")
    after = build_manifest(products, SETTINGS, "x", "")["products"]
    assert [n for n in before if before[n]["sha256"] != after[n]["sha256"]] == ["skymap_info.json"]


def test_a_product_that_is_not_there_is_an_error(products, tmp_path):
    with pytest.raises(FileNotFoundError, match="figure"):
        build_manifest(products | {"figure": tmp_path / "figure.png"}, SETTINGS, "x", "")
