"""The uwsgi packet: one verdict however it is cut, and a request head that holds nothing but what it says."""

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.uwsgi import parse, render

GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b", "HTTP_HOST": "test", "SERVER_PROTOCOL": "HTTP/2.0"}
PACKET = render(GET)
HEAD = b"GET /a?b HTTP/1.1\r\nHOST: test\r\n\r\n"


def verdict(data: bytes, **limits: int) -> object:
    """What is said of `data` as soon as something is, when it comes octet by octet; the same as of all at once."""
    at_once = None
    for size in range(len(data) + 1):
        try:
            found: object = parse(data[:size], **limits)
        except PeerError as error:
            found = error.detail
        if found is not None and at_once is None:
            at_once = found
        assert at_once is None or found == at_once, f"{found} of {size} octets, and before {at_once}"
    return at_once


def head_of(**more: str) -> bytes:
    return verdict(render(GET | more)).head


def test_a_packet_is_a_request_head():
    found = verdict(PACKET + b"the body")
    assert found.head == HEAD
    assert found.end == len(PACKET)
    assert found.variables == [(name.encode(), value.encode()) for name, value in GET.items()]


def test_an_empty_method_is_nothing_to_copy():
    """And what is left is no request line (the parser's business): it was undefined what copying nothing first does."""
    assert head_of(REQUEST_METHOD="").startswith(b" /a?b HTTP/1.1\r\n")


def test_what_http_1_0_is_and_what_is_not():
    assert head_of(SERVER_PROTOCOL="HTTP/1.0").startswith(b"GET /a?b HTTP/1.0\r\n")
    assert head_of(SERVER_PROTOCOL="").startswith(b"GET /a?b HTTP/1.1\r\n")


def test_headers_get_their_names_back():
    head = head_of(HTTP_X_FORWARDED_FOR="1.2.3.4", CONTENT_TYPE="a/b", CONTENT_LENGTH="5")
    assert b"\r\nX-FORWARDED-FOR: 1.2.3.4\r\n" in head
    assert head.endswith(b"\r\nCONTENT-TYPE: a/b\r\nCONTENT-LENGTH: 5\r\n\r\n")


def test_what_nginx_sends_of_a_request_without_a_body_is_no_header():
    assert head_of(CONTENT_TYPE="", CONTENT_LENGTH="") == HEAD


@pytest.mark.parametrize("name", ["CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING", "EXPECT"])
def test_the_framing_between_client_and_front_end_is_none_of_ours(name):
    assert head_of(**{f"HTTP_{name}": "chunked"}) == HEAD


@pytest.mark.parametrize(
    "name", ["wsgi.url_scheme", "http_host", "HTTP_", "", "HTTP_A-B", "HTTP_A\r\nB: c", "DOCUMENT_ROOT", "HTTPS"]
)
def test_what_is_no_header_is_no_line(name):
    assert head_of(**{name: "x"}) == HEAD


@pytest.mark.parametrize("name", ["REQUEST_METHOD", "REQUEST_URI", "HTTP_A", "CONTENT_TYPE"])
@pytest.mark.parametrize("value", ["/a\r\nX: y", "/a\nX: y", "/a\rX: y", "\r\n\r\nGET / HTTP/1.1\r\n"])
def test_a_value_with_a_line_end_is_refused(name, value):
    assert verdict(render(GET | {name: value})) == "a uwsgi variable is missing or is not what CGI says it is"


@pytest.mark.parametrize("name", ["REQUEST_METHOD", "REQUEST_URI"])
def test_what_is_missing_or_there_twice_is_refused(name):
    without = {other: value for other, value in GET.items() if other != name}
    assert verdict(render(without)) == "a uwsgi variable is missing or is not what CGI says it is"
    block = PACKET[4:] + render({name: GET[name]})[4:]
    twice = b"\0" + len(block).to_bytes(2, "little") + b"\0" + block
    assert verdict(twice) == "a uwsgi variable is missing or is not what CGI says it is"


@pytest.mark.parametrize("name", ["CONTENT_LENGTH", "CONTENT_TYPE"])
@pytest.mark.parametrize("values", [("5", ""), ("", "5"), ("", ""), ("5", "5")])
def test_what_frames_a_body_stands_once_even_if_it_is_empty(name, values):
    block = PACKET[4:] + b"".join(render({name: value})[4:] for value in values)
    packet = b"\0" + len(block).to_bytes(2, "little") + b"\0" + block
    assert verdict(packet) == "a uwsgi variable is missing or is not what CGI says it is"


MALFORMED = "the uwsgi packet is malformed (HTTP on a uwsgi port?)"
MODIFIER = "the uwsgi packet is no WSGI request: a modifier is not 0 (HTTP, perhaps?)"


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", MODIFIER),
        (b"\x1e" + PACKET[1:], MODIFIER),
        (PACKET[:3] + b"\1" + PACKET[4:], MODIFIER),
        (b"\0\1\0\0\5", MALFORMED),
        (b"\0\4\0\0\3\0ab", MALFORMED),
        (b"\0\4\0\0\2\0ab", MALFORMED),
        (b"\0\7\0\0\2\0ab\2\0x", MALFORMED),
        (b"\0\3\0\0\xff\xffa", MALFORMED),
    ],
)
def test_what_is_malformed(data, detail):
    assert verdict(data) == detail


def test_limits():
    assert verdict(PACKET, limit=len(PACKET) - 5) == "the header section is over its limit"
    assert verdict(PACKET, limit=len(PACKET) - 4).head == HEAD
    assert verdict(PACKET, most=3) == "more header lines than the limit"
    assert verdict(PACKET, most=4).head == HEAD
    with pytest.raises(ValueError, match="65535"):
        render({"A": "x" * 65535})
