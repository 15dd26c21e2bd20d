"""The uwsgi protocol over a socket: packets cut in every way, and the rules of HTTP for what a client says in them."""

import contextlib
import logging
import random
import socket

import pytest

from pronghorn.testing import serve_engine
from pronghorn.wire.uwsgi import render
from tests.support.apps import Recording
from tests.support.raw import Client
from tests.support.ways import SEED, cut_at, random_places

GET = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/a%20b?c=d",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "c=d",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "shop.example",
    "SERVER_PORT": "443",
    "REMOTE_ADDR": "192.0.2.1",
    "REMOTE_PORT": "56324",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "HTTP_HOST": "shop.example",
}
"""As nginx sends it with its uwsgi_params."""


WAYS = {
    "whole": lambda data: [],
    "byte by byte": lambda data: range(1, len(data)),
    "at random places": lambda data: random_places(len(data), random.Random(SEED)),
}


@contextlib.contextmanager
def served(app=None, **options):
    app = app or Recording()
    listener = socket.create_server(("127.0.0.1", 0))
    options = {"uwsgi_allow_ips": ("127.0.0.1",)} | options
    with serve_engine(app, [listener], protocol="uwsgi", **options):
        yield app, "http://{}:{}".format(*listener.getsockname())


@pytest.fixture(scope="module")
def shop():
    with served() as (app, url):
        yield app, url


@pytest.fixture
def ask(shop):
    """A function that sends one packet: the status, and the environ if the application saw it."""
    app, url = shop

    def one(body=b"", **more):
        app.calls.clear()
        with Client(url) as client:
            client.send(render({name: value for name, value in (GET | more).items() if value is not None}) + body)
            status = client.read_response(head_only=more.get("REQUEST_METHOD") == "HEAD").status
            assert client.read_to_end() == b""
        return (status, app.calls[0].environ) if app.calls else (status, None)

    return one


def test_what_the_application_sees(ask):
    status, environ = ask(HTTP_COOKIE="a=b", GEOIP_COUNTRY="NL", REMOTE_USER="ada")
    assert status == 200
    expected = {name: value for name, value in GET.items() if value} | {
        "RAW_URI": "/a%20b?c=d",
        "SCRIPT_NAME": "",
        "HTTP_COOKIE": "a=b",
        "GEOIP_COUNTRY": "NL",
        "REMOTE_USER": "ada",
        "wsgi.url_scheme": "http",
    }
    assert {name: environ[name] for name in expected} == expected
    assert "CONTENT_TYPE" not in environ
    assert "CONTENT_LENGTH" not in environ


@pytest.mark.parametrize("way", WAYS)
def test_cut_in_every_way(shop, way):
    app, url = shop
    app.calls.clear()
    body = bytes(range(256))
    packet = render(GET | {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "256", "CONTENT_TYPE": "a/b"}) + body
    with Client(url) as client:
        for piece in cut_at(packet, WAYS[way](packet)):
            client.send(piece)
        assert client.read_response().body == b"/a%20b?c=d"
    assert (app.calls[0].body, app.calls[0].environ["CONTENT_TYPE"]) == (body, "a/b")


def test_split_at_every_octet(shop):
    app, url = shop
    packet = render(GET | {"CONTENT_LENGTH": "3"}) + b"abc"
    for at in range(1, len(packet)):
        app.calls.clear()
        with Client(url) as client:
            client.send_pieces(packet, [at])
            assert client.read_response().status == 200, at
        assert [call.body for call in app.calls] == [b"abc"]


def test_one_request_to_a_connection(shop):
    app, url = shop
    app.calls.clear()
    with Client(url) as client:
        client.send(render(GET) * 2)
        assert client.read_response().closes
        assert client.read_to_end() == b""
    assert len(app.calls) == 1


def test_a_response_has_no_chunks_and_ends_with_the_connection():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one "
        yield b"two"

    with served(app) as (_, url), Client(url) as client:
        client.send(render(GET))
        response = client.read_response()
        assert "transfer-encoding" not in response.headers
        assert response.body == b"one two"


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "get", "PROPFIND"])
def test_methods(ask, method):
    status, environ = ask(REQUEST_METHOD=method, HTTP_EXPECT="100-continue")
    assert (status, environ["REQUEST_METHOD"]) == (200, method)


# What may come from a client of the front end: the rules are those of HTTP.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PROXY", "http://evil/"),
        ("HTTP_X_FORWARDED_FOR", "1.2.3.4"),
        ("HTTP_X_FORWARDED_PROTO", "https"),
        ("HTTP_FORWARDED", "for=1.2.3.4"),
        ("HTTP_SCRIPT_NAME", "/evil"),
        ("HTTP_CONTENT_LENGTH", "5"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("wsgi.url_scheme", "https"),
        ("wsgi.input", "evil"),
        ("pronghorn.set_timeout", "evil"),
        ("http_host", "evil"),
        ("PATH-INFO", "/evil"),
        ("", "evil"),
    ],
)
def test_what_does_not_reach_the_application(ask, name, value):
    _, plain = ask()
    status, environ = ask(**{name: value})
    assert status == 200
    odd = {key for key in environ if environ[key] != plain[key]} - {"wsgi.input"}
    assert set(environ) == set(plain)
    assert not odd
    assert not isinstance(environ["wsgi.input"], str)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"REQUEST_METHOD": None}, 400),
        ({"REQUEST_METHOD": "G T"}, 400),
        ({"REQUEST_METHOD": "M" * 65}, 501),
        ({"REQUEST_METHOD": "CONNECT"}, 501),
        ({"REQUEST_URI": None}, 400),
        ({"REQUEST_URI": "a"}, 400),
        ({"REQUEST_URI": "/a b"}, 400),
        ({"REQUEST_URI": "/a HTTP/1.1\r\nX: y"}, 400),
        ({"REQUEST_URI": "/%00"}, 400),
        ({"REQUEST_URI": "/" + "x" * 9000}, 414),
        ({"PATH_INFO": "evil.example/"}, 400),
        ({"PATH_INFO": "/\0"}, 400),
        ({"SCRIPT_NAME": "evil.example"}, 400),
        ({"SERVER_PROTOCOL": "HTTP/1.1\r\n"}, 400),
        ({"REMOTE_ADDR": "1.2.3.4\x1b[1m"}, 400),
        ({"REMOTE_ADDR": ""}, 200),
        ({"HTTP_HOST": None}, 400),
        ({"HTTP_HOST": None, "SERVER_PROTOCOL": "HTTP/1.0"}, 200),
        ({"HTTP_HOST": "a,b"}, 400),
        ({"HTTP_A": "b\r\nX: y"}, 400),
        ({"HTTP_A": "b\1"}, 400),
        ({"HTTP_A": "b" * 9000}, 431),
        ({f"HTTP_A{number}": "b" for number in range(101)}, 431),
        ({f"A{number}": "b" for number in range(400)}, 431),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "+5"}, 400),
        ({"CONTENT_LENGTH": str(1 << 40)}, 413),
        ({"HTTPS": "on", "REQUEST_SCHEME": "http"}, 400),
        ({"REQUEST_SCHEME": "gopher"}, 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_as_by_http(ask, more, status):
    found, environ = ask(**more)
    assert found == status
    assert (environ is None) == (status != 200)


def test_a_variable_that_stands_twice_is_refused(shop):
    app, url = shop
    app.calls.clear()
    block = render(GET)[4:] + render({"PATH_INFO": "/other"})[4:]
    with Client(url) as client:
        client.send(b"\0" + len(block).to_bytes(2, "little") + b"\0" + block)
        assert client.read_response().status == 400
    assert not app.calls


@pytest.mark.parametrize(
    ("more", "scheme"),
    [({"HTTPS": "on"}, "https"), ({"REQUEST_SCHEME": "https"}, "https"), ({"HTTPS": "off"}, "http"), ({}, "http")],
)
def test_the_scheme(ask, more, scheme):
    assert ask(**more)[1]["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("said", "path", "found"),
    [
        ("/shop", "/shop/a b", ("/shop", "/a b")),
        ("/shop", "/a b", ("/shop", "/a b")),
        ("/shop/", "/shop/a b", ("/shop", "/a b")),
        ("/shop", "/shop", ("/shop", "")),
        ("/shop", "/shopping", ("/shop", "/shopping")),
    ],
)
def test_where_the_application_stands(ask, said, path, found):
    target = "/shop/a%20b" if path.endswith("b") else path
    _, environ = ask(SCRIPT_NAME=said, PATH_INFO=path, REQUEST_URI=target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == found


@pytest.mark.parametrize(("allowed", "scheme"), [(("127.0.0.1",), "http"), (("192.0.2.0/24",), "https")])
def test_whether_forwarding_headers_count_goes_by_the_client(allowed, scheme):
    with served(forwarded_allow_ips=allowed) as (app, url), Client(url) as client:
        client.send(render(GET | {"HTTP_X_FORWARDED_PROTO": "https"}))
        assert client.read_response().status == 200
    assert app.calls[0].environ["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\0\3\0\0\xff\xffa", "the uwsgi packet is malformed"),
        (b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", "the uwsgi packet is no WSGI request"),
    ],
)
def test_a_malformed_packet_is_one_line_in_the_log_and_the_end_of_the_connection(caplog, data, detail):
    with caplog.at_level(logging.INFO, "pronghorn.error"), served() as (app, url), Client(url) as client:
        client.send(data + render(GET))
        with pytest.raises(ConnectionError):
            client.read_response()
    assert not app.calls
    (record,) = caplog.records
    assert record.getMessage().startswith(f"Closed a connection of 127.0.0.1: {detail}")


def test_a_packet_from_anybody_else_is_refused(caplog):
    with (
        caplog.at_level(logging.INFO, "pronghorn.error"),
        served(uwsgi_allow_ips=("10.0.0.0/8",)) as (app, url),
    ):
        for data in (render(GET), b"rubbish"):
            with Client(url) as client:
                client.send(data)
                assert client.read_response().status == 403
    assert not app.calls
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "name it in uwsgi_allow_ips" in record.getMessage()


def test_a_packet_has_the_deadline_of_a_head():
    with served(header_timeout=0.1) as (_, url), Client(url) as client:
        client.send(render(GET)[:-1])
        assert client.read_response().status == 408
