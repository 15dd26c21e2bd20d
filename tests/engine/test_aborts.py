"""Clients that leave at every byte of a request and of a response, nothing stays, and each body closes once."""

import contextlib
import ctypes
import gc
import os
import random
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pronghorn.testing import serve_engine
from tests.support.apps import Body, Environ, StartResponse
from tests.support.raw import Client, wait_for

PIECES = [b"first", b"second", b"third"]
REQUEST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
CHUNKED = b"POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"


class Application:
    """Answers with a body that counts its `close()` calls, framed as the path says."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.gate = threading.Event()
        self.file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - as long as the application
        self.file.write(b"".join(PIECES))
        self.file.flush()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        kind = environ["PATH_INFO"]
        assert environ["wsgi.input"].read() == b"12345"
        start_response("200 OK", [("Content-Length", "16")] if kind == "/length" else [])
        if kind == "/file":
            return environ["wsgi.file_wrapper"](Counted(self.bodies, self.file.name))
        if kind == "/list":
            return PIECES
        if kind == "/wait":
            self.gate.wait()
            return PIECES
        self.bodies.append(Body(iter(PIECES)))
        return self.bodies[-1]


class Counted:
    """A file of the application's whose `close()` is counted."""

    def __init__(self, bodies: list[Body], path: str) -> None:
        self.raw = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115
        self.fileno, self.tell, self.read = self.raw.fileno, self.raw.tell, self.raw.read
        self.count = Body(())
        bodies.append(self.count)

    def close(self) -> None:
        self.raw.close()
        self.count.close()


def reset(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def end(client: Client) -> None:
    client.socket.close()


def half(client: Client) -> None:
    client.socket.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        client.read_to_end()
    client.socket.close()


WAYS = (reset, end, half)


@contextlib.contextmanager
def served(app: Any) -> Iterator[tuple[Any, str]]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    with serve_engine(app, [listener], linger_timeout=0.1) as engine:
        yield engine, f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
        wait_for(lambda: (engine.slot.buffered, engine.slot.spooled) == (0, 0), "nothing to be kept")
        assert engine.running() == []


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("request_", [REQUEST, CHUNKED], ids=["length", "chunked"])
def test_at_every_byte_of_a_request(request_: bytes, leave: Callable[[Client], None]) -> None:
    app = Application()
    data = request_ % b"stream"
    with served(app) as (engine, url):
        for cut in range(len(data) + 1):
            client = Client(url)
            client.send(data[:cut])
            leave(client)
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
        # Whole requests only; and a reset may have been faster than a whole one.
        assert len(app.bodies) <= 1
    assert [body.closed for body in app.bodies] == [1] * len(app.bodies)


@pytest.mark.parametrize("leave", [reset, end], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", ["stream", "length", "list", "file"])
def test_at_every_byte_of_a_response(kind: str, leave: Callable[[Client], None]) -> None:
    app = Application()
    data = REQUEST % kind.encode()
    with served(app) as (engine, url):
        with Client(url) as client:
            client.send(data)
            response = client.read_response()
            assert response.body == b"".join(PIECES)
        whole = len(response.head) + len(response.body) + (20 if kind == "stream" else 0)
        for cut in range(whole):
            client = Client(url)
            client.send(data)
            if cut:
                client.read_exactly(cut)
            leave(client)
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
        assert all(body.closed == 1 for body in app.bodies)
        if cut:
            assert kind == "list" or len(app.bodies) >= whole - 1


@pytest.mark.parametrize("kind", ["stream", "length", "list", "file"])
def test_a_half_close_at_every_byte_of_a_response(kind: str) -> None:
    """The client says no more: it still gets all of it, and the end behind it."""
    app = Application()
    data = REQUEST % kind.encode()
    with served(app) as (_, url):
        with Client(url) as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            whole = len(client.read_to_end())
        for cut in range(whole + 1):
            with Client(url) as client:
                client.send(data)
                begun = client.read_exactly(cut)
                client.socket.shutdown(socket.SHUT_WR)
                answer = begun + client.read_to_end()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert len(answer) == whole, cut
    assert [body.closed for body in app.bodies] == [1] * len(app.bodies)


def test_in_the_middle_of_a_large_response() -> None:
    """One that is drained by the loop, by a thread that waits, or from a file."""
    bodies: list[Body] = []
    block = bytes(1 << 16)
    with tempfile.NamedTemporaryFile() as file:
        file.write(block * 64)
        file.flush()

        def app(environ: Environ, start_response: StartResponse) -> Any:
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/list":
                return [block] * 64
            if environ["PATH_INFO"] == "/file":
                return environ["wsgi.file_wrapper"](Counted(bodies, file.name))
            bodies.append(Body(iter([block] * 64)))
            return bodies[-1]

        with served(app) as (engine, url):
            for number in range(60):
                client = Client(url, receive_buffer=4096)
                client.request(("/list", "/file", "/stream")[number % 3])
                client.read_exactly((1, 100_000)[number % 2])
                (reset, end)[number % 2](client)
            wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
            assert engine.slot.incidents["left"] >= 40
        assert len(bodies) == 40
        wait_for(lambda: all(body.closed == 1 for body in bodies), "each to be closed")


NAMES = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class Heap(ctypes.Structure):
    """What mallinfo2 says."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in NAMES)


def start_all_threads(app: Application, engine: Any, url: str) -> None:
    """Each has a mebibyte, which is no leak."""
    with contextlib.ExitStack() as stack:
        stack.callback(app.gate.set)
        for _ in range(8):
            stack.enter_context(Client(url)).send(REQUEST % b"wait")
        wait_for(lambda: engine.threads_started == 9, "a thread for each call, and one that leads")


def in_use() -> int:
    """Octets of the heap that C has taken."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Heap
    return int(ask().uordblks)


def test_2000_aborts_leave_nothing() -> None:
    """The long form, 100,000 of them: `make faults FAULTS=aborts`."""
    app = Application()
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with served(app) as (engine, url):
        start_all_threads(app, engine, url)
        threads, before, blocks, octets = threading.active_count(), 0, 0, 0
        for number in range(2000):
            client = Client(url)
            data = dice.choice((REQUEST, CHUNKED)) % dice.choice((b"stream", b"length", b"list", b"file"))
            client.send(data[: dice.randrange(len(data) + 1)])
            dice.choice((reset, end))(client)
            if number in {200, 1999}:
                with Client(url) as client:  # behind all others in the accept queue
                    client.send(REQUEST % b"list")
                    assert client.read_response().body == b"".join(PIECES)
                del client
                wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
                assert all(body.closed == 1 for body in app.bodies)
                app.bodies.clear()
                gc.collect()
            if number == 200:
                before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number
                blocks, octets = sys.getallocatedblocks(), in_use()
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
        assert sys.getallocatedblocks() - blocks < 500
        assert in_use() - octets < 65_536
        assert threading.active_count() == threads
    assert all(body.closed == 1 for body in app.bodies)
