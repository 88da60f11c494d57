"""Where a product comes from: the same for equal inputs, another for any change."""

import hashlib
import json
import re

import pytest

from llama.event.provenance import code_sha256, provenance, settings_hash, software


def test_the_block_names_everything_that_was_used(tmp_path):
    (tmp_path / "a").write_bytes(b"alert")
    (tmp_path / "b").write_bytes(b"map")
    block = provenance({"map": tmp_path / "b", "alert": str(tmp_path / "a")}, {"fb": 10.0}, 7)
    assert block == {
        "software": software(),
        "inputs": {
            "alert": hashlib.sha256(b"alert").hexdigest(),
            "map": hashlib.sha256(b"map").hexdigest(),
        },
        "settings_sha256": settings_hash({"fb": 10.0}),
        "seed": 7,
    }
    assert list(block["inputs"]) == ["alert", "map"]
    json.dumps(block, allow_nan=False)


def test_what_was_not_used_is_null(tmp_path):
    block = provenance({})
    assert (block["inputs"], block["settings_sha256"], block["seed"]) == ({}, None, None)


def test_the_hash_of_settings_knows_values_not_order():
    settings = {"fb": 10.0, "horizon": {"bns": 200.0, "bbh": 2000.0}}
    turned = {"horizon": {"bbh": 2000.0, "bns": 200.0}, "fb": 10.0}
    assert settings_hash(settings) == settings_hash(turned)
    assert settings_hash(settings | {"fb": 10.000001}) != settings_hash(settings)
    with pytest.raises(ValueError, match="not JSON compliant"):
        settings_hash({"fb": float("nan")})


def test_the_software_has_a_version():
    assert re.fullmatch(r"llama \d+\.\d+[^+ ]*(\+g[0-9a-f]{8})?", software())


def test_the_code_is_known_by_names_and_content(tmp_path):
    def digest(name, files):
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return code_sha256(tmp_path / name)

    code = {"a.py": "1", "room/b.py": "2"}
    first = digest("here", code)
    assert digest("there", dict(reversed(code.items())) | {"room/b.pyc": "x"}) == first
    others = [
        *(code | {"a.py": "2"}, code | {"c.py": ""}),
        *({"a.py": "1", "room/c.py": "2"}, {"a.py": "1"}),
    ]
    digests = {digest(f"other {n}", other) for n, other in enumerate(others)}
    assert len(digests | {first}) == 5
    assert code_sha256() == code_sha256() != first
