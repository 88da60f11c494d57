"""What is typed after `snakemake`, and what it means."""

import pytest

from llama.errors import LlamaError
from llama.plan.targets import Command, Target

INJECTION = "studies/bns-o4-H1L1/shard-0003/injection-7"


@pytest.mark.parametrize(
    ("typed", "directory"),
    [
        ("events/S240101ab", "events/S240101ab"),
        ("events/S240101ab/", "events/S240101ab"),
        ("events/S240101ab/all/", "events/S240101ab"),
        ("./events/S240101ab/all", "events/S240101ab"),
        ("current_run/S240101ab", "events/S240101ab"),
        ("current_run/S240101ab/all", "events/S240101ab"),
        ("past_runs/o4-check/MS240101ab/all", "past_runs/o4-check/MS240101ab"),
        ("past_runs/GWTC-3/GW200112_155838", "past_runs/GWTC-3/GW200112_155838"),
    ],
)
def test_all_ways_to_name_an_event_mean_its_directory(typed: str, directory: str) -> None:
    command = Command(["--cores", "2", typed, "populations.hdf5"])
    assert list(command.events()) == [Target(typed, directory, "")]
    assert list(command.injections()) == []


def test_a_product_is_no_whole_event() -> None:
    (target,) = Command(["events/S240101ab/p_astro.json"]).events()
    assert target.product == "p_astro.json"


@pytest.mark.parametrize("name", ["..", f"S{'1' * 300}", "s240101ab", "S240101ab x"])
def test_what_is_no_graceid_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(LlamaError, match="is not a GraceDB id; give one like") as caught:
        list(Command([f"events/{name}/all"]).events())
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("typed", "product"),
    [
        (INJECTION, ""),
        (f"./{INJECTION}/all", ""),
        (f"{INJECTION}/lvc_skymap.hdf5", "lvc_skymap.hdf5"),
        (f"{INJECTION.replace('/shard', '/signal/shard')}/", ""),
    ],
)
def test_an_injection_of_a_study(typed: str, product: str) -> None:
    command = Command([typed])
    (target,) = command.injections()
    assert target.directory in typed
    assert target.product == product
    assert not target.came_in
    assert list(command.events()) == []


@pytest.mark.parametrize("product", ["skymap_info.json", "flags.json", "alerts/1-neutrinos.json"])
def test_what_comes_in_with_an_injection_is_no_product(product: str) -> None:
    (target,) = Command([f"{INJECTION}/{product}"]).injections()
    assert target.came_in


@pytest.mark.parametrize(
    "typed",
    [INJECTION.replace("shard", "other/shard"), INJECTION[:-2], "studies/..x/shard-1/injection-1"],
)
def test_what_is_no_injection(typed: str) -> None:
    assert list(Command([typed]).injections()) == []


def test_studies() -> None:
    words = ["studies/a-b-H1L1/all", "./studies/c-d-H1/background/", "studies/e-f-H1/skymaps.hdf5"]
    assert Command(words).studies() == ["a-b-H1L1", "c-d-H1"]


@pytest.mark.parametrize(
    ("words", "lists"),
    [
        (["--lint"], True),
        (["--lint=json"], True),
        (["--list"], True),
        (["-l"], True),
        (["--list-changes", "code"], False),
        (["events/S240101ab/all", "--summary"], False),
        ([], False),
    ],
)
def test_what_only_lists_the_rules(words: list[str], lists: bool) -> None:
    assert Command(words).only_lists == lists
