"""`environ["pronghorn.disconnected"]`: a handler that works for long learns that nobody waits for its answer."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for

import pronghorn
from pronghorn.testing import serve


class Working:
    """An application that works until its client is gone, and says what it saw of it."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.seen: list[bool] = []
        self.go = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] != "/work":
            return hello(environ, start_response)
        self.seen.append(environ["pronghorn.disconnected"]())
        self.inside.set()
        began = time.monotonic()
        while time.monotonic() - began < 10 and not self.go.is_set():
            if environ["pronghorn.disconnected"]():
                self.seen.append(True)
                break
            time.sleep(0.01)
        start_response("200 OK", [])
        return [b"done"]


def reset(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def half_close(client: Client) -> None:
    client.socket.shutdown(socket.SHUT_WR)


def end(client: Client) -> None:
    client.socket.close()


@pytest.mark.parametrize("leave", [end, reset, half_close], ids=lambda way: way.__name__)
@pytest.mark.parametrize("behind", [b"", b"GET /behind HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /beh"])
def test_it_is_seen(leave: Callable[[Client], None], behind: bytes) -> None:
    app = Working()
    with serve(app) as url:
        client = Client(url)
        client.request("/work")
        assert app.inside.wait(10)
        client.send(behind)
        leave(client)
        wait_for(lambda: app.seen == [False, True], "the handler to see it")
        with Client(url) as other:
            assert other.get().body == b"hello"


def test_who_has_closed_its_half_only_is_still_answered() -> None:
    app = Working()
    with serve(app) as url, Client(url) as client:
        client.request("/work")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_response().body == b"done"


def test_who_waits_is_there() -> None:
    app = Working()
    with serve(app) as url, Client(url) as client:
        client.send(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /behind HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert app.inside.wait(10)
        app.go.set()
        assert client.read_response().body == b"done"
        for _ in range(3):
            assert client.read_response().body == b"hello"
    assert app.seen == [False]


def test_a_stream_can_ask_and_so_can_the_package() -> None:
    seen = []

    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        yield b"x"
        while not pronghorn.disconnected():
            time.sleep(0.01)
        seen.append(environ["pronghorn.disconnected"]())

    with serve(app) as url:
        with Client(url) as client:
            client.request()
            client.read_until(b"x")
        wait_for(lambda: seen == [True], "the stream to end")


def test_outside_of_a_request_it_cannot_be_asked() -> None:
    with pytest.raises(RuntimeError, match="only in the thread"):
        pronghorn.disconnected()
