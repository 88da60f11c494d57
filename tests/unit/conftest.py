"""What several files of tests here share; made once per worker."""

import functools
from collections.abc import Iterator

import pytest
from event_samples import toy_archive

import llama.sky
from llama.neutrinos.archive import Archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Six days of mock neutrinos. Read-only."""
    return toy_archive(tmp_path_factory.mktemp("neutrinos"))


@pytest.fixture(scope="module")
def maps_checked_once() -> Iterator[None]:
    """The same map under the same name is read in one child: for tests of what comes after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llama.sky.check_skymap", functools.cache(llama.sky.check_skymap))
        yield
