"""What connections do does not depend on what runs the requests: the engine's own tests, in greenlets."""

from collections.abc import Iterator

import pytest
from tests.engine import test_connections

from pronghorn import testing

BLOCKING = {
    "test_at_the_connection_limit_new_connections_wait_when_none_is_idle",
    "test_draining_answers_what_was_accepted_and_says_that_it_closes",
    "test_stopping_does_not_wait",
    "test_responses_of_pipelined_requests_leave_in_one_segment",
}
"""Their handlers wait without gevent (test_greenlets.py has the same with it), or responses share one send, as those
of greenlets do not."""

globals().update(
    {name: test for name, test in vars(test_connections).items() if name.startswith("test_") and name not in BLOCKING}
)


@pytest.fixture(autouse=True, scope="module")
def _in_greenlets() -> Iterator[None]:
    before = testing.DEFAULT_WORKER_CLASS
    testing.DEFAULT_WORKER_CLASS = "gevent"
    yield
    testing.DEFAULT_WORKER_CLASS = before
