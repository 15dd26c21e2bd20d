"""`wsgiref.validate` stands between server and application on every path, and must find nothing."""

import gc
import io
import logging
import socket
import struct
import tempfile
from contextlib import contextmanager
from wsgiref.validate import validator

import pytest
from tests.support.raw import Client, wait_for

from pronghorn.testing import serve, serve_engine

# The validator is stricter than PEP 3333 in one place (read() needs a size), so these applications give one.


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def no_length(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def pieces(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"he", b"llo"]


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"he"
    yield b"llo"


def lazy(environ, start_response):
    def body():
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"hello"

    return body()


def writing(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"he")
    return [b"llo"]


def echo(environ, start_response):
    blocks = []
    while block := environ["wsgi.input"].read(1000):
        blocks.append(block)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"".join(blocks)]


def lines(environ, start_response):
    data = b"".join(environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [data]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    stream.write("a line\n")
    stream.writelines(["and more\n"])
    stream.flush()
    return no_length(environ, start_response)


def replaced(environ, start_response):
    import sys

    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        int("x")
    except ValueError:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"hello"]


def wrapped(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"), 2)


APPS = [plain, no_length, pieces, generator, lazy, writing, errors, replaced, wrapped, empty, not_modified]


@pytest.fixture(autouse=True)
def _nothing_is_found(capsys, caplog):
    """The validator raises what it finds, except for an iterable that is never closed: that it writes to stderr."""
    yield
    gc.collect()
    assert "garbage collected without being closed" not in capsys.readouterr().err
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@contextmanager
def over(kind, app, folder):
    """The URL at which `app` is served over TCP or a unix socket."""
    if kind == "tcp":
        with serve(app) as url:
            yield url
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen()
    with serve_engine(app, [listener]):
        yield f"unix:{folder}/socket"


WITH_BODIES = [app for app in APPS if app not in {empty, not_modified}]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
CASES = [
    *((app, method, version, "tcp") for app in WITH_BODIES for method in METHODS for version in ("1.1", "1.0")),
    *((app, "GET", version, "tcp") for app in (empty, not_modified) for version in ("1.1", "1.0")),
    *((app, "GET", "1.1", "unix") for app in APPS),
]


@pytest.mark.parametrize(("app", "method", "version", "kind"), CASES)
def test_the_validator_finds_nothing(app, method, version, kind, tmp_path):
    with over(kind, validator(app), tmp_path) as url, Client(url) as client:
        for _ in range(3 if version == "1.1" else 1):
            client.send(f"{method} /a%20b?c=d HTTP/{version}\r\nHost: test\r\nX-Thing: y\r\n".encode()
                        + b"Content-Type: a/b\r\nContent-Length: 3\r\n\r\nabc")  # fmt: skip
            response = client.read_response(head_only=method == "HEAD")
            assert response.status == {"empty": 204, "not_modified": 304, "replaced": 500}.get(app.__name__, 200)
            if response.status not in {204, 304} and method != "HEAD":
                assert response.body == b"hello"


BLOCK = bytes(1 << 18)
BLOCKS = 64
"""Together more than any socket takes, so that a client can leave in the middle."""


LEFT = "left in the middle of a request or a response"


class Large:
    """Applications with a large response; `ended` counts the bodies that were closed, or for `write` left."""

    def __init__(self):
        self.ended = 0

    def generator(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for _ in range(BLOCKS):
                yield BLOCK
        finally:
            self.ended += 1

    def writing(self, environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for _ in range(BLOCKS):
                write(BLOCK)
        finally:
            self.ended += 1
        return []

    def listed(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closed(self, [BLOCK] * BLOCKS)

    def wrapped(self, environ, start_response):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the body
        file.truncate(BLOCKS * len(BLOCK))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closed(self, environ["wsgi.file_wrapper"](file))


class Closed:
    """An iterable whose `close()` is counted."""

    def __init__(self, counted, body):
        self.counted, self.body = counted, body

    def __iter__(self):
        return iter(self.body)

    def close(self):
        self.counted.ended += 1
        if hasattr(self.body, "close"):
            self.body.close()


@pytest.mark.parametrize("name", ["generator", "writing", "listed", "wrapped"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_validator_finds_nothing_where_a_client_leaves(name, kind, tmp_path, caplog):
    """And all that it costs is a debug line: the fixture asks for no higher one."""
    caplog.set_level(logging.DEBUG, "pronghorn.error")
    large = Large()
    with over(kind, validator(getattr(large, name)), tmp_path) as url:
        for times, reset in enumerate((True, False), 1):
            client = Client(url)
            client.request()
            client.read_until(b"\r\n\r\n")
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
            wait_for(lambda times=times: large.ended == times, "the body to be closed")
            wait_for(lambda times=times: caplog.text.count(LEFT) == times, "the line")
    assert large.ended == 2


@pytest.mark.parametrize("app", [echo, lines], ids=lambda app: app.__name__)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
def test_the_validator_finds_nothing_in_the_input(app, framing, size):
    body = (b"0123456789\n" * (size // 11 + 1))[:size]
    with serve(validator(app)) as url, Client(url) as client:
        if framing == "length":
            client.request("/", "Content-Type: a/b", method="POST", body=body)
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 70_001):
                piece = body[at : at + 70_001]
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
        response = client.read_response()
    assert response.status == 200
    assert response.body == body
