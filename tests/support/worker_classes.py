"""Runs every test of a folder once for each way in which a worker runs requests."""

from collections.abc import Iterator

import pytest

from pronghorn import testing


@pytest.fixture(scope="module", params=["threads", "gevent"], autouse=True)
def worker_class(request: pytest.FixtureRequest) -> Iterator[str]:
    """What `pronghorn.testing.serve` serves with."""
    before = testing.DEFAULT_WORKER_CLASS
    testing.DEFAULT_WORKER_CLASS = request.param
    yield request.param
    testing.DEFAULT_WORKER_CLASS = before
