"""What becomes of a response while its thread is elsewhere: in close(), the next request, with a slow peer or disk."""

import contextlib
import gc
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pronghorn.apps.hooked import Hooked
from pronghorn.apps.wsgi import WSGI
from pronghorn.engine.loop import Engine
from pronghorn.options import EngineOptions, TrustOptions
from pronghorn.testing import serve, serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse
from tests.support.raw import Client, wait_for

MIB = 1 << 20
LARGE = bytes(range(256)) * (8 * MIB // 256)
"""More than the kernel takes for a client that reads nothing."""


class Body:
    """A response in pieces, after a while, whose close() lasts until the test lets it go."""

    def __init__(self, pieces: list[bytes], release: threading.Event) -> None:
        self.pieces = iter(pieces)
        self.release = release

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        time.sleep(0.02)  # the baton is lost here, and the thread does not know
        return next(self.pieces)

    def close(self) -> None:
        assert self.release.wait(10)


@pytest.mark.parametrize("body", [b"end", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("framing", ["chunks", "length"])
def test_the_end_of_a_response_does_not_wait_for_close(body: bytes, framing: str) -> None:
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Body:
        start_response("200 OK", [("Content-Length", str(len(body)))] if framing == "length" else [])
        return Body([body], release)

    with serve(app, send_buffer=64 * MIB) as url, Client(url, receive_buffer=4096) as client:
        client.socket.settimeout(2)
        client.request()
        client.read_until(b"\r\n\r\n")
        client.hurry()
        try:
            assert (client.read_exactly(len(body)) if framing == "length" else client.read_chunks()) == body
        finally:
            release.set()


def test_what_is_left_of_a_response_does_not_wait_for_the_hook_behind_it() -> None:
    release, bound, options = threading.Event(), listener(), EngineOptions()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [LARGE]

    def post_request(*_: Any) -> None:
        assert release.wait(10)

    inner = WSGI(app, options, [bound], trust=TrustOptions(), errors=None, multithread=True)
    engine = Engine(Hooked(inner, None, None, post_request), [bound], options)
    url = url_of(bound)
    engine.start()
    try:
        with Client(url, receive_buffer=4096) as client:
            client.socket.settimeout(2)
            client.request()
            client.read_until(b"\r\n\r\n")
            client.hurry()
            assert client.read_exactly(len(LARGE)) == LARGE
    finally:
        release.set()
        engine.drain()
        assert engine.join(10)


PAGE = bytes(range(250)) * 60
PAGES = 4
"""So many are small enough to wait in the thread's buffer for the next response of their connection."""


def ask(client: Client, last: str) -> None:
    """Some pages, and at once what comes after them."""
    client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path for path in [b"/"] * PAGES + [last.encode()]))


def read_pages(client: Client) -> None:
    for _ in range(PAGES):
        assert client.read_response().body == PAGE


@contextlib.contextmanager
def narrow(app: Any, **options: Any) -> Iterator[Client]:
    """A client of a server whose kernel takes less than all PAGES of its responses."""
    bound = listener()
    bound.setsockopt(1, 7, 4096)  # SOL_SOCKET, SO_SNDBUF
    with serve_engine(app, [bound], **options), Client(url_of(bound), receive_buffer=4096) as client:
        client.socket.settimeout(2)
        yield client


def test_what_is_left_of_a_response_does_not_wait_for_the_next_request() -> None:
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        assert environ["PATH_INFO"] != "/wait" or release.wait(10)
        start_response("200 OK", [])
        return [PAGE]

    with narrow(app) as client:
        ask(client, "/wait")
        try:
            read_pages(client)
        finally:
            release.set()
        assert client.read_response().body == PAGE


def test_what_is_left_of_a_response_does_not_wait_for_a_request_that_is_queued() -> None:
    """The one behind it is known to compute, and another one does."""
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        end = time.monotonic() + 0.01
        while environ["PATH_INFO"] == "/compute" and time.monotonic() < end:
            pass
        while environ["QUERY_STRING"] and not release.is_set():
            pass
        start_response("200 OK", [])
        return [PAGE]

    with narrow(app) as client, Client(f"http://127.0.0.1:{client.socket.getpeername()[1]}") as other:
        for _ in range(8):
            assert other.get("/compute").body == PAGE
        other.request("/compute?until")
        try:
            wait_for(lambda: client.get().body == PAGE, "an answer beside it")
            ask(client, "/compute")
            read_pages(client)
        finally:
            release.set()
        assert client.read_response().body == PAGE
        assert other.read_response().body == PAGE


def test_a_response_is_not_overtaken_by_the_next_while_the_collector_runs() -> None:
    """It may run whenever a list is made, finalizers let other threads run, and what a thread had said is being put
    aside by the next leader just then."""
    reached, late = threading.Event(), set()

    def linger(phase: str, _: Any) -> None:
        name = threading.current_thread().name
        if phase == "start" and late and name.startswith("pronghorn-") and name not in late:
            late.clear()
            reached.set()
            time.sleep(0.6)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/wait":
            return [PAGE]
        late.add(threading.current_thread().name)
        gc.disable()
        kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]
        gc.set_threshold(1)
        gc.enable()
        time.sleep(0.4)  # who makes the next object that the collector counts is the next leader
        return [b"last" for _ in kept[:1]]

    threshold = gc.get_threshold()
    gc.callbacks.append(linger)
    try:
        with narrow(app) as client:
            ask(client, "/wait")
            time.sleep(0.3)  # making nothing that the collector counts
            read_pages(client)
            assert client.read_response().body == b"last"
    finally:
        gc.callbacks.remove(linger)
        gc.set_threshold(*threshold)


def test_a_peer_that_is_slow_is_not_the_applications_silence() -> None:
    """Although the call was silent for nearly all of its time before, and the wait for the peer goes on in slices."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(2 * len(LARGE)))])
        time.sleep(0.8)
        yield LARGE
        yield LARGE

    with serve(app, threads=4, timeout=1) as url, Client(url, receive_buffer=4096) as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        time.sleep(0.5)
        client.hurry()
        assert client.read_exactly(2 * len(LARGE)) == LARGE + LARGE


def test_a_slow_disk_for_what_a_peer_does_not_take_is_not_the_applications_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_file = tempfile.TemporaryFile

    def open_slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return open_file(*args, **options)

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(len(LARGE)))])
        for at in range(0, len(LARGE), MIB):
            yield LARGE[at : at + MIB]

    monkeypatch.setattr(tempfile, "TemporaryFile", open_slowly)
    bound = listener()
    options = {"threads": 1, "timeout": 0.2, "buffer_memory": 64 << 10, "send_buffer": 64 << 10}
    with serve_engine(app, [bound], **options) as engine, Client(url_of(bound), receive_buffer=4096) as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        time.sleep(0.4)
        client.hurry()
        assert client.read_exactly(len(LARGE)) == LARGE
        wait_for(lambda: engine.slot.spooled == engine.slot.buffered == 0, "the room to be free")


def test_calls_that_compute_do_not_wait_for_one_that_waits_for_its_peer(tmp_path: Path) -> None:
    """It has computed as well, and can be put aside to no file."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        end = time.monotonic() + 0.03
        while time.monotonic() < end:
            pass
        start_response("200 OK", [("Content-Length", str(len(LARGE)))])
        if environ["PATH_INFO"] == "/stream":
            return (piece for piece in (LARGE,))  # type: ignore[return-value]
        return [LARGE]

    options = {"threads": 4, "spool_dir": str(tmp_path / "missing")}
    with serve(app, **options) as url, Client(url) as other, Client(url, receive_buffer=4096) as client:  # type: ignore[arg-type]
        for _ in range(4):
            assert other.get("/compute").body == LARGE
        client.request("/stream")
        client.read_until(b"\r\n\r\n")
        other.socket.settimeout(2)
        assert other.get("/compute").body == LARGE
        client.hurry()
        assert client.read_exactly(len(LARGE)) == LARGE


def test_a_stop_ends_a_response_without_end_although_its_peer_takes_nothing() -> None:
    given = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        while len(given) < 2000:
            given.append(1)
            yield LARGE

    bound = listener()
    with serve_engine(app, [bound], threads=2) as engine, Client(url_of(bound), receive_buffer=4096) as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        engine.stop()
        assert engine.join(10)
        wait_for(lambda: engine.calls_inside == 0, "the call to end")
    assert len(given) < 10
