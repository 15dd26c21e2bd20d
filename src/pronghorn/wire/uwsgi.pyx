"""The uwsgi protocol (uwsgi-docs, "The uwsgi Protocol"), as nginx's `uwsgi_pass` speaks it: packets with modifier 0.

A front end has parsed the request and sends what it found as CGI variables, binary and with lengths. What came from its
client, method, target and headers, is written down as a request head again and given to the one parser: so every rule
and every limit for requests holds for these, too, and none is written twice. For that no variable may hold a line end.
"""

from typing import NamedTuple

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from pronghorn.wire.buffer cimport append, release, reserve
from pronghorn.wire.cursor cimport (
    END, Cursor, copy_out, distance, left, open_cursor, part, skip, take, tell,
)
from pronghorn.wire.faults cimport (
    BAD_PACKET, BAD_VARIABLE, LARGE_SECTION, MANY_FIELDS, NO_MEMORY, OTHER_MODIFIER,
)
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.octets cimport CR, LF

from pronghorn.wire.faults import peer_error

cdef enum:
    PACKET_HEAD = 4     # octets: modifier1, the length of the variables (the low octet first), modifier2
    NUMBER = 2          # octets of a length
    LONGEST = 65535     # what it can say
    HTTP = 5            # octets of `HTTP_`
    HYPHEN = 0x2D
    UNDERSCORE = 0x5F


cdef int parse_packet(
    const uint8_t* data, uint32_t size, uint32_t limit, uint32_t most, Variable* variables, Packet* packet,
) noexcept nogil:
    cdef Cursor cursor = open_cursor(data, size)
    cdef Cursor block
    cdef int modifier = take(&cursor)
    cdef uint32_t length
    memset(packet, 0, sizeof(Packet))
    if modifier != 0 and modifier != END:
        return OTHER_MODIFIER
    if left(&cursor) < PACKET_HEAD - 1:
        return MORE
    length = take_length(&cursor)
    if take(&cursor) != 0:
        return OTHER_MODIFIER
    if length > limit:
        return LARGE_SECTION
    if left(&cursor) < length:
        return MORE
    packet.end = PACKET_HEAD + length
    block = part(&cursor, 0, packet.end)
    skip(&block, PACKET_HEAD)
    while left(&block):
        if packet.count == most:
            return MANY_FIELDS
        if not (take_text(&block, &variables[packet.count].name) and take_text(&block, &variables[packet.count].value)):
            return BAD_PACKET
        variables[packet.count].kind = kind_of(&block, variables[packet.count].name)
        packet.count += 1
    return DONE


cdef inline uint32_t take_length(Cursor* cursor) noexcept nogil:
    cdef uint8_t octets[NUMBER]
    memset(octets, 0, NUMBER)
    copy_out(cursor, NUMBER, octets)
    return <uint32_t>octets[1] << 8 | octets[0]


# A length and as many octets. False if they are not there.
cdef inline bint take_text(Cursor* block, Span* text) noexcept nogil:
    if left(block) < NUMBER:
        return False
    text.length = take_length(block)
    text.start = <uint32_t>tell(block)
    return skip(block, text.length) == text.length


cdef int kind_of(const Cursor* block, Span name) noexcept nogil:
    cdef Cursor text = part(block, name.start, name.length)
    cdef Cursor rest = text
    cdef int byte
    while left(&rest):
        byte = take(&rest)
        if not (0x41 <= byte <= 0x5A or 0x30 <= byte <= 0x39 or byte == UNDERSCORE):
            return NAMELESS
    if name.length == 0:
        return NAMELESS
    if starts(text, b"HTTP_", HTTP):
        return HEADER if name.length > HTTP else NAMELESS
    if is_name(text, b"CONTENT_TYPE", 12) or is_name(text, b"CONTENT_LENGTH", 14):
        return HEADER
    if is_name(text, b"REQUEST_METHOD", 14):
        return METHOD
    if is_name(text, b"REQUEST_URI", 11):
        return TARGET
    return PROTOCOL if is_name(text, b"SERVER_PROTOCOL", 15) else PLAIN


cdef inline bint starts(Cursor text, const char* word, size_t length) noexcept nogil:
    cdef size_t index
    for index in range(length):
        if take(&text) != <uint8_t>word[index]:
            return False
    return True


cdef inline bint is_name(Cursor text, const char* word, size_t length) noexcept nogil:
    return left(&text) == length and starts(text, word, length)


# --- The request head that the variables mean ---

cdef int write_head(
    const uint8_t* data, const Packet* packet, const Variable* variables, Buffer* out,
) noexcept nogil:
    cdef uint32_t index
    cdef Cursor bytes = open_cursor(data, packet.end)
    cdef const Variable* method = NULL
    cdef const Variable* target = NULL
    cdef Cursor name
    cdef uint32_t lengths = 0, types = 0
    cdef bint old = False
    for index in range(packet.count):
        if variables[index].kind == METHOD:
            if method != NULL:
                return BAD_VARIABLE
            method = &variables[index]
        elif variables[index].kind == TARGET:
            if target != NULL:
                return BAD_VARIABLE
            target = &variables[index]
        elif variables[index].kind == PROTOCOL:
            # What came before HTTP/1.1 need not name a host; a front end that speaks HTTP/2 says whom by HTTP_HOST.
            old = is_name(part(&bytes, variables[index].value.start, variables[index].value.length), b"HTTP/1.0", 8)
        elif variables[index].kind == HEADER:
            name = part(&bytes, variables[index].name.start, variables[index].name.length)
            lengths += is_name(name, b"CONTENT_LENGTH", 14)
            types += is_name(name, b"CONTENT_TYPE", 12)
    if lengths > 1 or types > 1:
        return BAD_VARIABLE     # also where all but one are empty: who reads the last would read another body
    if method == NULL or target == NULL or not (is_line(&bytes, method.value) and is_line(&bytes, target.value)):
        return BAD_VARIABLE
    if (
        copy(&bytes, method.value, out) < 0 or append(out, b" ", 1) < 0 or copy(&bytes, target.value, out) < 0
        or append(out, b" HTTP/1.0\r\n" if old else b" HTTP/1.1\r\n", 11) < 0
    ):
        return NO_MEMORY
    for index in range(packet.count):
        if variables[index].kind == HEADER and not is_left_out(&bytes, &variables[index]):
            if not is_line(&bytes, variables[index].value):
                return BAD_VARIABLE
            if write_line(&bytes, &variables[index], out) < 0:
                return NO_MEMORY
    return NO_MEMORY if append(out, b"\r\n", 2) < 0 else 0


# A line end is all that could make two lines of one, or another head of this one: the parser sees to everything else.
cdef inline bint is_line(const Cursor* bytes, Span text) noexcept nogil:
    cdef Cursor value = part(bytes, text.start, text.length)
    return distance(&value, CR) == text.length and distance(&value, LF) == text.length


cdef bint is_left_out(const Cursor* bytes, const Variable* header) noexcept nogil:
    cdef Cursor name = part(bytes, header.name.start, header.name.length)
    if not starts(name, b"HTTP_", HTTP):
        return header.value.length == 0     # CONTENT_LENGTH of a request without a body, as nginx sends it
    # How the client framed its body, and what it expected before it sent that, was between it and the front end:
    # CONTENT_LENGTH alone says what follows the packet.
    return (
        is_name(name, b"HTTP_CONTENT_LENGTH", 19)
        or is_name(name, b"HTTP_CONTENT_TYPE", 17)
        or is_name(name, b"HTTP_TRANSFER_ENCODING", 22)
        or is_name(name, b"HTTP_EXPECT", 11)
    )


cdef int write_line(const Cursor* bytes, const Variable* header, Buffer* out) noexcept nogil:
    cdef Cursor name = part(bytes, header.name.start, header.name.length)
    cdef int byte
    if starts(name, b"HTTP_", HTTP):
        skip(&name, HTTP)
    if reserve(out, left(&name)) < 0:
        return -1
    while left(&name):
        byte = take(&name)
        out.data[out.size] = <char>(HYPHEN if byte == UNDERSCORE else byte)
        out.size += 1
    if append(out, b": ", 2) < 0 or copy(bytes, header.value, out) < 0:
        return -1
    return append(out, b"\r\n", 2)


cdef inline int copy(const Cursor* bytes, Span text, Buffer* out) noexcept nogil:
    cdef Cursor value = part(bytes, text.start, text.length)
    if left(&value) == 0:
        return 0        # there may be no memory to copy nothing to
    if reserve(out, left(&value)) < 0:
        return -1
    out.size += copy_out(&value, left(&value), <uint8_t*>out.data + out.size)
    return 0


# --- For Python: tests, fuzzing, whoever has to speak the protocol ---

class ParsedPacket(NamedTuple):
    """A packet as Python objects: names and values as they were sent, and the request head that they mean."""

    variables: list[tuple[bytes, bytes]]
    head: bytes
    end: int


def parse(data, *, uint32_t limit=65535, uint32_t most=228):
    """Read a packet at the start of `data`: a ParsedPacket, or None when it is incomplete. Raises PeerError.

    `limit` are octets of all variables, `most` is their number.
    """
    cdef bytes octets = bytes(data)
    cdef const uint8_t* start = <const uint8_t*><const char*>octets
    cdef Packet packet
    cdef Buffer head
    cdef int verdict
    cdef Variable* variables = <Variable*>malloc((<size_t>most + 1) * sizeof(Variable))
    memset(&head, 0, sizeof(Buffer))
    if variables == NULL:
        raise MemoryError
    try:
        verdict = parse_packet(start, <uint32_t>len(octets), limit, most, variables, &packet)
        if verdict == MORE:
            return None
        if verdict == DONE:
            verdict = write_head(start, &packet, variables, &head)
        if verdict < 0:
            raise peer_error(verdict)
        pairs = [
            (cut(octets, variables[index].name), cut(octets, variables[index].value)) for index in range(packet.count)
        ]
        return ParsedPacket(pairs, head.data[:head.size], packet.end)
    finally:
        free(variables)
        release(&head)


cdef bytes cut(bytes octets, Span text):
    return octets[text.start:text.start + text.length]


def render(variables):
    """The packet of a request with these variables, a mapping of texts. Raises ValueError where they are too large."""
    block = b"".join(
        len(text).to_bytes(NUMBER, "little") + text
        for pair in variables.items() for text in (pair[0].encode("latin-1"), pair[1].encode("latin-1"))
    )
    if len(block) > LONGEST:
        raise ValueError(f"{len(block)} octets of variables, and a packet holds at most {LONGEST}")
    return b"\0" + len(block).to_bytes(NUMBER, "little") + b"\0" + block
