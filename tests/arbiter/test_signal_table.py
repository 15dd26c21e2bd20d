"""Every row of the two tables in docs/signals.md, seen from outside: who goes, who stays, what becomes of a request."""

import contextlib
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from tests.support.process import alive
from tests.support.raw import Client, wait_for

PAGE = Path(__file__).parents[2] / "docs" / "signals.md"
QUICK = [signal.SIGINT, signal.SIGQUIT]
IGNORED = [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH]
TO_WORKERS = [signal.SIGTERM, *QUICK, signal.SIGUSR1, signal.SIGABRT, *IGNORED]
TO_THE_ARBITER = [signal.SIGTERM, *QUICK, signal.SIGUSR1, *IGNORED]


def test_the_page_has_every_signal_of_gunicorns_tables_and_no_other():
    text = PAGE.read_text()
    first, second = text.index("## To the arbiter"), text.index("## To a worker")

    def named(part):
        rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
        return {f"SIG{name}" for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named(text[first:second]) == {number.name for number in TO_THE_ARBITER}
    assert named(text[second : text.index("## When a worker ends")]) == {number.name for number in TO_WORKERS}


class Asked(threading.Thread):
    """One request that is inside the application when the block begins."""

    def __init__(self, server, place, path):
        super().__init__()
        self.status = None
        self._url, self._path = server.url, path
        (place / "inside").unlink(missing_ok=True)
        self.start()
        wait_for((place / "inside").exists, "the request")

    def run(self):
        with Client(self._url) as client, contextlib.suppress(OSError, AssertionError):
            client.send(f"GET {self._path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.status = client.read_response().status

    def answer(self):
        self.join(20)
        return self.status


def test_a_worker_that_is_told_to_drain_answers_first(start, place):
    server = start("--workers", "1", "app:app").ready(1)
    (first,) = server.workers()
    asked = Asked(server, place, "/sleep/0.5")
    os.kill(first, signal.SIGTERM)
    assert asked.answer() == 200
    server.ready(2)
    assert not alive(first)


@pytest.mark.parametrize("number", [*QUICK, signal.SIGABRT])
def test_a_worker_that_is_told_to_stop_or_abort_is_replaced(start, place, number):
    server = start("--workers", "1", "app:app").ready(1)
    (first,) = server.workers()
    asked = Asked(server, place, "/sleep/60")
    os.kill(first, number)
    assert asked.answer() is None
    server.ready(2)
    assert not alive(first)
    assert ("Fatal Python error: Aborted" in server.text) == (number == signal.SIGABRT)


def test_a_worker_ignores_what_is_the_arbiters_business_and_opens_its_logs_anew(start, place):
    server = start("--workers", "1", "--error-logfile", "error.log", "--access-logfile", "access.log", "app:app")
    log = place / "error.log"
    wait_for(lambda: log.exists() and "is ready" in log.read_text(), "the worker")
    address = re.search(r"http://([\d.]+):(\d+)", log.read_text())
    (first,) = server.workers()
    for number in IGNORED:
        os.kill(first, number)
    for name in ("error.log", "access.log"):
        (place / name).rename(place / f"{name}.1")
    os.kill(first, signal.SIGUSR1)
    wait_for(lambda: (place / "access.log").exists() and log.exists(), "the new files")
    with Client(address[0]) as client:
        assert client.get("/").status == 200
    wait_for((place / "access.log").read_text, "the line")
    assert server.workers() == {first}
    # The arbiter was not told.
    server.signal(signal.SIGTTIN)
    wait_for(lambda: "2 workers wanted" in (place / "error.log.1").read_text(), "the arbiter's line")


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGINT], [signal.SIGTERM, signal.SIGQUIT]])
def test_a_stop_that_becomes_a_quick_one(start, place, numbers):
    server = start("--workers", "1", "app:app").ready(1)
    asked = Asked(server, place, "/sleep/60")
    for number in numbers:
        server.signal(number)
        server.said("stopping: requests that run" if number == signal.SIGTERM else "stopping quickly")
    assert asked.answer() is None
    assert server.wait() == 0
