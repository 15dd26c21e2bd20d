"""Bodies that come fast: the loop waits for large pieces of them (SO_RCVLOWAT), and for no piece in vain."""

import contextlib
import hashlib
import os
import socket
import time
from pathlib import Path

import pytest

from pronghorn.testing import serve, serve_engine
from tests.support.apps import Body, Environ, StartResponse, content, echo
from tests.support.raw import Client, wait_for

KIB = 1024
MIB = 1024 * KIB


def starts_fast(client: Client, size: int, behind: int) -> bytes:
    """Sends a body of `size` octets but for the last `behind` of them: the server waits for large pieces then."""
    body = content(size)
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size)
    client.send(body[: size - behind])
    return body


def wakes_at(client: Client) -> int:
    """How many octets the loop waits for on the server's end of the connection, which is in this process."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed, or without a peer
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as end:
                if end.getpeername() == client.socket.getsockname():
                    return end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
    raise AssertionError("the server has no such connection")


def digest(environ: Environ, start_response: StartResponse) -> Body:
    start_response("200 OK", [])
    return [hashlib.sha256(environ["wsgi.input"].read()).digest()]


def test_a_body_that_comes_fast_is_awaited_in_large_pieces() -> None:
    body = content(64 * MIB)
    with serve(digest) as url, Client(url) as client:
        assert client.get().status == 200
        assert wakes_at(client) == 1
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        seen, at = 1, 0
        while seen == 1 and at < len(body):
            client.send(body[at : at + MIB])
            at += MIB
            seen = wakes_at(client)
        assert seen > 64 * KIB
        client.send(body[at:])
        assert client.read_response().body == hashlib.sha256(body).digest()
        assert wakes_at(client) == 1


@pytest.mark.parametrize("behind", [1, 1000, 300 * KIB, 700 * KIB])
def test_a_body_that_comes_fast_may_slow_down(behind: int) -> None:
    """The kernel reports large pieces of it; what comes then is neither lost nor left lying, down to single octets."""
    with serve(echo) as url, Client(url) as client:
        for _ in range(2):
            body = starts_fast(client, 8 * MIB, behind)
            client.send_pieces(body[-behind:], [1] * min(behind - 1, 20))
            assert client.read_response().body == body
        assert client.get("/next").body == b"/next"


@pytest.mark.parametrize("behind", [1000, 700 * KIB])
def test_a_body_that_comes_fast_and_stands_still_then_is_late(behind: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serve_engine(echo, [listener], body_timeout=0.5) as engine, Client(url) as client:
        starts_fast(client, 8 * MIB, behind)
        began = time.monotonic()
        assert client.read_response().status == 408
        assert 0.4 < time.monotonic() - began < 5
        assert engine.slot.received >= 8 * MIB - behind


def test_the_end_of_a_client_that_was_fast_is_seen_at_once() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serve_engine(echo, [listener]) as engine, Client(url) as client:
        starts_fast(client, 8 * MIB, 700 * KIB)
        client.socket.shutdown(socket.SHUT_WR)
        wait_for(lambda: engine.connections_open == 0, "the connection to be gone")
