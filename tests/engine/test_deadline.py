"""The deadline of a request (`timeout`): who is told, and what it costs the others."""

import contextlib
import ctypes
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pronghorn
from pronghorn.engine import scoreboard
from pronghorn.errors import RequestTimeout
from pronghorn.testing import serve, serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for


def test_a_late_request_gets_504_its_stack_is_logged_and_its_thread_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] != "/late":
            return hello(environ, start_response)
        try:
            while True:
                time.sleep(0.01)
        except RequestTimeout as error:
            told.append(error)
            raise

    with caplog.at_level(logging.ERROR), serve(app, timeout=0.5, threads=1) as url:
        with Client(url) as late, Client(url) as neighbour:
            late.request("/late")
            response = late.read_response()
            assert response.status == 504
            assert response.closes
            assert late.is_closed()
            assert neighbour.get().body == b"hello"
        wait_for(lambda: told, "the exception in the application")
    assert "/late" in caplog.text
    assert "time.sleep(0.01)" in caplog.text


def test_a_late_response_that_has_begun_is_cut() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        while True:
            time.sleep(0.01)

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return pieces()

    with serve(app, timeout=0.5) as url, Client(url) as client:
        client.request()
        with pytest.raises(ConnectionError):
            client.read_response()


def test_a_cut_response_of_unknown_length_cannot_be_taken_for_whole() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        while True:
            time.sleep(0.01)

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return pieces()

    with serve(app, timeout=0.5) as url, Client(url) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.read_until(b"first")
        assert client.is_reset()


def test_a_stream_that_makes_progress_may_last_longer_than_the_deadline() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.2)  # the subject of this test is time
            yield b"piece"

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return pieces()

    with serve(app, timeout=1.0) as url, Client(url) as client:
        assert client.get().body == b"piece" * 8


def test_a_thread_that_does_not_come_back_has_the_worker_replaced() -> None:
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            release.wait()  # one C call: the exception cannot reach it
        return hello(environ, start_response)

    bound = listener()
    with serve_engine(app, [bound], timeout=0.3) as engine:
        with Client(url_of(bound)) as client:
            assert client.get("/stuck").status == 504
        assert not engine.wants_recycling
        wait_for(lambda: engine.wants_recycling, "the worker to ask for a replacement", 15)
        assert "past its deadline" in (engine.recycling_reason or "")
        with Client(url_of(bound)) as client:
            assert client.get().body == b"hello"
        release.set()


def test_timeout_0_is_no_deadline() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(2.5)  # longer than two checks
        return hello(environ, start_response)

    with serve(app, timeout=0) as url, Client(url) as client:
        assert client.get().body == b"hello"


# The application's own deadline


def test_an_application_may_allow_itself_more_time() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        pronghorn.timeout(10)
        time.sleep(0.8)  # longer than the deadline that is set
        return hello(environ, start_response)

    with serve(app, timeout=0.3) as url, Client(url) as client:
        assert client.get().body == b"hello"


def test_an_application_may_allow_itself_less_time(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["pronghorn.set_timeout"](0.2)
        while True:
            time.sleep(0.01)

    with serve(app) as url, Client(url) as client:
        began = time.monotonic()
        assert client.get().status == 504
        assert time.monotonic() - began < 5  # the deadline that is set is 30 s
    assert "0.2 s (setting `timeout`, changed by the application)" in caplog.text


def test_timeout_0_switches_the_deadline_of_this_request_off_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/free":
            pronghorn.timeout(0)
        time.sleep(0.8)
        return hello(environ, start_response)

    with serve(app, timeout=0.3, threads=1) as url, Client(url) as client, Client(url) as second:
        assert client.get("/free").status == 200
        assert second.get("/bound").status == 504
    assert "/free" not in caplog.text


def test_a_deadline_can_be_set_where_none_is() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        pronghorn.timeout(0.2)
        while True:
            time.sleep(0.01)

    with serve(app, timeout=0) as url, Client(url) as client:
        assert client.get().status == 504


def test_at_the_end_of_a_block_the_deadline_is_what_it_was() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        with pronghorn.timeout(0):
            time.sleep(0.8)
        time.sleep(0.8 if environ["PATH_INFO"] == "/late" else 0)
        return hello(environ, start_response)

    with serve(app, timeout=0.4) as url, Client(url) as client, Client(url) as second:
        assert client.get().status == 200
        assert second.get("/late").status == 504


def test_a_block_that_ends_after_its_request_changes_no_other() -> None:
    kept: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/first":
            kept.append(pronghorn.timeout(0.2).__enter__())
        else:
            pronghorn.timeout(0)
            kept.pop().__exit__(None, None, None)
            time.sleep(0.8)
        return hello(environ, start_response)

    with serve(app, timeout=0.3, threads=1) as url, Client(url) as client:
        assert client.get("/first").status == 200
        assert client.get("/second").status == 200


def test_the_deadline_is_each_threads_own() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        pronghorn.timeout(0.3 if environ["PATH_INFO"] == "/short" else 10)
        time.sleep(1.0)
        return hello(environ, start_response)

    with serve(app) as url:
        clients = {path: Client(url) for path in ("/short", "/a", "/b")}
        for path, client in clients.items():
            client.request(path)
        answers = {path: client.read_response().status for path, client in clients.items()}
        for client in clients.values():
            client.socket.close()
    assert answers == {"/short": 504, "/a": 200, "/b": 200}


def test_a_timeout_outside_of_a_request_is_an_error_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="only in the thread in which Pronghorn calls the application"):
        pronghorn.timeout(1)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        told: list[str] = []

        def elsewhere() -> None:
            try:
                pronghorn.timeout(1)
            except RuntimeError as error:
                told.append(str(error))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        start_response("200 OK", [])
        return [told[0].encode()]

    with serve(app) as url, Client(url) as client:
        assert b"only in the thread" in client.get().body


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), 1e12, "1", None])
def test_a_timeout_that_is_none(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        pronghorn.timeout(wrong)


# What a call may be doing when its deadline passes


LIBC = ctypes.CDLL(None)


def spin() -> None:
    while True:
        pass


def spin_until(end: threading.Event) -> None:
    while not end.is_set():
        pass


def spin_whatever_comes(end: threading.Event) -> None:
    # With the inner loop in here, CPython 3.13.0 has no handler for what is raised at the loop's jump back.
    while not end.is_set():
        with contextlib.suppress(BaseException):
            spin_until(end)


@pytest.mark.parametrize("how", ["sleep", "c_call", "socket", "spin"])
def test_only_the_late_request_fails(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the late one is doing, its neighbours are answered all the while."""
    ours, theirs = socket.socketpair()
    ways: dict[str, Callable[[], object]] = {
        "sleep": lambda: time.sleep(4),
        "c_call": lambda: LIBC.sleep(4),
        "socket": lambda: theirs.recv(1),
        "spin": spin,
    }

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/late":
            ways[how]()
        return hello(environ, start_response)

    with ours, theirs, serve(app, timeout=0.5, threads=4) as url, Client(url) as late, Client(url) as neighbour:
        began = time.monotonic()
        late.request("/late")
        wait_for(lambda: neighbour.get().body == b"hello" and time.monotonic() - began > 1.5, "a time of good answers")
        assert late.read_response().status == 504
        ours.send(b"x")
    assert re.search(r"GET /late \(request [0-9a-f]+-1-1, client 127.0.0.1\) runs for 0\.[5-9] s", caplog.text)
    assert "in app\n" in caplog.text


def test_a_call_that_ignores_the_exception_has_the_worker_replaced() -> None:
    end = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/stubborn":
            spin_whatever_comes(end)
        return hello(environ, start_response)

    bound = listener()
    with serve_engine(app, [bound], timeout=0.3, threads=4) as engine:
        engine.slot.state = scoreboard.READY
        with Client(url_of(bound)) as client:
            assert client.get("/stubborn").status == 504
        wait_for(lambda: engine.wants_recycling, "the worker to ask for a replacement", 20)
        assert engine.slot.state == scoreboard.STUCK
        assert "/stubborn" in (engine.recycling_reason or "")
        with Client(url_of(bound)) as client:
            assert client.get().body == b"hello"
        # The drain waits for others, not for this one.
        engine.drain()
        assert engine.join(10)
        end.set()


def test_many_deadlines_at_once() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/late":
            while True:
                time.sleep(0.01)
        return hello(environ, start_response)

    with serve(app, timeout=0.5, threads=16) as url:
        clients = [Client(url) for _ in range(16)]
        for client in clients:
            client.request("/late")
        assert [client.read_response().status for client in clients] == [504] * 16
        for client in clients:
            client.socket.close()
        with Client(url) as client:
            assert client.get().body == b"hello"


def test_waiting_in_the_queue_does_not_count() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(0.4)
        return hello(environ, start_response)

    with serve(app, timeout=0.7, threads=1) as url:
        clients = [Client(url) for _ in range(4)]
        for client in clients:
            client.request()
        assert [client.read_response().status for client in clients] == [200] * 4  # the last one waits for 1.2 s
        for client in clients:
            client.socket.close()


def test_a_short_deadline_is_kept() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        while True:
            time.sleep(0.01)

    with serve(app, timeout=0.2) as url, Client(url) as client:
        began = time.monotonic()
        assert client.get().status == 504
        assert 0.2 <= time.monotonic() - began < 0.9
