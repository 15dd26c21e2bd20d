"""h11 and httptools as outside opinions, and random bytes cut at random.

What we serve, h11 must serve too and understand the same way; what h11 serves and we refuse must be one of the
deliberate differences of `STRICTER`. httptools is asked only about what we serve, and only for what it saw: llhttp
leaves the refusing of much that is wrong to its caller.
"""

import re
from urllib.parse import unquote_to_bytes

import h11
import httptools
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.framing import ChunkedDecoder
from pronghorn.wire.http1 import HeadParser, parse, unescape

# What h11 serves and we refuse: the fault, a head that shows it, and the reason.
STRICTER = {
    "BARE_LF": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "rule 1: h11 takes LF as a line end"),
    "BAD_BYTE": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n",
        "rule 23: h11 keeps only NUL and line ends out of values",
    ),
    "FOLDED_LINE": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", "rule 21: h11 unfolds"),
    "LONG_METHOD": (b"A" * 65 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", "rule 5: h11 has no limit for it"),
    "BAD_TARGET": (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "rule 14: h11 does not look into targets"),
    "FRAGMENT": (b"GET /# HTTP/1.1\r\nHost: a\r\n\r\n", "rule 9: the same"),
    "USERINFO": (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "rule 11: the same"),
    "OTHER_HOST": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "rule 11: the same"),
    "BAD_ASTERISK": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "rule 13: the same"),
    "UNKNOWN_VERSION": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "rule 7: h11 takes any digit.digit"),
    "CONNECT_METHOD": (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "rule 12: h11 leaves methods to its caller"),
    "BAD_HOST": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "rule 18: h11 counts Host fields and does not read them"),
    "TWO_TYPES": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Type: a\r\nContent-Type: a\r\n\r\n",
        "rule 27: h11 leaves fields it does not use to its caller",
    ),
    "TWO_AUTHORIZATIONS": (
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n",
        "rule 27: the same",
    ),
    "UNKNOWN_EXPECTATION": (
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
        "rule 56: h11 ignores other expectations",
    ),
    "BAD_LENGTH": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "rule 35: h11 joins equal lengths"),
    "TWO_LENGTHS": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "rule 35: h11 joins equal lengths",
    ),
    "LENGTH_AND_CODING": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "rule 33: h11 lets Transfer-Encoding win",
    ),
    "OLD_CODING": (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "rule 34: h11 accepts it"),
}
DETAILS = {fault.detail: fault.name for fault in FAULTS.values()}

METHODS = [b"GET", b"GET", b"POST", b"OPTIONS", b"CONNECT", b"get", b"A" * 65, b"G(", b"", b"\x80"]
TARGETS = [
    b"/", b"/", b"/a?b", b"*", b"http://a/", b"http://a", b"http://b/x", b"http://u@a/", b"a:80", b"x", b"/#",
    b"/%00", b"", b"/ x", b"/\x80", b"/\0",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b""]
FIELD_PIECES = [
    b"Host: a", b"Host: a", b"Host: a", b"Host: b", b"Authorization: x", b"host:a", b"Host:", b"Content-Length: 5",
    b"Content-Length: 0010", b"Content-Length: +5", b"Content-Length: 5, 5", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding:\tChunked ",
    b"Connection: close", b"Connection: keep-alive, Upgrade", b"Expect: 100-continue", b"Expect: x", b"X: y",
    b"X : y", b" X: y", b"X:\ty z\t", b"X: \x80\xff", b"X: \x01", b"X: \0", b"X\x80: y", b": y", b"no colon",
    b"Cookie: a=b; c=d", b"A_B: c", b"Content-Type: a", b"",
]  # fmt: skip

request_lines = st.one_of(
    st.sampled_from([b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"GET / HTTP/1.0"]),
    st.tuples(st.sampled_from(METHODS), st.sampled_from(TARGETS), st.sampled_from(VERSIONS)).map(b" ".join),
)
line_ends = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n"])
fields = st.one_of(st.sampled_from(FIELD_PIECES), st.binary(max_size=12))
heads = st.builds(
    lambda front, first, end, lines: front + first + end + b"".join(line + stop for line, stop in lines) + b"\r\n",
    st.sampled_from([b""] * 10 + [b"\r\n", b"\n", b" ", b"\r\n\r\n"]),
    request_lines,
    line_ends,
    st.one_of(st.just([(b"Host: a", b"\r\n")]), st.lists(st.tuples(fields, line_ends), max_size=6)),
)
many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ours(data):
    try:
        return parse(data)
    except PeerError as error:
        return error


def of_h11(data):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return error
    return event if isinstance(event, h11.Request) else None


@pytest.mark.parametrize("name", STRICTER)
def test_each_deliberate_difference_is_one(name):
    data, _reason = STRICTER[name]
    refusal = ours(data)
    assert isinstance(refusal, PeerError)
    assert DETAILS[refusal.detail] == name
    assert isinstance(of_h11(data), h11.Request)


@many
@given(heads)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
@example(b"GET / HTTP/1.0\r\nX: \x01y\r\n\r\n")
def test_what_we_serve_h11_understands_the_same(data):
    # The one thing we take and h11 does not: an empty line in front (rule 3, RFC 9112 section 2.2).
    here, there = ours(data), of_h11(data.removeprefix(b"\r\n"))
    if isinstance(here, PeerError):
        if isinstance(there, h11.Request):
            assert DETAILS[here.detail] in STRICTER, (here, data)
        return
    if here is None:
        assert not isinstance(there, h11.Request), data
        return
    assert isinstance(there, h11.Request), (there, data)
    assert (here.method, here.target) == (there.method, there.target)
    assert there.http_version == b"%d.%d" % divmod(here.version, 10)
    names = [name.lower() for name, _ in here.fields]
    assert names == [name for name, _ in there.headers]
    for (name, value), (_, other) in zip(here.fields, there.headers, strict=True):
        # h11 writes these two in its own way: lower case, and digits as they are.
        assert value == other or (name.lower() == b"transfer-encoding" and value.lower() == other)


class Seen:
    def __init__(self):
        self.url = b""
        self.headers = []
        self.complete = False

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.headers.append((name, value))

    def on_headers_complete(self):
        self.complete = True


@many
@given(heads)
def test_what_we_serve_httptools_reads_the_same(data):
    here = ours(data)
    if here is None or isinstance(here, PeerError):
        return
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(data[: here.end])
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        # llhttp knows a fixed list of methods, and this one is not on it.
        assert here.method not in {b"GET", b"POST", b"OPTIONS"}, (error, data)  # noqa: PT017
        return
    assert seen.complete
    assert seen.url == here.target
    assert parser.get_method() == here.method
    # llhttp keeps whitespace at the end of a value.
    assert [(name, value.rstrip(b" \t")) for name, value in seen.headers] == here.fields


@st.composite
def cut(draw, texts):
    data = draw(texts)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def verdict_on_head(pieces, **limits):
    parser = HeadParser(**limits)
    head = None
    try:
        for piece in pieces:
            head = parser.feed(piece)
            if head:
                break
    except PeerError as error:
        return str(error)
    return head


@many
@given(
    cut(st.one_of(heads, st.binary(max_size=80))),
    st.integers(5, 60),
    st.integers(0, 30),
    st.integers(0, 6),
    st.integers(0, 120),
)
def test_the_verdict_on_a_head_is_the_same_for_any_cut(pieces, request_line, field_line, count, section):
    limits = {"request_line": request_line, "field_line": field_line, "fields": count, "section": section}
    data = b"".join(pieces)
    whole = verdict_on_head([data], **limits)
    assert verdict_on_head(pieces, **limits) == whole
    assert verdict_on_head([data[i : i + 1] for i in range(len(data))], **limits) == whole


bodies = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"\r\n",
                b"\n",
                b"\r",
                b"0",
                b"1",
                b"5",
                b"a",
                b";",
                b";a=b",
                b';a="',
                b'"',
                b"\\",
                b" ",
                b"x",
                b"hello",
                b"X: y",
                b":",
            ]
        ),
        st.sampled_from([b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"]),
    ),
    max_size=12,
).map(b"".join)


def verdict_on_body(pieces, **limits):
    decoder = ChunkedDecoder(**limits)
    body = b""
    try:
        for piece in pieces:
            body += decoder.feed(piece)
    except PeerError as error:
        return str(error)
    return body, decoder.done, decoder.rest


@many
@given(
    cut(st.one_of(bodies, st.binary(max_size=60))),
    st.integers(0, 30),
    st.integers(0, 20),
    st.integers(0, 3),
    st.integers(0, 40),
)
def test_the_verdict_on_a_body_is_the_same_for_any_cut(pieces, body, field_line, count, section):
    limits = {"body": body, "field_line": field_line, "fields": count, "section": section}
    data = b"".join(pieces)
    whole = verdict_on_body([data], **limits)
    assert verdict_on_body(pieces, **limits) == whole
    assert verdict_on_body([data[i : i + 1] for i in range(len(data))], **limits) == whole


@many
@given(bodies)
@example(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n")
def test_what_we_decode_h11_decodes_the_same(data):
    decoder = ChunkedDecoder()
    try:
        body = decoder.feed(data)
    except PeerError:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    connection.next_event()
    other = b""
    try:
        while type(event := connection.next_event()) is h11.Data:
            other += event.data
    except h11.RemoteProtocolError:
        # The one thing we take and h11 does not: whitespace before the `;` of an extension (rule 41).
        assert re.search(rb"[ \t];", data), data
        return
    assert (body, decoder.done) == (other, type(event) is h11.EndOfMessage)


@many
@given(st.binary(max_size=60).filter(lambda path: b"%00" not in path))
def test_unescaping_agrees_with_the_standard_library(path):
    assert unescape(path) == unquote_to_bytes(path)
