"""Debug build: it is what servers run, and what is left behind is noticed, after the test and by the worker."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pronghorn import debug
from pronghorn.engine import loop
from tests.support.living import remains
from tests.support.process import MODULE, SCRIPT, Server

pytestmark = pytest.mark.skipif(not debug.ENABLED, reason="only the debug build counts: make test-asan")

WHERE = """\
import pronghorn.engine.loop

def app(environ, start_response):
    start_response("200 OK", [])
    return [pronghorn.engine.loop.__file__.encode()]
"""
KEEPING = """\
kept = []

def app(environ, start_response):
    kept.append(start_response)  # holds its request, and that its connection
    start_response("200 OK", [])
    return []
"""


@pytest.mark.parametrize(("kind", "what"), list(enumerate(debug.living())))
def test_each_kind_is_noticed(kind, what):
    before = debug.living()
    assert not remains(before)
    left = debug.Witness(kind)
    assert remains(before) == {what: 1}
    del left
    assert not remains(before)


def test_a_test_that_leaves_a_request_behind_fails_and_no_other_does(tmp_path):
    test = tmp_path / "test_keeping.py"
    test.write_text(f"""\
from tests.support import living
from tests.support.raw import Client
from pronghorn.testing import serve

living.PATIENCE = 0.5
{KEEPING}
def test_it():
    with serve(app) as url, Client(url) as client:
        assert client.get().status == 200

def test_another():
    pass
""")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *options, test]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert re.search(r"there remains \{.*'requests': 1", done.stdout)


def test_a_worker_that_ends_with_a_request_says_so(tmp_path):
    (tmp_path / "keeping.py").write_text(KEEPING)

    def serve_one() -> None:
        with Server(tmp_path, "--workers", "1", "keeping:app") as server:
            assert server.get()[0] == 200

    with pytest.raises(AssertionError, match=r"Worker \d+ ends and still holds \{.*'requests': 1"):
        serve_one()


@pytest.mark.parametrize("command", [MODULE, SCRIPT])
def test_servers_are_of_the_build_that_counts(tmp_path, command):
    (tmp_path / "where.py").write_text(WHERE)
    with Server(tmp_path, "--workers", "1", "where:app", command=command) as server:
        assert server.get() == (200, loop.__file__)
