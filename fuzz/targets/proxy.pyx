"""What stands before a connection's first request: `parse_proxy` (the PROXY protocol, versions 1 and 2)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fuzz.targets.window cimport Window, close_window, next_piece, open_window, seed_of, show, steps_taken
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.proxy cimport (
    ABSENT, LONGEST_HEADER, LONGEST_LINE, TCP4, TCP6, Endpoint, Introduction, parse_proxy,
)

from ipaddress import ip_address

from pronghorn.errors import PeerError
from pronghorn.wire.faults import FAULTS
from pronghorn.wire.proxy import KINDS, parse

cdef enum:
    WHOLE = 0
    ONE_BY_ONE = 1
    BY_CHANCE = 2

    STEPS_PER_OCTET = 8
    STEPS_PER_PIECE = 4 * LONGEST_LINE      # a line that is not all there is read again

GOOD = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"


def check(bytes data):
    """Raise AssertionError when an invariant does not hold for `data`."""
    cdef uint64_t state = seed_of(data)
    whole = read(data, WHOLE, state)
    assert whole[0] in (MORE, DONE, ABSENT) or whole[0] in FAULTS, f"{whole[0]} is in no table"
    for way in (ONE_BY_ONE, BY_CHANCE):
        other = read(data, way, state)
        assert other == whole, f"way {way}: {other}, and at once {whole}"
    judge_door(data, whole)
    if whole[0] == DONE:
        judge_again(whole)
    assert read(GOOD, WHOLE, state)[0] == DONE, "a good line behind another is not what it is alone"


def steps(bytes data, size_t piece, uint32_t most):
    """How many steps it costs to read `data` in pieces of `piece` octets; `most` bounds nothing here."""
    cdef Introduction said
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef size_t shown = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken
    while verdict == MORE and shown < <size_t>len(data):
        shown = min(shown + piece, <size_t>len(data))
        verdict = parse_proxy(octets, <uint32_t>shown, &said)
    return steps_taken - before


cdef object read(bytes data, int way, uint64_t state):
    """Verdict, version, kind, both ends and length, as pieces of `data` come in."""
    cdef Window window
    cdef Introduction said
    cdef size_t pieces = 0
    cdef int verdict = MORE
    cdef uint64_t before = steps_taken, cost
    memset(&said, 0xA5, sizeof(Introduction))
    open_window(&window, data)
    try:
        while verdict == MORE and (window.shown < window.size or pieces == 0):
            show(&window, next_piece(way, window.size - window.shown, &state))
            pieces += 1
            verdict = parse_proxy(window.data, <uint32_t>window.shown, &said)
        cost = steps_taken - before
        assert cost <= STEPS_PER_OCTET * window.shown + STEPS_PER_PIECE * pieces, (
            f"way {way}: {cost} steps for {window.shown} octets in {pieces} pieces"
        )
        assert verdict != MORE or window.shown < LONGEST_HEADER, f"more is asked for behind {window.shown} octets"
        if verdict != DONE:
            return (verdict, said.version if verdict < 0 else 0, None, None, None, 0)
        assert 0 < said.end <= window.shown, f"{said.end} octets used of {window.shown}"
        assert way != ONE_BY_ONE or said.end == window.shown, f"{window.shown} octets taken for a header of {said.end}"
        assert said.end <= <uint32_t>(LONGEST_LINE if said.version == 1 else LONGEST_HEADER)
        ends = describe(&said, &said.source), describe(&said, &said.destination)
        return (verdict, said.version, said.kind, *ends, said.end)
    finally:
        close_window(&window)


cdef object describe(const Introduction* said, const Endpoint* endpoint):
    text = (<bytes>endpoint.text).decode("ascii")
    assert 0 <= endpoint.port <= 65535
    if said.kind == TCP4 or said.kind == TCP6:
        # One spelling for each address: what a list of trusted proxies is compared with.
        assert str(ip_address(text)) == text or "::ffff:" in str(ip_address(text)) or "." in text, text
    else:
        assert (text, endpoint.port) == ("", 0)
    return text, endpoint.port


# wire.proxy.parse, by which the tests look at all this, says the same.
cdef int judge_door(bytes data, object whole) except -1:
    try:
        parsed = parse(data)
    except PeerError as error:
        assert whole[0] < 0 and error.detail == FAULTS[whole[0]].detail, f"{error}, and {whole}"
        return 0
    if parsed is None or parsed is False:
        assert whole[0] == (MORE if parsed is None else ABSENT), f"{parsed}, and {whole}"
    else:
        assert whole[0] == DONE
        assert (parsed.version, parsed.kind, parsed.source, parsed.destination, parsed.end) == (
            whole[1], KINDS[whole[2]], *whole[3:]
        ), f"{parsed}, and {whole}"
    return 0


# What was taken, written in the other version too, says the same.
cdef int judge_again(object whole) except -1:
    cdef int kind = whole[2]
    if kind != TCP4 and kind != TCP6:
        return 0
    (source, source_port), (destination, destination_port) = whole[3], whole[4]
    ends = [ip_address(source), ip_address(destination)]
    if kind == TCP6 and any(end.version == 4 for end in ends):
        ends = [ip_address(f"::ffff:{end}") if end.version == 4 else end for end in ends]
    line = "PROXY %s %s %s %d %d\r\n" % (
        KINDS[kind], ends[0].compressed, ends[1].compressed, source_port, destination_port
    )
    addresses = ends[0].packed + ends[1].packed
    block = addresses + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    header = b"\r\n\r\n\0\r\nQUIT\n!" + (b"\x11" if kind == TCP4 else b"\x21") + len(block).to_bytes(2, "big") + block
    for spelling in (line.encode(), header):
        again = read(spelling, WHOLE, 0)
        assert (again[0], *again[2:5]) == (DONE, *whole[2:5]), f"{whole} became {again}"
        assert again[5] == len(spelling)
    return 0
