"""The scoreboard: what a worker writes into it, and what others read there."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pronghorn.engine import scoreboard
from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.testing import serve_engine
from tests.engine.test_connections import listener, url_of
from tests.support.apps import Environ, StartResponse, hello
from tests.support.raw import Client, wait_for


class Held:
    """An application whose calls of `/held…` last until they are released."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"].startswith("/held"):
            assert self.release.wait(20)
        return hello(environ, start_response)


@pytest.fixture
def held() -> Iterator[Held]:
    app = Held()
    yield app
    app.release.set()


def test_a_new_board_is_free_and_serves() -> None:
    board = Scoreboard(3)
    assert board.serving
    assert [board.slot(index).state for index in range(3)] == [scoreboard.FREE] * 3
    board.serving = False
    assert not board.serving
    with pytest.raises(IndexError):
        board.slot(3)
    with pytest.raises(ValueError, match="0 rows"):
        Scoreboard(0)


def test_a_request_in_flight_shows_what_it_is(held: Held) -> None:
    bound = listener()
    with (
        serve_engine(held, [bound], threads=2) as engine,
        Client(url_of(bound)) as client,
        Client(url_of(bound)) as two,
    ):
        assert client.get("/before").status == 200
        client.request("/held/a%20b%0A?token=secret", method="DELETE")
        running = wait_for(engine.slot.running, "the call")
        assert len(running) == 1
        assert (running[0].method, running[0].path, running[0].client) == ("DELETE", "/held/a%20b%0A", "127.0.0.1")
        assert re.fullmatch(r"[0-9a-f]+-1-2", running[0].request_id)  # the second request of the first connection
        assert running[0].thread in {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
        wait_for(lambda: engine.slot.running()[0].age > 0.2, "its age")
        two.request("/held/" + "x" * 1000)
        wait_for(lambda: len(engine.slot.running()) == 2, "the second call")
        oldest, younger = engine.slot.running()
        assert oldest.age > younger.age
        assert younger.path == ("/held/" + "x" * 1000)[:224]
        assert "DELETE /held/a%20b%0A, " in str(oldest)
        assert "secret" not in str(oldest)
        assert len(engine.running()) == engine.requests_running == 2
        held.release.set()
        assert client.read_response().status == two.read_response().status == 200
        wait_for(lambda: not engine.slot.running(), "no call to be left")
        assert engine.requests_running == 0


def test_a_request_is_called_as_a_trusted_proxy_calls_it(held: Held, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
        bound.listen()
        names = ["A-1_b.c:d/e+f=@~", "x" * 128, "x" * 129, "a b", 'a"b', "\xe9"]
        with serve_engine(held, [bound], threads=8) as engine:
            clients = [Client(f"unix://{path}") for _ in names]
            for number, (client, name) in enumerate(zip(clients, names, strict=True)):
                client.request(f"/held/{number}", f"X-Request-ID: {name}")
            wait_for(lambda: len(engine.slot.running()) == len(names), "all calls")
            found = {int(one.path[6:]): one.request_id for one in engine.slot.running()}
            held.release.set()
            for client in clients:
                assert client.read_response().status == 200
                client.socket.close()
    assert [found[0], found[1]] == names[:2]
    assert all(re.fullmatch(r"[0-9a-f]+-[0-9a-f]+-1", found[number]) for number in range(2, len(names)))


def test_an_untrusted_peer_does_not_choose_the_name_of_its_request(held: Held) -> None:
    bound = listener()
    with serve_engine(held, [bound]) as engine, Client(url_of(bound)) as client:
        client.request("/held", "X-Request-ID: mine")
        (running,) = wait_for(engine.slot.running, "the call")
        assert running.request_id != "mine"
        held.release.set()
        assert client.read_response().status == 200


def test_the_counters_of_a_row(held: Held) -> None:
    bound = listener()
    with (
        serve_engine(held, [bound], threads=1) as engine,
        Client(url_of(bound)) as first,
        Client(url_of(bound)) as next_,
    ):
        row = engine.slot
        request = b"GET /held HTTP/1.1\r\nHost: test\r\n\r\n"
        first.send(request)
        wait_for(row.running, "the first call")
        next_.send(request)
        wait_for(lambda: (row.queued, row.active, row.connections) == (1, 1, 2), f"one call, one waiting: {row!r}")
        held.release.set()
        answer = first.read_response()
        next_.read_response()
        wait_for(lambda: row.requests == 2, "both requests to be counted")
        assert row.received == 2 * len(request)
        assert row.sent == 2 * (len(answer.head) + len(answer.body))
        wait_for(lambda: (row.queued, row.active) == (0, 0), "rest")
        assert 1 <= row.threads <= 2


def test_sent_bytes_are_counted_whichever_way_they_leave(tmp_path: Path) -> None:
    size = 3_000_000
    (tmp_path / "file").write_bytes(bytes(size))

    def app(environ: Environ, start_response: StartResponse) -> object:
        start_response("200 OK", [("Content-Length", str(size))])
        if environ["PATH_INFO"] == "/file":
            return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
        return [bytes(size)]

    for path in ("/file", "/list"):
        bound = listener()
        with serve_engine(app, [bound]) as engine, Client(url_of(bound)) as client:
            answer = client.get(path)
            wait_for(lambda: engine.slot.sent == len(answer.head) + size, f"{path}: {engine.slot.sent}")  # noqa: B023


def test_the_row_of_a_worker_that_died_inside_a_call_is_clean_for_the_next(held: Held) -> None:
    bound = listener()
    with serve_engine(held, [bound]) as engine, Client(url_of(bound)) as client:
        client.request("/held")
        wait_for(engine.slot.running, "the call")
        engine.slot.claim(1234, 7)
        row = engine.slot
        assert (row.pid, row.generation, row.state, row.threads) == (1234, 7, scoreboard.BOOTING, 0)
        assert row.running() == []
        held.release.set()
        assert client.read_response().status == 200


def test_another_process_never_reads_half_of_a_call() -> None:
    """A reader in a process of its own, while two peers' requests, alike in nothing, run on the same threads."""
    board, bound = Scoreboard(1), listener()
    kinds = {"GET": "/a" * 100, "OPTIONS": "/" + "b" * 30}

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        return hello(environ, start_response)

    reader, writer = os.pipe()
    with serve_engine(app, [bound], slot=board.slot(0)):
        child = os.fork()
        if child == 0:
            os.write(writer, read_calls(board, kinds).encode())
            os._exit(0)
        os.close(writer)
        with Client(url_of(bound)) as one:
            end = time.monotonic() + 20
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                if time.monotonic() > end:
                    os.kill(child, signal.SIGKILL)
                for method, path in kinds.items():
                    assert one.get(path, method=method).status == 200
        verdict = os.read(reader, 1000).decode()
    os.close(reader)
    assert verdict == "both were seen, whole"


def read_calls(board: Scoreboard, kinds: dict[str, str]) -> str:
    seen: set[str] = set()
    end = time.monotonic() + 2
    while time.monotonic() < end or len(seen) < len(kinds):
        for call in board.slot(0).running():
            if kinds.get(call.method) != call.path or call.client != "127.0.0.1":
                return f"torn: {call!r}"
            seen.add(call.method)
        if time.monotonic() > end + 10:
            return f"only {seen} were seen"
    return "both were seen, whole"
