"""Workers that have lived long enough or grown too large are replaced, one by one, and no request notices."""

import re
import threading
from contextlib import contextmanager

import pytest
from tests.support.raw import wait_for
from tests.support.sanitized import unless_sanitized

LEAK = """
import os, time

kept = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        kept.append(bytearray(os.urandom(4096) * 64))
    time.sleep(0.002)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def leaky(place):
    (place / "leak.py").write_text(LEAK)
    return "leak:app"


@contextmanager
def load(server, path, clients=4):
    """Clients that ask again and again, each time on a connection of its own; what was not answered with 200."""
    stop, failed, answered = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                status, text = server.get(path)
                (answered if (status, text) == (200, "ok") else failed).append(status)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield failed, answered
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def most_at_once(text, size):
    """How many workers existed at most, by what the log says: a worker is there from its readiness to its end."""
    alive, most = 0, 0
    for line in text.splitlines():
        alive += "is ready after" in line
        alive -= "has left" in line
        most = max(most, alive)
    return most - size


@unless_sanitized("a worker then has more than the limit from its start")
@pytest.mark.parametrize(("kind", "size"), [("threads", 3), ("gevent", 1)])
def test_workers_that_leak_are_replaced_one_by_one(start, leaky, kind, size):
    server = start("--workers", str(size), "--worker-class", kind, "--max-memory", "60MiB", leaky).ready(size)
    with load(server, "/leak") as (failed, answered):
        server.said("asks to be replaced", size + 1)
        server.said("has left", size + 1)
    assert failed == []
    assert len(answered) > 100
    assert re.search(r"asks to be replaced: its memory is \d\d+ MiB \(setting `max_memory` 60 MiB\)", server.text)
    assert most_at_once(server.text, size) == 1
    wait_for(lambda: len(server.workers()) in (size, size + 1), "as many workers again")


def test_workers_that_are_old_are_replaced_one_by_one(start, leaky):
    server = start("--workers", "3", "--max-lifetime", "1s", leaky).ready(3)
    with load(server, "/") as (failed, answered):
        server.said("has left", 4)
    assert failed == []
    assert answered
    server.said(r"asks to be replaced: it has served for 1 s \(setting `max_lifetime`\)")
    assert most_at_once(server.text, 3) == 1


def test_several_at_once_if_that_is_allowed(start, place, leaky):
    """Requests of a second keep the old workers, which are due together, until all replacements are there."""
    (place / "leak.py").write_text(LEAK.replace("0.002", "1"))
    server = start("--workers", "3", "--max-lifetime", "1s", "--recycle-at-once", "3", leaky).ready(3)
    with load(server, "/", clients=24) as (failed, answered):
        server.said("has left", 3)
    assert failed == []
    assert answered
    assert most_at_once(server.text, 3) >= 2


def test_a_worker_too_large_from_the_start_serves_on(start, place, leaky):
    (place / "leak.py").write_text(LEAK + "\nballast = bytearray(os.urandom(4096) * 4096)\n")
    server = start("--workers", "1", "--max-memory", "20MiB", leaky).ready(1)
    server.said(r"has \d+ MiB when it starts, more than `max_memory`: it is not replaced for its memory")
    with load(server, "/", clients=2) as (failed, answered):
        wait_for(lambda: len(answered) > 500, "many answers")
    assert failed == []
    assert "asks to be replaced" not in server.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-memory", "300"], "--max-memory: max_memory is 300 bytes; the least is 16 MiB, and 0 means no limit"),
        (["--max-lifetime", "0.5"], "--max-lifetime: max_lifetime is 0.5 s; the least is 1 s, and 0 means no limit"),
        (["--max-memory", "-1"], "max_memory"),
        (["--recycle-at-once", "0"], "recycle_at_once must be at least 1, not '0'"),
        (["--drain-delay", "soon"], "'soon' is not a duration"),
        (["--max-memory", "1PB"], "'1PB' is not a size"),
    ],
)
def test_wrong_values_are_refused(start, arguments, words):
    server = start(*arguments, "app:app")
    assert server.wait() == 2
    assert len(server.lines) == 1
    assert words in server.lines[0]
