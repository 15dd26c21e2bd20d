"""The PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy): who it is that a proxy forwards.

A line of text or a binary header stands before everything else on a connection. What it says becomes REMOTE_ADDR, so it
is read as strictly as a request: one spelling for each address and number, no length that is not kept, a checksum that
is right where there is one.
"""

from typing import NamedTuple

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from pronghorn.wire.cursor cimport (
    END, Cursor, copy_out, distance, left, open_cursor, part, peek, skip, skip_class, skip_line_end, take, tell,
)
from pronghorn.wire.faults cimport BAD_PROXY_CHECKSUM, BAD_PROXY_HEADER, BAD_PROXY_LINE, LARGE_PROXY_HEADER
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.octets cimport CR, LINE, NINE, SP, ZERO

from pronghorn.wire.faults import peer_error

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, unsigned int size)

cdef enum:
    SIGNATURE = 12
    FIXED = 16              # the signature, version and command, family and transport, the length of the rest
    VERSION = 0x20
    COMMAND_LOCAL = 0x0
    COMMAND_PROXY = 0x1
    OVER_TCP4 = 0x11        # family and transport; what is missing here is refused, as the document asks
    OVER_TCP6 = 0x21
    OVER_UNIX = 0x31
    UNSPECIFIED = 0x00
    UNIX_PATHS = 216        # octets of both
    TLV_CHECKSUM = 0x03
    CHECKSUM = 4            # octets
    HIGHEST_PORT = 65535
    PORT_DIGITS = 5

cdef uint32_t CASTAGNOLI = 0x82F63B78   # the polynomial, its lowest term first
cdef const char* WORD = b"PROXY "
cdef const char* MARK = b"\r\n\r\n\0\r\nQUIT\n"


cdef int parse_proxy(const uint8_t* data, uint32_t size, Introduction* introduction) noexcept nogil:
    cdef Cursor cursor = open_cursor(data, size)
    cdef int begins
    memset(introduction, 0, sizeof(Introduction))
    if peek(&cursor) == END:
        return MORE
    if peek(&cursor) == CR:
        begins = skip_mark(&cursor, MARK, SIGNATURE)
        if begins != DONE:
            return begins
        introduction.version = 2
        return read_header(&cursor, introduction)
    begins = skip_mark(&cursor, WORD, 6)
    if begins != DONE:
        return begins
    introduction.version = 1
    return read_line(&cursor, introduction)


# MORE while what is here agrees with `mark`, DONE behind all of it, else ABSENT.
cdef inline int skip_mark(Cursor* cursor, const char* mark, size_t length) noexcept nogil:
    cdef size_t index
    for index in range(length):
        if left(cursor) == 0:
            return MORE
        if take(cursor) != <uint8_t>mark[index]:
            return ABSENT
    return DONE


# --- Version 1: PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 CRLF ---

cdef int read_line(Cursor* cursor, Introduction* introduction) noexcept nogil:
    cdef Cursor line = part(cursor, 0, LONGEST_LINE)
    cdef Cursor word
    cdef int family
    skip(&line, tell(cursor))
    skip_class(&line, LINE)
    if peek(&line) == END or (peek(&line) == CR and left(&line) == 1):
        return MORE if tell(&line) + left(&line) < LONGEST_LINE else BAD_PROXY_LINE
    if not skip_line_end(&line):
        return BAD_PROXY_LINE
    introduction.end = <uint32_t>tell(&line)
    line = part(cursor, tell(cursor), introduction.end - tell(cursor) - 2)
    word = next_word(&line)
    if is_text(&word, b"UNKNOWN", 7):
        # Whatever follows is to be ignored, and was held to the length and the octets of a line.
        introduction.kind = UNKNOWN
        return DONE
    if is_text(&word, b"TCP4", 4):
        introduction.kind = TCP4
        family = AF_INET
    elif is_text(&word, b"TCP6", 4):
        introduction.kind = TCP6
        family = AF_INET6
    else:
        return BAD_PROXY_LINE
    if (
        read_address(next_word(&line), family, &introduction.source)
        and read_address(next_word(&line), family, &introduction.destination)
        and read_port(next_word(&line), &introduction.source)
        and read_port(line, &introduction.destination)
    ):
        return DONE
    return BAD_PROXY_LINE


# What stands up to the next space, and moves past that.
cdef inline Cursor next_word(Cursor* line) noexcept nogil:
    cdef Cursor word = part(line, tell(line), distance(line, SP))
    skip(line, left(&word) + 1)
    return word


cdef inline bint is_text(const Cursor* word, const char* text, size_t length) noexcept nogil:
    cdef Cursor rest = word[0]
    return left(word) == length and skip_mark(&rest, text, length) == DONE


cdef bint read_address(Cursor word, int family, Endpoint* endpoint) noexcept nogil:
    cdef char text[ADDRESS_TEXT]
    cdef uint8_t octets[16]
    cdef size_t length
    if left(&word) == 0 or left(&word) >= ADDRESS_TEXT:
        return False
    length = copy_out(&word, ADDRESS_TEXT - 1, <uint8_t*>text)
    text[length] = 0
    # It takes what the document allows and nothing else: no leading zeros, no octal, no zone.
    return inet_pton(family, text, octets) == 1 and write_address(family, octets, endpoint)


cdef bint read_port(Cursor word, Endpoint* endpoint) noexcept nogil:
    cdef size_t digits = left(&word)
    cdef int byte
    endpoint.port = 0
    if digits == 0 or digits > PORT_DIGITS or (digits > 1 and peek(&word) == ZERO):
        return False
    while left(&word):
        byte = take(&word)
        if byte < ZERO or byte > NINE:
            return False
        endpoint.port = endpoint.port * 10 + byte - ZERO
    return endpoint.port <= HIGHEST_PORT


# As REMOTE_ADDR shows it. An IPv4 address that is mapped into IPv6 is known by its IPv4 form everywhere else, in lists
# of trusted proxies above all.
cdef bint write_address(int family, const uint8_t* octets, Endpoint* endpoint) noexcept nogil:
    cdef int index
    cdef bint mapped = family == AF_INET6
    for index in range(12):
        mapped = mapped and octets[index] == (0xFF if index >= 10 else 0)
    if mapped:
        return inet_ntop(AF_INET, &octets[12], endpoint.text, ADDRESS_TEXT) != NULL
    return inet_ntop(family, octets, endpoint.text, ADDRESS_TEXT) != NULL


# --- Version 2: a binary header ---

cdef int read_header(Cursor* cursor, Introduction* introduction) noexcept nogil:
    cdef int command, over
    cdef uint32_t length
    cdef Cursor header
    if left(cursor) < FIXED - SIGNATURE:
        # What is here already may be wrong already.
        command = take(cursor)
        return MORE if command == END or is_command(command) else BAD_PROXY_HEADER
    command = take(cursor)
    over = take(cursor)
    length = take_number(cursor)
    if not is_command(command):
        return BAD_PROXY_HEADER
    if length > LONGEST_HEADER - FIXED:
        return LARGE_PROXY_HEADER
    if left(cursor) < length:
        return MORE
    introduction.end = FIXED + length
    header = part(cursor, 0, introduction.end)
    if command & 0xF == COMMAND_LOCAL:
        introduction.kind = LOCAL       # the receiver is to ignore all that follows
        return DONE
    skip(&header, FIXED)
    return read_addresses(&header, over, introduction)


cdef inline bint is_command(int octet) noexcept nogil:
    return octet & 0xF0 == VERSION and octet & 0xF <= COMMAND_PROXY


# Two octets, the high one first; what is missing counts as 0.
cdef inline uint32_t take_number(Cursor* cursor) noexcept nogil:
    cdef uint8_t octets[2]
    memset(octets, 0, 2)
    copy_out(cursor, 2, octets)
    return <uint32_t>octets[0] << 8 | octets[1]


cdef int read_addresses(Cursor* header, int over, Introduction* introduction) noexcept nogil:
    if over == OVER_TCP4:
        introduction.kind = TCP4
        return read_pair(header, AF_INET, 4, introduction)
    if over == OVER_TCP6:
        introduction.kind = TCP6
        return read_pair(header, AF_INET6, 16, introduction)
    if over == OVER_UNIX:
        introduction.kind = UNIX
        return read_extras(header) if skip(header, UNIX_PATHS) == UNIX_PATHS else BAD_PROXY_HEADER
    introduction.kind = UNKNOWN
    return read_extras(header) if over == UNSPECIFIED else BAD_PROXY_HEADER


# Two addresses of `length` octets, and two ports.
cdef int read_pair(Cursor* header, int family, size_t length, Introduction* introduction) noexcept nogil:
    cdef uint8_t source[16]
    cdef uint8_t destination[16]
    if left(header) < 2 * length + 4:
        return BAD_PROXY_HEADER
    copy_out(header, length, source)
    copy_out(header, length, destination)
    write_address(family, source, &introduction.source)
    write_address(family, destination, &introduction.destination)
    introduction.source.port = <int>take_number(header)
    introduction.destination.port = <int>take_number(header)
    return read_extras(header)


# The extensions behind the addresses: type, length, value. Nothing is taken from them, but they must fill the header,
# and the checksum counts if it is there.
cdef int read_extras(Cursor* header) noexcept nogil:
    cdef int kind
    cdef uint32_t length
    cdef size_t sum_at = 0
    while left(header):
        if left(header) < 3:
            return BAD_PROXY_HEADER
        kind = take(header)
        length = take_number(header)
        if kind == TLV_CHECKSUM:
            if sum_at or length != CHECKSUM:
                return BAD_PROXY_HEADER
            sum_at = tell(header)
        if skip(header, length) != length:
            return BAD_PROXY_HEADER
    return DONE if sum_at == 0 or is_intact(header, sum_at) else BAD_PROXY_CHECKSUM


# CRC-32C (RFC 9260 appendix A) of the whole header, its own four octets taken for zeros.
cdef bint is_intact(const Cursor* header, size_t sum_at) noexcept nogil:
    cdef Cursor whole = part(header, 0, tell(header))
    cdef Cursor said = part(header, sum_at, CHECKSUM)
    cdef uint32_t sum = 0xFFFFFFFF, wanted
    cdef size_t at
    cdef int byte, _bit
    wanted = take_number(&said) << 16
    wanted |= take_number(&said)
    for at in range(left(&whole)):
        byte = take(&whole)
        if at < sum_at or at >= sum_at + CHECKSUM:
            sum ^= <uint32_t>byte
        for _bit in range(8):
            sum = (sum >> 1) ^ (CASTAGNOLI if sum & 1 else <uint32_t>0)
    return (sum ^ <uint32_t>0xFFFFFFFF) == wanted


# --- For Python: tests, fuzzing, tools ---

KINDS = ("UNKNOWN", "LOCAL", "TCP4", "TCP6", "UNIX")
"""The names of `Introduction.kind`, which PROXY_PROTOCOL in the environ shows."""


class ParsedIntroduction(NamedTuple):
    """A PROXY header as Python objects. Addresses are texts, empty where there are none."""

    version: int
    kind: str
    source: tuple[str, int]
    destination: tuple[str, int]
    end: int


def parse(data):
    """Read a PROXY header at the start of `data`.

    Returns a ParsedIntroduction, None where `data` ends inside of one, False where it begins with something else.
    Raises PeerError.
    """
    cdef bytes octets = bytes(data)
    cdef Introduction introduction
    cdef int verdict = parse_proxy(<const uint8_t*><const char*>octets, <uint32_t>len(octets), &introduction)
    if verdict < 0:
        raise peer_error(verdict)
    if verdict != DONE:
        return None if verdict == MORE else False
    return ParsedIntroduction(
        version=introduction.version,
        kind=KINDS[introduction.kind],
        source=((<bytes>introduction.source.text).decode("ascii"), introduction.source.port),
        destination=((<bytes>introduction.destination.text).decode("ascii"), introduction.destination.port),
        end=introduction.end,
    )
