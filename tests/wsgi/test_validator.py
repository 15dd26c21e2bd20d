"""`wsgiref.validate` stands between server and application on every path, and must find nothing."""

import io
from wsgiref.validate import validator

import pytest
from tests.support.raw import Client

from pronghorn.testing import serve

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


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_validator_finds_nothing(app, method, version, caplog):
    if app in {empty, not_modified} and method != "GET":
        pytest.skip("one method is enough for responses without a body")
    found = []
    checked = validator(app)

    def judge(environ, start_response):
        try:
            result = checked(environ, start_response)
            yield from result
            result.close()
        except AssertionError as error:
            found.append(error)
            raise

    with serve(judge) as url, Client(url) as client:
        client.send(f"{method} /a%20b?c=d HTTP/{version}\r\nHost: test\r\nX-Thing: y\r\nContent-Type: a/b\r\n".encode()
                    + b"Content-Length: 3\r\n\r\nabc")  # fmt: skip
        response = client.read_response(head_only=method == "HEAD")
    assert found == []
    assert response.status == {"empty": 204, "not_modified": 304, "replaced": 500}.get(app.__name__, 200)
    if response.status not in {204, 304} and method != "HEAD":
        assert response.body == b"hello"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


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
