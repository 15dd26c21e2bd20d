"""Section E: when a connection goes on, when it ends, and that the client is told."""

import random
import socket
import struct
import threading
import time

import pytest

from pronghorn.observe.access import AccessLog
from pronghorn.testing import serve, serve_engine
from tests.support.apps import Recording, hello
from tests.support.raw import Client, wait_for
from tests.support.ways import SEED, cut_at, random_places

GET = b"GET %b HTTP/%b\r\nHost: test\r\n%b\r\n"


def get(version: str, *lines: str, target: str = "/") -> bytes:
    return GET % (target.encode(), version.encode(), "".join(f"{line}\r\n" for line in lines).encode())


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app) as url:
        yield app, url


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Connection: keep-alive",),
        ("Connection: Keep-Alive",),
        ("Connection: te, keep-alive",),
        ("Connection: closed",),
        ("Connection: not-close",),
        ("Connection: x-close-x", "Connection: y"),
        ("Connection:",),
    ],
)
def test_rule_58_http_1_1_goes_on(served, lines):
    _, url = served
    with Client(url) as client:
        for _ in range(3):
            client.send(get("1.1", *lines))
            response = client.read_response()
            assert response.status == 200
            assert not response.closes


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: close",),
        ("Connection: Close",),
        ("connection: CLOSE",),
        ("Connection: keep-alive, close",),
        ("Connection: close, keep-alive",),
        ("Connection: te,close",),
        ("Connection: te ,\tclose , x",),
        ("Connection: keep-alive", "Connection: close"),
        ("Connection: ,close,",),
    ],
)
def test_rule_58_60_close_in_the_list_closes_and_is_said(served, lines):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(get("1.1", *lines, target="/one") + get("1.1", target="/behind"))
        response = client.read_response()
        assert response.status == 200
        assert response.headers["connection"] == "close"
        assert client.is_closed()
    assert app.targets == ["/one"]  # rule 51: later bytes are ignored


def test_rule_59_http_1_0_closes(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(get("1.0", target="/one") + get("1.0", target="/behind"))
        response = client.read_response()
        assert response.status == 200
        assert "keep-alive" not in response.headers.get("connection", "")
        assert "transfer-encoding" not in response.headers
        assert client.is_closed()
    assert app.targets == ["/one"]


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive", "x, keep-alive"])
def test_rule_59_http_1_0_goes_on_when_asked_and_says_so(served, value):
    _, url = served
    with Client(url) as client:
        for _ in range(3):
            client.send(get("1.0", f"Connection: {value}"))
            response = client.read_response()
            assert response.headers["connection"].lower() == "keep-alive"
            assert response.headers["content-length"] == "1"


def test_rule_59_http_1_0_keep_alive_and_close_closes(served):
    _, url = served
    with Client(url) as client:
        client.send(get("1.0", "Connection: keep-alive, close"))
        client.read_response()
        assert client.is_closed()


def test_rule_59_no_chunks_to_http_1_0():
    def app(environ, start_response):
        start_response("200 OK", [])
        return iter([b"a", b"b"])

    with serve(app) as url, Client(url) as client:
        client.send(get("1.0", "Connection: keep-alive"))
        response = client.read_response()
        assert "transfer-encoding" not in response.headers
        assert "keep-alive" not in response.headers.get("connection", "")
        assert response.body == b"ab"


def test_rule_60_a_response_header_that_closes_closes():
    """The application's own `Connection: close` is dropped or obeyed, but never said and not done."""

    def app(environ, start_response):
        start_response("200 OK", [("Connection", "close"), ("Content-Length", "2")])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        response = client.get()
        assert response.body == b"ok"
        if response.closes:
            assert client.is_closed()
        else:
            assert client.get().body == b"ok"


@pytest.mark.parametrize(("value", "closes"), [("keep-a,\tClose ", True), ("keep-a,C lose", False)])
def test_rule_60_an_option_is_a_whole_one(value, closes):
    """RFC 9110 section 7.6.1: spaces stand around the options of a list, not inside."""

    def app(environ, start_response):
        start_response("200 OK", [("Connection", value), ("Content-Length", "2")])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        assert client.get().closes == closes


def test_rule_62_the_client_sees_the_refusal_however_much_it_is_sending(served):
    """Closing with bytes unread sends a reset, and the reset would take the answer away (RFC 9112 section 9.6)."""
    _, url = served
    for _ in range(20):
        with Client(url) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * 60_000)
            assert client.read_response().status == 400
            assert client.is_closed()


def test_rule_62_what_follows_a_refusal_is_read_for_the_clients_sake_and_not_for_ever():
    """A client reads the answer while it sends its file; one that pours only makes the server work."""
    with serve(hello, linger_timeout=60) as url:
        with Client(url) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + bytes(15 << 20))
            assert client.read_response().status == 400
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed()
        with Client(url) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                client.socket.sendall(bytes(64 << 20))


def test_rule_62_what_comes_behind_an_agreed_end_does_not_take_the_answer():
    """RFC 9112 section 2.2: user agents are known that send an empty line behind a body."""
    calls, behind = threading.Semaphore(0), threading.Semaphore(0)

    def app(environ, start_response):
        calls.release()
        assert behind.acquire(timeout=15)
        return hello(environ, start_response)

    with serve(app) as url:
        for _ in range(20):
            with Client(url) as client:
                client.send(get("1.1", "Connection: close", "Content-Length: 2").replace(b"GET", b"POST", 1) + b"ab")
                assert calls.acquire(timeout=15)
                client.send(b"\r\n")
                behind.release()
                assert client.read_response().body == b"hello"
                assert client.is_closed()


def test_rule_63_half_closed_clients_are_answered(served):
    _, url = served
    with Client(url) as client:
        client.send(get("1.1", target="/a") + get("1.1", target="/b"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_response().body == b"/a"
        assert client.read_response().body == b"/b"
        assert client.is_closed()


def test_rule_63_half_closed_clients_are_answered_however_long_it_takes():
    """The end is there before the second request, which was received with the first, can be looked at."""

    def app(environ, start_response):
        time.sleep(0.05)
        return hello(environ, start_response)

    with serve(app) as url:
        for _ in range(5):
            with Client(url) as client:
                client.send(get("1.1") + get("1.1") + get("1.1"))
                client.socket.shutdown(socket.SHUT_WR)
                for _ in range(3):
                    assert client.read_response().body == b"hello"
                assert client.is_closed()


def test_rule_63_an_end_in_the_middle_of_a_head_is_the_end():
    with serve(hello) as url, Client(url) as client:
        client.send(get("1.1") + b"GET / HTTP/1.1\r\nHo")
        assert client.read_response().body == b"hello"
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()


def pipeline(count: int) -> tuple[bytes, list[bytes]]:
    """Some requests of all kinds of framing, and the bodies of their responses."""
    source = random.Random(SEED)
    requests, targets = [], []
    for number in range(count):
        target = f"/{number}"
        body = b"x" * source.randrange(300)
        framing = source.choice(["none", "length", "chunked"])
        if framing == "none":
            requests.append(get("1.1", target=target))
        elif framing == "length":
            head = get("1.1", f"Content-Length: {len(body)}", target=target).replace(b"GET", b"POST", 1)
            requests.append(head + body)
        else:
            head = get("1.1", "Transfer-Encoding: chunked", target=target).replace(b"GET", b"POST", 1)
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            requests.append(head + data + b"0\r\n\r\n")
        targets.append(target.encode())
    return b"".join(requests), targets


@pytest.mark.parametrize("run", range(5))
def test_rule_50_pipelined_requests_are_answered_in_order_however_they_are_cut(served, run):
    _, url = served
    data, targets = pipeline(40)
    seed = SEED + run
    print(f"random pieces from seed {seed}")
    with Client(url) as client:
        for piece in cut_at(data, random_places(len(data), random.Random(seed))):
            client.send(piece)
        assert [client.read_response().body for _ in targets] == targets


def test_rule_50_every_cut_of_a_pipelined_pair(served):
    _, url = served
    one = get("1.1", "Content-Length: 3", target="/one").replace(b"GET", b"POST", 1) + b"abc"
    pair = one + get("1.1", target="/two")
    with Client(url) as client:
        for cut in range(1, len(pair)):
            client.send_pieces(pair, [cut])
            assert [client.read_response().body for _ in range(2)] == [b"/one", b"/two"], f"cut at {cut}"


def test_rule_50_responses_of_pipelined_requests_leave_together():
    # Greenlets are one for each request, and so are their sends.
    with serve(hello, worker_class="threads") as url, Client(url) as client:
        client.send(get("1.1") * 20)
        first = client.socket.recv(1 << 20)
        assert first.count(b"HTTP/1.1 200 OK\r\n") == 20


def test_rule_50_an_error_ends_the_order_cve_2024_49768(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(get("1.1", target="/1") + get("1.1", target="/2") + b"BAD\r\n\r\n" + get("1.1", target="/3"))
        assert [client.read_response().body for _ in range(2)] == [b"/1", b"/2"]
        assert client.read_response().status == 400
        assert client.is_closed()
    assert app.targets == ["/1", "/2"]


def test_rule_50_slow_calls_keep_the_order_and_never_overlap():
    running, most, lock, gate = 0, 0, threading.Lock(), threading.Event()

    def app(environ, start_response):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.05)  # long enough for another thread to take over the loop
        with lock:
            running -= 1
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with serve(app, threads=8) as url, Client(url) as client:
        client.send(b"".join(get("1.1", target=f"/{number}") for number in range(6)))
        assert [client.read_response().body for _ in range(6)] == [f"/{number}".encode() for number in range(6)]
    assert most == 1


def test_rule_50_a_client_that_reads_nothing_stops_being_read():
    """Responses to endless pipelined requests must not pile up in memory."""
    called = 0

    def app(environ, start_response):
        nonlocal called
        called += 1
        start_response("200 OK", [])
        return [b"x" * 100_000]

    with serve(app, send_timeout=5.0) as url, Client(url, receive_buffer=4096) as client:
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.socket.sendall(get("1.1") * 1_000_000)  # 32 MB, far more than the kernel's buffers take
        assert called < 500


def test_rule_64_requests_per_connection_are_not_limited(served):
    _, url = served
    with Client(url) as client:
        for _ in range(2000):
            assert not client.get().closes


def test_rule_50_keep_alive_clients_hold_no_thread_cve_2019_16770_cve_2021_29509():
    """With one thread and clients that always have a next request ready, a newcomer still has its turn."""
    stop = threading.Event()

    def ask_for_ever(client):
        while not stop.is_set():
            client.send(get("1.1") * 50)
            for _ in range(50):
                client.read_response()

    with serve(hello, threads=1) as url:
        greedy = [Client(url) for _ in range(4)]
        threads = [threading.Thread(target=ask_for_ever, args=(client,)) for client in greedy]
        for thread in threads:
            thread.start()
        for _ in range(5):
            with Client(url) as client:
                assert client.get().body == b"hello"
        stop.set()
        for thread, client in zip(threads, greedy, strict=True):
            thread.join()
            client.socket.close()


def test_rule_51_a_close_behind_a_call_that_lost_the_loop_cve_2022_31015():
    """The thread that ends such a call is not the one that waits on the socket it closes."""

    def app(environ, start_response):
        threading.Event().wait(0.02)  # the loop goes to another thread
        return hello(environ, start_response)

    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    with serve_engine(app, [bound], threads=8) as engine:
        clients = [Client(url) for _ in range(64)]
        for client in clients:
            client.send(get("1.1", "Connection: close") + get("1.1", target="/behind"))
        for client in clients:
            assert client.read_response().closes
            assert client.is_closed()
            client.socket.close()
        wait_for(lambda: engine.connections_open == 0, "every connection to be closed")


def test_rule_62_peers_that_are_gone_before_they_are_accepted_cve_2024_49769():
    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    address = bound.getsockname()
    for _ in range(200):
        peer = socket.create_connection(address)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    with serve_engine(hello, [bound]) as engine:
        with Client(f"http://127.0.0.1:{address[1]}") as client:
            assert client.get().body == b"hello"
        wait_for(lambda: engine.connections_open == 0, "every connection to be gone")


@pytest.mark.parametrize("place", ["target", "field"])
def test_rule_32_a_request_cannot_forge_a_log_line_cve_2020_7694_cve_2025_25184(place, tmp_path):
    log = AccessLog("%(U)s %({User-Agent}i)s", str(tmp_path / "access.log"))
    target = "/a%0d%0a%1b[31m" if place == "target" else "/a"
    lines = ['User-Agent: b\xe9\t"c'] if place == "field" else []
    bound = socket.create_server(("127.0.0.1", 0))
    with (
        serve_engine(hello, [bound], access=log),
        Client(f"http://127.0.0.1:{bound.getsockname()[1]}") as client,
    ):
        assert client.get(target, *lines).status == 200
    log.flush()
    written = (tmp_path / "access.log").read_bytes()
    assert written == (b"/a\\x0d\\x0a\\x1b[31m -\n" if place == "target" else b'/a b\\xe9\\x09\\"c\n')
