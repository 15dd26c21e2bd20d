"""Section F: what leaves the server, whatever the application gives it."""

import email.utils
import socket
import tempfile
import time

import pytest

from pronghorn.testing import serve
from tests.support.apps import Body
from tests.support.raw import Client, wait_for


def answer(status="200 OK", headers=(), body=(b"ok",)):
    """An application that always answers so."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return body() if callable(body) else body

    return app


def exchange(app, data=b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", **options):
    """All bytes that the server sends to one connection that asks once and then ends its half."""
    with serve(app, **options) as url, Client(url) as client:
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        return client.read_to_end()


def head_of(data):
    """Status line and header lines without Date and Server."""
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line for line in lines if not line.lower().startswith((b"date:", b"server:"))]


def body_of(data):
    return data.partition(b"\r\n\r\n")[2]


def stream(*pieces):
    """A generator of these pieces, new for each request."""
    return lambda: (piece for piece in pieces)


HEAD = b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize(
    "app",
    [
        answer(),
        answer(headers=[("Content-Length", "2")]),
        answer(headers=[("X-A", "b")], body=[b"o", b"k"]),
        answer(body=stream(b"o", b"k")),
        answer(body=[]),
        answer("404 Not Found", body=[b"no"]),
    ],
)
def test_rule_65_head_has_the_headers_of_get_and_no_body(app):
    get, head = exchange(app), exchange(app, HEAD)
    assert body_of(head) == b""
    # Framing that GET finds out only by making the body may be missing (RFC 9110 section 9.3.2).
    missing = set(head_of(get)) - set(head_of(head))
    assert set(head_of(head)) <= set(head_of(get))
    assert missing <= {b"Transfer-Encoding: chunked", b"Content-Length: 0"}


def test_rule_65_head_keeps_the_connection():
    with serve(answer(body=stream(b"a" * 5000, b"b"))) as url, Client(url) as client:
        for _ in range(3):
            assert client.get(method="HEAD").status == 200
        assert client.get().body == b"a" * 5000 + b"b"


def test_rule_65_head_with_a_length_and_no_body_is_trusted():
    with serve(answer(headers=[("Content-Length", "5000")], body=[])) as url, Client(url) as client:
        for _ in range(2):
            response = client.get(method="HEAD")
            assert response.headers["content-length"] == "5000"
            assert not response.closes


def file_of(content):
    """An application that hands `content` to the server as a file, under any status."""

    def app(environ, start_response):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
        file.write(content)
        file.seek(0)
        start_response(environ["PATH_INFO"][1:], [])
        return environ["wsgi.file_wrapper"](file)

    return app


def dropped(caplog):
    """How many warnings say that a body was dropped."""
    return sum("what the application sent is dropped" in record.getMessage() for record in caplog.records)


NO_BODY = ["204 No Content", "205 Reset Content", "304 Not Modified"]


@pytest.mark.parametrize("status", NO_BODY)
@pytest.mark.parametrize(
    "body",
    [[], [b""], [b"dropped"], stream(b"drop", b"ped"), [b"drop", b"", b"ped"]],
    ids=["none", "empty", "bytes", "stream", "list"],
)
@pytest.mark.parametrize("headers", [[], [("Content-Length", "7")]], ids=["plain", "length"])
def test_rule_66_no_body(status, body, headers, caplog):
    with serve(answer(status, headers, body)) as url, Client(url) as client:
        for _ in range(2):
            require_no_body(client, status)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    assert dropped(caplog) == (0 if body in ([], [b""]) else 2)  # one for each request, however many pieces


@pytest.mark.parametrize("status", NO_BODY)
def test_rule_66_no_body_from_a_file(status, caplog):
    with serve(file_of(b"dropped")) as url, Client(url) as client:
        for _ in range(2):
            require_no_body(client, status, status.replace(" ", "%20"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    assert dropped(caplog) == 2
    with serve(file_of(b"")) as url, Client(url) as client:
        require_no_body(client, status, status.replace(" ", "%20"))
    assert dropped(caplog) == 2


def require_no_body(client, status, path=""):
    """The next answer has no body, and nothing that speaks of one; of 205 a length of 0 (RFC 9110 section 15.3.6)."""
    client.request(f"/{path}")
    response = client.read_response(head_only=True)
    assert response.status == int(status[:3])
    assert "transfer-encoding" not in response.headers
    if response.status != 304:
        assert response.headers.get("content-length") == {204: None, 205: "0"}[response.status]
    assert client.buffer == b""


def test_rule_66_head_drops_a_body_without_a_word(caplog):
    exchange(answer(body=[b"as it would be for GET"]), HEAD)
    assert dropped(caplog) == 0


@pytest.mark.parametrize(
    "body", [[b"12345678"], [b"12345", b"678"], stream(b"1234", b"5678"), stream(b"12345", b"678")]
)
def test_rule_67_a_body_that_is_longer_than_said_is_cut(body):
    with serve(answer(headers=[("Content-Length", "5")], body=body)) as url, Client(url) as client:
        for _ in range(2):
            response = client.get()
            assert response.body == b"12345"
            if response.closes:
                assert client.is_closed()
                return


@pytest.mark.parametrize("body", [[], [b"123"], [b"1", b"2"], stream(b"1", b"2"), stream()])
def test_rule_67_a_body_that_is_shorter_than_said_ends_the_connection(body):
    with serve(answer(headers=[("Content-Length", "5")], body=body)) as url, Client(url) as client:
        client.request()
        try:
            response = client.read_response()
        except ConnectionError:
            return  # the client can tell: fewer bytes than were announced
        assert response.status == 500
        assert response.closes


def test_rule_67_a_body_that_is_shorter_than_said_is_followed_by_nothing():
    data = exchange(
        answer(headers=[("Content-Length", "5")], body=stream(b"12")), b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 2
    )
    assert data.count(b"HTTP/1.1") == 1


def test_rule_68_a_list_gets_its_length():
    for body in ([b"hello"], (b"hello",), [b"hel", b"lo"]):
        data = exchange(answer(body=body))
        assert body_of(data) in {b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"}
        if len(body) == 1:
            assert b"content-length: 5" in data.lower()
            assert b"transfer-encoding" not in data.lower()


def test_rule_68_a_stream_is_chunked_to_1_1():
    data = exchange(answer(body=stream(b"hello", b"", b" world")))
    assert b"\r\ntransfer-encoding: chunked\r\n" in data.lower()
    assert b"content-length" not in data.lower()
    assert body_of(data) == b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"


def test_rule_68_a_stream_is_ended_by_closing_to_1_0():
    data = exchange(answer(body=stream(b"hello", b" world")), b"GET / HTTP/1.0\r\n\r\n")
    assert b"transfer-encoding" not in data.lower()
    assert b"content-length" not in data.lower()
    assert body_of(data) == b"hello world"


def test_rule_68_an_empty_stream():
    data = exchange(answer(body=stream()))
    assert body_of(data) in {b"", b"0\r\n\r\n"}
    with serve(answer(body=stream())) as url, Client(url) as client:
        assert [client.get().body for _ in range(3)] == [b""] * 3


def raising(*, before_start=False, pieces=()):
    def app(environ, start_response):
        if before_start:
            raise ValueError("broken application")
        start_response("200 OK", [("X-Secret", "leak")])

        def body():
            yield from pieces
            raise ValueError("broken application")

        return body()

    return app


@pytest.mark.parametrize("app", [raising(before_start=True), raising()], ids=["in the call", "before the first piece"])
def test_rule_69_an_error_before_the_head_is_a_500(app, caplog):
    with serve(app) as url, Client(url) as client:
        response = client.get("/path?query")
        assert response.status == 500
        assert b"broken" not in response.body
        assert b"leak" not in response.head
    assert "ValueError: broken application" in caplog.text
    assert "/path" in caplog.text


def test_rule_69_an_error_after_the_head_cuts_the_connection_gunicorn_3410(caplog):
    data = exchange(raising(pieces=[b"first"]), b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 2)
    assert data.count(b"HTTP/1.1") == 1
    assert not data.endswith(b"0\r\n\r\n")
    assert "ValueError: broken application" in caplog.text


def test_rule_69_an_error_after_the_head_can_be_told_by_a_1_0_client(caplog):
    """A body that ends with the connection can only be cut by a reset."""
    with serve(raising(pieces=[b"first"])) as url, Client(url) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionError):
            client.read_response()


def test_rule_69_the_worker_survives_any_error(caplog):
    def app(environ, start_response):
        raise {
            "/exit": SystemExit(3),
            "/interrupt": KeyboardInterrupt(),
            "/stop": StopIteration(),
            "/own": BaseException("x"),
        }[environ["PATH_INFO"]]

    with serve(app) as url:
        for path in ("/own", "/stop", "/exit", "/own"):
            with Client(url) as client:
                assert client.get(path).status == 500


def check_refused_head(status, headers):
    """The client gets a 500 without any of it, twice, from a server that goes on."""
    with serve(answer(status, headers)) as url:
        for _ in range(2):
            with Client(url) as client:
                response = client.get()
                assert response.status == 500
                assert b"njected" not in response.head


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("place", ["name", "value", "status"])
def test_rule_70_no_line_end_leaves_cve_2018_1000164_cve_2020_7695_cve_2020_5247_cve_2020_5249(place, end, caplog):
    bad = f"b{end}X-Injected: c"
    check_refused_head(f"200 {bad}" if place == "status" else "200 OK",
                       {"name": [(bad, "b")], "value": [("X-A", bad)], "status": []}[place])  # fmt: skip
    assert caplog.text


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK", [("X-A", "b\0c")]),
        ("200 OK", [("X-A", "\u20ac")]),
        ("200 OK", [("X A", "b")]),
        ("200 OK", [("", "b")]),
        ("200 OK", [("X-A:", "b")]),
        ("200 OK", [("X-\xe9", "b")]),
        ("200 OK", [("X-A", 5)]),
        ("200 OK", [(b"X-A", "b")]),
        ("200 OK", [("X-A", "b", "c")]),
        ("200 OK", ["X-A: b"]),
        ("200 OK", [("Content-Length", "x")]),
        ("200 OK", [("Content-Length", "-1")]),
        ("200 \u20ac", []),
        ("20 OK", []),
        ("2000 OK", []),
        ("OK", []),
        ("", []),
        ("\xb2\xb2\xb2 OK", []),
        (200, []),
    ],
)
def test_rule_70_the_worker_survives_a_bad_head_cve_2026_42545(status, headers, caplog):
    check_refused_head(status, headers)
    assert caplog.text


def test_rule_70_latin_1_values_are_sent():
    assert b"\r\nX-A: caf\xe9\tau lait\r\n" in exchange(answer(headers=[("X-A", "caf\xe9\tau lait")]))


@pytest.mark.parametrize(
    "header",
    [
        ("Connection", "keep-alive, x"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "gzip"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Proxy-Connection", "x"),
    ],
    ids=lambda header: header[0],
)
def test_rule_71_hop_by_hop_headers_of_the_application_are_not_sent(header, caplog):
    with serve(answer(headers=[header, ("Content-Length", "2")])) as url, Client(url) as client:
        response = client.get()
        assert response.status in {200, 500}
        assert response.headers.get(header[0].lower()) in {None, "close"}
        if response.status == 200:
            assert response.body == b"ok"


def test_rule_72_date():
    before = int(time.time())
    data = exchange(answer())
    dates = [line for line in data.split(b"\r\n") if line.lower().startswith(b"date:")]
    assert len(dates) == 1
    sent = email.utils.parsedate_to_datetime(dates[0].partition(b":")[2].decode().strip())
    assert dates[0].partition(b":")[2].strip().decode() == email.utils.format_datetime(sent, usegmt=True)
    assert before - 1 <= sent.timestamp() <= time.time()


def test_rule_72_the_applications_own_date_stands():
    data = exchange(answer(headers=[("Date", "Thu, 01 Jan 1970 00:00:00 GMT")]))
    assert data.lower().count(b"\r\ndate:") == 1
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in data


class Endless:
    """Pieces for ever, until it is closed."""

    def __init__(self):
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        return b"x" * 65536

    def close(self):
        self.closed += 1


def failing_body():
    yield b"first"
    raise ValueError


@pytest.mark.parametrize(
    ("status", "headers", "pieces", "request_"),
    [
        ("200 OK", [], [b"a", b"b"], b"GET / HTTP/1.1"),
        ("200 OK", [("Content-Length", "2")], [b"a", b"b"], b"GET / HTTP/1.1"),
        ("200 OK", [("Content-Length", "1")], [b"a", b"b"], b"GET / HTTP/1.1"),
        ("200 OK", [("Content-Length", "9")], [b"a", b"b"], b"GET / HTTP/1.1"),
        ("200 OK", [], [b"a"], b"HEAD / HTTP/1.1"),
        ("204 No Content", [], [b"a"], b"GET / HTTP/1.1"),
        ("304 Not Modified", [], [], b"GET / HTTP/1.1"),
        ("200 OK", [], [], b"GET / HTTP/1.0"),
        ("200 OK", [], [b"a", "not bytes"], b"GET / HTTP/1.1"),
        ("200 OK", [], ["not bytes"], b"GET / HTTP/1.1"),
        ("200 OK", [("Bad\n", "x")], [b"a"], b"GET / HTTP/1.1"),
    ],
)
def test_rule_73_the_body_is_closed_once_cve_2022_23634(status, headers, pieces, request_, caplog):
    body = Body(pieces)

    def app(environ, start_response):
        try:
            start_response(status, headers)
        except Exception:
            body.closed += 1  # never given to the server
            raise
        return body

    exchange(app, request_ + b"\r\nHost: test\r\n\r\n")
    assert body.closed == 1


def test_rule_73_the_body_is_closed_once_after_an_error(caplog):
    body = Body(failing_body())
    exchange(answer(body=body))
    assert body.closed == 1


def test_rule_73_the_body_is_closed_once_when_the_peer_leaves():
    body = Endless()
    with serve(answer(body=body)) as url:
        with Client(url) as client:
            client.request()
            client.read_until(b"x" * 100)
        wait_for(lambda: body.closed, "the body to be closed")
        with Client(url) as client:  # the thread is free again
            client.request()
            client.read_until(b"x" * 100)
        wait_for(lambda: body.closed == 2, "the second body to be closed")


def test_rule_73_the_body_is_closed_when_its_iterator_cannot_be_had(caplog):
    class Broken:
        closed = 0

        def __iter__(self):
            raise ValueError

        def close(self):
            Broken.closed += 1

    assert exchange(answer(body=Broken())).startswith(b"HTTP/1.1 500 ")
    assert Broken.closed == 1


def test_rule_73_an_error_in_close_is_logged_and_the_response_stands(caplog):
    class Unclosable(Body):
        def close(self):
            super().close()
            raise ValueError("cannot close")

    body = Unclosable([b"ok"])
    data = exchange(answer(headers=[("Content-Length", "2")], body=body))
    assert body_of(data) == b"ok"
    assert body.closed == 1
    assert "cannot close" in caplog.text


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_rule_75_bytes_like_bodies(kind):
    assert body_of(exchange(answer(body=[kind(b"hello")]))) in {b"hello", b"5\r\nhello\r\n0\r\n\r\n"}


def test_rule_75_a_buffer_that_the_application_uses_again():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "30")])
        buffer = bytearray(b"0123456789")
        for digit in b"abc":
            buffer[:] = bytes([digit]) * 10
            yield buffer

    assert body_of(exchange(app)) == b"a" * 10 + b"b" * 10 + b"c" * 10


@pytest.mark.parametrize("body", [["text"], [5], [None], None, 5, stream("text")])
def test_rule_75_bodies_that_are_not_bytes_are_an_error(body, caplog):
    data = exchange(answer(body=body))
    assert data.startswith(b"HTTP/1.1 500 ")
    assert "TypeError" in caplog.text


def test_large_bodies_arrive_whole():
    body = bytes(range(256)) * 40_000
    for app in (
        answer(body=[body]),
        answer(body=stream(body[:7], body[7:5_000_000], body[5_000_000:])),
        answer(headers=[("Content-Length", str(len(body)))], body=stream(body[:7], body[7:])),
    ):
        with serve(app) as url, Client(url) as client:
            assert client.get().body == body
            assert client.get().body == body
