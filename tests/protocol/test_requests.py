"""Sections A to D, beyond the vectors: what takes more than one request, other applications, or waiting."""

import pytest

from pronghorn.testing import serve
from tests.protocol.vectors.vector import chunked
from tests.support.apps import Recording
from tests.support.raw import Client


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app) as url:
        yield app, url


@pytest.mark.parametrize(
    "lines",
    [
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "Forwarded: for=1.2.3.4;proto=https",
        "X-Real-IP: 1.2.3.4",
    ],
)
def test_rule_30_an_untrusted_peer_cannot_set_what_proxies_set(served, lines):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.get("/x", lines)
    environ = app.calls[0].environ
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert not any(
        "1.2.3.4" in str(environ[name]) or "evil" in str(environ[name]) for name in environ if name[:5] == "HTTP_"
    )


@pytest.mark.parametrize("length", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_rule_46_a_body_that_ends_early_never_reaches_the_application(served, length):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: test\r\n" + length + b"\r\n\r\n5\r\nab")
        client.socket.shutdown(1)
        assert not client.read_to_end().startswith(b"HTTP/1.1 200")
    with Client(url) as client:
        client.get("/later")
    assert app.targets == ["/later"]


def test_rule_43_the_last_chunk_needs_its_end_gunicorn_3382(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(chunked(b"5\r\nhello\r\n0\r\n"))
        with Client(url) as other:
            assert other.get("/other").body == b"/other"
        assert app.targets == ["/other"]
        client.send(b"\r\n")
        assert client.read_response().body == b"/x"


def test_rule_48_an_unread_body_is_no_request_cve_2022_29361():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    for size in (40, 70_000, 3_000_000):
        with serve(app) as url, Client(url) as client:
            body = b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n".ljust(size, b"x")
            assert client.get("/one", method="POST", body=body).body == b"/one"
            assert client.get("/two").body == b"/two"


# D. Expect


def expecting(version: bytes, *lines: bytes) -> bytes:
    start = b"POST /x HTTP/" + version
    return b"\r\n".join([start, b"Host: test", b"Expect: 100-continue", *lines, b"", b""])


@pytest.mark.parametrize(
    ("framing", "body"), [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")]
)
def test_rule_52_continue_is_said_once_when_the_body_is_wanted(served, framing, body):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        for _ in range(2):
            client.send(expecting(b"1.1", framing))
            assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send_pieces(body, [1] * (len(body) - 1))
            assert client.read_response().body == b"/x"
    assert [call.body for call in app.calls] == [b"hello", b"hello"]


def test_rule_52_behind_a_pipelined_neighbour(served):
    _, url = served
    with Client(url) as client:
        client.send(b"GET /first HTTP/1.1\r\nHost: test\r\n\r\n" + expecting(b"1.1", b"Content-Length: 5"))
        assert client.read_response().body == b"/first"
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read_response().body == b"/x"


def test_rule_53_what_is_refused_by_its_head_gets_no_100():
    app = Recording()
    with serve(app, limit_request_body=1024) as url, Client(url) as client:
        client.send(expecting(b"1.1", b"Content-Length: 1025"))
        assert client.read_to_end().startswith(b"HTTP/1.1 413 ")
    assert app.calls == []


def test_rule_57_one_100_however_slowly_the_body_comes(served):
    _, url = served
    with Client(url) as client:
        client.send(expecting(b"1.1", b"Transfer-Encoding: chunked"))
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        with Client(url) as other:
            for piece in (b"5\r\n", b"hel", b"lo\r", b"\n0\r\n"):
                client.send(piece)
                assert other.get("/other").body == b"/other"  # a turn of the loop
        client.send(b"\r\n")
        assert client.read_response().status == 200


@pytest.mark.parametrize("options", [{}, {"limit_request_body": 1}, {"keepalive": 0}], ids=str)
def test_rule_51_behind_the_servers_own_close_nothing_runs(options):
    app = Recording()
    request = b"POST /%b HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n%b\r\nok"
    with serve(app, **options) as url, Client(url) as client:
        client.send(request % (b"one", b"Connection: close\r\n") + request % (b"two", b""))
        assert client.read_response().closes
        assert client.is_closed()
    assert "/two" not in app.targets
