"""Request heads: `parse_head`, `check_head`, `unescape_path` (RFC 9112 sections 2 to 6), and what they rest on."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fuzz.targets.window cimport (
    Window, close_window, next_number, next_piece, open_window, seed_of, show, steps_taken,
)
from pronghorn.wire.http1 cimport (
    DONE, HAS_HOST, MORE, Facts, Field, Head, Limits, Span, check_head, parse_head, parse_request_line, parse_section,
    unescape_path,
)

from urllib.parse import unquote_to_bytes

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.http1 import HeadParser

cdef enum:
    ROOM = 128          # header lines; the limits below stay under it
    WHOLE = 0
    ONE_BY_ONE = 1
    BY_CHANCE = 2
    AS_SERVED = 3       # as apps/wsgi.pyx calls it for a head that comes in one piece

    # Looking at an octet is a step, and so is calling a function of wire/cursor.pxd. What costs most is known from
    # tests/wire/test_linear.py: lists of nothing, and what looks like an IPv6 address.
    STEPS_PER_OCTET = 10
    STEPS_PER_PIECE = 16
    STEPS_AT_ALL = 64

cdef Field room[ROOM]
GOOD = b"POST /a%20b?c HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 5\r\n\r\n"


class Reading:
    """What came of one way to read an input."""

    def __init__(self, verdict, head, steps):
        self.verdict = verdict      # MORE, DONE or a fault, of the parser or of check_head
        self.head = head            # everything the head says, by name; None without a head
        self.steps = steps


def check(bytes data):
    """Raise AssertionError when an invariant does not hold for `data`."""
    cdef uint64_t state = seed_of(data)
    judge(data, Limits(8192, 8192, 100, 65536), state)
    judge(data, Limits(
        <uint32_t>(5 + next_number(&state, 60)),
        <uint32_t>next_number(&state, 60),
        <uint32_t>next_number(&state, 8),
        <uint32_t>next_number(&state, 200),
    ), state)


def steps(bytes data, size_t piece, uint32_t most):
    """How many steps it costs to read `data` in pieces of `piece` octets, under limits of `most` octets and lines."""
    cdef Field* fields = NULL
    cdef bytearray fields_room = bytearray((most + 1) * sizeof(Field))
    cdef Limits limits = Limits(most, most, most, most)
    cdef Head head
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef size_t shown = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken
    memset(&head, 0, sizeof(Head))
    fields = <Field*><char*>fields_room
    while verdict == MORE and shown < <size_t>len(data):
        shown = min(shown + piece, <size_t>len(data))
        verdict = parse_head(octets, <uint32_t>shown, &limits, &head, fields)
        if verdict == DONE:
            check_head(octets, &head)
    return steps_taken - before


cdef int judge(bytes data, Limits limits, uint64_t state) except -1:
    whole = read(data, limits, WHOLE, state)
    assert whole.verdict in (MORE, DONE) or whole.verdict in FAULTS, f"{whole.verdict} is in no table"
    for way in (ONE_BY_ONE, BY_CHANCE, AS_SERVED):
        other = read(data, limits, way, state)
        assert (other.verdict, other.head) == (whole.verdict, whole.head), (
            f"way {way}: {other.verdict} {other.head}, and at once {whole.verdict} {whole.head}"
        )
    judge_door(data, limits, whole)
    if whole.head is not None:
        judge_paths(whole.head)
        judge_cache(data, limits, whole)
    if whole.verdict == DONE:
        judge_again(whole)
    if whole.verdict < 0:
        assert read(GOOD, Limits(8192, 8192, 100, 65536), WHOLE, state).head["content_length"] == 5, (
            "a good head behind a bad one is not what it is alone"
        )
    return 0


cdef object read(bytes data, Limits limits, int way, uint64_t state):
    """Reads a head as pieces of `data` come in; holds sizes and steps to what was given."""
    cdef Window window
    cdef Head head
    cdef size_t pieces = 0
    cdef int verdict = MORE
    cdef uint64_t before, cost
    assert limits.fields <= ROOM
    memset(&head, 0, sizeof(Head))
    open_window(&window, data)
    before = steps_taken
    try:
        while verdict == MORE and (window.shown < window.size or pieces == 0):
            show(&window, next_piece(0 if way == AS_SERVED else way, window.size - window.shown, &state))
            pieces += 1
            if way == AS_SERVED:
                verdict = parse_request_line(window.data, <uint32_t>window.shown, &limits, &head)
                if verdict == DONE:
                    verdict = parse_section(window.data, <uint32_t>window.shown, &limits, &head, room)
            else:
                verdict = parse_head(window.data, <uint32_t>window.shown, &limits, &head, room)
        cost = steps_taken - before
        assert cost <= STEPS_PER_OCTET * window.shown + STEPS_PER_PIECE * pieces + STEPS_AT_ALL, (
            f"way {way}: {cost} steps for {window.shown} octets in {pieces} pieces"
        )
        if verdict < 0:
            repeated = parse_head(window.data, <uint32_t>window.shown, &limits, &head, room)
            assert way == AS_SERVED or repeated == verdict, f"fault {verdict}, and when asked again {repeated}"
        if verdict != DONE:
            return Reading(verdict, None, cost)
        assert 0 < head.end <= window.shown and head.count <= limits.fields, f"{head.end} of {window.shown} octets used"
        assert way != ONE_BY_ONE or head.end == window.shown, f"{window.shown} octets taken for a head of {head.end}"
        verdict = check_head(window.data, &head)
        return Reading(verdict or DONE, describe(data, &head), cost)
    finally:
        close_window(&window)


cdef bytes cut(bytes data, Span span, uint32_t end):
    assert <uint64_t>span.start + span.length <= end, f"a span {span} in a head of {end} octets"
    return data[span.start:span.start + span.length]


cdef dict describe(bytes data, const Head* head):
    cdef const Facts* facts = &head.facts
    cdef Span host = Span(head.section_start + facts.host.start, facts.host.length)
    assert 0 < head.section_start < head.end
    return {
        "method": cut(data, head.method, head.end),
        "target": cut(data, head.target, head.end),
        "authority": cut(data, head.authority, head.end),
        "path": cut(data, head.path, head.end),
        "query": cut(data, head.query, head.end),
        "form": head.form,
        "version": head.version,
        "path_escaped": bool(head.path_escaped),
        "fields": [
            (cut(data, room[index].name, head.end), cut(data, room[index].value, head.end))
            for index in range(head.count)
        ],
        "section_start": head.section_start,
        "end": head.end,
        "flags": facts.flags,
        "content_length": facts.content_length,
        "fault": facts.fault,
        "host": cut(data, host, head.end) if facts.flags & HAS_HOST else None,
    }


# HeadParser, by which the tests look at all this, says the same, and goes on saying it behind a fault.
cdef int judge_door(bytes data, Limits limits, object whole) except -1:
    parser = HeadParser(
        request_line=limits.request_line, field_line=limits.field_line, fields=limits.fields, section=limits.section,
    )
    parsed = None
    for more in (data, GOOD):
        try:
            parsed = parsed or parser.feed(more)
        except PeerError as error:
            assert whole.verdict < 0 and error.detail == FAULTS[whole.verdict].detail, f"{error}, and {whole.verdict}"
        else:
            assert whole.verdict >= 0, f"{parsed}, and fault {whole.verdict}"
        if whole.verdict == MORE:
            return 0
    if parsed is not None:
        assert (parsed.fields, parsed.host, parsed.end) == tuple(whole.head[name] for name in ("fields", "host", "end"))
        assert parsed.content_length == (None if whole.head["content_length"] < 0 else whole.head["content_length"])
    return 0


# Accepted once, written again in the plainest way, it must say the same: what only one spelling of a head says, another
# program may have understood otherwise.
cdef int judge_again(object whole) except -1:
    cdef dict head = whole.head
    lines = [b"%b: %b\r\n" % field for field in head["fields"]]
    line = b"%b %b HTTP/%d.%d\r\n" % (head["method"], head["target"], *divmod(head["version"], 10))
    section = b"".join(lines) + b"\r\n"
    # `X:y` is one octet longer when it is written with its space.
    most = max([len(entry) for entry in lines], default=0)
    again = read(line + section, Limits(8192, <uint32_t>most, 100, <uint32_t>len(section)), WHOLE, 0)
    expected = head | {"section_start": len(line), "end": len(line) + len(section)}
    assert (again.verdict, again.head) == (DONE, expected), f"{expected} became {again.verdict} {again.head}"
    return 0


# apps/section.pyx keeps what a header section says for the next request with the same one, whatever its request line.
cdef int judge_cache(bytes data, Limits limits, object whole) except -1:
    cdef dict head = whole.head
    line = b"OPTIONS * HTTP/1.0\r\n"
    moved = read(line + data[head["section_start"]:head["end"]], Limits(
        8192, limits.field_line, limits.fields, limits.section), WHOLE, 0)
    for name in ("fields", "flags", "content_length", "fault", "host"):
        assert moved.head is not None and moved.head[name] == head[name], f"{name} depends on the request line"
    return 0


cdef int judge_paths(dict head) except -1:
    cdef bytes path = head["path"]
    cdef bytearray plain = bytearray(len(path))
    cdef int written = unescape_path(<const uint8_t*><const char*>path, <uint32_t>len(path), <uint8_t*><char*>plain)
    assert head["path_escaped"] == (b"%" in path)
    if b"%00" in path:
        assert written in FAULTS, f"%00 in {path!r} became {written}"
    else:
        assert plain[:written] == unquote_to_bytes(path), f"{path!r} became {bytes(plain[:written])!r}"
    return 0
