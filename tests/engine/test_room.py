"""Caps: memory for bodies and responses, room for spool files, turns of pipelined requests, silent connections."""

import contextlib
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pronghorn.testing import serve_engine
from tests.support.apps import Body, Environ, StartResponse, hello
from tests.support.raw import Client, wait_for

KIB = 1024
MIB = 1024 * KIB
BLOCK = bytes(range(256)) * 256


def app(environ: Environ, start_response: StartResponse) -> Any:
    """The body; or a response of some MiB, in one piece, as a stream or with a file behind it."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [])
    if path == "/large":
        return [BLOCK * 128]
    if path == "/stream":
        return (BLOCK for _ in range(128))
    return [environ["wsgi.input"].read()]


LARGE = BLOCK * 128


@contextlib.contextmanager
def served(application: Any = app, **options: Any) -> Iterator[tuple[Any, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    with serve_engine(application, [listener], **options) as engine:
        yield engine, f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
        wait_for(lambda: (engine.slot.buffered, engine.slot.spooled) == (0, 0), "nothing to be kept")


def begin_body(url: str, size: int, sent: int) -> Client:
    client = Client(url)
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + BLOCK[:sent])
    return client


def test_rule_49_nothing_is_reserved_for_a_length(tmp_path: Path) -> None:
    """Neither memory nor disk, however many say that much is to come, in a length or in a chunk."""
    framings = (b"Content-Length: 999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3b9ac9ff\r\n")
    heads = [b"POST / HTTP/1.1\r\nHost: x\r\n" + framing for framing in framings] * 100
    with (
        served(spool_dir=str(tmp_path), limit_request_body=10**9) as (engine, url),
        contextlib.ExitStack() as stack,
    ):
        before = addresses()
        clients = [stack.enter_context(Client(url)) for _ in heads]
        for client, head in zip(clients, heads, strict=True):
            client.send(head)
        wait_for(lambda: engine.slot.received == sum(map(len, heads)), "every head to have arrived")
        with Client(url) as client:  # a turn of the loop
            assert client.get().status == 200
        assert (engine.slot.buffered, engine.slot.spooled) == (0, 0)
        for client in clients:
            client.send(b"x")
        wait_for(lambda: engine.slot.buffered >= len(clients), "an octet of each body")
        assert engine.slot.buffered <= len(clients) * 4 * KIB
        assert engine.slot.spooled == 0
        assert addresses() - before < 100 * MIB


def addresses() -> int:
    """Octets of addresses that this process has asked for, used or not."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_beyond_half_of_the_memory_bodies_are_spooled_however_small(tmp_path: Path) -> None:
    with served(buffer_memory=64 * KIB, spool_dir=str(tmp_path)) as (engine, url), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(begin_body(url, 10_000, 9_000)) for _ in range(20)]
        wait_for(lambda: engine.slot.spooled, "bodies in files")
        wait_for(lambda: engine.slot.received >= 20 * 9_000, "all to have arrived")
        time.sleep(0.02)
        assert engine.slot.buffered <= 32 * KIB
        assert engine.slot.spooled + engine.slot.buffered >= 20 * 9_000
        for client in clients:
            client.send(BLOCK[9_000:10_000])
            assert client.read_response().body == BLOCK[:10_000]


def test_bodies_beyond_the_spool_limit_are_answered_507(tmp_path: Path) -> None:
    with served(body_memory=0, spool_limit=100_000, spool_dir=str(tmp_path)) as (engine, url):
        with begin_body(url, 60_000, 50_000) as first:
            wait_for(lambda: engine.slot.spooled == 50_000, "the first body")
            with begin_body(url, 60_000, 60_000) as second:
                response = second.read_response()
                assert (response.status, response.closes) == (507, True)
            first.send(BLOCK[50_000:60_000])
            assert first.read_response().body == BLOCK[:60_000]
        assert engine.slot.incidents["no_storage"] == 1
        wait_for(lambda: engine.slot.spooled == 0, "its file to be given back, which is behind the answer")
        with begin_body(url, 60_000, 60_000) as third:
            assert third.read_response().status == 200


@pytest.mark.parametrize("path", ["/large", "/stream"])
def test_beyond_the_memory_responses_are_spooled(path: str, tmp_path: Path) -> None:
    """And neither does anybody wait for the slow ones, nor do they get anything else than they would have got."""
    options = {"buffer_memory": 64 * KIB, "spool_dir": str(tmp_path), "threads": 1}
    with served(**options) as (engine, url), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Client(url, receive_buffer=4096)) for _ in range(4)]
        for client in slow:
            client.request(path)
        wait_for(lambda: engine.slot.spooled > 8 * MIB, "responses in files")
        with Client(url) as good:
            assert good.get(method="POST", body=b"good").body == b"good"
        wait_for(lambda: engine.slot.buffered <= 256 * KIB, "the last of them to be written")
        for client in slow:
            client.hurry()
            assert client.read_response().body == LARGE
            assert client.get(method="POST", body=b"next").body == b"next"


def test_a_stream_gives_its_thread_back_when_another_request_needs_it(tmp_path: Path) -> None:
    """Its client takes nothing; with memory to spare, and threads, it would wait for it."""
    streams: list[Body] = []

    def one(environ: Environ, start_response: StartResponse) -> Any:
        if environ["PATH_INFO"] != "/stream":
            return hello(environ, start_response)
        start_response("200 OK", [])
        streams.append(Body(BLOCK for _ in range(128)))
        return streams[-1]

    with served(one, threads=2, spool_dir=str(tmp_path)) as (_, url), contextlib.ExitStack() as stack:
        good = stack.enter_context(Client(url))
        first, second = (stack.enter_context(Client(url, receive_buffer=4096)) for _ in range(2))
        first.request("/stream")
        wait_for(lambda: streams and streams[0].given, "the stream to begin")
        assert good.get().body == b"hello"
        assert streams[0].given < 128  # a thread is free, so that this one may wait
        second.request("/stream")
        for _ in range(20):
            assert good.get().body == b"hello"
        wait_for(lambda: 128 in [stream.given for stream in streams], "one of the streams to be put aside")
        first.hurry()
        assert first.read_response().body == LARGE


def test_a_stream_keeps_no_room_for_what_its_client_has_taken(tmp_path: Path) -> None:
    """One that is never caught up with, as an export of many GiB to somebody far away, whatever its length."""
    ahead, pieces = 8, 144
    wanted = threading.Semaphore(ahead)
    given: list[int] = []

    def one(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [("Content-Length", str(pieces * MIB))])
        for number in range(pieces):
            wanted.acquire()
            yield bytes([number]) * MIB
            given.append(number)

    with served(one, threads=1, spool_dir=str(tmp_path)) as (engine, url), Client(url, receive_buffer=64 * KIB) as slow:
        slow.request("/")
        slow.read_until(b"\r\n\r\n")
        most = 0
        for number in range(pieces):
            wait_for(lambda: len(given) == min(pieces, number + ahead), "the stream to be ahead")  # noqa: B023
            most = max(most, engine.slot.spooled)
            assert slow.read_exactly(MIB) == bytes([number]) * MIB
            wanted.release()
        assert ahead // 2 * MIB < most < 82 * MIB


def test_without_memory_and_files_no_request_is_read_until_clients_have_taken_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"buffer_memory": 64 * KIB, "spool_dir": str(tmp_path / "missing"), "threads": 2}
    with served(**options) as (engine, url), Client(url, receive_buffer=4096) as slow, Client(url) as other:
        assert other.get(method="POST", body=b"before").body == b"before"
        slow.request("/large")
        wait_for(lambda: engine.slot.incidents["no_storage"], "the response to be too large")
        other.request(method="POST", body=b"after")
        with Client(url) as fresh:
            fresh.request(method="POST", body=b"fresh")
            wait_for(lambda: engine.slot.incidents["held_back"] == 2, "both to be held back")
            slow.hurry()
            assert slow.read_response().body == LARGE
            assert other.read_response().body == b"after"
            assert fresh.read_response().body == b"fresh"
    said = r"Cannot spool a response, which keeps its memory .+ \(settings `spool_dir`, `spool_limit`\): .+/missing/"
    assert re.search(said, caplog.text)


def test_pipelined_requests_do_not_keep_others_waiting() -> None:
    """Thousands of requests in one packet are served a few at a time, others in between."""
    answered = []
    begun = threading.Event()

    def note(environ: Environ, start_response: StartResponse) -> list[bytes]:
        answered.append(environ["PATH_INFO"])
        if len(answered) == 1:
            begun.set()
            time.sleep(0.0005)
        return hello(environ, start_response)

    with served(note) as (_, url), Client(url) as flood, Client(url) as good:
        assert good.get("/first").body == b"hello"
        answered.clear()
        flood.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n" * 4000)
        assert begun.wait(5)
        assert good.get("/good").body == b"hello"
        assert answered.index("/good") < 3900
        for _ in range(4000):
            assert flood.read_response().body == b"hello"


def test_pipelined_requests_are_not_read_faster_than_they_are_served() -> None:
    release = threading.Event()

    def wait(environ: Environ, start_response: StartResponse) -> list[bytes]:
        assert release.wait(10)
        return hello(environ, start_response)

    with served(wait) as (engine, url), Client(url) as flood:
        flood.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            flood.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000_000)
        # One request is parsed and runs; what was read once waits, and the rest stays with the client.
        assert engine.slot.received <= 512 * KIB
        release.set()


def test_at_the_cap_a_connection_that_has_said_nothing_for_long_makes_room() -> None:
    with served(hello, worker_connections=2) as (engine, url), contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Client(url)) for _ in range(2)]
        wait_for(lambda: engine.connections_open == 2, "the cap")
        began = time.monotonic()
        with Client(url) as good:
            assert good.get().body == b"hello"
        assert 4 < time.monotonic() - began < 10
        assert silent[0].is_closed()
        assert engine.slot.incidents["full"] >= 1
        assert engine.slot.incidents["evicted"] == 1
