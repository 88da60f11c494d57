"""For all tests: no network beyond this machine, no surprise from hypothesis, the real data."""

import os
import runpy
import sys
from pathlib import Path

import hypothesis
import pytest

_GUARD = Path(__file__).parent / "guard"
_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# for the Pythons that tests start; then for this one
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
)
if not getattr(sys.modules.get("sitecustomize"), "LOOPBACK_ONLY", False):
    runpy.run_path(str(_GUARD / "sitecustomize.py"))

# the same examples every time: a failure is the change's, not the day's
hypothesis.settings.register_profile("llama", derandomize=True, deadline=None)
hypothesis.settings.load_profile("llama")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of the real data beside the clone; tests that ask for it skip without it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"no real data in {_SHARED_DATA}")
    return _SHARED_DATA
