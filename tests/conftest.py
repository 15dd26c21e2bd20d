"""What holds for every test: nothing is left behind in the process that the next one runs in.

In the debug build nothing of the engine lives any more (pronghorn.debug); in every build no call goes on.
"""

import functools
import signal
import threading
from collections.abc import Generator, Iterator

import pytest
from fuzz.targets import is_current

from pronghorn import debug
from tests.support.living import require_no_remains
from tests.support.raw import wait_for
from tests.support.sanitized import FUZZ_BUILD

BEFORE = pytest.StashKey[dict[str, int]]()
TOLD = pytest.StashKey[bool]()


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


@pytest.fixture(scope="session")
def _fuzz_build_is_current() -> bool:
    return is_current(FUZZ_BUILD)


@pytest.fixture
def fuzz_build(request: pytest.FixtureRequest, _fuzz_build_is_current: bool) -> str:
    """The build of fuzz/ that inputs are replayed in. Without one a test fails and says what makes it: one, not all."""
    if not _fuzz_build_is_current:
        end = pytest.skip if request.session.stash.get(TOLD, False) else functools.partial(pytest.fail, pytrace=False)
        request.session.stash[TOLD] = True
        end(f"there is no build of these sources: make build/fuzz/{FUZZ_BUILD}/.built")
    return FUZZ_BUILD
