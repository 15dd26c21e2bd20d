"""The deadline of a request (`timeout`): who is told, and what it costs the others."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

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
