"""Streams whose clients are slow: they leave threads to others, wait behind them, and hold none for good."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pronghorn.testing import serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for

BLOCK = bytes(range(256)) * 256
BLOCKS = 64
WHOLE = BLOCK * BLOCKS
THREADS = 4


class Streams:
    """`/stream` says more than a slow client takes, and ends when it is let go; `/hold` keeps its thread until then.

    What begins with `/stream` is the same.
    """

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.release = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.held = 0
        self.order: list[str] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        path = environ["PATH_INFO"]
        if path.startswith("/stream"):
            start_response("200 OK", [("Content-Length", str(len(WHOLE)))])
            return self.blocks()
        self.order.append(path)
        if path == "/compute":
            end = time.monotonic() + 0.03
            while time.monotonic() < end:
                pass
        if path == "/hold":
            self.count(held=1)
            assert self.release.wait(10)
            self.count(held=-1)
        return hello(environ, start_response)

    def blocks(self) -> Iterator[bytes]:
        self.order.append("/stream")
        self.count(inside=1)
        try:
            for _ in range(BLOCKS - 1):
                yield BLOCK
            assert self.gate.acquire(timeout=10)
            yield BLOCK
        finally:
            self.count(inside=-1)

    def count(self, inside: int = 0, held: int = 0) -> None:
        with self.lock:
            self.inside += inside
            self.held += held


class Stage:
    """A server, and clients of it."""

    def __init__(self, stack: contextlib.ExitStack, **options: Any) -> None:
        bound = listener()
        self.stack, self.app, self.url = stack, Streams(), url_of(bound)
        self.engine = stack.enter_context(serve_engine(self.app, [bound], **options))
        stack.callback(self.app.release.set)
        stack.callback(self.app.gate.release, 100)

    def ask(self, path: str) -> Client:
        """One more client; it takes nothing of the response."""
        client = self.stack.enter_context(Client(self.url, receive_buffer=4096))
        client.request(path)
        return client

    def streams(self, count: int) -> list[Client]:
        return [self.ask("/stream") for _ in range(count)]

    def end(self, slow: list[Client]) -> None:
        """Lets streams come to their end, and takes them."""
        self.app.gate.release(len(slow))
        for client in slow:
            client.hurry()
            assert client.read_response().body == WHOLE

    def learn(self, threads: int) -> None:
        """As many streams as there are threads: each is put aside, for others might need its thread."""
        slow = self.streams(threads)
        wait_for(lambda: self.engine.slot.spooled >= threads * len(WHOLE) // 2, "the streams to be put aside")
        self.end(slow)
        wait_for(lambda: self.app.inside == 0 and self.engine.calls_inside == 0, "the streams to end")
        self.app.order.clear()


def whole(client: Client) -> bool:
    """Takes a response: all of it came, or the client can tell that it did not."""
    client.hurry()
    with contextlib.suppress(ConnectionResetError):
        return client.read_response().body == WHOLE
    return False


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as held:
        yield held


def test_streams_that_are_put_aside_leave_half_of_the_threads_to_others(
    stack: contextlib.ExitStack, tmp_path: Any
) -> None:
    stage = Stage(stack, threads=THREADS, spool_dir=str(tmp_path))
    stage.learn(THREADS)
    slow = stage.streams(2 * THREADS)
    wait_for(lambda: stage.engine.slot.queued == 2 * THREADS - THREADS // 2, "the others to wait")
    holds = [stage.ask("/hold") for _ in range(THREADS // 2)]
    wait_for(lambda: stage.app.held == THREADS // 2, "others to have a thread")
    assert stage.app.inside == THREADS // 2
    stage.app.release.set()
    assert [client.read_response().body for client in holds] == [b"hello"] * len(holds)
    stage.end(slow)
    wait_for(lambda: stage.engine.slot.spooled == 0, "the room to be free")


def test_with_one_thread_streams_and_others_take_turns(stack: contextlib.ExitStack, tmp_path: Any) -> None:
    stage = Stage(stack, threads=1, spool_dir=str(tmp_path))
    for _ in range(2):
        stage.learn(1)
    slow = stage.streams(4)
    wait_for(lambda: stage.engine.slot.queued == 3, "the others to wait")
    good = [stage.ask(f"/good/{number}") for number in range(2)]
    wait_for(lambda: stage.engine.slot.queued == 5, "all to wait")
    stage.end(slow)
    assert [client.read_response().body for client in good] == [b"hello"] * 2
    assert stage.app.order == ["/stream", "/good/0", "/stream", "/good/1", "/stream", "/stream"]


def test_streams_that_waited_as_others_are_sorted_when_it_is_their_turn(
    stack: contextlib.ExitStack, tmp_path: Any
) -> None:
    """They came before anybody knew what they are: what comes behind them does not wait for all of them."""
    stage = Stage(stack, threads=2, spool_dir=str(tmp_path))
    slow = stage.streams(6)
    wait_for(lambda: stage.engine.slot.queued == 4, "the others to wait")
    good = stage.ask("/good")
    wait_for(lambda: stage.engine.slot.queued == 5, "it to wait")
    wait_for(lambda: stage.engine.slot.spooled > len(WHOLE), "both to be put aside")
    stage.app.gate.release(2)
    assert good.read_response().body == b"hello"
    assert stage.app.order.index("/good") <= 4
    stage.app.gate.release(4)
    stage.end(slow)


def test_a_stream_that_no_file_takes_is_cut_when_others_need_its_thread(
    stack: contextlib.ExitStack, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pronghorn.error")
    stage = Stage(stack, threads=2, spool_limit=1 << 16, spool_dir=str(tmp_path))
    slow = stage.streams(2)
    wait_for(lambda: stage.engine.slot.incidents["no_storage"] >= 2, "both to find no room")
    assert stage.engine.slot.incidents["late_reader"] == 0
    good = stage.ask("/good")
    assert good.read_response().body == b"hello"
    assert stage.engine.slot.incidents["late_reader"] == 1
    stage.app.gate.release(2)
    assert sorted(whole(client) for client in slow) == [False, True]
    assert "took less than 64 KiB in a second of a stream that no file takes" in caplog.text


def test_a_client_that_takes_some_is_not_cut(stack: contextlib.ExitStack, tmp_path: Any) -> None:
    """Although no file takes the rest, and a request waits: it is no faster than the clients before it."""
    stage = Stage(stack, threads=2, spool_limit=1 << 16, spool_dir=str(tmp_path))
    slow = stage.streams(2)
    wait_for(lambda: stage.engine.slot.incidents["no_storage"] >= 2, "both to find no room")
    good = stage.ask("/good")
    until = time.monotonic() + 2.5  # two looks at what they take
    while time.monotonic() < until:
        time.sleep(0.05)
        for client in slow:
            client.buffer += client.socket.recv(20_000)
    assert stage.engine.slot.incidents["late_reader"] == 0
    stage.end(slow)
    assert good.read_response().body == b"hello"


def test_a_stream_keeps_its_thread_while_others_are_free(stack: contextlib.ExitStack, tmp_path: Any) -> None:
    """Requests that wait because they compute do not wait for it."""
    stage = Stage(stack, threads=4, spool_dir=str(tmp_path))
    with Client(stage.url) as client:
        for _ in range(4):
            assert client.get("/compute").body == b"hello"
    slow = stage.streams(1)
    until = time.monotonic() + 1.5  # longer than a stream without room may keep a thread that is needed
    while time.monotonic() < until:
        for client in [stage.ask("/compute") for _ in range(3)]:
            assert client.read_response().body == b"hello"
    assert stage.engine.slot.spooled == 0
    stage.end(slow)


def test_what_shares_two_segments_with_a_stream_does_not_wait_behind_it(
    stack: contextlib.ExitStack, tmp_path: Any
) -> None:
    stage = Stage(stack, threads=2, spool_dir=str(tmp_path))
    path = "/stream/v1/export"
    first = [stage.ask(path) for _ in range(2)]
    wait_for(lambda: stage.engine.slot.spooled >= len(WHOLE), "the streams to be put aside")
    stage.end(first)
    wait_for(lambda: stage.engine.calls_inside == 0, "the streams to end")
    slow = [stage.ask(path) for _ in range(3)]
    wait_for(lambda: stage.engine.slot.queued == 2, "the others to wait")
    other = stage.ask("/stream/v1/status")
    wait_for(lambda: stage.app.inside == 2, "it to begin")
    stage.end([*slow, other])
