"""The double of GraceDB is held to ligo-gracedb's own integration tests, which its wheel ships."""

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from gracedb_server import gracedb_server

_BOTH = ("event", "superevent")
# What of the upstream tests must pass: all that LLAMA uses, reading and writing. The others parse
# event files, or need reserved ids, confirmations, sign-offs and permissions.
MUST_PASS = {
    "test_api_root.py::test_ping",
    *(
        f"test_api_root.py::test_api_root_content[{resource}]"
        for resource in (
            *("api_versions", "server_version", "links", "templates", "groups", "pipelines"),
            *("searches", "allowed_labels", "superevent_categories", "voevent_types"),
            *("signoff_types", "signoff_statuses"),
        )
    ),
    *(
        f"{test}[{kind}]"
        for kind in _BOTH
        for test in (
            "test_files.py::test_file_upload_and_retrieval",
            "test_files.py::test_upload_file_multiple_versions",
            "test_files.py::test_upload_large_file",
            "test_files.py::test_upload_binary_file",
            "test_labels.py::test_labels",
            "test_logs.py::test_logs",
            "test_logs.py::test_log_creation_with_tags",
            "test_logs.py::test_log_creation_with_label",
            "test_logs.py::test_log_tag_and_untag",
            "test_deprecated.py::test_emobservations_deprecated",
        )
    ),
    "test_deprecated.py::test_event_voevents_deprecated",
    "test_deprecated.py::test_superevent_voevent_create_deprecated",
    "test_deprecated.py::test_update_grbevent_deprecated",
    "test_superevents.py::test_basic_creation_and_retrieval",
    "test_superevents.py::test_creation_with_already_used_preferred_event",
    "test_superevents.py::test_creation_with_events",
    "test_superevents.py::test_creation_with_labels",
    *(f"test_superevents.py::test_update[params{k}]" for k in range(8)),
    "test_superevents.py::test_event_addition_and_removal",
    "test_superevents.py::test_search",
}
# its query is text, which the second form of the API does not take
NOT_IN_V2 = {"test_superevents.py::test_search"}


@pytest.mark.parametrize("api_v2", [False, True])
def test_the_tests_of_the_real_client_pass(tmp_path: Path, api_v2: bool) -> None:
    place = Path(str(files("ligo.gracedb"))) / "test" / "integration"
    modules = sorted({str(place / name.partition("::")[0]) for name in MUST_PASS})
    if not all(Path(module).exists() for module in modules):
        pytest.skip("this ligo-gracedb, older than CI's 2.16, ships other tests")
    # neither our settings of pytest nor upstream's
    options = ["-q", "-rA", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(place)]
    with gracedb_server({}, {}, anonymous=False, api_v2=api_v2) as server:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *modules],
            env=os.environ | {"TEST_SERVICE": server.url, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    passed = set(re.findall(r"^PASSED \S*?(test_\w+\.py::\S+)$", result.stdout, re.MULTILINE))
    missing = MUST_PASS - passed - (NOT_IN_V2 if api_v2 else set())
    assert not missing, result.stdout[-5000:]
