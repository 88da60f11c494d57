"""The environments in envs/ and pyproject.toml must ask for the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

CLONE = Path(__file__).parents[2]
# installed in the environment that runs the workflow, not in that of its rules
WORKFLOW_ONLY = {"snakemake", "pygments", "snakemake-executor-plugin-cluster-generic"}
# of rooms that no rule enters; ClusterShell is not on conda-forge
OF_ROOMS = {"ClusterShell": "fleet", "digitalocean": "fleet", "argcomplete": "cli"}
WORKFLOW_ONLY |= {"ClusterShell", "python-digitalocean", "argcomplete"}
CONDA_NAMES = {"typst": "typst-py", "confluent-kafka": "python-confluent-kafka"}
PYPROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text())
PROJECT, TOOLS = PYPROJECT["project"], PYPROJECT["tool"]


def bounds(requirements: list[str]) -> dict[str, str]:
    """Return {name in conda: versions}."""
    found = [re.fullmatch(r"([A-Za-z0-9.-]+)(.*)", line).groups() for line in requirements]
    return {CONDA_NAMES.get(name, name): versions for name, versions in found}


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((CLONE / "envs" / f"{name}.yaml").read_text())
    assert content["name"] == name
    return dict(line.split(" ", 1) for line in content["dependencies"])


WANTED = bounds(PROJECT["dependencies"]) | {"python": PROJECT["requires-python"]}


def test_the_conda_environment_asks_for_what_pyproject_asks_for() -> None:
    wanted = {name: versions for name, versions in WANTED.items() if name not in WORKFLOW_ONLY}
    assert environment("llama") == wanted


def test_no_rule_needs_what_its_environment_leaves_out() -> None:
    """An inner room never imports an outer one (`make lint`), so rules end where scripts begin."""
    for script in (CLONE / "scripts").glob("*.py"):
        rooms = set(re.findall(r"(?:from|import) llama\.(\w+)", script.read_text()))
        assert not rooms & {"cli", *OF_ROOMS.values()}, script.name
    for module in (CLONE / "scripts/llama").rglob("*.py"):
        for name in re.findall(r"(?:from|import) (\w+)", module.read_text()):
            assert module.parent.name == OF_ROOMS.get(name, module.parent.name), (module, name)


def test_the_environment_of_simulations_does_too() -> None:
    asked, tools = environment("skymap-simulation"), PROJECT["optional-dependencies"]["simulate"]
    assert asked == {name: WANTED.get(name) for name in asked} | bounds(tools)
    # what scripts/llama/study/simulate.py and what it imports need
    assert asked.keys() == {"python", "numpy", "scipy", "astropy", "ligo.skymap"}


def test_the_package_takes_its_templates_along() -> None:
    """What is no code fits the pattern of `package-data`, and what is code a package."""
    patterns = TOOLS["setuptools"]["package-data"]["llama"]
    top = CLONE / "scripts/llama"
    assert patterns == ["*/templates/*", "py.typed"]
    assert (top / "figures/templates/event.html.j2").exists()
    for path in top.rglob("*"):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        if path.suffix == ".py":
            assert (path.parent / "__init__.py").exists(), path
        elif path != top / "py.typed":
            assert path.relative_to(top).match(patterns[0]), path
            assert path.parent.parent.parent == top, path


def test_every_rule_has_one_of_these_environments() -> None:
    used = {
        name
        for rules in (CLONE / "rules").glob("*.smk")
        for name in re.findall(r"envs/([a-z-]+)\.yaml", rules.read_text())
    }
    assert used == {path.stem for path in (CLONE / "envs").glob("*.yaml")}


def test_the_workflow_catalog_can_read_its_file() -> None:
    usage = yaml.safe_load((CLONE / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] is True  # as the rules' `conda:` lines say
