"""envs/llama.yaml and pyproject.toml must ask for the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

CLONE = Path(__file__).parents[2]
# installed in the environment that runs the workflow, not in that of its rules
WORKFLOW_ONLY = {"snakemake", "pygments"}
CONDA_NAMES = {"typst": "typst-py", "ClusterShell": "clustershell"}


def test_the_conda_environment_asks_for_what_pyproject_asks_for() -> None:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    wanted = {}
    for requirement in project["dependencies"]:
        name, bounds = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", requirement).groups()
        if name not in WORKFLOW_ONLY:
            wanted[CONDA_NAMES.get(name, name)] = bounds
    wanted["python"] = project["requires-python"]
    environment = yaml.safe_load((CLONE / "envs" / "llama.yaml").read_text())
    assert dict(line.split(" ", 1) for line in environment["dependencies"]) == wanted
