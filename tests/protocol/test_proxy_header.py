"""PROXY headers before requests, over a socket: cut in every way, requests behind, from whom, of which version."""

import logging
import random
import socket

import pytest

from pronghorn.testing import serve
from tests.support.apps import Recording
from tests.support.process import Server
from tests.support.raw import Client, wait_for
from tests.support.ways import SEED, cut_at, random_places

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.7") + b"\xdc\x04\x01\xbb"
HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + ADDRESSES
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
REQUESTS = b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(3))
HERE = ("127.0.0.1",)


WAYS = {
    "whole": lambda data: [],
    "byte by byte": lambda data: range(1, len(data)),
    "at random places": lambda data: random_places(len(data), random.Random(SEED)),
}


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app, proxy_protocol="auto", proxy_allow_ips=HERE) as url:
        yield app, url


@pytest.fixture
def seen(served):
    """A function that sends bytes and gives back what the application saw of the client, for each of three requests."""
    app, url = served

    def ask(data, way="whole"):
        app.calls.clear()
        with Client(url) as client:
            for piece in cut_at(data + REQUESTS, WAYS[way](data + REQUESTS)):
                client.send(piece)
            assert [client.read_response().body for _ in range(3)] == [b"/0", b"/1", b"/2"]
            port = str(client.socket.getsockname()[1])
        names = ("REMOTE_ADDR", "REMOTE_PORT", "PROXY_PROTOCOL", "PROXY_ADDR", "PROXY_PORT")
        found = {tuple(call.environ.get(name) for name in names) for call in app.calls}
        assert len(found) == 1, found
        return tuple("its own" if value == port else value for value in found.pop())

    return ask


@pytest.mark.parametrize("data", [LINE, HEADER], ids=["v1", "v2"])
@pytest.mark.parametrize("way", WAYS)
def test_rule_31_who_the_client_is(seen, data, way):
    assert seen(data, way) == ("192.0.2.1", "56324", "TCP4", "198.51.100.7", "443")


@pytest.mark.parametrize("data", [LINE, HEADER], ids=["v1", "v2"])
def test_rule_31_split_at_every_octet(served, data):
    app, url = served
    request = b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n"
    for at in range(1, len(data) + len(request)):
        app.calls.clear()
        with Client(url) as client:
            client.send_pieces(data + request, [at])
            assert client.read_response().body == b"/x", at
        assert [call.environ["REMOTE_ADDR"] for call in app.calls] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"PROXY UNKNOWN\r\n", "UNKNOWN"), (LOCAL, "LOCAL"), (b"", None)],
    ids=["unknown", "local", "none"],
)
def test_rule_31_a_connection_without_a_client_of_its_own(seen, data, kind):
    assert seen(data) == ("127.0.0.1", "its own", kind, None, None)


def test_rule_31_a_header_stands_once_and_first(served):
    _, url = served
    for data in (LINE + LINE, HEADER + HEADER, REQUESTS[: len(REQUESTS) // 3] + LINE):
        with Client(url) as client:
            client.send(data + REQUESTS)
            if not data.startswith((LINE, HEADER)):
                assert client.read_response().status == 200
            assert client.read_response().status == 400
            assert client.read_to_end() == b""


@pytest.mark.parametrize(
    ("mode", "data", "detail"),
    [
        ("auto", LINE.replace(b"443", b"70000"), "the PROXY line (version 1) is malformed"),
        ("auto", HEADER.replace(b"\x21\x11", b"\x21\x12"), "the PROXY header (version 2) is malformed"),
        ("v1", HEADER, "not of the version that `proxy_protocol` asks for"),
        ("v2", LINE, "not of the version that `proxy_protocol` asks for"),
    ],
)
def test_rule_31_what_is_wrong_is_one_line_in_the_log_and_the_end_of_the_connection(caplog, mode, data, detail):
    app = Recording()
    with (
        caplog.at_level(logging.INFO, "pronghorn.error"),
        serve(app, proxy_protocol=mode, proxy_allow_ips=HERE) as url,
        Client(url) as client,
    ):
        client.send(data + REQUESTS)
        with pytest.raises(ConnectionError):
            client.read_response()
    assert not app.calls
    (record,) = caplog.records
    assert record.getMessage().startswith("Closed a connection of 127.0.0.1: ")
    assert detail in record.getMessage()


def test_rule_31_a_header_from_anybody_else_is_refused_and_they_are_named_once(caplog):
    app = Recording()
    with (
        caplog.at_level(logging.INFO, "pronghorn.error"),
        serve(app, proxy_protocol="auto", proxy_allow_ips=("10.0.0.0/8",)) as url,
    ):
        for data in (LINE, HEADER, LINE.replace(b"443", b"70000"), HEADER[:13] + b"\x99" + HEADER[14:]):
            with Client(url) as client:
                client.send(data + REQUESTS)
                assert client.read_response().status == 400
                assert client.read_to_end() == b""
        with Client(url) as client:
            assert client.get("/x").body == b"/x"
    assert app.targets == ["/x"]
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert record.getMessage().startswith("Refused a PROXY header from 127.0.0.1: name it in proxy_allow_ips")


def test_without_the_setting_a_header_is_a_bad_request():
    for data in (LINE, HEADER):
        with serve(Recording()) as url, Client(url) as client:
            client.send(data + REQUESTS)
            assert client.read_response().status == 400


def test_the_header_has_the_deadline_of_a_head():
    with serve(Recording(), proxy_protocol="auto", proxy_allow_ips=HERE, header_timeout=0.1) as url:
        for part in (LINE[:20], HEADER[:20], b"PRO", b"\r\n"):
            with Client(url) as client:
                client.send(part)
                assert client.read_response().status == 408


def test_a_connection_that_has_said_only_whom_it_forwards_is_idle():
    with serve(Recording(), proxy_protocol="auto", proxy_allow_ips=HERE, header_timeout=0.1, keepalive=0.3) as url:
        with Client(url) as client:
            client.send(LINE)
            assert client.read_to_end() == b""
        with Client(url) as client:
            client.send(LINE)
            assert client.get("/x").body == b"/x"


@pytest.mark.parametrize(
    ("allowed", "scheme"), [(("127.0.0.1",), "http"), (("192.0.2.0/24",), "https"), (("*",), "https")]
)
def test_whether_forwarding_headers_count_goes_by_the_client(allowed, scheme):
    """The proxy passes its client's bytes on: what it is trusted with itself the client must not be."""
    app = Recording()
    with (
        serve(app, proxy_protocol="auto", proxy_allow_ips=HERE, forwarded_allow_ips=allowed) as url,
        Client(url) as client,
    ):
        client.send(LINE)
        assert client.get("/x", "X-Forwarded-Proto: https").status == 200
    assert app.calls[0].environ["wsgi.url_scheme"] == scheme


def test_a_unix_socket_may_be_forwarded_too(tmp_path):
    (tmp_path / "shop.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [f\"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}\".encode()]\n"
    )
    arguments = ["--proxy-protocol", "--access-logfile", "access.log", "--access-logformat", "%(h)s", "--workers", "1"]
    with Server(tmp_path, "shop:app", *arguments, bind=[f"unix:{tmp_path}/shop.sock"]) as server:
        server.ready(1)
        with Client(f"unix://{tmp_path}/shop.sock") as client:
            client.send(HEADER)
            assert client.get("/", "X-Forwarded-Proto: https").body == b"192.0.2.1 http"
        with Client(f"unix://{tmp_path}/shop.sock") as client:
            assert client.get("/", "X-Forwarded-Proto: https").body == b" https"
        wait_for(lambda: (tmp_path / "access.log").read_text() == "192.0.2.1\n-\n", "two lines")
