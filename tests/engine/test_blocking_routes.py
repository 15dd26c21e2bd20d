"""A call that is known to block: another thread runs it, and the leader goes on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pronghorn
from pronghorn.engine.loop import Engine
from pronghorn.testing import serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for


class Blocking:
    """Calls of `/wait` stay inside until they are let go; `/compute` keeps the processor busy for a while."""

    def __init__(self) -> None:
        self.engine: Engine
        self.url = ""
        self.inside = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.before = 0
        self.deadline: float | None = None
        self.lock = threading.Lock()
        self.count = self.most = 0
        self.order: list[str] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            with self.lock:
                self.count += 1
                self.most = max(self.most, self.count)
            self.order.append("waits")
            if self.deadline is not None:
                pronghorn.timeout(self.deadline)
            self.inside.release()
            assert self.release.acquire(timeout=10)
            with self.lock:
                self.count -= 1
        elif environ["PATH_INFO"] == "/compute":
            self.inside.release()
            until = time.monotonic() + float(environ["QUERY_STRING"])
            while time.monotonic() < until:
                pass
            self.order.append("computed")
        return hello(environ, start_response)

    def ask(self, client: Client) -> None:
        """Sends the request; the application has it when this returns."""
        self.before = self.engine.handovers
        client.request("/wait")
        assert self.inside.acquire(timeout=10)


@contextmanager
def known(**options: Any) -> Iterator[tuple[Blocking, Client]]:
    """A server that has learned that `/wait` blocks, and a client."""
    app = Blocking()
    bound = listener()
    with serve_engine(app, [bound], **options) as app.engine:
        app.url = url_of(bound)
        with Client(app.url) as client:
            for _ in range(2):
                app.ask(client)
                wait_for(lambda: app.engine.handovers > app.before, "the watchdog")
                app.release.release()
                assert client.read_response().body == b"hello"
            app.order.clear()
            yield app, client
            app.release.release()


def test_the_leader_stays_the_leader() -> None:
    with known() as (app, client), Client(app.url) as other:
        app.ask(client)
        # Without a call, which a busy machine might hold up until the watchdog takes it for one that blocks.
        other.send(b"nonsense\r\n\r\n")
        assert other.read_response().status == 400
        assert app.engine.handovers == app.before
        app.release.release()
        assert client.read_response().body == b"hello"


def test_it_is_answered_when_it_comes_back_and_others_meanwhile() -> None:
    with known() as (app, client):
        app.ask(client)
        with Client(app.url) as other:
            for _ in range(3):
                assert other.get("/").body == b"hello"
        app.release.release()
        assert client.read_response().body == b"hello"
        assert client.get("/").body == b"hello"


def test_its_deadline_ends_the_wait() -> None:
    with known(timeout=0.3) as (app, client):
        began = time.monotonic()
        app.ask(client)
        assert client.read_response().status == 504
        assert 0.3 <= time.monotonic() - began < 0.8


def test_a_deadline_that_it_sets_itself_ends_the_wait() -> None:
    with known(timeout=30) as (app, client):
        app.deadline = 0.2
        began = time.monotonic()
        app.ask(client)
        assert client.read_response().status == 504
        assert 0.2 <= time.monotonic() - began < 0.8


def test_idle_connections_are_closed_in_time() -> None:
    with known(keepalive=0.3) as (app, client), Client(app.url) as idle:
        assert idle.get("/").body == b"hello"
        began = time.monotonic()
        app.ask(client)
        assert idle.socket.recv(1) == b""
        assert time.monotonic() - began < 0.8
        app.release.release()
        assert client.read_response().body == b"hello"


def test_a_drain_goes_on() -> None:
    with known(linger_timeout=0.2) as (app, client), Client(app.url) as idle:
        app.ask(client)
        app.engine.drain()
        idle.socket.settimeout(10)
        assert idle.socket.recv(1) == b""
        wait_for(lambda: app.engine.state == "draining", "the drain")
        app.release.release()
        assert client.read_response().headers["connection"] == "close"
        assert app.engine.join(10)


def test_pipelined_answers_before_it_do_not_wait_for_it() -> None:
    with known() as (app, client):
        client.send(
            b"".join(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path for path in (b"/a", b"/b", b"/wait", b"/c"))
        )
        assert app.inside.acquire(timeout=10)
        for _ in range(2):
            assert client.read_response().body == b"hello"
        app.release.release()
        for _ in range(2):
            assert client.read_response().body == b"hello"


def test_a_stop_does_not_wait_for_it() -> None:
    with known() as (app, client):
        app.ask(client)
        app.engine.stop()
        assert app.engine.join(5)


def test_there_are_as_many_as_threads_and_the_others_wait() -> None:
    with known(threads=4) as (app, _):
        clients = [Client(app.url) for _ in range(12)]
        for client in clients:
            client.request("/wait")
        for _ in range(4):
            assert app.inside.acquire(timeout=10)
        with Client(app.url) as other:
            other.send(b"nonsense\r\n\r\n")
            assert other.read_response().status == 400
        for _ in clients:
            app.release.release()
        for client in clients:
            assert client.read_response().body == b"hello"
            client.socket.close()
        assert app.most == 4


def test_its_neighbours_of_the_batch_do_not_hold_it_up() -> None:
    """Three requests that the loop finds at once, because it has computed meanwhile."""
    with known() as (app, client), Client(app.url) as first, Client(app.url) as last:
        first.request("/compute?0.004")
        assert app.inside.acquire(timeout=10)
        client.request("/wait")
        last.request("/compute?0.5")
        for _ in range(2):
            assert app.inside.acquire(timeout=10)
        app.release.release()
        for asked in (first, client, last):
            assert asked.read_response().body == b"hello"
        assert app.order.index("waits") < len(app.order) - 1
