"""The uwsgi packet: `parse_packet`, and the request head that `write_head` makes of it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fuzz.targets.window cimport (
    Window, close_window, next_number, next_piece, open_window, seed_of, show, steps_taken,
)
from pronghorn.wire.buffer cimport Buffer, release
from pronghorn.wire.http1 cimport DONE, MORE, Span
from pronghorn.wire.uwsgi cimport HEADER, NAMELESS, PLAIN, Packet, Variable, parse_packet, write_head

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.http1 import HeadParser
from pronghorn.wire.uwsgi import parse

cdef enum:
    ROOM = 300          # variables
    WHOLE = 0
    ONE_BY_ONE = 1
    BY_CHANCE = 2

    STEPS_PER_OCTET = 24
    STEPS_PER_PIECE = 16

cdef Variable room[ROOM]
LEFT_OUT = {b"HTTP_CONTENT_LENGTH", b"HTTP_CONTENT_TYPE", b"HTTP_TRANSFER_ENCODING", b"HTTP_EXPECT"}
CONTENT = {b"CONTENT_LENGTH", b"CONTENT_TYPE"}


def check(bytes data):
    """Raise AssertionError when an invariant does not hold for `data`."""
    cdef uint64_t state = seed_of(data)
    whole = judge(data, 65535, 228, state)
    judge_door(data, whole)
    judge(data, <uint32_t>next_number(&state, 200), <uint32_t>next_number(&state, 8), state)


def steps(bytes data, size_t piece, uint32_t most):
    """How many steps it costs to read `data` in pieces of `piece` octets, under a limit of `most` octets."""
    cdef Packet packet
    cdef Buffer head
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef bytearray fields = bytearray((most // 4 + 1) * sizeof(Variable))
    cdef Variable* variables = <Variable*><char*>fields
    cdef size_t shown = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken
    memset(&head, 0, sizeof(Buffer))
    while verdict == MORE and shown < <size_t>len(data):
        shown = min(shown + piece, <size_t>len(data))
        verdict = parse_packet(octets, <uint32_t>shown, most, most // 4, variables, &packet)
    if verdict == DONE:
        write_head(octets, &packet, variables, &head)
    release(&head)
    return steps_taken - before


cdef object judge(bytes data, uint32_t limit, uint32_t most, uint64_t state):
    whole = read(data, limit, most, WHOLE, state)
    assert whole[0] in (MORE, DONE) or whole[0] in FAULTS, f"{whole[0]} is in no table"
    for way in (ONE_BY_ONE, BY_CHANCE):
        other = read(data, limit, most, way, state)
        assert other == whole, f"way {way}: {other}, and at once {whole}"
    if whole[2] is not None:
        assert len(whole[1]) <= most and whole[3] <= 4 + limit
        judge_head(whole)
    return whole


cdef bytes cut(bytes data, Span span, uint32_t end):
    assert <uint64_t>span.start + span.length <= end, f"a span {span} in a packet of {end} octets"
    return data[span.start:span.start + span.length]


cdef object read(bytes data, uint32_t limit, uint32_t most, int way, uint64_t state):
    """Verdict, variables with their kinds, head and length, as pieces of `data` come in."""
    cdef Window window
    cdef Packet packet
    cdef Buffer head
    cdef size_t pieces = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken, cost
    assert most <= ROOM
    memset(&head, 0, sizeof(Buffer))
    open_window(&window, data)
    try:
        while verdict == MORE and (window.shown < window.size or pieces == 0):
            show(&window, next_piece(way, window.size - window.shown, &state))
            pieces += 1
            verdict = parse_packet(window.data, <uint32_t>window.shown, limit, most, room, &packet)
        variables = None
        if verdict == DONE:
            assert 0 < packet.end <= window.shown, f"{packet.end} octets used of {window.shown}"
            assert way != ONE_BY_ONE or packet.end == window.shown, f"{window.shown} octets for {packet.end}"
            variables = [
                (cut(data, room[index].name, packet.end), cut(data, room[index].value, packet.end), room[index].kind)
                for index in range(packet.count)
            ]
            verdict = write_head(window.data, &packet, room, &head) or DONE
        cost = steps_taken - before
        assert cost <= STEPS_PER_OCTET * window.shown + STEPS_PER_PIECE * pieces, (
            f"way {way}: {cost} steps for {window.shown} octets in {pieces} pieces"
        )
        if verdict != DONE:
            return verdict, variables, None, 0
        return verdict, variables, <bytes>head.data[:head.size], packet.end
    finally:
        release(&head)
        close_window(&window)


# The head that was written holds these variables and nothing else, whatever stands in them: as many lines as headers,
# one empty line, and that at its end. What the parser takes of it says what the variables said.
cdef int judge_head(object whole) except -1:
    cdef bytes head = whole[2]
    headers = [
        (name, value) for name, value, kind in whole[1]
        if kind == HEADER and name not in LEFT_OUT and not (name in CONTENT and not value)
    ]
    assert head.endswith(b"\r\n\r\n") and head.count(b"\r") == head.count(b"\n") == len(headers) + 2
    lines = head.split(b"\r\n")
    assert len(lines) == len(headers) + 3
    for (name, value), line in zip(headers, lines[1:], strict=False):
        written, _, text = line.partition(b": ")
        assert written.replace(b"-", b"_") == name.removeprefix(b"HTTP_") and text == value, f"{name} became {line}"
    for name, _, kind in whole[1]:
        assert kind == NAMELESS or name.isascii() and name == name.upper() and b"." not in name
        assert kind != PLAIN or not name.startswith(b"HTTP_")
    try:
        parsed = HeadParser(request_line=65536, field_line=65536, fields=ROOM, section=1 << 20).feed(head)
    except PeerError:
        return 0
    assert parsed is not None and parsed.end == len(head), f"{parsed} of {head}"
    said = {name: value for name, value, _ in whole[1]}
    assert (parsed.method, parsed.target) == (said[b"REQUEST_METHOD"], said[b"REQUEST_URI"])
    length = said.get(b"CONTENT_LENGTH")
    assert not parsed.chunked and parsed.content_length == (int(length) if length else None)
    return 0


# wire.uwsgi.parse, by which the tests look at all this, says the same.
cdef int judge_door(bytes data, object whole) except -1:
    try:
        parsed = parse(data)
    except PeerError as error:
        assert whole[0] < 0 and error.detail == FAULTS[whole[0]].detail, f"{error}, and {whole}"
        return 0
    assert whole[0] == (MORE if parsed is None else DONE), f"{parsed}, and {whole}"
    if parsed is not None:
        assert (parsed.variables, parsed.head, parsed.end) == (
            [(name, value) for name, value, _ in whole[1]], whole[2], whole[3]
        )
    return 0
