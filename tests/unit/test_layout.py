"""Where the workflow is, and what it was made from."""

import pytest

from llama.layout import commit_of

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
        (tmp_path / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".git" / name).write_text(text)
    (tmp_path / "commit").write_text("no longer")
    assert commit_of(tmp_path) == COMMIT


def test_no_commit_outside_a_clone(tmp_path):
    assert commit_of(tmp_path) == ""
    (tmp_path / "clone/.git").mkdir(parents=True)
    (tmp_path / "clone/.git/HEAD").write_text("ref: refs/heads/unborn\n")
    assert commit_of(tmp_path / "clone") == ""
    (tmp_path / ".git").write_text("gitdir: /elsewhere")  # a worktree
    assert commit_of(tmp_path) == ""


def test_what_is_made_from_a_clone_says_its_commit(tmp_path):
    (tmp_path / "commit").write_text(f"{COMMIT}\n")
    assert commit_of(tmp_path) == COMMIT


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
    assert commit_of(tmp_path / "w") == COMMIT
    (tmp_path / "w/.git").write_text("gitdir: ../clone/.git/worktrees/w\n")
    assert commit_of(tmp_path / "w") == COMMIT
    (own / "HEAD").write_text(f"{'f' * 40}\n")
    assert commit_of(tmp_path / "w") == "f" * 40
