"""For all tests: no network beyond this machine, a home of their own, the real data."""

import collections
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import proofs
import pytest
from needs import require

_GUARD = Path(__file__).parent / "guard"
_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# for the Pythons that tests start; then for this one
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
)
if not getattr(sys.modules.get("sitecustomize"), "LOOPBACK_ONLY", False):
    runpy.run_path(str(_GUARD / "sitecustomize.py"))

# workers are as many as processors: where threads of linear algebra wait for each other, what takes
# 2 ms takes 100
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# nor does any of them, or a browser, read or write in the user's home
_HOME = Path(__file__).parents[1] / ".pytest_cache/home"
_HOME.mkdir(parents=True, exist_ok=True)
os.environ["HOME"] = str(_HOME)
for _name in [name for name in os.environ if name.startswith("XDG_")]:
    del os.environ[_name]

# `make test` is not the make that calls those of the tests: such a one names its directory;
# and what users see is buffered as Python does it
for _name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "PYTHONUNBUFFERED"):
    os.environ.pop(_name, None)

# no test asks the real cloud, nor with a real token: nobody listens at port 9
os.environ["DIGITALOCEAN_END_POINT"] = "http://127.0.0.1:9/v2/"
for _token in ("DIGITALOCEAN", "DIGITALOCEAN_ACCESS_TOKEN"):
    os.environ.pop(_token, None)

# the same examples every time: a failure is the change's, not the day's
hypothesis.settings.register_profile("llama", derandomize=True, deadline=None)
hypothesis.settings.load_profile("llama")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of the real data beside the clone; tests that ask for it skip without it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"no real data in {_SHARED_DATA}")
    return _SHARED_DATA


# files that take longest, first by first: nothing is left to do when the others end
_LONGEST = (
    "tests/system/test_fleet_cluster.py",
    "tests/system/test_container.py",
    "tests/system/test_soak.py",
    "tests/system/test_run_service.py",
    "tests/workflow/test_docs.py",
    "tests/workflow/test_collecting.py",
    "tests/system/test_run_campaign.py",
    "tests/system/test_listen_kill.py",
    "tests/workflow/test_workflow_revision.py",
    "tests/workflow/test_simulate.py",
    "tests/workflow/test_study_faults.py",
    "tests/system/test_run_kill.py",
    "tests/workflow/test_canary.py",
    "tests/workflow/test_condor.py",
    "tests/workflow/test_study_changes.py",
    # and those that mostly wait
    "tests/system/test_publish_kafka.py",
    "tests/unit/test_publish_channels.py",
    "tests/system/test_listen_disk.py",
    "tests/system/test_listen_broker.py",
    "tests/unit/test_web_answers.py",
    # one fleet at a time: it waits for the first one, which ends about now
    "tests/workflow/test_fleet_without_root.py",
)
# which tests have a mark: the beginning of their files' names; what is not here is quick
_MARKS = {
    "slow": (
        *("tests/workflow/", "tests/system/", "tests/fuzz/", "tests/unit/test_cli_skymap_info.py"),
        *("tests/unit/test_alerts_hostile.py", "tests/unit/test_alerts_order.py"),
        *("tests/unit/test_alerts_gracedb_double.py", "tests/unit/test_event_vetoes.py"),
        *("tests/unit/test_publish_channels.py", "tests/unit/test_publish_outbox.py"),
        *("tests/unit/test_publish_withdraw.py", "tests/unit/test_running_takeover"),
        "tests/unit/test_sky_bounds.py",
        *("tests/unit/test_event_significance.py", "tests/unit/test_listening_replay.py"),
        *("tests/unit/test_alerts_intake_faults.py", "tests/unit/test_figures_event_page.py"),
        *("tests/unit/test_study_limit.py", "tests/unit/test_study_opening.py"),
        *(
            "tests/unit/test_figures_scatter.py",
            "tests/unit/test_figures_skymap.py",
            "tests/unit/test_figures_study.py",
            "tests/unit/test_stats_calibration.py",
            "tests/unit/test_stats_detector_calibration.py",
        ),
        *("tests/unit/test_neutrinos_smearing", "tests/unit/test_neutrinos_dr2_whole.py"),
        *("tests/unit/test_stats_compiled.py", "tests/unit/test_stats_division.py"),
        *("tests/unit/test_stats_invariants.py", "tests/unit/test_stats_messengers_calibration.py"),
        *("tests/unit/test_stats_overlap.py", "tests/unit/test_stats_sets.py"),
        *("tests/unit/test_api.py", "tests/unit/test_api_docs.py"),
        "tests/unit/test_stats_network.py",
        *("tests/unit/test_study_binaries.py", "tests/unit/test_study_simulate.py"),
        *("tests/unit/test_study_tilts.py", "tests/unit/test_study_tilts_calibration.py"),
        *("tests/unit/test_study_weighted.py", "tests/unit/test_study_bursts.py"),
        "tests/unit/test_stats_posterior_calibration.py",
    ),
    "fleet": (
        *("tests/system/test_fleet_", "tests/system/test_spaces", "tests/system/test_do_"),
        *("tests/unit/test_fleet_", "tests/workflow/test_fleet_", "tests/workflow/test_condor.py"),
    ),
    "docs": (
        "tests/workflow/test_docs.py",
        "tests/unit/test_house_",
        "tests/system/test_fleet_guide",
    ),
    "soak": ("tests/system/test_soak.py",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by place; the longest files come first and the quick unit tests last.

    So no worker ends with a long file while the others have nothing.
    """
    for item in items:
        for mark, begins in _MARKS.items():
            if item.nodeid.startswith(begins):
                item.add_marker(mark)
    items.sort(key=lambda item: _rank(item.nodeid.partition("::")[0]))


def _rank(file: str) -> int:
    if file in _LONGEST:
        return _LONGEST.index(file)
    unit = file.startswith("tests/unit/")
    return len(_LONGEST) + unit + (unit and not file.startswith(_MARKS["slow"]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose mark `needs` names a program that is not on this machine."""
    for mark in item.iter_markers("needs"):
        require(*mark.args)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say last what was left out, and what would bring it."""
    reasons = collections.Counter(_reasons(terminalreporter))
    if not reasons:
        return
    terminalreporter.section("left out")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} tests: {reason}")
    terminalreporter.line("python3 tests/needs.py names, and as root on Debian installs, packages")


@pytest.fixture
def proven(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Say what a proof has found: proven(seed, size of the whole, name=number, ...)."""

    def say(seed: object, whole: int, **found: float) -> None:
        about = {"seed": seed, "size": whole}
        if proofs.WHOLE:
            record_property("proof", about | found)
        else:
            proofs.check(request.node.nodeid, about)

    return say


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what whole proofs have found; fail a run of CI that has left anything out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if proofs.WHOLE and reporter:
        passed = reporter.stats.get("passed", [])
        proofs.keep(
            (r.nodeid, dict(r.user_properties)["proof"]) for r in passed if r.user_properties
        )
    if os.environ.get("CI") and session.exitstatus == 0 and any(_reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reasons(terminalreporter: Any) -> Iterator[str]:
    """Yield why each skipped test was skipped; only the process that reports knows."""
    for report in terminalreporter.stats.get("skipped", []) if terminalreporter else []:
        yield report.longrepr[2].removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Refuse a test that is, before or after it, about to ask another cloud than its own double.

    python-digitalocean reads the end point anew for every object that it makes.
    """
    _assert_own_cloud(item)
    yield
    _assert_own_cloud(item)


def _assert_own_cloud(item: pytest.Item) -> None:
    end_point = os.environ.get("DIGITALOCEAN_END_POINT", "")
    host = urlsplit(end_point).hostname
    assert host == "127.0.0.1", f"{item.nodeid} may ask the real cloud: {end_point or 'no double'}"


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server on this machine, a process of its own; it is empty at first."""
    log = tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", "0"]
    with log.open("w") as stream, subprocess.Popen(command, stderr=stream, stdout=stream) as server:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield found[0]
        server.terminate()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A client of that server, whose environment is what boto3 finds by itself."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3")
