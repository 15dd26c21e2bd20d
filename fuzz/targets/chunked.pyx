"""Chunked bodies: `decode_chunked` (RFC 9112 section 7.1)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fuzz.targets.window cimport (
    Window, close_window, next_number, next_piece, open_window, seed_of, show, steps_taken,
)
from pronghorn.wire.framing cimport PIECE, Chunked, ChunkLimits, decode_chunked
from pronghorn.wire.http1 cimport DONE, MORE

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.framing import ChunkedDecoder

cdef enum:
    WHOLE = 0
    ONE_BY_ONE = 1
    BY_CHANCE = 2

    STEPS_PER_OCTET = 4
    STEPS_PER_PIECE = 8

GOOD = b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"


class Reading:
    """What came of one way to read an input."""

    def __init__(self, verdict, body, used):
        self.verdict = verdict      # MORE, DONE or a fault
        self.body = body            # what was handed out, before a fault too
        self.used = used            # octets of the input

    def __eq__(self, other):
        return (self.verdict, self.body, self.used) == (other.verdict, other.body, other.used)

    def __repr__(self):
        return f"<verdict {self.verdict} body {self.body!r} used {self.used}>"


def check(bytes data):
    """Raise AssertionError when an invariant does not hold for `data`."""
    cdef uint64_t state = seed_of(data)
    judge_door(data, judge(data, ChunkLimits(1 << 30, 8192, 100, 65536), state))
    judge(data, ChunkLimits(<uint64_t>-1, 65536, 1000, 1 << 30), state)
    judge(data, ChunkLimits(
        next_number(&state, 40),
        <uint32_t>next_number(&state, 40),
        <uint32_t>next_number(&state, 5),
        <uint32_t>next_number(&state, 80),
    ), state)


def steps(bytes data, size_t piece, uint32_t most):
    """How many steps it costs to decode `data` in pieces of `piece` octets, under limits of `most` octets and lines."""
    cdef Chunked decoder
    cdef ChunkLimits limits = ChunkLimits(most, most, most, most)
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef const uint8_t* body
    cdef size_t at = 0, end, used = 0, length = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken
    memset(&decoder, 0, sizeof(Chunked))
    while verdict == MORE and at < <size_t>len(data):
        end = min(at + piece, <size_t>len(data))
        verdict = PIECE
        while verdict == PIECE:
            verdict = decode_chunked(&decoder, &limits, octets + at, end - at, &used, &body, &length)
            at += used
    return steps_taken - before


cdef object judge(bytes data, ChunkLimits limits, uint64_t state):
    whole = read(data, &limits, WHOLE, state)
    assert whole.verdict in (MORE, DONE) or whole.verdict in FAULTS, f"{whole.verdict} is in no table"
    for way in (ONE_BY_ONE, BY_CHANCE):
        other = read(data, &limits, way, state)
        assert other == whole, f"way {way}: {other}, and at once {whole}"
    assert len(whole.body) <= limits.body, f"{len(whole.body)} octets of body, and the limit is {limits.body}"
    if whole.verdict == DONE:
        judge_again(whole, state)
    if whole.verdict < 0:
        limits = ChunkLimits(1 << 30, 8192, 100, 65536)
        good = read(GOOD, &limits, WHOLE, state)
        assert (good.verdict, good.body) == (DONE, b"hello"), "a good body behind a bad one is not what it is alone"
    return whole


# ChunkedDecoder, by which the tests look at all this, says the same.
cdef int judge_door(bytes data, object whole) except -1:
    decoder = ChunkedDecoder()
    try:
        body = decoder.feed(data)
    except PeerError as error:
        assert whole.verdict < 0 and error.detail == FAULTS[whole.verdict].detail, f"{error}, and {whole}"
    else:
        assert (body, decoder.done, decoder.rest) == (
            whole.body, whole.verdict == DONE, data[whole.used:] if whole.verdict == DONE else b""
        ), f"{body!r} {decoder}, and {whole}"
    return 0


cdef object read(bytes data, const ChunkLimits* limits, int way, uint64_t state):
    """Decodes as pieces of `data` come in; holds what is used and handed out to what was given."""
    cdef Window window
    cdef Chunked decoder
    cdef const uint8_t* body
    cdef size_t at = 0, pieces = 0, used = 0, length = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken
    cdef bytearray decoded = bytearray()
    memset(&decoder, 0, sizeof(Chunked))
    open_window(&window, data)
    try:
        while verdict == MORE and (window.shown < window.size or pieces == 0):
            show(&window, next_piece(way, window.size - window.shown, &state))
            pieces += 1
            verdict = PIECE
            while verdict == PIECE:
                verdict = decode_chunked(&decoder, limits, window.data + at, window.shown - at, &used, &body, &length)
                assert used <= window.shown - at, f"{used} octets used of {window.shown - at}"
                assert verdict != PIECE or 0 < length <= used, f"a piece of {length} octets from {used}"
                if length:
                    assert window.data + at <= body and body + length <= window.data + at + used, "a piece from outside"
                    decoded += body[:length]
                at += used
            assert verdict != MORE or at == window.shown, f"more is asked for with {window.shown - at} octets unread"
        steps = steps_taken - before
        assert steps <= STEPS_PER_OCTET * window.shown + STEPS_PER_PIECE * pieces, (
            f"way {way}: {steps} steps for {window.shown} octets in {pieces} pieces"
        )
        assert decoder.total == <uint64_t>len(decoded), f"{decoder.total} octets counted, {len(decoded)} handed out"
        if verdict < 0:
            judge_end(&decoder, limits, verdict)
        return Reading(verdict, bytes(decoded), at)
    finally:
        close_window(&window)


# Behind a fault nothing is read again: who calls once more hears of the same one.
cdef int judge_end(Chunked* decoder, const ChunkLimits* limits, int fault) except -1:
    cdef size_t used = 1, length = 1
    cdef const uint8_t* body
    cdef int verdict = decode_chunked(decoder, limits, b"0\r\n\r\n", 5, &used, &body, &length)
    assert (verdict, used, length) == (fault, 0, 0), f"behind fault {fault}: {verdict}, {used} used, {length} of body"
    return 0


# The same body in other chunks, without extensions and trailers, is the same body.
cdef int judge_again(object whole, uint64_t state) except -1:
    cdef ChunkLimits limits = ChunkLimits(<uint64_t>len(whole.body), 0, 0, 2)
    cdef bytearray chunks = bytearray()
    cdef size_t at = 0, size
    while at < <size_t>len(whole.body):
        size = next_piece(BY_CHANCE, <size_t>len(whole.body) - at, &state)
        chunks += b"%X\r\n%b\r\n" % (size, whole.body[at:at + size])
        at += size
    chunks += b"0\r\n\r\n"
    again = read(bytes(chunks), &limits, WHOLE, 0)
    assert again == Reading(DONE, whole.body, len(chunks)), f"{whole} became {again}"
    return 0
