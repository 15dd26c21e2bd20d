"""A connection has one owner at every moment, and a request that fails oddly costs nobody else anything."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pronghorn.observe.access import AccessLog
from pronghorn.testing import serve, serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.raw import Client, wait_for

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


def text(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [])
    return [body]


class Slow:
    """A value whose text takes its time: the access log asks for it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = threading.Event()

    def __str__(self) -> str:
        self.asked.set()
        time.sleep(self.seconds)
        return "slow"


class Broken:
    def __init__(self, problem: BaseException) -> None:
        self.problem = problem

    def __str__(self) -> str:
        raise self.problem


class Pausing(logging.Handler):
    """A log that takes its time over one line, as a full pipe or a slow disk does."""

    def __init__(self, line: str, until: threading.Event) -> None:
        super().__init__()
        self.line = line
        self.until = until
        self.reached = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.line in record.getMessage():
            self.reached.set()
            self.until.wait(5)


# What the application does to its environ


def test_a_blocking_application_may_empty_its_environ() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(0.05)  # the baton is lost: the route is learned afterwards
        environ.clear()
        return text(start_response, b"done")

    with serve(app, threads=2) as url, Client(url) as client:
        for _ in range(3):
            assert client.get().body == b"done"


def test_a_blocking_application_may_put_anything_into_its_environ() -> None:
    script = """
import time
from pronghorn.testing import serve
from tests.support.raw import Client
def app(environ, start_response):
    time.sleep(0.05)
    environ["PATH_INFO"] = environ["REQUEST_METHOD"] = 1
    start_response("200 OK", [])
    return [b"done"]
with serve(app) as url, Client(url) as client:
    for _ in range(3):
        assert client.get().body == b"done"
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=30, check=False)
    assert done.returncode == 0  # -11: a bytes of the environ was read as if it were a str


# The access log runs Python, between the end of a call and the return of its connection


def test_a_connection_is_not_read_before_its_response_is_sent(tmp_path: Path) -> None:
    slow = Slow(0.3)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/first":
            time.sleep(0.05)
            environ["slow"] = slow
            return text(start_response, b"first")
        return text(start_response, environ["PATH_INFO"].encode())

    bound = listener()
    with (
        serve_engine(app, [bound], access=AccessLog("%({slow}e)s", str(tmp_path / "log"))),
        Client(url_of(bound)) as client,
    ):
        client.get("/warm")
        client.request("/first")
        assert slow.asked.wait(5)
        client.request("/second")
        assert [client.read_response().body for _ in range(2)] == [b"first", b"/second"]


def test_bodies_in_files_are_never_read_as_requests() -> None:
    """Closing a spool file lets other threads run: the connection is not theirs before its response is sent."""
    size = 300_000
    body = bytes(size)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        length = len(environ["wsgi.input"].read())
        time.sleep(0.003)
        return text(start_response, str(length).encode())

    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    until = time.monotonic() + 10
    wrong: list[object] = []

    def work() -> None:
        while time.monotonic() < until and not wrong:
            try:
                with Client(url) as client:
                    sender = threading.Thread(target=client.send, args=((head + body) * 30,))
                    sender.start()
                    wrong.extend(r for _ in range(30) if (r := client.read_response()).body != str(size).encode())
                    sender.join()
            except OSError as error:
                wrong.append(error)

    with serve(app, body_memory=65536, threads=4) as url:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_drain_does_not_close_before_the_response_is_sent(tmp_path: Path) -> None:
    slow = Slow(0.3)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/first":
            time.sleep(0.05)
            environ["slow"] = slow
        return text(start_response, b"first")

    bound = listener()
    with serve_engine(app, [bound], access=AccessLog("%({slow}e)s", str(tmp_path / "log"))) as engine:
        client = Client(url_of(bound))
        client.get("/warm")
        client.request("/first")
        assert slow.asked.wait(5)
        engine.drain()
        assert client.read_response().body == b"first"
        client.socket.close()


@pytest.mark.parametrize("problem", [ValueError("no text"), SystemExit(1)], ids=repr)
def test_an_access_log_that_fails_costs_no_response(tmp_path: Path, problem: BaseException) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["odd"] = Broken(problem)
        return text(start_response, b"answered")

    bound = listener()
    with (
        serve_engine(app, [bound], access=AccessLog("%({odd}e)s", str(tmp_path / "log"))),
        Client(url_of(bound)) as client,
    ):
        client.socket.settimeout(3)
        assert client.get().body == b"answered"


# The deadline of a request


def late_app(returned: threading.Event, release: threading.Event) -> Callable[..., list[bytes]]:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/late":
            try:
                release.wait(8)
                return text(start_response, b"late")
            finally:
                returned.set()
        if environ["PATH_INFO"] == "/work":
            for _ in range(30):
                time.sleep(0.02)
        return text(start_response, b"hello")

    return app


def test_a_call_that_returns_while_its_deadline_is_logged_is_answered_once() -> None:
    release, returned, logged = threading.Event(), threading.Event(), threading.Event()
    log = logging.getLogger("pronghorn.error")
    pausing = Pausing("setting `timeout`", logged)
    log.addHandler(pausing)
    try:
        with serve(late_app(returned, release), timeout=0.5, threads=2) as url, Client(url) as late:
            late.request("/late")
            assert pausing.reached.wait(5)
            release.set()
            assert returned.wait(5)
            response = late.read_response()  # the call came back first: its answer, or the 504, but one of them
            logged.set()
            late.socket.settimeout(1.5)
            assert response.status in (200, 504)
            rest = b""
            try:
                rest = late.socket.recv(1000)
            except (TimeoutError, ConnectionResetError):
                rest = b""
            assert rest == b""
    finally:
        logged.set()
        release.set()
        log.removeHandler(pausing)


def test_a_deadline_never_sends_one_peer_the_response_of_another() -> None:
    release, returned, logged, end = (threading.Event() for _ in range(4))
    plain = late_app(returned, release)
    log = logging.getLogger("pronghorn.error")
    pausing = Pausing("setting `timeout`", logged)
    log.addHandler(pausing)
    said = threading.Event()

    def secret() -> Iterator[bytes]:
        yield b"secret"
        said.set()
        end.wait(5)  # what is behind the last yield

    def app(environ: Environ, start_response: StartResponse) -> Any:
        if environ["PATH_INFO"] == "/secret":
            start_response("200 OK", [("Content-Length", "6")])
            return secret()
        return plain(environ, start_response)

    bound = listener()
    try:
        with (
            serve_engine(app, [bound], timeout=0.5, threads=1) as engine,
            Client(url_of(bound)) as late,
            Client(url_of(bound)) as other,
        ):
            late.request("/late")
            wait_for(lambda: "1 of 1" in repr(engine), "the first call")
            other.request("/secret")
            wait_for(lambda: "1 requests queued" in repr(engine), "the second request to be queued")
            assert pausing.reached.wait(5)
            release.set()
            assert late.read_response().status == 504
            logged.set()
            assert said.wait(5)
            late.socket.settimeout(2)
            stray = b""
            try:
                stray = late.socket.recv(1000)
            except (TimeoutError, ConnectionResetError):
                stray = b""
            end.set()
            assert b"secret" not in stray
            assert other.read_response().body == b"secret"
    finally:
        for event in (release, logged, end):
            event.set()
        log.removeHandler(pausing)


def test_request_timeout_is_never_raised_in_a_later_request() -> None:
    release, returned, logged = threading.Event(), threading.Event(), threading.Event()
    log = logging.getLogger("pronghorn.error")
    pausing = Pausing("setting `timeout`", logged)
    log.addHandler(pausing)
    try:
        with serve(late_app(returned, release), timeout=2.0, threads=3) as url, Client(url) as late:
            late.request("/late")
            assert pausing.reached.wait(5)
            release.set()
            assert late.read_response().status == 504
            logged.set()
            innocents = [Client(url) for _ in range(3)]
            for innocent in innocents:
                innocent.request("/work")
            assert [innocent.read_response().status for innocent in innocents] == [200, 200, 200]
            for innocent in innocents:
                innocent.socket.close()
    finally:
        logged.set()
        release.set()
        log.removeHandler(pausing)


# Threads


def test_a_thread_that_cannot_be_started_costs_no_request() -> None:
    """As in a container at its pids limit. A stack no machine has room for makes the real call fail."""

    script = """
import threading, time
from pronghorn.testing import serve
from tests.support.raw import Client
def app(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [])
    return [b"done"]
with serve(app, threads=4) as url:
    threading.stack_size(1 << 46)
    clients = [Client(url) for _ in range(3)]
    for client in clients:
        client.socket.settimeout(4)
        client.request()
    for client in clients:
        assert client.read_response().body == b"done"
        client.socket.close()
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:].decode()


def test_engines_that_are_stopped_leave_no_thread_behind() -> None:
    before = set(threading.enumerate())

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(0.003)
        return text(start_response, b"")

    for _ in range(50):
        bound = listener()
        with (
            serve_engine(app, [bound], threads=8) as engine,
            Client(url_of(bound)) as one,
            Client(url_of(bound)) as two,
        ):
            one.request()
            two.request()
            one.read_response()
            engine.stop()
            engine.join(5)
    wait_for(lambda: set(threading.enumerate()) <= before, "the threads of the stopped engines to end", 5)


def test_a_drain_ends_with_the_last_response() -> None:
    """The thread that sends it has no baton: whoever leads must hear of it, and not at the next tick of a second."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(0.3)
        return text(start_response, b"last")

    bound = listener()
    with serve_engine(app, [bound]) as engine, Client(url_of(bound)) as client:
        client.request("/", "Connection: close")
        wait_for(lambda: "1 of 8" in repr(engine), "the call")
        engine.drain()
        assert client.read_response().body == b"last"
        began = time.monotonic()
        assert engine.join(5)
        assert time.monotonic() - began < 0.3


# Bodies and responses that are cut


def test_an_unsent_100_continue_does_not_escape_the_deadlines() -> None:
    bound = listener()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        return text(start_response, bytes(12000))

    with serve_engine(app, [bound], body_timeout=0.3, send_timeout=0.3, keepalive=0.3, header_timeout=0.3) as engine:
        client = Client(url_of(bound), receive_buffer=2048)
        get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send(5 * get + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        wait_for(lambda: engine.requests_answered >= 5, "the first requests to be answered")
        wait_for(lambda: engine.connections_open == 0, "the connection to be closed", 5)
        client.socket.close()


def test_a_body_behind_unsent_responses_is_read_when_they_are_sent() -> None:
    bound = listener()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        return text(start_response, bytes(12000) if environ["REQUEST_METHOD"] == "GET" else b"taken")

    with serve_engine(app, [bound]) as engine, Client(url_of(bound), receive_buffer=2048) as client:
        client.socket.settimeout(3)
        get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send(5 * get + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wait_for(lambda: engine.requests_answered >= 5, "the first requests to be answered")
        for _ in range(5):
            assert len(client.read_response().body) == 12000
        client.send(b"67890")
        assert client.read_response().body == b"taken"


def test_a_cut_response_of_http_10_is_reset_although_the_peer_asked_for_keep_alive() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("no second")

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return pieces()

    with serve(app) as url, Client(url) as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.is_reset()  # an orderly end would make `first` a complete body


def test_a_response_of_http_10_that_is_not_taken_in_time_is_reset() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return iter([bytes(8 << 20)])

    bound = listener()
    with serve_engine(app, [bound], send_timeout=0.3) as engine, Client(url_of(bound), receive_buffer=4096) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        wait_for(lambda: engine.requests_answered == 1 and engine.connections_open == 0, "the connection to be closed")
        assert client.is_reset()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_endless_response_ends_when_nothing_more_of_it_can_be_sent(method: str) -> None:
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        while len(asked) < 2000:
            asked.append(1)
            time.sleep(0.001)
            yield b"tick"

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "8")] if method == "GET" else [])
        return pieces()

    with serve(app) as url, Client(url) as client:
        client.get(method=method)
        assert client.get(method=method).status == 200
    assert len(asked) < 100


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_endless_body_where_none_is_allowed_ends(status: str) -> None:
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        while len(asked) < 2000:
            asked.append(1)
            time.sleep(0.001)
            yield b"tick"

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response(status, [])
        return pieces()

    with serve(app) as url, Client(url) as client:
        client.get()
    assert len(asked) < 100
