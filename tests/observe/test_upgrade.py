"""USR2 with metrics and a configuration of `logging`: every request is written and counted once, by old or new."""

import contextlib
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.observe.test_logconfig import INI
from tests.observe.test_statsd import Listener
from tests.support.load import Load
from tests.support.process import Server
from tests.support.raw import wait_for

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
CONSOLE = "\n[handler_console]\nclass=StreamHandler\nformatter=plain\nargs=(sys.stderr,)\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    logging = INI.replace("keys=errors, access\n\n[f", "keys=errors, access, console\n\n[f")
    (tmp_path / "log.ini").write_text(logging.replace("handlers=errors\n", "handlers=errors, console\n") + CONSOLE)
    return tmp_path


def descriptors(pid: int) -> Counter[str]:
    """How many of each kind, or of each file, a process holds."""
    return Counter(str(entry.readlink()).partition(":[")[0] for entry in Path(f"/proc/{pid}/fd").iterdir())


@contextlib.contextmanager
def hearing(statsd: Listener) -> Iterator[None]:
    """Empties the socket all the time: datagrams that find it full are lost."""
    over = threading.Event()

    def hear() -> None:
        while not over.wait(0.002):
            statsd.hear()

    thread = threading.Thread(target=hear)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_upgrade_loses_no_line_and_no_count(place):
    arguments = ("--workers", "2", "--log-config", "log.ini", "--access-logformat", "%(m)s %(U)s")
    with Listener() as statsd:
        with Server(place, *arguments, "--statsd-host", statsd.address, "app:app").ready(2) as server:
            held, new = [], server.pid
            with hearing(statsd), Load(server.url, kept=1, new=1) as load:
                for number in (1, 2):
                    answered, old = load.answered, new
                    wait_for(lambda answered=answered: load.answered > answered + 100, "requests before")
                    os.kill(old, signal.SIGUSR2)
                    server.said(r"the old arbiter \(pid \d+\) has left", number)
                    new = int(re.findall(r"arbiter pid (\d+)", server.text)[-1])
                    wait_for(lambda new=new: server.arbiters() == {new}, "one arbiter")
                    held.append(descriptors(new))
                wait_for(lambda answered=load.answered: load.answered > answered + 100, "requests behind")
            assert load.failures == []
            wait_for(lambda: statsd.total("gunicorn.requests") >= load.answered, "every request to be counted")
            gauges = [metric for metric in statsd.hear() if metric.startswith("gunicorn.workers:")]
            os.kill(new, signal.SIGTERM)
            wait_for(lambda: not server.processes(), "the end")
        assert statsd.total("gunicorn.requests") == load.answered
        assert Counter((place / "seen.log").read_text().splitlines()) == {"ACCESS GET /load": load.answered}
        assert set(gauges) == {"gunicorn.workers:2|g"}  # never a fleet of none, which the last word of the old would be
        assert held[0] == held[1]
        written = (place / "all.log").read_text()
        for word in ("starts app:app", "is ready; this one drains", "has left\n", "requests that run get"):
            assert word in written
