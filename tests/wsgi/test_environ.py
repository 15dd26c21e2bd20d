"""What the application finds in its environ: PEP 3333, "environ Variables", and what people rely on besides."""

import os
import socket
import sys
from wsgiref.util import request_uri

import pytest
from tests.support.apps import Recording
from tests.support.raw import Client

from pronghorn.testing import serve, serve_engine


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app) as url:
        yield app, url


@pytest.fixture
def environ_of(served):
    """A function that sends one request and gives the environ back."""
    app, url = served

    def one(data):
        app.calls.clear()
        with Client(url) as client:
            client.send(data)
            assert client.read_response().status == 200
            port = client.socket.getsockname()[1]
        environ = app.calls[0].environ
        assert environ["REMOTE_PORT"] == str(port)
        return environ

    return one


def get(target="/", *lines, method="GET", version="1.1"):
    head = [f"{method} {target} HTTP/{version}", "Host: example.com:8080", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def test_every_variable_of_cgi(served, environ_of):
    _, url = served
    environ = environ_of(get("/a%20b/c?d=e%20f"))
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "d=e%20f",
        "RAW_URI": "/a%20b/c?d=e%20f",
        "REQUEST_URI": "/a%20b/c?d=e%20f",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": url.rpartition(":")[2],
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "example.com:8080",
    }
    assert {name: environ[name] for name in expected} == expected
    assert environ["SERVER_NAME"]
    assert environ["SERVER_SOFTWARE"].lower().startswith("pronghorn")


def test_every_variable_of_wsgi(environ_of):
    environ = environ_of(get())
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.run_once"] is False
    assert isinstance(environ["wsgi.multithread"], bool)
    assert isinstance(environ["wsgi.multiprocess"], bool)
    assert environ["wsgi.input_terminated"] is True
    assert callable(environ["wsgi.file_wrapper"])
    assert {"wsgi.input", "wsgi.errors"} <= set(environ)


def test_everything_is_a_native_string(environ_of):
    environ = environ_of(get("/%e2%82%ac?\x7e", "X-A: caf\xe9"))
    assert type(environ) is dict
    for name, value in environ.items():
        assert type(name) is str
        if not name.startswith(("wsgi.", "pronghorn.")):
            assert type(value) is str
            value.encode("latin-1")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/\u20ac"
    assert environ["HTTP_X_A"] == "caf\xe9"


def test_content_fields_have_no_prefix(environ_of):
    environ = environ_of(get("/", "Content-Type: a/b; c=d", "Content-Length: 2", method="POST") + b"ok")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a/b; c=d", "2")
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_nothing_of_the_servers_own_environment_leaks(environ_of):
    os.environ["HTTP_LEAK"] = "x"
    try:
        environ = environ_of(get())
    finally:
        del os.environ["HTTP_LEAK"]
    assert "HTTP_LEAK" not in environ
    assert "PATH" not in environ
    assert "HTTP_PROXY" not in environ


def test_what_one_request_changes_the_next_does_not_see():
    seen = []

    def app(environ, start_response):
        seen.append(environ.get("mine"))
        environ["mine"] = "changed"
        environ["PATH_INFO"] = "changed"
        environ.pop("HTTP_HOST")
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        for _ in range(3):
            assert client.get("/same").status == 200
    assert seen == [None, None, None]


def test_equal_heads_with_other_targets_are_other_environs(served):
    """The template of a connection's last head serves the next if that is equal; the request line is not part of it."""
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        for number in range(5):
            client.get(f"/{number}?{number}", "Cookie: a=b", method="GET" if number % 2 else "OPTIONS")
        client.get("/5?5", "Cookie: a=c")
        client.get("/6?6")
    assert [call.environ["QUERY_STRING"] for call in app.calls] == [str(number) for number in range(7)]
    assert [call.method for call in app.calls] == ["OPTIONS", "GET", "OPTIONS", "GET", "OPTIONS", "GET", "GET"]
    assert [call.environ.get("HTTP_COOKIE") for call in app.calls] == ["a=b"] * 5 + ["a=c", None]


def test_the_length_of_one_request_is_not_the_next_ones(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.get("/1", method="POST", body=b"12345")
        client.get("/2", method="POST", body=b"123")
        client.get("/3")
        client.send(b"POST /4 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        client.read_response()
    assert [call.body for call in app.calls] == [b"12345", b"123", b"", b"ab"]
    assert [call.environ.get("CONTENT_LENGTH") or None for call in app.calls[:3]] == ["5", "3", None]
    # PEP 3333 knows no chunks: an application that finds a length may read that much and not more.
    assert app.calls[3].environ.get("CONTENT_LENGTH") in {None, "2"}


def test_errors_takes_text():
    def app(environ, start_response):
        environ["wsgi.errors"].write("said by the application\n")
        environ["wsgi.errors"].flush()
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        assert client.get().body == b"ok"


def test_no_reference_to_a_request_is_kept():
    import gc
    import weakref

    class Thing:
        pass

    alive = []

    def app(environ, start_response):
        environ["thing"] = thing = Thing()
        alive.append(weakref.ref(thing))
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        for _ in range(20):
            client.get()
        gc.collect()
        assert len([ref for ref in alive if ref() is not None]) <= 1
        assert sys.getrefcount(app) < 20


@pytest.mark.parametrize(
    ("listening", "connected", "name"),
    [
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
        ("::", "::1", "[::1]"),
        ("::", "127.0.0.2", "127.0.0.2"),
        ("127.0.0.3", "127.0.0.3", "127.0.0.3"),
    ],
)
def test_without_host_a_url_can_be_made_of_the_servers_name(listening, connected, name):
    """PEP 3333, "URL Reconstruction"; RFC 3875 section 4.1.14 for the brackets. Also of one that comes again."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [request_uri(environ).encode()]

    family = socket.AF_INET6 if ":" in listening else socket.AF_INET
    listener = socket.create_server((listening, 0), family=family, dualstack_ipv6=family == socket.AF_INET6)
    port = listener.getsockname()[1]
    url = f"http://[{connected}]:{port}" if ":" in connected else f"http://{connected}:{port}"
    with serve_engine(app, [listener]), Client(url) as client:
        for _ in range(3):
            client.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.read_response().body == f"http://{name}:{port}/a".encode()
        client.send(b"GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert client.read_response().body == b"http://example.com/a"
