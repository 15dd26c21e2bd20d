"""What `EngineOptions` decide: threads, deadlines and limits of one worker."""

import contextlib
import os
import select
import stat
import time
from pathlib import Path

from tests.settings.observers.registry import observes
from tests.settings.observers.shop import busy
from tests.support.raw import Client, wait_for

from pronghorn.options.table import TABLE


@observes("threads")
def threads(start, place):
    server = start(threads=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.url)) for _ in range(6)]
        for client in clients:
            client.request("/together")
        assert {client.read_response().body for client in clients} <= {b"1", b"2"}
    assert server.get("/together") == (200, "2")


@observes("queue_limit")
def queue_limit(start, place):
    server = start(threads=1, queue_limit=0)
    with busy(server, place):
        assert server.get()[0] == 503


@observes("queue_timeout")
def queue_timeout(start, place):
    server = start(threads=1, queue_timeout=0.1)
    with busy(server, place):
        assert server.get()[0] == 503


@observes("worker_connections")
def worker_connections(start, place):
    server = start(worker_connections=1)
    with Client(server.url) as first, Client(server.url) as second:
        assert first.get().status == 200
        assert second.get().status == 200
        assert first.is_closed()


@observes("keepalive")
def keepalive(start, place):
    with Client(start(keepalive=0).url) as client:
        assert client.get().closes


@observes("header_timeout", "body_timeout")
def head_and_body(start, place):
    server = start(header_timeout=0.1, body_timeout=0.2)
    for begun in (b"GET / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab"):
        with Client(server.url) as client:
            client.send(begun)
            assert client.read_response().status == 408


def cut_off(client: Client) -> bool:
    poll = select.poll()
    poll.register(client.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


@observes("send_timeout")
def send_timeout(start, place):
    server = start(send_timeout=0.2)
    with Client(server.url, receive_buffer=4096) as client:
        client.request("/large")
        wait_for(lambda: cut_off(client), "the peer that reads nothing to be cut off")


def sockets_of(pid: int) -> int:
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - names that may be gone
        with contextlib.suppress(FileNotFoundError):
            count += stat.S_ISSOCK(Path(f"/proc/{pid}/fd/{name}").stat().st_mode)
    return count


@observes("linger_timeout")
def linger_timeout(start, place):
    server = start(linger_timeout=0).ready(1)
    (worker,) = server.workers()
    before = sockets_of(worker)
    with Client(server.url) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read_response().status == 400
        begun = time.monotonic()
        wait_for(lambda: sockets_of(worker) == before, "the connection to be closed")
        assert time.monotonic() - begun < TABLE["linger_timeout"].default


@observes("timeout")
def timeout(start, place):
    assert start(timeout=0.2).get("/sleep?60")[0] == 504


@observes("limit_request_line", "limit_request_field_size", "limit_request_fields")
def limits(start, place):
    server = start(limit_request_line=128, limit_request_field_size=200, limit_request_fields=3)
    for target, headers, status in (
        ("/" + "x" * 100, ["X: " + "x" * 190, "Y: y"], 200),
        ("/" + "x" * 130, [], 414),
        ("/", ["X: " + "x" * 200], 431),
        ("/", ["X: x", "Y: y", "Z: z"], 431),
    ):
        with Client(server.url) as client:
            assert client.get(target, *headers).status == status


@observes("limit_request_head")
def limit_request_head(start, place):
    server = start(limit_request_head=512, limit_request_line=256, limit_request_field_size=256)
    with Client(server.url) as client:
        assert client.get("/", *(f"X-{number}: {'x' * 200}" for number in range(3))).status == 431


@observes("min_rate")
def min_rate(start, place):
    server = start(min_rate="1MiB", body_timeout=0.2)
    with Client(server.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        client.socket.settimeout(0.05)
        for _ in range(100):  # five seconds of a body that never stands still
            client.send(b"x")
            with contextlib.suppress(TimeoutError):
                client.read_until(b"408")
                break
    server.said("sent a request too slowly: 408")


@observes("limit_request_body")
def limit_request_body(start, place):
    with Client(start(limit_request_body=10).url) as client:
        assert client.get(method="POST", body=b"x" * 11).status == 413


@observes("body_memory", "spool_dir")
def spool(start, place):
    (place / "bodies").mkdir()
    with Client(start(body_memory=10, tmp_upload_dir="bodies").url) as client:
        assert client.get("/spooled", method="POST", body=b"x" * 10).body == b""
        assert client.get("/spooled", method="POST", body=b"x" * 11).body.startswith(bytes(place / "bodies"))


@observes("buffer_memory")
def buffer_memory(start, place):
    (place / "bodies").mkdir()
    with Client(start(buffer_memory="64KiB", tmp_upload_dir="bodies").url) as client:
        assert client.get("/spooled", method="POST", body=b"x" * (16 << 10)).body == b""
        assert client.get("/spooled", method="POST", body=b"x" * (33 << 10)).body.startswith(bytes(place / "bodies"))


@observes("spool_limit")
def spool_limit(start, place):
    server = start(body_memory=0, spool_limit=1000)
    for size, status in ((1000, 200), (1001, 507)):
        with Client(server.url) as client:
            assert client.get(method="POST", body=b"x" * size).status == status


@observes("send_buffer")
def send_buffer(start, place):
    server = start(send_buffer="64MiB")
    with Client(server.url, receive_buffer=4096) as client:
        client.request("/stream")
        wait_for((place / "streamed").exists, "the application to be done although nobody reads")


@observes("max_requests", "max_requests_jitter")
def max_requests(start, place):
    server = start(max_requests=3).ready(1)
    for _ in range(3):
        assert server.get()[0] == 200
    server.ready(2)
    endless = start(max_requests=1, max_requests_jitter=10**9).ready(1)
    assert len({endless.get()[1] for _ in range(20)}) == 1


@observes("casefold_http_method")
def casefold_http_method(start, place):
    with Client(start(casefold_http_method=True).url) as client:
        assert client.get("/of?REQUEST_METHOD", method="post").body == b"POST"
