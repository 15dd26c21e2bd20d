"""What clients do wrong and what runs short: counted by kind, and told at its level, in one line however often it is.

The first of a kind has a line at once; the others have one together when ten seconds are over, or the worker leaves.
"""

import contextlib
import logging
import os
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pronghorn.testing import serve_engine
from tests.support.apps import Environ, StartResponse
from tests.support.raw import Client, wait_for
from tests.support.sanitized import unless_sanitized

KIB = 1024
TIMES = 3
"""How many of each kind."""

GOES_ON = {"full", "no_descriptor"}
"""The server tries again by itself, until what causes them is over."""

LOG = "pronghorn.error"


class Scene:
    """A server, and the clients that make it note what they do."""

    def __init__(self, engine: Any, url: str, release: threading.Event) -> None:
        self.engine, self.url, self.release = engine, url, release
        self.clients: list[Client] = []

    def client(self, first: bytes = b"", *, receive_buffer: int | None = None) -> Client:
        """One that has connected and sent this."""
        self.clients.append(Client(self.url, receive_buffer=receive_buffer))
        self.clients[-1].send(first)
        return self.clients[-1]

    def each(self, first: bytes) -> None:
        """As many clients as there are to be incidents, each with this."""
        for _ in range(TIMES):
            self.client(first)


def read_slowly(scene: Scene) -> None:
    for _ in range(TIMES):
        scene.client(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096)


def leave(scene: Scene) -> None:
    for _ in range(TIMES):
        scene.client(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").socket.close()


def ask_for_busy_threads(scene: Scene) -> None:
    hold(scene)
    with scene.client() as flood:
        flood.request("/queued")
        wait_for(lambda: scene.engine.slot.queued == 1, "the queue to be full")
        scene.each(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: scene.engine.slot.incidents["turned_away"] == TIMES, "them to be turned away")
        scene.release.set()
        assert flood.read_response().status == 200


def hold(scene: Scene) -> None:
    scene.client(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: scene.engine.slot.active == 1, "a request inside the application")


def come_at_the_cap(scene: Scene) -> None:
    """Accepting pauses and is tried again: each time is one of its kind."""
    hold(scene)
    scene.client()
    wait_for(lambda: scene.engine.slot.incidents["full"] >= TIMES, "it to be found full again and again")
    scene.release.set()


def make_room(scene: Scene) -> None:
    for _ in range(TIMES + 1):
        assert scene.client().get().status == 200


def take_all_descriptors(scene: Scene) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets = [socket.socket() for _ in range(2)]
    host, port = scene.url.removeprefix("http://").split(":")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        for sock in sockets:
            sock.connect((host, int(port)))
        wait_for(lambda: scene.engine.slot.incidents["no_descriptor"] >= TIMES, "nothing to accept with")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for sock in sockets:
            sock.close()


def take_all_memory(scene: Scene) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGESIZE") + (24 << 20)
    before = resource.getrlimit(resource.RLIMIT_AS)
    for _ in range(TIMES):
        client = scene.client(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        wait_for(lambda: scene.engine.connections_open, "its connection")
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
        try:
            with contextlib.suppress(ConnectionError):
                for _ in range(1600):
                    client.socket.sendall(bytes(64 * KIB))
            assert client.read_response().status == 500
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


def fill_memory_and_disk(scene: Scene) -> None:
    slow = scene.client(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096)
    wait_for(lambda: scene.engine.slot.incidents["no_storage"], "the response to be too large")
    scene.each(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: scene.engine.slot.incidents["held_back"] == TIMES, "them to be held back")
    slow.hurry()
    assert len(slow.read_response().body) == 4 << 20


def send(first: bytes) -> Callable[[Scene], None]:
    """A cause: clients that send this and wait."""
    return lambda scene: scene.each(first)


POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
NO_FILES = {"buffer_memory": 64 * KIB, "spool_dir": "/nowhere"}


@dataclass(frozen=True)
class Kind:
    """One kind of incident: its level, what it says, what causes it, and with which settings.

    Arguments:
        beside: another kind that the same cause may have.
    """

    level: int
    says: str
    cause: Callable[[Scene], None]
    settings: dict[str, Any] = field(default_factory=dict)
    beside: str = ""


KINDS = {
    "refused": Kind(
        logging.INFO, r"Refused a request of 127\.0\.0\.1: 400, .+", send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    ),
    "late_head": Kind(
        logging.INFO, r"127\.0\.0\.1 sent a request too slowly: 408 \(`header_timeout`\)", send(b"GET /"),
        {"header_timeout": 0.2},
    ),
    "late_body": Kind(
        logging.INFO, r"127\.0\.0\.1 sent a request too slowly: 408 \(`body_timeout`, `min_rate`\)", send(POST % 9),
        {"body_timeout": 0.2},
    ),
    "late_reader": Kind(
        logging.INFO, r"127\.0\.0\.1 took nothing of a response for 0\.3 s \(setting `send_timeout`\): closed",
        read_slowly, {"send_timeout": 0.3, "min_rate": 0},
    ),
    "left": Kind(logging.DEBUG, r"127\.0\.0\.1 left in the middle of a request or a response", leave),
    "turned_away": Kind(
        logging.WARNING, r"GET / was answered 503: no thread was free for it \(.+\)", ask_for_busy_threads,
        {"threads": 1, "queue_limit": 1},
    ),
    "full": Kind(
        logging.WARNING, r"All 1 connections are in use \(setting `worker_connections`\): .+", come_at_the_cap,
        {"worker_connections": 1},
    ),
    "evicted": Kind(
        logging.DEBUG, r"127\.0\.0\.1 was idle longest and made room for another", make_room,
        {"worker_connections": 1}, beside="full",
    ),
    "no_descriptor": Kind(
        logging.ERROR, r"Cannot accept connections: Too many open files \(ulimit -n is 3\)\. .+", take_all_descriptors
    ),
    "no_storage": Kind(
        logging.ERROR, r"Cannot spool a request body: .+: 507", send(POST % 9 + b"wholebody"),
        {"body_memory": 0, "spool_dir": "/nowhere"},
    ),
    "no_memory": Kind(
        logging.ERROR, r"No memory for a request body", take_all_memory,
        {"body_memory": 1 << 30, "buffer_memory": 4 << 30},
    ),
    "held_back": Kind(
        logging.WARNING, r"Unsent responses take up \d+ bytes of memory \(setting `buffer_memory`\), .+",
        fill_memory_and_disk, NO_FILES, beside="no_storage",
    ),
    "silent": Kind(
        logging.DEBUG, r"127\.0\.0\.1 connected and said nothing: closed", send(b""), {"header_timeout": 0.2}
    ),
}  # fmt: skip


@contextlib.contextmanager
def served(**options: Any) -> Iterator[Scene]:
    """The scene; at its end its clients are gone, then its server."""
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/hold":
            assert release.wait(10)
        start_response("200 OK", [])
        return [bytes(4 << 20) if path == "/large" else b"hello"]

    listener = socket.create_server(("127.0.0.1", 0))
    with serve_engine(app, [listener], **options) as engine:
        scene = Scene(engine, f"http://127.0.0.1:{listener.getsockname()[1]}", release)
        try:
            yield scene
        finally:
            release.set()
            for client in scene.clients:
                client.socket.close()


def lines(caplog: pytest.LogCaptureFixture, kind: Kind) -> list[str]:
    """What was told of a kind, each at its level."""
    told = [record for record in caplog.records if re.match(kind.says, record.getMessage())]
    assert {record.levelno for record in told} <= {kind.level}
    return [record.getMessage() for record in told]


def of(name: str) -> Any:
    """A kind as a parameter."""
    marks = unless_sanitized("a process then has terabytes of addresses, whatever RLIMIT_AS says")
    return pytest.param(name, marks=marks) if name == "no_memory" else name


def caused(name: str) -> int:
    """Causes a kind of incident so often, and no other; what was counted in the end."""
    kind = KINDS[name]
    with served(**kind.settings) as scene:
        assert list(scene.engine.slot.incidents) == list(KINDS)
        kind.cause(scene)
        wait_for(lambda: scene.engine.slot.incidents[name] >= TIMES, "all of them")
    counted = scene.engine.slot.incidents
    assert {found for found, number in counted.items() if number} <= {name, kind.beside}
    assert counted[name] == TIMES or name in GOES_ON
    return counted[name]


@pytest.mark.parametrize("name", [of(name) for name, kind in KINDS.items() if kind.level > logging.DEBUG])
def test_a_kind_is_counted_and_told_once_and_the_rest_of_it_as_the_worker_leaves(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG)
    number = caused(name)
    first, rest = lines(caplog, KINDS[name])
    assert re.fullmatch(KINDS[name].says, first)
    assert rest.endswith(f" (the last of {number - 1} since the line before)")
    assert "since the line before" not in first


@pytest.mark.parametrize("name", [*(name for name, kind in KINDS.items() if kind.level == logging.DEBUG), "refused"])
def test_at_level_debug_each_has_a_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG)
    number = caused(name)
    told = lines(caplog, KINDS[name])
    assert len(told) == number
    assert all(re.fullmatch(KINDS[name].says, line) for line in told)


@pytest.mark.parametrize(("name", "level"), [("left", logging.INFO), ("refused", logging.WARNING)])
def test_what_is_below_the_level_is_only_counted(name: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, LOG)
    assert caused(name)
    assert not lines(caplog, KINDS[name])


def test_the_page_names_each_kind_with_its_level() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| (debug|info|warning|error) \| (`.+?) \|", page, re.MULTILINE)
    named = [(kind, level.upper()) for level, kinds in rows for kind in re.findall(r"`(\w+)`", kinds)]
    assert sorted(named) == sorted((name, logging.getLevelName(kind.level)) for name, kind in KINDS.items())


def test_the_rest_of_a_burst_is_told_when_ten_seconds_are_over(caplog: pytest.LogCaptureFixture) -> None:
    """Although nobody says anything any more."""
    caplog.set_level(logging.INFO, LOG)
    kind = KINDS["refused"]
    with served() as scene:
        began = time.monotonic()
        kind.cause(scene)
        wait_for(lambda: len(lines(caplog, kind)) == 1, "the first")
        first = time.monotonic()
        wait_for(lambda: len(lines(caplog, kind)) == 2, "the others", seconds=15)
        assert time.monotonic() - began > 10
        assert time.monotonic() - first < 12  # the loop looks at its clock once a second
        assert lines(caplog, kind)[1].endswith(f" (the last of {TIMES - 1} since the line before)")
    assert len(lines(caplog, kind)) == 2
