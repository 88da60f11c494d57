"""A broker for each test."""

from collections.abc import Iterator

import pytest
from broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running
