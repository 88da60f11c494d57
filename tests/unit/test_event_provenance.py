"""Where a product comes from: the same for equal inputs, another for any change."""

import hashlib
import json
import re

import pytest

from llama.event.provenance import _commit, code_sha256, provenance, settings_hash, software


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


COMMIT = "0123456789abcdef0123456789abcdef01234567"
FORMS = {
    "on a branch": {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": f"{COMMIT}\n"},
    "detached": {"HEAD": f"{COMMIT}\n"},
    "packed": {
        "HEAD": "ref: refs/heads/main\n",
        "packed-refs": f"# pack-refs with: peeled\n{'f' * 40} refs/heads/main2\n"
        f"{COMMIT} refs/heads/main\n",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_the_commit_of_a_clone(tmp_path, form):
    for name, text in FORMS[form].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _commit(tmp_path) == COMMIT


def test_no_commit_outside_a_clone(tmp_path):
    assert _commit(tmp_path / ".git") == ""
    (tmp_path / "HEAD").write_text("ref: refs/heads/unborn\n")
    assert _commit(tmp_path) == ""
    (tmp_path / ".git").write_text("gitdir: /elsewhere")  # a worktree
    assert _commit(tmp_path / ".git") == ""


def test_the_commit_of_a_worktree(tmp_path):
    own = tmp_path / "clone/.git/worktrees/w"
    for path, text in {
        tmp_path / "w/.git": f"gitdir: {own}\n",
        own / "HEAD": "ref: refs/heads/side\n",
        own / "commondir": "../..\n",
        tmp_path / "clone/.git/refs/heads/side": f"{COMMIT}\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert _commit(tmp_path / "w/.git") == COMMIT
    (tmp_path / "w/.git").write_text("gitdir: ../clone/.git/worktrees/w\n")
    assert _commit(tmp_path / "w/.git") == COMMIT
    (own / "HEAD").write_text(f"{'f' * 40}\n")
    assert _commit(tmp_path / "w/.git") == "f" * 40


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
