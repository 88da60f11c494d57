"""What a run of Snakemake tells of itself."""

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from plan_samples import workflow

from llama import __version__
from llama.plan.engine import Engine, Job

LOGGER = logging.getLogger("test_plan_engine")


@pytest.mark.parametrize(
    ("told", "makes"),
    [
        ({}, False),  # --summary
        ({"executor_plugin": "local"}, True),
        ({"executor_plugin": "dryrun", "dryrun": True}, False),
        ({"executor_plugin": "local", "is_main_process": False}, False),
    ],
)
def test_a_run_that_makes_products(told: dict[str, object], makes: bool) -> None:
    assert Engine(workflow(**told), LOGGER).makes_products() == makes


def test_a_profile_is_known_by_its_mark() -> None:
    profile = SimpleNamespace(default_resources=["fleet"])
    assert Engine(workflow(resource_settings=profile), LOGGER).has_mark("fleet")
    assert not Engine(workflow(resource_settings=profile), LOGGER).has_mark("site")
    assert not Engine(workflow(), LOGGER).has_mark("fleet")


def test_jobs_that_are_to_run() -> None:
    job = SimpleNamespace(
        rule=SimpleNamespace(name="inject"), wildcards={"study": "a"}, output=("x",)
    )
    dag = SimpleNamespace(needrun_jobs=lambda: iter([job]))
    assert Engine(workflow(dag=dag), LOGGER).jobs() == [Job("inject", {"study": "a"}, ["x"])]


def test_all_rules_but_one_stay_here() -> None:
    local: list[str] = []
    rules = [SimpleNamespace(name=name) for name in ("inject", "build_bank", "all")]
    told = workflow(rules=rules, localrules=lambda *names: local.extend(names))
    Engine(told, LOGGER).keep_local(away="inject")
    assert local == ["build_bank", "all"]


def test_a_warning_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    Engine(workflow(), LOGGER).warn("one is left out")
    Engine(workflow(is_main_process=False), LOGGER).warn("one is left out")
    assert [record.message for record in caplog.records] == ["one is left out"]


def test_code_changes_with_its_script_wherever_the_clone_is(tmp_path: Path) -> None:
    script = tmp_path / "a/scripts/draw.py"
    script.parent.mkdir(parents=True)
    script.write_text("x = 1\n")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    here, there = (Engine(workflow(tmp_path / clone), LOGGER) for clone in "ab")
    before = here.code("draw")
    assert before.startswith(f"{__version__}-")
    assert there.code("draw") == before
    script.write_text("x = 2\n")
    assert here.code("draw") != before


def test_given_settings_replace_all_files_and_the_command_line_counts_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "Snakefile").write_text("llama")
    (clone / "config.yaml").write_text(f"output_dir: {tmp_path}\nsearch: {{fb: 2}}\n")
    (tmp_path / "llama.yaml").write_text("search: {fb: 3, nu_51_100: 2}\n")
    assert Engine(workflow(clone), LOGGER).settings().search.fb == 3
    typed = SimpleNamespace(config={"search": {"fb": "4"}})
    search = Engine(workflow(clone, config_settings=typed), LOGGER).settings().search
    assert (search.fb, search.nu_51_100) == (4, 2)
    (tmp_path / "a.yaml").write_text("search: {nu_51_100: 5}\n")
    told = workflow(clone, overwrite_configfiles=[tmp_path / "a.yaml"])
    search = Engine(told, LOGGER).settings().search
    assert (search.fb, search.nu_51_100) == (10, 5)
