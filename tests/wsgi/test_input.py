"""`wsgi.input`: PEP 3333, "Input and Error Streams", for bodies in memory and in a file."""

import pytest
from tests.support.raw import Client

from pronghorn.testing import serve

SMALL = b"first\nsecond\n\nfourth without an end"
LARGE = b"".join(b"%d %b\n" % (number, b"x" * (number % 190)) for number in range(20_000)) + b"end"
assert len(LARGE) > 1 << 20

BODIES = {"memory": SMALL, "file": LARGE, "empty": b"", "one line end": b"\n"}


def through(read, body, framing="length"):
    """What `read(stream)` gives inside an application that is sent `body`."""
    given = []

    def app(environ, start_response):
        given.append(read(environ["wsgi.input"]))
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        if framing == "length":
            assert client.get("/", method="POST", body=body).status == 200
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 9973):
                piece = body[at : at + 9973]
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            assert client.read_response().status == 200
    return given[0]


@pytest.fixture(params=BODIES, ids=str)
def body(request):
    return BODIES[request.param]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_read_all(body, framing):
    assert through(lambda stream: (stream.read(), stream.read(), stream.read(5)), body, framing) == (body, b"", b"")


@pytest.mark.parametrize("size", [-1, None])
def test_read_of_no_size_is_all(body, size):
    assert through(lambda stream: stream.read(size), body) == body


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_read_in_pieces(body, size):
    if size == 1:
        body = body[:3000]

    def read(stream):
        pieces = []
        while piece := stream.read(size):
            pieces.append(piece)
        return pieces

    pieces = through(read, body)
    assert b"".join(pieces) == body
    assert all(len(piece) == size for piece in pieces[:-1])


def test_read_nothing(body):
    assert through(lambda stream: (stream.read(0), stream.read()), body) == (b"", body)


def test_read_more_than_there_is(body):
    assert through(lambda stream: stream.read(len(body) + 100), body) == body


def test_readline(body):
    def read(stream):
        lines = []
        while line := stream.readline():
            lines.append(line)
        return lines, stream.readline()

    assert through(read, body) == (body.splitlines(keepends=True), b"")


def test_readline_with_a_size(body):
    body = body[:5000]

    def read(stream):
        pieces = []
        while piece := stream.readline(4):
            pieces.append(piece)
        return pieces

    pieces = through(read, body)
    assert b"".join(pieces) == body
    assert all(len(piece) <= 4 for piece in pieces)
    assert all(piece.endswith(b"\n") or len(piece) == 4 for piece in pieces[:-1])


def test_readline_of_no_bytes(body):
    assert (
        through(lambda stream: (stream.readline(0), stream.readline(-1)), body)[1]
        == (body.splitlines(keepends=True) or [b""])[0]
    )


def test_readlines(body):
    assert through(lambda stream: stream.readlines(), body) == body.splitlines(keepends=True)


def test_readlines_with_a_hint(body):
    def read(stream):
        return stream.readlines(10), stream.read()

    lines, rest = through(read, body)
    assert b"".join(lines) + rest == body
    assert lines == body.splitlines(keepends=True)[: len(lines)]
    assert len(lines) <= 10 + 1 or not lines


def test_iteration(body):
    assert through(list, body) == body.splitlines(keepends=True)


def test_mixed(body):
    def read(stream):
        return [stream.readline(), stream.read(3), stream.readline(2), *stream]

    assert b"".join(through(read, body)) == body


def test_an_application_that_reads_half_of_it():
    def app(environ, start_response):
        environ["wsgi.input"].read(5)
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        for body in (SMALL, LARGE):
            assert client.get("/", method="POST", body=body).body == b"ok"
            assert client.get().body == b"ok"


def test_the_input_can_be_read_while_the_response_is_made():
    """The whole body was there before the call, so an echo that streams cannot lock up."""

    def app(environ, start_response):
        start_response("200 OK", [])
        while block := environ["wsgi.input"].read(65536):
            yield block

    with serve(app) as url, Client(url) as client:
        assert client.get("/", method="POST", body=LARGE).body == LARGE


def test_werkzeug_and_friends_may_ask_for_more(body):
    """Multipart parsers call readline and read with sizes beyond the end, some wrap the stream in a BufferedReader."""
    import io

    class Raw(io.RawIOBase):
        def __init__(self, stream):
            self.stream = stream

        def readable(self):
            return True

        def readinto(self, buffer):
            data = self.stream.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    assert through(lambda stream: io.BufferedReader(Raw(stream)).read(), body) == body
