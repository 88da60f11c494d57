"""Files that LLAMA wrote and that are damaged since: one sentence that names the file."""

import json

import pytest
from event_samples import toy_archive
from publish_samples import make_event

from llama.errors import LlamaError
from llama.event.latency import build_latency
from llama.event.make import make_significance
from llama.event.manifest import build_manifest
from llama.event.populations import class_versions
from llama.event.skymap_info import read_info
from llama.files import read_json
from llama.neutrinos.archive import Archive
from llama.publish.kafka_notice import build
from llama.publish.result import read_result
from llama.running.watch import words_of_fleet

BAD = ["null", "true", '"x"', "-1", "[]", "[null]", '{"a": null}', '{"\\ud800": "\\udfff"}']
SIGNIFICANCE, LIST = "significance_lvc-i3.json", "icecube_neutrino_list.json"


@pytest.fixture
def event(tmp_path):
    return make_event(tmp_path / "current_run")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", [SIGNIFICANCE, LIST, "p_astro.json"])
def test_products_that_are_to_be_published(event, name, bad):
    (event / name).write_text(bad)
    with pytest.raises(LlamaError, match=name):
        read_result(event, real=False)


@pytest.mark.parametrize("bad", BAD)
def test_the_notice_for_kafka(event, bad):
    result = read_result(event, real=False)
    (event / "gcn_notice.json").write_text(bad)
    with pytest.raises(LlamaError, match=r"gcn_notice\.json belongs to another alert"):
        build(result, "key", "new", None)


@pytest.mark.parametrize("bad", [*BAD, '{"provenance": []}', '{"provenance": {"inputs": 1}}'])
def test_the_significance_of_a_manifest(event, bad):
    (event / SIGNIFICANCE).write_text(bad)
    with pytest.raises(LlamaError, match=rf"{SIGNIFICANCE} is not as LLAMA writes it"):
        build_manifest({SIGNIFICANCE: event / SIGNIFICANCE}, {}, "", "")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", [LIST, "p_astro.json"])
def test_what_the_significance_is_made_from(event, name, bad):
    good = {LIST: {"events": []}, "p_astro.json": {"p_astro": 0.5, "population": "bns"}}
    for each, content in good.items():
        (event / each).write_text(json.dumps(content))
    (event / name).write_text(bad)
    inputs = {"info": "skymap_info.json", "p_astro": "p_astro.json", "neutrinos": LIST}
    paths = {key: str(event / file) for key, file in inputs.items()}
    with pytest.raises(LlamaError, match=rf"{name} is not as LLAMA writes it"):
        make_significance(paths, str(event / SIGNIFICANCE), {}, None, None, None, {}, {})


@pytest.mark.parametrize("bad", ["[]", "7", '{"1": null}', '{"1": {"sent": 5}}'])
def test_the_history_of_steps(event, bad):
    (event / "alerts").mkdir(exist_ok=True)
    (event / "alerts" / "made.json").write_text(bad)
    with pytest.raises(LlamaError, match=r"made\.json is not as LLAMA writes it"):
        build_latency(event, read_info(event), lambda path: "")


@pytest.mark.parametrize("bad", BAD)
def test_the_index_of_backgrounds(tmp_path, bad):
    path = tmp_path / "populations.hdf5"
    path.touch()
    path.with_suffix(".json").write_text(bad)
    with pytest.raises(LlamaError, match=r"populations\.json is not as LLAMA writes it"):
        class_versions(path, "-o4-H1L1")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("counts", None),
        ("counts", {"x": 1}),
        ("livetime_s", 0),
        ("events", -1),
        ("last_gps", 1e300),
    ],
)
def test_what_an_archive_is(tmp_path, key, value):
    path = toy_archive(tmp_path).directory / "archive.json"
    content = read_json(path)
    path.write_text(json.dumps(content | {key: value}))
    with pytest.raises(LlamaError, match=r"archive\.json is not as LLAMA writes it"):
        Archive.open(path.parent)
    path.write_text("[]")
    with pytest.raises(LlamaError, match=r"archive\.json is not as LLAMA writes it"):
        Archive.open(path.parent)


@pytest.mark.parametrize("moment", [1e300, -1.0])
def test_a_keeper_at_a_time_without_a_date(tmp_path, moment):
    told = {"notice": "", "time": moment, "problem": "", "since": 0.0}
    (tmp_path / "notice.json").write_text(json.dumps(told))
    with pytest.raises(LlamaError, match=r"is not what the keeper writes"):
        words_of_fleet(tmp_path)
