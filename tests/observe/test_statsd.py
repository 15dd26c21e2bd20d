"""Metrics: what a statsd server hears, over UDP and a unix socket, under Gunicorn's names."""

import re
import socket
import time
from collections import Counter

import pytest
from tests.support.process import Server
from tests.support.raw import Client, wait_for

from pronghorn.errors import SettingsError
from pronghorn.observe.statsd import Statsd
from pronghorn.testing import serve_engine

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken")
    start_response("404 Not Found" if environ["PATH_INFO"] == "/none" else "200 OK", [("Content-Length", "2")])
    return [b"it"]
"""


class Listener:
    """A statsd server: the metrics it has heard, and in how many datagrams."""

    def __init__(self, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address = f"unix://{path}" if path else f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.metrics = []
        self.datagrams = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        """All metrics so far."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return self.metrics
            self.datagrams.append(data)
            self.metrics += data.decode().split("\n")

    def total(self, name, kind="c|@1.0"):
        """The sum of a counter."""
        pattern = re.compile(rf"{re.escape(name)}:(\d+)\|{re.escape(kind)}")
        return sum(int(found[1]) for metric in self.hear() if (found := pattern.fullmatch(metric)))


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_the_metrics_of_requests(tmp_path, kind):
    (tmp_path / "app.py").write_text(APP)
    with Listener(tmp_path / "statsd" if kind == "unix" else None) as listener:
        arguments = ("--workers", "2", "--statsd-host", listener.address, "--statsd-prefix", "shop.", "app:app")
        with Server(tmp_path, *arguments).ready(2) as server, Client(server.url) as client:
            for path, times in (("/", 5), ("/none", 2), ("/error", 1)):
                for _ in range(times):
                    client.get(path)
            client.send(b"BAD\r\n\r\n")
            wait_for(lambda: listener.total("shop.gunicorn.requests") == 9, "nine requests")
            wait_for(lambda: "shop.gunicorn.workers:2|g" in listener.hear(), "the number of workers")
            wait_for(lambda: listener.total("shop.pronghorn.incidents.refused") == 1, "the one that was wrong")
        statuses = {status: listener.total(f"shop.gunicorn.request.status.{status}") for status in (200, 404, 500, 400)}
        assert statuses == {200: 5, 404: 2, 500: 1, 400: 1}
        durations = [metric for metric in listener.hear() if "duration" in metric]
        assert len(durations) == 9
        assert all(re.fullmatch(r"shop\.gunicorn\.request\.duration:\d+\.\d{3}\|ms", one) for one in durations)
        assert listener.total("shop.gunicorn.log.exception") == 1
        # Each metric was one that statsd knows, and none was empty.
        known = re.compile(r"shop\.(gunicorn|pronghorn)\.[\w.]+:[\d.]+\|(ms|g|c\|@1\.0)")
        assert all(known.fullmatch(one) for one in listener.hear())


def test_incidents_are_counted_by_kind_once_and_to_the_last(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with Listener() as listener:
        with Server(tmp_path, "--workers", "1", "--statsd-host", listener.address, "app:app") as server:

            def refuse():
                with Client(server.url) as client:
                    client.send(b"BAD\r\n\r\n")
                    assert client.read_response().status == 400

            refuse()
            wait_for(lambda: listener.total("pronghorn.incidents.refused") == 1, "the first, within a second")
            for _ in range(3):
                refuse()
            with Client(server.url) as client:
                client.send(b"GET /")
            server.signal(15)
            assert server.wait() == 0
        found = {metric for metric in listener.hear() if "incidents" in metric}
        assert listener.total("pronghorn.incidents.refused") == 4
        assert listener.total("pronghorn.incidents.left") == 1
        assert all(re.fullmatch(r"pronghorn\.incidents\.(refused|left):\d\|c\|@1\.0", one) for one in found)


def test_tags_stand_behind_each_metric(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with Listener() as listener:
        arguments = (
            "--workers",
            "1",
            "--statsd-host",
            listener.address,
            "--dogstatsd-tags",
            "env:live,zone:b",
            "app:app",
        )
        with Server(tmp_path, *arguments) as server:
            server.get()
            wait_for(lambda: any("requests" in metric for metric in listener.hear()), "a request")
        assert listener.hear()
        assert all(metric.endswith("|#env:live,zone:b") for metric in listener.hear())


def test_many_requests_share_datagrams_that_fit_a_frame():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b""]

    with Listener() as listener:
        statsd = Statsd(listener.address, tags="a:b")
        bound = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with serve_engine(app, [bound], access=statsd), Client(url) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 1000)
            for _ in range(1000):
                client.read_response()
        found = Counter(re.sub(r"[\d.]+\|", "N|", metric) for metric in listener.hear())
        assert found["gunicorn.request.duration:N|ms|#a:b"] == 1000
        assert max(map(len, listener.datagrams)) <= 1432
        assert len(listener.datagrams) < 100
        statsd.close()


def test_one_that_does_not_listen_holds_nothing_up_and_is_named(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "statsd"
    with Server(tmp_path, "--workers", "1", "--statsd-host", f"unix://{path}", "app:app") as server:
        server.said(r"statsd at unix://\S+ does not take what is measured \(.+\)")
        assert server.get() == (200, "it")
        with Listener(path) as listener:

            def heard():
                server.get()
                return listener.total("gunicorn.requests")

            wait_for(heard, "a request, now that somebody listens")


def test_one_that_reads_nothing_holds_nothing_up(tmp_path):
    with Listener(tmp_path / "statsd") as listener:
        statsd = Statsd(listener.address)
        begun = time.monotonic()
        for _ in range(5000):
            statsd.count("x")
        assert time.monotonic() - begun < 5
        assert 0 < listener.total("x") < 5000
        statsd.close()


def test_a_host_nobody_knows_is_a_warning(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with Server(tmp_path, "--workers", "1", "--statsd-host", "no.such.host.invalid:8125", "app:app") as server:
        server.said(r"WARNING\] statsd_host: 'no\.such\.host\.invalid:8125' cannot be used \(.+\)")
        assert server.get() == (200, "it")


@pytest.mark.parametrize(("prefix", "name"), [("", "x"), ("a", "a.x"), ("a.b", "a.b.x"), ("a.b..", "a.b.x")])
def test_the_prefix_gets_its_dot(prefix, name):
    with Listener() as listener:
        statsd = Statsd(listener.address, prefix=prefix)
        statsd.measure("x", 3, "gauge")
        statsd.measure("x", 2.5, "timer")
        statsd.measure("x", 2, "histogram")
        statsd.measure("x", 2, "nonsense")
        assert listener.hear() == [f"{name}:3|g", f"{name}:2.5|ms", f"{name}:2|h"]
        statsd.close()


def test_an_unknown_host_is_an_error_here():
    with pytest.raises(SettingsError, match=r"statsd_host: 'no\.such\.host\.invalid:1'"):
        Statsd("no.such.host.invalid:1")
