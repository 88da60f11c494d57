"""What several files of tests here share; made once per worker."""

import pytest
from event_samples import toy_archive

from llama.neutrinos.archive import Archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Six days of mock neutrinos. Read-only."""
    return toy_archive(tmp_path_factory.mktemp("neutrinos"))
