"""Runs every test of a folder once for each way in which a worker runs requests."""

from collections.abc import Iterator

import pytest

from pronghorn import testing
from tests.support.process import ADDRESS_SANITIZED, COPIES_STACKS


@pytest.fixture(scope="module", params=["threads", "gevent"], autouse=True)
def worker_class(request: pytest.FixtureRequest) -> Iterator[str]:
    """What `pronghorn.testing.serve` serves with."""
    if ADDRESS_SANITIZED and request.param == "gevent":
        pytest.skip(COPIES_STACKS)
    before = testing.DEFAULT_WORKER_CLASS
    testing.DEFAULT_WORKER_CLASS = request.param
    yield request.param
    testing.DEFAULT_WORKER_CLASS = before
