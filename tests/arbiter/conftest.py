"""A folder with an application, and commands started there."""

import contextlib

import pytest
from hypothesis import settings
from tests.support.process import Server

pytest.register_assert_rewrite("tests.arbiter.world")

# pytest --hypothesis-profile=long: some minutes.
settings.register_profile("long", max_examples=3000, stateful_step_count=100)

APP = """
import atexit, ctypes, gc, os, time

VERSION = "one"
KEPT = [[]]

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        open("inside", "w").close()
        time.sleep(float(path.removeprefix("/sleep/")))
    if path == "/spin":
        open("inside", "w").close()
        while True:
            pass
    if path == "/lock":
        open("inside", "w").close()
        ctypes.PyDLL(None).sleep(60)  # a C call that keeps the interpreter lock
    if path == "/exit":
        atexit.register(time.sleep, 60)
        open("inside", "w").close()
        time.sleep(60)
    if path == "/frozen":
        start_response("200 OK", [])
        # What is frozen is in no generation.
        return [b"no" if any(one is KEPT for one in gc.get_objects()) else b"yes"]
    if path == "/crash":
        os.kill(os.getpid(), 11)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {VERSION}".encode()]
"""


@pytest.fixture
def place(tmp_path):
    """A folder with an application."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(place):
    """Starts commands there, and stops them afterwards."""
    with contextlib.ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(Server(place, *arguments, **options))
