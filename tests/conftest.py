"""What holds for every test: nothing is left behind in the process that the next one runs in."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.raw import wait_for


def threads_of_engines() -> list[threading.Thread]:
    """The threads of this process that run requests."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("pronghorn-")]


@pytest.fixture(autouse=True, scope="module")
def _no_call_goes_on() -> Iterator[None]:
    """A call that is left computing takes the interpreter lock from every test behind it."""
    yield
    wait_for(lambda: not threads_of_engines(), "the last calls of the module's engines to come to their end")
