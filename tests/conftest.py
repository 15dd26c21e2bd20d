"""What holds for every test: nothing is left behind in the process that the next one runs in.

In the debug build nothing of the engine lives any more (pronghorn.debug); in every build no call goes on.
"""

import signal
import threading
from collections.abc import Generator, Iterator

import pytest

from pronghorn import debug
from tests.support.living import require_no_remains
from tests.support.raw import wait_for

BEFORE = pytest.StashKey[dict[str, int]]()


def threads_of_engines() -> list[threading.Thread]:
    """The threads of this process that run requests."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("pronghorn-")]


def pytest_configure() -> None:
    """What a shell starts in the background ignores SIGINT, and so would every server that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _no_call_goes_on() -> Iterator[None]:
    """A call that is left computing takes the interpreter lock from every test behind it."""
    yield
    wait_for(lambda: not threads_of_engines(), "the last calls of the module's engines to come to their end")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    item.stash[BEFORE] = debug.living()
    yield


# Outermost: until pytest has put them away, the log records that it captured keep tracebacks, and those requests.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Function) -> Generator[None, None, None]:
    yield
    if BEFORE in item.stash:
        item.funcargs = {}  # pytest holds what the test was given until a moment later
        require_no_remains(item.stash[BEFORE])
