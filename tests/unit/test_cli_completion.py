"""Completion by Tab in real shells, set up by the lines of README.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
LINES = re.findall(r"`([^`]*register-python-argcomplete[^`]*)`", README)
# what happens at the Tab key, {} typed before it
TAB = {
    "bash": "COMP_LINE='{0}' COMP_POINT={1} COMP_TYPE=9; found=$(complete -p ${{COMP_LINE%% *}}); "
    'found=${{found##*-F }}; ${{found%% *}} ${{COMP_LINE%% *}}; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": "complete -C '{0}'",
}


@pytest.mark.parametrize("shell", ["bash", pytest.param("fish", marks=pytest.mark.needs("fish"))])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("llama neutrinos i", {"import"}), ("skymap_info --role ", {"observation", "test"})],
)
def test_tab_offers_what_can_follow(
    shell: str, typed: str, offered: set[str], tmp_path: Path
) -> None:
    (line,) = (line for line in LINES if ("fish" in line) == (shell == "fish"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [shell, "-c", f"{line}\n{TAB[shell].format(typed, len(typed))}"],
        env={"PATH": path, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[0] for line in done.stdout.splitlines() if line.strip()} == offered
    assert done.stderr == ""
