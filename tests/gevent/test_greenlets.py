"""Requests in greenlets, seen from within one process."""

import contextvars
import logging
import threading

import gevent.event
import gevent.local
import pytest
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for

import gevent
import pronghorn
from pronghorn.errors import RequestTimeout
from pronghorn.testing import serve, serve_engine

GEVENT = {"worker_class": "gevent"}


def text(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


class Meeting:
    """Holds every request of `/wait` until so many are there; only then can any of them be answered."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.inside = 0
        self.all_there = gevent.event.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] != "/wait":
            return hello(environ, start_response)
        self.inside += 1
        if self.inside == self.size:
            self.all_there.set()
        assert self.all_there.wait(60)
        return hello(environ, start_response)


@pytest.mark.parametrize("size", [200, 1100])  # the scoreboard has room for 1025
def test_as_many_handlers_wait_at_once_as_there_are_connections(size: int) -> None:
    with serve_engine(Meeting(size), [bound := listener()], **GEVENT, worker_connections=size) as engine:
        clients = [Client(url_of(bound)) for _ in range(size)]
        try:
            for client in clients:
                client.request("/wait")
            assert all(client.read_response().body == b"hello" for client in clients)
            assert engine.threads_started <= size
        finally:
            for client in clients:
                client.socket.close()


def test_two_hundred_slow_clients_hold_nobody_up() -> None:
    with serve(hello, **GEVENT) as url:
        slow = [Client(url) for _ in range(200)]
        try:
            for client in slow:
                client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n1234")
            with Client(url) as client:
                assert all(client.get().body == b"hello" for _ in range(100))
            for client in slow:
                client.send(b"567890")
            assert all(client.read_response().body == b"hello" for client in slow)
        finally:
            for client in slow:
                client.socket.close()


def test_at_the_limit_no_further_request_is_begun() -> None:
    inside: list[gevent.event.Event] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        go_on = gevent.event.Event()
        inside.append(go_on)
        go_on.wait(60)
        return hello(environ, start_response)

    with serve_engine(app, [bound := listener()], **GEVENT, worker_connections=2) as engine:
        clients = [Client(url_of(bound)) for _ in range(3)]
        for client in clients:
            client.request()
        wait_for(lambda: len(inside) == 2, "two requests inside")
        assert engine.connections_open == 2
        inside[0].set()
        wait_for(lambda: len(inside) == 3, "the third, once there is room")
        inside[1].set()
        inside[2].set()
        for client in clients:
            assert client.read_response().body == b"hello"
            client.socket.close()


def test_each_request_has_a_greenlet_a_context_and_locals_of_its_own() -> None:
    local = gevent.local.local()
    variable: contextvars.ContextVar[bytes] = contextvars.ContextVar("variable", default=b"unset")
    greenlets = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        before = variable.get(), getattr(local, "value", b"unset")
        greenlets.append(gevent.getcurrent())
        own = environ["PATH_INFO"].encode()
        variable.set(own)
        local.value = own
        gevent.sleep(0)
        after = variable.get(), local.value
        return text(start_response, b" ".join(before + after))

    with serve(app, **GEVENT) as url, Client(url) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(5)))
        for number in range(5):
            assert client.read_response().body == b"unset unset /%d /%d" % (number, number)
    assert len(set(greenlets)) == 5


def test_a_late_request_gets_504_and_its_greenlet_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] != "/late":
            return hello(environ, start_response)
        try:
            wait_for_what_never_comes = gevent.event.Event()
            wait_for_what_never_comes.wait()
        except RequestTimeout as error:
            told.append(error)
            raise
        raise AssertionError

    with caplog.at_level(logging.ERROR), serve(app, timeout=0.5, **GEVENT) as url:
        with Client(url) as late, Client(url) as neighbour:
            late.request("/late")
            assert neighbour.get().body == b"hello"
            assert late.read_response().status == 504
            assert late.is_closed()
            assert neighbour.get().body == b"hello"
        wait_for(lambda: told, "the exception in the greenlet")
    assert "wait_for_what_never_comes.wait()" in caplog.text


def test_a_greenlet_that_swallows_its_end_has_the_worker_replaced() -> None:
    release = gevent.event.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        while not release.is_set():
            try:
                release.wait()
            except RequestTimeout:
                continue
        return hello(environ, start_response)

    with serve_engine(app, [bound := listener()], timeout=0.3, **GEVENT) as engine, Client(url_of(bound)) as client:
        assert client.get("/stuck").status == 504
        wait_for(lambda: engine.wants_recycling, "the wish for a replacement")
        release.set()
    assert "/stuck" in (engine.recycling_reason or "")


def test_request_timeout_is_never_raised_in_a_later_request() -> None:
    """The greenlet comes back in the moment at which its deadline passes."""
    release = gevent.event.Event()

    class Late(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            release.set()
            gevent.sleep(0.1)

    handler = Late()
    log = logging.getLogger("pronghorn.error")

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/late":
            release.wait(5)
        else:
            gevent.sleep(0.02)
        return hello(environ, start_response)

    log.addHandler(handler)
    try:
        with serve(app, timeout=0.5, **GEVENT) as url, Client(url) as late, Client(url) as other:
            late.request("/late")
            assert late.read_response().status == 504
            assert all(other.get().body == b"hello" for _ in range(20))
    finally:
        log.removeHandler(handler)


def test_a_log_handler_that_waits_does_not_break_the_loop() -> None:
    """As one does that sends its lines over a patched socket: in the hub itself nothing may wait."""
    waited = []

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gevent.sleep(0.01)
            waited.append(record)

    handler = Waiting(logging.DEBUG)
    log = logging.getLogger("pronghorn.error")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        with serve(hello, **GEVENT) as url:
            for _ in range(5):
                with Client(url) as client:
                    client.send(b"BAD\r\n\r\n")
                    assert client.read_response().status == 400
            with Client(url) as client:
                assert client.get().body == b"hello"
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
    assert [record for record in waited if "Refused" in record.getMessage()]
    assert not [record for record in waited if record.levelno >= logging.ERROR]


def test_a_killed_greenlet_is_a_500() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/killed":
            gevent.spawn(gevent.kill, gevent.getcurrent())
            gevent.sleep(60)
        return hello(environ, start_response)

    with serve(app, **GEVENT) as url, Client(url) as client:
        assert client.get("/killed").status == 500
    with serve(app, **GEVENT) as url, Client(url) as client:
        assert client.get().body == b"hello"


def test_a_generator_waits_for_its_peer_while_others_are_served() -> None:
    given = 0

    def pieces() -> object:
        nonlocal given
        for _ in range(200):
            given += 1
            yield bytes(100_000)

    def app(environ: Environ, start_response: StartResponse) -> object:
        if environ["PATH_INFO"] == "/large":
            start_response("200 OK", [("Content-Length", "20000000")])
            return pieces()
        return hello(environ, start_response)

    with (
        serve(app, send_buffer=65536, **GEVENT) as url,
        Client(url, receive_buffer=4096) as slow,
        Client(url) as other,
    ):
        slow.request("/large")
        wait_for(lambda: given, "the generator to be asked")
        assert all(other.get().body == b"hello" for _ in range(50))
        assert given < 150
        slow.hurry()
        assert len(slow.read_response().body) == 20_000_000


def test_a_peer_that_leaves_ends_the_generator_and_closes_it_once() -> None:
    closed = []

    class Endless:
        def __iter__(self) -> "Endless":
            return self

        def __next__(self) -> bytes:
            gevent.sleep(0.001)
            return bytes(10_000)

        def close(self) -> None:
            closed.append(self)

    def app(environ: Environ, start_response: StartResponse) -> object:
        start_response("200 OK", [])
        return Endless()

    with serve(app, **GEVENT) as url:
        with Client(url) as client:
            client.request()
            client.read_exactly(50_000)
        wait_for(lambda: closed, "close()")
    assert len(closed) == 1


def test_an_own_deadline_is_that_of_its_greenlet() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/patient":
            pronghorn.timeout(60)
        gevent.sleep(0.2)
        if environ["PATH_INFO"] == "/patient":
            gevent.sleep(0.8)
        elif environ["PATH_INFO"] == "/late":
            gevent.sleep(60)
        return hello(environ, start_response)

    with (
        serve(app, timeout=0.5, **GEVENT) as url,
        Client(url) as patient,
        Client(url) as late,
        Client(url) as plain,
    ):
        patient.request("/patient")
        late.request("/late")
        plain.request()
        assert plain.read_response().body == b"hello"
        assert late.read_response().status == 504
        assert patient.read_response().body == b"hello"


def test_a_drain_waits_for_the_greenlets_and_a_stop_does_not() -> None:
    inside, release = [], gevent.event.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        inside.append(gevent.getcurrent())
        release.wait(60)
        return hello(environ, start_response)

    with serve_engine(app, [bound := listener()], **GEVENT) as engine, Client(url_of(bound)) as client:
        client.request()
        wait_for(lambda: inside, "the request to run")
        engine.drain()
        wait_for(lambda: engine.state == "draining", "the drain")
        release.set()
        response = client.read_response()
        assert response.body == b"hello"
        assert response.closes
        assert engine.join(5)
    release.clear()
    with serve_engine(app, [bound := listener()], **GEVENT) as engine, Client(url_of(bound)) as client:
        client.request()
        wait_for(lambda: len(inside) == 2, "the second request to run")
        engine.stop()
        assert engine.join(5)
        release.set()


def test_deep_recursion_in_a_greenlet() -> None:
    """Its frames need larger chunks of the interpreter's stack than those that are kept."""

    def depth(left: int) -> int:
        return 0 if left == 0 else 1 + depth(left - 1)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        gevent.sleep(0)
        return text(start_response, str(depth(700)).encode())

    with serve(app, **GEVENT) as url, Client(url) as client:
        assert all(client.get().body == b"700" for _ in range(20))


def test_engines_of_both_kinds_in_one_process() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        with pronghorn.timeout(5):
            return text(start_response, threading.current_thread().name.encode())

    with serve(app, **GEVENT) as green, Client(green) as one, serve(app) as threads, Client(threads) as other:
        for _ in range(3):
            assert other.get().body.startswith(b"pronghorn-")
            assert one.get().body == b"pronghorn-hub"
