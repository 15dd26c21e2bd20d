"""h11 and httptools as outside opinions, and random bytes cut at random.

What we serve, they must serve too and understand the same way: fuzz/targets/differential.py asks them, here about
heads and bodies made of telling pieces. What they serve and we refuse must be one of the differences of stricter.py.
"""

import re
from urllib.parse import unquote_to_bytes

import pytest
from fuzz.targets.differential import check, read_h11, read_httptools
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.wire.stricter import H11, HTTPTOOLS, IN_BODIES, IN_HEADS

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.framing import ChunkedDecoder
from pronghorn.wire.http1 import HeadParser, parse, unescape

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


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OTHERS = ((H11, read_h11), (HTTPTOOLS, read_httptools))
WHOLE_HEAD = re.compile(rb"(?:\r?\n)*.*?(?:\n\r?\n|\Z)", re.DOTALL)


def refusal_of_head(data):
    """The fault for which we refuse a head; None where we do not."""
    refusal = ours(data)
    return DETAILS[refusal.detail] if isinstance(refusal, PeerError) else None


def refusal_of_body(data):
    """The same of a chunked body."""
    try:
        ChunkedDecoder().feed(data)
    except PeerError as error:
        return DETAILS[error.detail]
    return None


def serve_head(read, data):
    return bool(read(data)[0])


def serve_body(read, data):
    requests, _ = read(CHUNKED + data)
    return bool(requests) and requests[0].complete


@pytest.mark.parametrize(
    ("difference", "refusal", "serves"),
    [
        *((one, refusal_of_head, serve_head) for one in IN_HEADS),
        *((one, refusal_of_body, serve_body) for one in IN_BODIES),
    ],
    ids=lambda value: getattr(value, "fault", ""),
)
def test_each_deliberate_difference_is_one(difference, refusal, serves):
    fault = refusal(difference.example)
    assert fault == difference.fault
    for who, read in OTHERS:
        if who in difference.who:
            assert serves(read, difference.example)
            assert difference.explains(who, fault, difference.example)


@many
@given(heads)
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
def test_what_others_serve_and_we_refuse_is_a_deliberate_difference(data):
    fault = refusal_of_head(data)
    head = WHOLE_HEAD.match(data).group()
    for who, read in OTHERS if fault else ():
        if serve_head(read, data.removeprefix(b"\r\n") if who == H11 else data):
            assert any(one.explains(who, fault, head) for one in IN_HEADS), (who, fault, data)


@many
@given(heads)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
@example(b"GET / HTTP/1.0\r\nX: \x01y\r\n\r\n")
def test_what_we_serve_others_understand_the_same(data):
    check(data)


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
def test_what_we_decode_others_decode_the_same(data):
    check(CHUNKED + data)


@many
@given(bodies)
@example(b"0;;0\r\nX: y\r\n\r\n")
@example(b"1 ;a = b\r\nx\r\n0\r\n\r\n")
def test_what_others_decode_and_we_refuse_is_a_deliberate_difference(data):
    fault = refusal_of_body(data)
    for who, read in OTHERS if fault else ():
        if serve_body(read, data):
            assert any(one.explains(who, fault, data) for one in IN_BODIES), (who, fault, data)


@many
@given(st.binary(max_size=60).filter(lambda path: b"%00" not in path))
def test_unescaping_agrees_with_the_standard_library(path):
    assert unescape(path) == unquote_to_bytes(path)
