"""`min_rate`: a client that sends or takes too slowly makes no progress that counts; one that is only slow survives."""

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pronghorn.testing import serve_engine
from tests.support.apps import Environ, StartResponse
from tests.support.raw import Client, wait_for

MIB = 1 << 20


def app(environ: Environ, start_response: StartResponse) -> Any:
    """What was sent; 8 MiB in one piece; a stream of 8 MiB; or a stream that takes its time."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [])
    if path == "/large":
        return [bytes(8 * MIB)]
    if path == "/stream":
        return (bytes(MIB) for _ in range(8))
    if path == "/slow":
        return slow_stream()
    return [environ["wsgi.input"].read()]


def slow_stream() -> Iterator[bytes]:
    for _ in range(4):
        yield b"x"
        time.sleep(0.4)  # the application is the slow one


@contextlib.contextmanager
def served(**options: Any) -> Iterator[tuple[Any, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    with serve_engine(app, [listener], **options) as engine:
        yield engine, f"http://127.0.0.1:{listener.getsockname()[1]}"


def drip(client: Client, size: int, every: float, seconds: float) -> float:
    """Sends pieces at a steady rate until there is an answer; how long that took."""
    began = time.monotonic()
    client.socket.settimeout(every)
    while time.monotonic() - began < seconds:
        client.send(b"x" * size)
        with contextlib.suppress(TimeoutError):
            if client.socket.recv(1, socket.MSG_PEEK):
                break
    client.socket.settimeout(15)
    return time.monotonic() - began


def test_rule_61_a_body_that_drips_is_answered_408_although_it_never_stands_still() -> None:
    with served(body_timeout=0.5, min_rate=1000) as (engine, url), Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert 0.4 < drip(client, 5, 0.05, 10) < 3
        response = client.read_response()
        assert (response.status, response.closes) == (408, True)
        assert engine.slot.incidents["late_body"] == 1


def test_rule_61_a_chunked_body_that_drips_is_answered_408() -> None:
    with served(body_timeout=0.5, min_rate=1000) as (engine, url), Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n")
        drip(client, 5, 0.05, 10)
        assert client.read_response().status == 408
        assert engine.slot.incidents["late_body"] == 1


@pytest.mark.parametrize(("rate", "size"), [(1000, 200), (0, 5)])
def test_rule_61_a_body_that_is_slow_but_not_too_slow_is_taken(rate: int, size: int) -> None:
    with served(body_timeout=0.5, min_rate=rate) as (_, url), Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (30 * size))
        for _ in range(30):
            time.sleep(0.05)  # the subject of this test is time
            client.send(b"x" * size)
        assert client.read_response().body == b"x" * (30 * size)


def test_a_stall_can_be_made_up_for() -> None:
    with served(body_timeout=1, min_rate=1000) as (_, url), Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2100\r\n\r\n")
        for size in (1, 1000, 99, 1000):  # at the first it is behind, at the second no more
            time.sleep(0.4)
            client.send(b"x" * size)
        assert client.read_response().body == b"x" * 2100


def test_a_fast_start_pays_for_one_timeout_and_no_more() -> None:
    with served(body_timeout=0.5, min_rate=1000) as (_, url), Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + bytes(MIB))
        time.sleep(0.1)
        client.send(bytes(MIB))
        assert drip(client, 5, 0.05, 10) < 4  # on average it is far ahead
        assert client.read_response().status == 408


READ = {
    # In one piece the loop drains it, without a thread; of a stream the thread waits until another one is needed.
    "/large": {"threads": 1},
    "/stream": {"threads": 4},
}


def sip(client: Client, size: int, seconds: float, ends: Callable[[], int]) -> int:
    """Takes a response at `size` bytes in 50 ms until `ends` is true, at most so long; how many bytes that were."""
    until, taken = time.monotonic() + seconds, 0
    while time.monotonic() < until and not ends():
        time.sleep(0.05)
        with contextlib.suppress(ConnectionResetError):
            taken += len(client.socket.recv(size))
    return taken


@pytest.mark.parametrize("path", READ)
def test_rule_61_a_response_that_is_sipped_is_cut(path: str) -> None:
    with served(send_timeout=0.5, min_rate=MIB, **READ[path]) as (engine, url):
        client = Client(url, receive_buffer=4096)
        client.request(path)
        sip(client, 2000, 10, lambda: engine.slot.incidents["late_reader"])
        assert engine.slot.incidents["late_reader"] == 1
        assert client.is_reset()


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("rate", [1000, 0])
def test_rule_61_a_slow_reader_is_not_cut(path: str, rate: int) -> None:
    """The kernel holds so much for it that the loop hears nothing of it for many times `send_timeout`."""
    with served(send_timeout=0.5, min_rate=rate, **READ[path]) as (engine, url):
        with Client(url, receive_buffer=4096) as client:
            client.request(path, "Connection: close")
            taken = sip(client, 2000, 2, lambda: engine.slot.incidents["late_reader"])
            client.hurry()
            while data := client.socket.recv(MIB):
                taken += len(data)
            assert taken >= 8 * MIB
        assert engine.slot.incidents["late_reader"] == 0


@pytest.mark.parametrize("path", READ)
def test_a_reader_that_stands_still_is_cut(path: str) -> None:
    with (
        served(send_timeout=0.5, min_rate=0, **READ[path]) as (engine, url),
        Client(url, receive_buffer=4096) as client,
    ):
        client.request(path)
        wait_for(lambda: engine.slot.incidents["late_reader"] == 1, "the reader to be given up")
        wait_for(lambda: engine.connections_open == 0, "the connection to be closed")


def test_a_slow_application_is_not_the_fault_of_its_client() -> None:
    with served(send_timeout=0.5, min_rate=MIB) as (engine, url), Client(url) as client:
        client.request("/slow")
        assert client.read_response().body == b"xxxx"
        assert client.get("/", method="POST", body=b"next").body == b"next"
        assert engine.slot.incidents["late_reader"] == 0


@contextlib.contextmanager
def slow_client_of(*parts: bytes, **options: int) -> Iterator[tuple[Client, Iterator[threading.Event]]]:
    """A client that has read the head of a stream, whose last two parts are said once their events are set."""
    gates = [threading.Event(), threading.Event()]

    def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(sum(map(len, parts))))])
        blocks = len(parts) - len(gates)
        yield from parts[:blocks]
        for gate, part in zip(gates, parts[blocks:], strict=True):
            assert gate.wait(10)
            yield part

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serve_engine(stream, [listener], **options), Client(url, receive_buffer=4096) as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        client.hurry()
        yield client, iter(gates)


@pytest.mark.parametrize(
    "options", [{"send_buffer": 64 * MIB}, {"threads": 1}, {"threads": 1, "send_buffer": 64 * MIB}]
)
def test_what_a_stream_has_said_is_sent_while_it_thinks(options: dict[str, int]) -> None:
    """PEP 3333: "continue transmission even while the application is producing its next block"; from a file as well."""
    with slow_client_of(bytes(4 * MIB), bytes(8 * MIB), b"event", b"last", **options) as (client, gates):
        assert client.read_exactly(12 * MIB) == bytes(12 * MIB)
        next(gates).set()
        assert client.read_exactly(5) == b"event"
        next(gates).set()
        assert client.read_exactly(4) == b"last"


def test_a_slow_disk_keeps_the_octets_of_a_stream_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the loop sends for a stream is not put aside to a file at the same time, nor the other way round."""
    blocks = [bytes([65 + number]) * (number + 1) * MIB for number in range(4)]
    opened = threading.Event()
    open_file = tempfile.TemporaryFile

    def open_slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.3)  # without the interpreter lock, as a disk does; meanwhile the client takes some
        opened.set()
        return open_file(*args, **options)

    def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from blocks

    monkeypatch.setattr(tempfile, "TemporaryFile", open_slowly)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serve_engine(stream, [listener], threads=1, send_buffer=4 * MIB), Client(url, receive_buffer=4096) as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        wanted = b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks)
        assert client.read_exactly(100_000) == wanted[:100_000]
        assert opened.wait(10)
        client.hurry()
        assert client.read_exactly(len(wanted) - 100_000) == wanted[100_000:]


def test_what_a_stream_says_after_a_stall_does_not_wait_for_more() -> None:
    """Of what a client had no room for, the rest is sent before the next piece, however small that is."""
    with slow_client_of(bytes(5 * MIB), b"event", b"last", send_buffer=64 * MIB) as (client, gates):
        client.read_exactly(MIB)
        next(gates).set()
        assert client.read_exactly(4 * MIB + 5).endswith(b"event")
        next(gates).set()
        assert client.read_exactly(4) == b"last"
