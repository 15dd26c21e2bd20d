"""Sections A to D: what must be served, and what the application must see of it."""

import pytest
from tests.support.apps import Recording
from tests.support.raw import Client
from tests.support.ways import BEHIND, Way, send

from pronghorn.testing import serve


def get(*lines: bytes, start: bytes = b"GET /x HTTP/1.1") -> bytes:
    return b"\r\n".join([start, b"Host: test", *lines, b"", b""])


def chunked(body: bytes) -> bytes:
    return get(b"Transfer-Encoding: chunked", start=b"POST /x HTTP/1.1") + body


LONG = b"/" + b"a" * 7900

# What is sent; the method, RAW_URI and body that the application sees; and some of the environ (None: not there).
ACCEPTED = {
    "rule_3_one_empty_line": (b"\r\n" + get(), ("GET", "/x", b""), {}),
    "rule_5_method_keeps_its_case": (get(start=b"get / HTTP/1.1"), ("get", "/", b""), {}),
    "rule_5_any_token": (get(start=b"M-SEARCH! / HTTP/1.1"), ("M-SEARCH!", "/", b""), {}),
    "rule_8_long_line": (get(start=b"GET " + LONG + b" HTTP/1.1"), ("GET", LONG.decode(), b""), {}),
    "rule_9_encoded_line_end_is_data": (
        get(start=b"GET /a%0d%0aB:c HTTP/1.1"),
        ("GET", "/a%0d%0aB:c", b""),
        {"PATH_INFO": "/a\r\nB:c"},
    ),
    "rule_10_nothing_is_normalised": (
        get(start=b"GET //a/../b%2fc\\d?e=%20f HTTP/1.1"),
        ("GET", "//a/../b%2fc\\d?e=%20f", b""),
        {"PATH_INFO": "//a/../b/c\\d", "QUERY_STRING": "e=%20f", "REQUEST_URI": "//a/../b%2fc\\d?e=%20f"},
    ),
    "rule_10_unquoted_once": (get(start=b"GET /%2541 HTTP/1.1"), ("GET", "/%2541", b""), {"PATH_INFO": "/%41"}),
    "rule_10_overlong_utf_8": (get(start=b"GET /%c0%af HTTP/1.1"), ("GET", "/%c0%af", b""), {"PATH_INFO": "/\xc0\xaf"}),
    "rule_10_bad_escape_stays": (get(start=b"GET /%zz% HTTP/1.1"), ("GET", "/%zz%", b""), {"PATH_INFO": "/%zz%"}),
    "rule_11_absolute_form": (
        get(start=b"GET http://test/y?z HTTP/1.1"),
        ("GET", "http://test/y?z", b""),
        {"PATH_INFO": "/y", "QUERY_STRING": "z", "HTTP_HOST": "test", "wsgi.url_scheme": "http"},
    ),
    "rule_11_the_scheme_is_not_believed": (
        get(start=b"GET https://test/y HTTP/1.1"),
        ("GET", "https://test/y", b""),
        {"wsgi.url_scheme": "http"},
    ),
    "rule_23_tab_and_8_bit_in_value": (get(b"A: b\tc\xe9"), ("GET", "/x", b""), {"HTTP_A": "b\tc\xe9"}),
    "rule_24_only_space_and_tab_are_trimmed": (get(b"A: \t\x85b\xa0 \t"), ("GET", "/x", b""), {"HTTP_A": "\x85b\xa0"}),
    "rule_27_lists_are_joined": (get(b"A: 1", b"a: 2", b"A: 3"), ("GET", "/x", b""), {"HTTP_A": "1, 2, 3"}),
    "rule_27_cookies_are_joined": (
        get(b"Cookie: a=1", b"Cookie: b=2"),
        ("GET", "/x", b""),
        {"HTTP_COOKIE": "a=1; b=2"},
    ),
    "rule_28_underscores_are_dropped": (
        get(b"X_Real: a", b"Content_Length: 5", b"Transfer_Encoding: chunked", b"Host_: evil"),
        ("GET", "/x", b""),
        {"HTTP_X_REAL": None, "HTTP_CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": None, "HTTP_HOST": "test"},
    ),
    "rule_29_proxy_is_dropped": (get(b"Proxy: evil"), ("GET", "/x", b""), {"HTTP_PROXY": None}),
    "rule_30_environ_cannot_be_set_by_a_field": (
        get(b"Script-Name: /evil", b"Remote-User: root"),
        ("GET", "/x", b""),
        {"SCRIPT_NAME": "", "REMOTE_USER": None},
    ),
    "rule_37_leading_zeros": (
        get(b"Content-Length: 0010", start=b"POST /x HTTP/1.1") + b"0123456789",
        ("POST", "/x", b"0123456789"),
        {},
    ),
    "rule_37_whitespace_around": (
        get(b"Content-Length:\t5 \t", start=b"POST /x HTTP/1.1") + b"01234",
        ("POST", "/x", b"01234"),
        {"CONTENT_LENGTH": "5"},
    ),
    "rule_38_chunked_in_any_case": (
        get(b"Transfer-Encoding: \tCHUNKED ", start=b"POST /x HTTP/1.1") + b"5\r\nhello\r\n0\r\n\r\n",
        ("POST", "/x", b"hello"),
        {},
    ),
    "rule_39_chunks": (chunked(b"5\r\nhello\r\n006\r\n world\r\nA\r\n0123456789\r\n0\r\n\r\n"),
                       ("POST", "/x", b"hello world0123456789"), {}),
    "rule_40_data_may_be_line_ends": (
        chunked(b"4\r\n\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n"),
        ("POST", "/x", b"\r\n" * 3),
        {},
    ),
    "rule_41_extensions_are_ignored": (
        chunked(b'5;a;b=c;d="e\\"f"\r\nhello\r\n0;last\r\n\r\n'),
        ("POST", "/x", b"hello"),
        {},
    ),
    "rule_43_a_trailer_is_no_request": (
        chunked(b"5\r\nhello\r\n0\r\nX: POST /evil HTTP/1.1\r\n\r\n"),
        ("POST", "/x", b"hello"),
        {"HTTP_X": None},
    ),
    "rule_45_single_byte_chunks": (chunked(b"1\r\na\r\n" * 500 + b"0\r\n\r\n"), ("POST", "/x", b"a" * 500), {}),
    "rule_47_body_of_a_get": (get(b"Content-Length: 5") + b"hello", ("GET", "/x", b"hello"), {}),
    "rule_47_body_that_looks_like_a_request": (
        get(b"Content-Length: 39", start=b"DELETE /x HTTP/1.1") + b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n12345",
        ("DELETE", "/x", b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n12345"),
        {},
    ),
    "rule_77_an_upgrade_is_ignored_with_its_body_intact": (
        get(b"Upgrade: h2c", b"Connection: upgrade", b"Content-Length: 5", start=b"POST /x HTTP/1.1") + b"hello",
        ("POST", "/x", b"hello"),
        {},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app) as url:
        yield app, url


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("vector", ACCEPTED)
def test_accepted(served, vector, way):
    data, (method, target, body), environ = ACCEPTED[vector]
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        send(client, data + BEHIND, way)
        if way.pipelined:
            assert client.read_response().body == b"/neighbour"
        response = client.read_response()
        assert (response.status, response.body) == (200, target.encode())
        assert client.read_response().body == b"/behind"
    calls = app.calls[1:] if way.pipelined else app.calls
    assert [call.target for call in calls] == [target, "/behind"]
    seen = calls[0]
    assert (seen.method, seen.body) == (method, body)
    assert {name: seen.environ.get(name) for name in environ} == environ


def test_rule_13_options_asterisk(served):
    _, url = served
    with Client(url) as client:
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.read_response().status in {200, 204}
        assert client.get("/after").body == b"/after"


def test_rule_16_http_1_0_needs_no_host(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.body) == (200, b"/old")
        assert client.is_closed()
    assert app.calls[0].environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in app.calls[0].environ


def test_rule_7_minor_versions_to_come(served):
    """HTTP/1.2 is HTTP/1.1 or refused, and never anything else (RFC 9110 section 2.5)."""
    _, url = served
    with Client(url) as client:
        client.send(b"GET /x HTTP/1.2\r\nHost: test\r\n\r\n")
        assert client.read_response().status in {200, 505}


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


def test_rule_43_the_last_chunk_needs_its_end(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        client.send(chunked(b"5\r\nhello\r\n0\r\n"))
        with Client(url) as other:
            assert other.get("/other").body == b"/other"
        assert app.targets == ["/other"]
        client.send(b"\r\n")
        assert client.read_response().body == b"/x"


def test_rule_48_an_unread_body_is_no_request():
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


def test_rule_52_the_expectation_ignores_case(served):
    _, url = served
    with Client(url) as client:
        client.send(expecting(b"1.1", b"Content-Length: 1").replace(b"100-continue", b"100-Continue"))
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_rule_54_not_to_http_1_0(served):
    _, url = served
    with Client(url) as client:
        client.send(expecting(b"1.0", b"Content-Length: 5"))
        client.send(b"hello")
        assert client.read_response().status == 200


@pytest.mark.parametrize(
    "data",
    [
        expecting(b"1.1", b"Content-Length: 5") + b"hello",
        expecting(b"1.1", b"Content-Length: 0"),
        expecting(b"1.1"),
    ],
)
def test_rule_55_not_when_the_body_is_there_or_empty(served, data):
    _, url = served
    with Client(url) as client:
        client.send(data)
        assert client.read_response().status == 200


def test_rule_52_behind_a_pipelined_neighbour(served):
    _, url = served
    with Client(url) as client:
        client.send(b"GET /first HTTP/1.1\r\nHost: test\r\n\r\n" + expecting(b"1.1", b"Content-Length: 5"))
        assert client.read_response().body == b"/first"
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read_response().body == b"/x"
