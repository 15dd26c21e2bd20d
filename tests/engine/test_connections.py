"""What the loop does with connections: deadlines, slow and vanished peers, large bodies, the drain."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pronghorn.testing import serve, serve_engine
from tests.support.apps import Body, Environ, StartResponse, hello
from tests.support.raw import Client, wait_for


def echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def url_of(bound: socket.socket) -> str:
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


def reset(client: Client) -> None:
    """Close so that the server gets a reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


# Deadlines


def test_rule_61_a_head_that_does_not_end_is_answered_408() -> None:
    with serve(hello, header_timeout=0.3) as url, Client(url) as client:
        began = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        response = client.read_response()
        assert response.status == 408
        assert response.closes
        assert client.is_closed()
        assert 0.25 <= time.monotonic() - began < 2


def test_rule_61_the_deadline_of_a_head_is_not_moved_by_single_bytes() -> None:
    with serve(hello, header_timeout=0.4) as url, Client(url) as client:
        client.socket.settimeout(0.02)
        began = time.monotonic()
        client.send(b"GET /")
        while time.monotonic() - began < 5:
            client.send(b"a")
            try:
                client.socket.settimeout(0.02)
                if client.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        client.socket.settimeout(5)
        assert client.read_response().status == 408
        assert 0.35 <= time.monotonic() - began < 2


def test_rule_61_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    with serve(hello, header_timeout=0.3) as url, Client(url) as client:
        assert client.is_closed()


def test_rule_61_an_idle_connection_is_closed_after_keepalive() -> None:
    with serve(hello, keepalive=0.3) as url, Client(url) as client:
        assert not client.get().closes
        began = time.monotonic()
        assert client.is_closed()
        assert 0.25 <= time.monotonic() - began < 2


def test_keepalive_0_closes_after_each_response() -> None:
    with serve(hello, keepalive=0) as url, Client(url) as client:
        assert client.get().closes
        assert client.is_closed()


def test_rule_61_a_body_without_progress_is_answered_408_and_never_reaches_the_application() -> None:
    called = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        called.append(environ)
        return hello(environ, start_response)

    with serve(app, body_timeout=0.3) as url, Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        response = client.read_response()
        assert response.status == 408
        assert response.closes
        assert client.is_closed()
    assert called == []


def test_progress_moves_the_deadline_of_a_body() -> None:
    with serve(echo, body_timeout=0.4, min_rate=0) as url, Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.1)  # the subject of this test is time
            client.send(b"x")
        assert client.read_response().body == b"x" * 8


def test_rule_61_a_peer_that_takes_nothing_of_a_response_is_cut_off() -> None:
    body = bytes(8 << 20)
    bound = listener()
    with serve_engine(
        lambda environ, start_response: (start_response("200 OK", []), [body])[1], [bound], send_timeout=0.3
    ) as engine:
        client = Client(url_of(bound), receive_buffer=4096)
        client.request()
        wait_for(lambda: engine.requests_answered == 1, "the request to be answered")
        wait_for(lambda: engine.connections_open == 0, "the connection to be closed")


# Slow peers and large bodies


def test_the_kernel_takes_little_for_a_peer_that_reads_nothing() -> None:
    body = bytes(8 << 20)
    bound = listener()
    with serve_engine(lambda environ, start_response: (start_response("200 OK", []), [body])[1], [bound]) as engine:
        with Client(url_of(bound), receive_buffer=4096) as client:
            client.request()
            wait_for(lambda: engine.requests_answered == 1 and engine.running(), "what the kernel does not take")
            assert int(engine.running()[0].partition(" unsent bytes")[0]) > len(body) - (1 << 20)
            client.hurry()
            assert client.read_response().body == body
        assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_large_response_drains_without_a_thread() -> None:
    body = os.urandom(1 << 20) * 8
    check_that_it_drains_without_a_thread(body, lambda environ: [body])


def test_a_file_drains_without_a_thread(tmp_path: Path) -> None:
    body = os.urandom(1 << 20) * 8
    path = tmp_path / "large"
    path.write_bytes(body)
    check_that_it_drains_without_a_thread(body, lambda environ: environ["wsgi.file_wrapper"](path.open("rb")))


def check_that_it_drains_without_a_thread(body: bytes, answer: Callable[[Environ], Any]) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        if environ["PATH_INFO"] == "/large":
            start_response("200 OK", [])
            return answer(environ)
        return hello(environ, start_response)

    with serve(app, threads=1) as url:
        slow = [Client(url, receive_buffer=4096) for _ in range(2)]
        for client in slow:
            client.request("/large")
        with Client(url) as client:
            for _ in range(20):
                assert client.get().body == b"hello"
        for client in slow:
            client.hurry()
            assert client.read_response().body == body
            assert client.get().body == b"hello"


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(16 << 20))

    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    bound = listener()
    with serve_engine(app, [bound]) as engine:
        client = Client(url_of(bound), receive_buffer=4096)
        client.request()
        wait_for(lambda: engine.requests_answered == 1, "the response to begin")
        os.truncate(path, 0)
        with pytest.raises(ConnectionError):
            client.read_response()


def test_a_generator_waits_for_a_slow_peer_and_others_are_served() -> None:
    pieces = Body(iter([b"x" * 65536] * 200))

    def app(environ: Environ, start_response: StartResponse) -> Any:
        if environ["PATH_INFO"] == "/stream":
            start_response("200 OK", [])
            return pieces
        return hello(environ, start_response)

    with serve(app, threads=2, send_buffer=65536) as url:
        slow = Client(url, receive_buffer=4096)
        slow.request("/stream")
        wait_for(lambda: pieces.given > 0, "the stream to begin")
        with Client(url) as client:
            for _ in range(20):
                assert client.get().body == b"hello"
        assert pieces.given < 200
        slow.hurry()
        assert len(slow.read_response().body) == 200 * 65536
    assert pieces.closed == 1


def test_many_pipelined_requests_are_answered_in_order() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    count = 5000
    with serve(app) as url, Client(url) as client:
        requests = b"".join(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for number in range(count))
        sender = threading.Thread(target=client.send, args=(requests,))
        sender.start()
        for number in range(count):
            assert client.read_response().body == f"/{number}".encode()
        sender.join()


def test_responses_of_pipelined_requests_leave_in_one_segment() -> None:
    with serve(hello) as url, Client(url) as client:
        client.get()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        data = client.socket.recv(1 << 16)
        assert data.count(b"HTTP/1.1 200 OK\r\n") == 10


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole_in_memory_or_in_a_file(size: int, chunked: bool) -> None:
    body = os.urandom(size)
    with serve(echo) as url, Client(url) as client:
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 70_000):
                piece = body[at : at + 70_000]
                client.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            client.send(b"0\r\n\r\n")
        else:
            client.request(method="POST", body=body)
        assert client.read_response().body == body
        assert client.get(method="POST", body=b"next").body == b"next"


def test_a_full_spool_is_answered_507(tmp_path: Path) -> None:
    with serve(echo, spool_dir=str(tmp_path / "missing"), body_memory=10) as url, Client(url) as client:
        client.request(method="POST", body=b"more than ten bytes")
        response = client.read_response()
        assert response.status == 507
        assert response.closes


# Vanished peers


def test_a_reset_at_any_moment_costs_nothing_and_the_body_is_closed_once() -> None:
    bodies: list[Body] = []

    def app(environ: Environ, start_response: StartResponse) -> Any:
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        bodies.append(Body(iter([b"x" * 100_000] * 50)))
        return bodies[-1]

    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
    bound = listener()
    with serve_engine(app, [bound]) as engine:
        for cut in range(len(request) + 1):
            client = Client(url_of(bound), receive_buffer=4096)
            client.send(request[:cut])
            reset(client)
        for taken in (0, 1, 1000, 300_000):
            client = Client(url_of(bound), receive_buffer=4096)
            client.send(request)
            if taken:
                client.read_exactly(taken)
            reset(client)
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")
        with Client(url_of(bound)) as client:
            assert len(client.get(method="POST", body=b"12345").body) == 5_000_000
    assert [body.closed for body in bodies] == [1] * len(bodies)


def test_a_peer_that_closes_its_half_is_still_answered() -> None:
    with serve(hello) as url, Client(url) as client:
        client.request()
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_response().body == b"hello"
        assert client.is_closed()


def test_a_peer_that_leaves_while_its_request_waits_is_forgotten() -> None:
    inside = threading.Event()
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        inside.set()
        assert release.wait(10)
        return hello(environ, start_response)

    bound = listener()
    with serve_engine(app, [bound], threads=1) as engine:
        first = Client(url_of(bound))
        first.request()
        assert inside.wait(10)
        second = Client(url_of(bound))
        second.request()
        reset(second)
        release.set()
        assert first.read_response().status == 200
        first.socket.close()
        wait_for(lambda: engine.connections_open == 0, "all connections to be gone")


# Limits


def test_at_the_connection_limit_the_idlest_makes_room() -> None:
    with serve(hello, worker_connections=3) as url:
        clients = [Client(url) for _ in range(3)]
        for client in clients:
            assert client.get().status == 200
        with Client(url) as newcomer:
            assert newcomer.get().status == 200
            assert clients[0].is_closed()
            assert clients[1].get().status == 200


def test_at_the_connection_limit_new_connections_wait_when_none_is_idle() -> None:
    release = threading.Event()
    bound = listener()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        assert release.wait(10)
        return hello(environ, start_response)

    with serve_engine(app, [bound], worker_connections=2, threads=4) as engine:
        clients = [Client(url_of(bound)) for _ in range(3)]
        for client in clients:
            client.request()
        wait_for(lambda: engine.connections_open == 2, "two connections")
        release.set()
        for client in clients:
            assert client.read_response().status == 200
            client.socket.close()


# Unix sockets, IPv6, several at once


def test_all_kinds_of_listeners_at_once(tmp_path: Path) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ['REMOTE_ADDR']}|{environ['SERVER_NAME']}|{environ['SERVER_PORT']}".encode()]

    four = listener()
    six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "socket"))
    unix.listen()
    port4, port6 = four.getsockname()[1], six.getsockname()[1]
    with serve_engine(app, [four, six, unix]):
        with Client(f"http://127.0.0.1:{port4}") as client:
            assert client.get().body == f"127.0.0.1|127.0.0.1|{port4}".encode()
        with Client(f"http://[::1]:{port6}") as client:
            assert client.get().body == f"::1|[::1]|{port6}".encode()
        with Client(f"unix:{tmp_path / 'socket'}") as client:
            assert client.get().body == b"|localhost|80"


# The drain


def test_draining_answers_what_was_accepted_and_says_that_it_closes() -> None:
    inside = threading.Event()
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            inside.set()
            assert release.wait(10)
        return hello(environ, start_response)

    bound = listener()
    url = url_of(bound)
    with serve_engine(app, [bound]) as engine:
        idle = Client(url)
        assert idle.get().status == 200
        busy = Client(url)
        busy.request("/wait")
        assert inside.wait(10)
        begun = Client(url)
        begun.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        wait_for(lambda: engine.connections_open == 3, "three connections")
        engine.drain()
        assert idle.is_closed()
        wait_for(lambda: engine.state == "draining", "the drain")
        with pytest.raises(ConnectionRefusedError):
            Client(url)
        begun.send(b"\r\n")
        for client in (begun, busy):
            release.set()
            response = client.read_response()
            assert (response.status, response.body, response.closes) == (200, b"hello", True)
            assert client.is_closed()
        assert engine.join(5)
        assert engine.state == "stopped"


def test_draining_answers_the_next_request_of_a_busy_connection() -> None:
    bound = listener()
    with serve_engine(hello, [bound]) as engine, Client(url_of(bound)) as client:
        assert not client.get().closes
        engine.drain()
        wait_for(lambda: engine.state == "draining", "the drain")
        response = client.get()
        assert (response.status, response.closes) == (200, True)
        assert client.is_closed()
        assert engine.join(5)


def test_draining_closes_an_idle_connection_at_once() -> None:
    bound = listener()
    with serve_engine(hello, [bound], linger_timeout=10) as engine, Client(url_of(bound)) as client:
        assert client.get().status == 200
        time.sleep(1.1)  # what counts as idle is a matter of time
        engine.drain()
        assert client.is_closed()
        client.socket.close()
        assert engine.join(5)


def test_draining_serves_what_waits_in_the_accept_queue() -> None:
    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    waiting = [Client(url_of(bound)) for _ in range(200)]
    for client in waiting:
        client.request()
    with serve_engine(hello, [bound]) as engine:
        engine.drain()
        for client in waiting:
            assert client.read_response().body == b"hello"
            client.socket.close()
        assert engine.join(5)


def test_a_drain_has_one_leader_when_what_waits_in_the_accept_queue_blocks() -> None:
    """The debug build aborts where a thread that has lost the baton goes on as the leader."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        time.sleep(0.03)
        return hello(environ, start_response)

    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    waiting = [Client(url_of(bound)) for _ in range(30)]
    for client in waiting:
        client.request()
    with serve_engine(app, [bound], threads=40) as engine:
        engine.drain()
        for client in waiting:
            assert client.read_response().body == b"hello"
            client.socket.close()
        assert engine.join(5)


def test_stopping_does_not_wait() -> None:
    inside = threading.Event()
    release = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        inside.set()
        assert release.wait(10)
        return hello(environ, start_response)

    bound = listener()
    with serve_engine(app, [bound]) as engine:
        client = Client(url_of(bound))
        client.request()
        assert inside.wait(10)
        engine.stop()
        assert engine.join(5)
        release.set()
