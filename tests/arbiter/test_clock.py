"""Somebody sets the time of day, an hour back or forth: nothing of the server depends on it."""

import time
from pathlib import Path

import pytest
from tests.support.raw import Client, wait_for
from tests.support.sanitized import ADDRESS_SANITIZED, preloading

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

APP = """
import os, time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {time.time()}".encode()]
"""


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian package libfaketime)")
@pytest.mark.skipif(ADDRESS_SANITIZED, reason="waits for itself at the start, see libfaketime's issue 365")
@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_changes_nothing(start, place, jump):
    clock = place / "clock"
    clock.write_text("+0\n")
    (place / "app.py").write_text(APP)
    limits = ("--timeout", "2s", "--keep-alive", "60s", "--graceful-timeout", "2s")
    faked = {
        "LD_PRELOAD": preloading(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = start("--workers", "2", *limits, "app:app", **faked).ready(2)
    workers, said = command.workers(), command.text
    with Client(command.url) as client:
        client.get()
        clock.write_text(f"{jump:+d}\n")
        began = time.monotonic()

        def told():
            return abs(float(client.get().body.split()[1]) - time.time() - jump) < 60

        wait_for(told, "the application to see the other time")
        # Longer than the arbiter looks at heartbeats, and than a request or a worker may be silent.
        wait_for(lambda: client.get().status == 200 and time.monotonic() - began > 4, "more than twice the timeout")
    assert command.workers() == workers
    assert command.text == said
    assert command.stop() == 0
