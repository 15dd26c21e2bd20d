"""Response heads: `render_head` and what is appended to it (RFC 9110 section 5.5, PEP 3333).

An input is UTF-8 text: a status, and headers behind it. U+001E stands before each header, U+001F between its name and
its value; what is not UTF-8 becomes lone surrogates, which no header may hold either.
"""

import re

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fuzz.targets.window cimport next_number, seed_of
from pronghorn.wire.buffer cimport Buffer, append, release
from pronghorn.wire.response cimport (
    SAID_CLOSE, SAID_DATE, SAID_SERVER, Verdict, append_length, append_standard, render_date, render_head,
)

cdef bytes BEFORE = b"HTTP/1.1 200 OK\r\n\r\nwhat another response left here"

# What may be said, written down a second time and in another way than in wire/response.pyx.
STATUS = re.compile(r"[2-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
LENGTH = re.compile(r"[0-9]{1,18}")
LEFT_OUT = {"keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class Refused(Exception):
    """What the model does not let pass."""


def check(bytes data):
    """Raise AssertionError when what is rendered is not what the model says."""
    status, *rest = data.decode("utf-8", "surrogateescape").split("\x1e")
    headers = [tuple(header.partition("\x1f")[::2]) for header in rest]
    try:
        expected = model(status, headers)
    except Refused:
        expected = None
    # Twice: names and statuses that were checked are remembered, and must stay what they are.
    for _ in range(2):
        rendered = render(status, headers)
        assert rendered == expected, f"{status!r} {headers!r} became {rendered!r} and not {expected!r}"
    judge_ends(data)


def model(status, headers):
    """The octets, what the application said itself, and the length it gave. Raises Refused."""
    if not STATUS.fullmatch(status):
        raise Refused
    said, length = set(), None
    lines = [f"HTTP/1.1 {status}" + ("" if status[3:] else " ")]
    for name, value in headers:
        kind = name.lower()
        if not NAME.fullmatch(name):
            raise Refused
        if kind in LEFT_OUT:
            continue
        if kind == "connection":
            said |= {"close"} & {option.strip(" \t").lower() for option in value.split(",")}
            continue
        if kind == "content-length":
            if not LENGTH.fullmatch(value) or length not in {None, int(value)}:
                raise Refused
            length = int(value)
            continue
        if not VALUE.fullmatch(value):
            raise Refused
        said |= {"date", "server"} & {kind}
        lines.append(f"{name}: {value}")
    return "".join(line + "\r\n" for line in lines).encode("latin-1"), said, length


def render(str status, list headers):
    """What `render_head` makes of it, in the form of `model`; None when it refuses."""
    cdef Buffer out
    cdef Verdict verdict
    memset(&out, 0, sizeof(Buffer))
    assert append(&out, <const char*>BEFORE, len(BEFORE)) == 0
    try:
        try:
            render_head(&out, status, headers, &verdict)
        except ValueError:
            assert out.data[:out.size] == BEFORE, "a refused head left something behind"
            return None
        head = out.data[:out.size]
        assert head.startswith(BEFORE), "another response was overwritten"
        assert verdict.status == int(status[:3])
        flags = ((SAID_CLOSE, "close"), (SAID_DATE, "date"), (SAID_SERVER, "server"))
        said = {name for flag, name in flags if verdict.flags & flag}
        return head[len(BEFORE):], said, None if verdict.content_length < 0 else verdict.content_length
    finally:
        release(&out)


# The lines that are the server's own: any length, any second, any of them left out.
cdef int judge_ends(bytes data) except -1:
    cdef Buffer out
    cdef Verdict verdict
    cdef uint64_t state = seed_of(data)
    cdef int64_t length = <int64_t>(next_number(&state, <uint64_t>1 << 63) >> next_number(&state, 63))
    memset(&out, 0, sizeof(Buffer))
    verdict.flags = <uint32_t>next_number(&state, 8)
    try:
        render_date(<long>next_number(&state, 253402300800))     # up to the end of the year 9999
        append_length(&out, length)
        append_standard(&out, &verdict)
        lines = b"Content-Length: %d\r\n" % length
        if not verdict.flags & SAID_SERVER:
            lines += rb"Server: pronghorn\r\n"
        if not verdict.flags & SAID_DATE:
            lines += rb"Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n"
        assert re.fullmatch(lines, out.data[:out.size]), f"{out.data[:out.size]!r} is not {lines!r}"
    finally:
        release(&out)
    return 0
