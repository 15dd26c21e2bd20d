"""A worker that waits uses no CPU, whatever it waits for: nothing turns gevent's hub in vain."""

import gc
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.apps import Environ, StartResponse, hello
from tests.support.process import Server
from tests.support.raw import Client, wait_for

import gevent
from pronghorn.engine.loop import Engine
from pronghorn.testing import serve

APP = """
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hold":
        time.sleep(60)
    if path == "/stubborn":
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return (bytes(100_000) for _ in range(10_000))
    if path == "/large":
        return [bytes(50_000_000)]
    return [b"hello"]
"""

SLICE = 0.3
"""Seconds; a worker that waits wakes some times in it, for its heart and for signals."""
LEAST = 0.05
"""The share of a core that is taken for turning; waiting takes a thousandth."""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Server]:
    (tmp_path / "app.py").write_text(APP)
    return lambda *arguments: Server(tmp_path, "-k", "gevent", "-w", "1", *arguments, "app:app")


def cpu_of(pid: int) -> float:
    """Seconds of CPU that all threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rests(pid: int) -> None:
    """Waits until a process has used no CPU worth the name for a while; one that turns never comes to it."""

    def a_slice() -> bool:
        used, began = cpu_of(pid), time.monotonic()
        time.sleep(SLICE)
        return cpu_of(pid) - used < LEAST * (time.monotonic() - began)

    wait_for(a_slice, f"process {pid} to rest")


def worker_of(server: Server) -> int:
    (pid,) = server.workers()
    return pid


def kept_alive(client: Client) -> None:
    assert client.get().body == b"hello"


def half_a_request(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n1234")


def stops_reading_a_stream(client: Client) -> None:
    client.request("/stream")
    client.read_exactly(10_000)


def stops_reading_a_large_body(client: Client) -> None:
    client.request("/large")
    client.read_exactly(10_000)


def leaves_while_the_handler_waits(client: Client) -> None:
    client.request("/hold")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def closes_its_half_while_the_handler_waits(client: Client) -> None:
    client.request("/hold")
    client.socket.shutdown(socket.SHUT_WR)


def sends_on_while_the_handler_waits(client: Client) -> None:
    client.request("/hold")
    client.request("/hold")
    client.send(bytes(100_000))


STATES = (
    kept_alive,
    half_a_request,
    stops_reading_a_stream,
    stops_reading_a_large_body,
    leaves_while_the_handler_waits,
    closes_its_half_while_the_handler_waits,
    sends_on_while_the_handler_waits,
)


def test_a_worker_rests_beside_clients_in_every_state(start: Callable[..., Server]) -> None:
    with start().ready(1) as server, ExitStack() as clients, Client(server.url) as idle:
        assert idle.get().body == b"hello"
        pid = worker_of(server)
        rests(pid)
        for state in STATES:
            for _ in range(5):
                state(clients.enter_context(Client(server.url)))
            print(state.__name__)
            rests(pid)
        assert server.get() == (200, "hello")
        server.signal(signal.SIGTERM)
        assert idle.is_closed()
        rests(pid)


def test_a_worker_rests_at_its_connection_limit(start: Callable[..., Server]) -> None:
    with start("--worker-connections", "2").ready(1) as server, ExitStack() as clients:
        for _ in range(4):
            clients.enter_context(Client(server.url)).request("/hold")
        rests(worker_of(server))


def test_a_worker_rests_beside_a_greenlet_that_is_stuck(start: Callable[..., Server]) -> None:
    with start("--timeout", "1").ready(1) as server, Client(server.url) as client:
        assert client.get("/stubborn").status == 504
        rests(worker_of(server))


def engines() -> int:
    gc.collect()
    return sum(issubclass(type(found), Engine) for found in gc.get_objects())  # Django has objects that mind isinstance


def test_nothing_is_left_of_an_engine_in_greenlets() -> None:
    """Neither it nor its thread nor its hub, although a greenlet of the application's goes on."""
    went_on = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        went_on.append(gevent.spawn_later(3600, went_on.clear))
        return hello(environ, start_response)

    before = engines(), set(threading.enumerate())
    with serve(app, worker_class="gevent") as url, Client(url) as client:
        assert client.get().body == b"hello"
    assert (engines(), set(threading.enumerate())) == before
    assert went_on
