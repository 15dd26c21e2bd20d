"""What the fields of a header section mean to the server itself: host, framing, persistence, expectation.

Everything here is read off complete, well-formed lines. A fault is noted in `Facts.fault` and not returned, because
these facts are kept for the next request with the same header section, and the fault must come back with them.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pronghorn.wire.cursor cimport (
    END, Cursor, distance, is_word, left, part, peek, peek_at, skip, skip_blanks, skip_class, take, tell, trim_end,
)
from pronghorn.wire.faults cimport (
    BAD_CODING, BAD_HOST, BAD_LENGTH, LENGTH_AND_CODING, TWO_AUTHORIZATIONS, TWO_CODINGS, TWO_HOSTS, TWO_LENGTHS,
    TWO_TYPES, UNKNOWN_CODING,
)
from pronghorn.wire.http1 cimport (
    EXPECTS_CONTINUE, EXPECTS_OTHER, HAS_CODING, HAS_HOST, HAS_LENGTH, IS_CHUNKED, SAYS_CLOSE, SAYS_KEEP_ALIVE,
    SAYS_UPGRADE, Facts, Field,
)
from pronghorn.wire.octets cimport (
    CLOSE_BRACKET, COLON, COMMA, DOT, HEX, HOST, NINE, OCTETS, OPEN_BRACKET, PERCENT, TOKEN, ZERO,
)

cdef enum:
    HAS_TYPE = 1
    HAS_AUTHORIZATION = 2
    LENGTH_DIGITS = 19      # as many as 2^63-1 has; leading zeros count
    HIGHEST_PORT = 65535
    PORT_DIGITS = 5
    ADDRESS_GROUPS = 8


cdef void gather_facts(
    const Cursor* bytes, uint32_t section_start, const Field* fields, uint32_t count, Facts* facts,
) noexcept nogil:
    cdef uint32_t index, length, singles = 0
    cdef Cursor name
    facts.content_length = -1
    facts.flags = 0
    facts.host.start = 0
    facts.host.length = 0
    facts.fault = 0
    for index in range(count):
        # The length alone passes over most fields: nothing is compared for a browser's User-Agent, Accept-* and
        # cookies.
        name = part(bytes, fields[index].name.start, fields[index].name.length)
        length = fields[index].name.length
        if length == 4:
            if is_word(&name, b"host", 4):
                note_host(part(bytes, fields[index].value.start, fields[index].value.length), facts)
                facts.host.start = fields[index].value.start - section_start
                facts.host.length = fields[index].value.length
        elif length == 6:
            if is_word(&name, b"expect", 6):
                note_expectation(part(bytes, fields[index].value.start, fields[index].value.length), facts)
        elif length == 10:
            if is_word(&name, b"connection", 10):
                note_connection(part(bytes, fields[index].value.start, fields[index].value.length), facts)
        elif length == 12:
            if is_word(&name, b"content-type", 12):
                note_single(&singles, HAS_TYPE, TWO_TYPES, facts)
        elif length == 13:
            if is_word(&name, b"authorization", 13):
                note_single(&singles, HAS_AUTHORIZATION, TWO_AUTHORIZATIONS, facts)
        elif length == 14:
            if is_word(&name, b"content-length", 14):
                note_length(part(bytes, fields[index].value.start, fields[index].value.length), facts)
        elif length == 17:
            if is_word(&name, b"transfer-encoding", 17):
                note_coding(part(bytes, fields[index].value.start, fields[index].value.length), facts)
    if facts.flags & HAS_LENGTH and facts.flags & HAS_CODING:
        blame(facts, LENGTH_AND_CODING)


# Only the first fault counts: it is the one that the request would have had if it had ended there.
cdef inline void blame(Facts* facts, int fault) noexcept nogil:
    if facts.fault == 0:
        facts.fault = fault


# Content-Type and Authorization are single values with commas in them: two fields cannot be joined without a change of
# meaning, and whoever picks one of them may pick another than the proxy in front did.
cdef inline void note_single(uint32_t* seen, uint32_t which, int fault, Facts* facts) noexcept nogil:
    if seen[0] & which:
        blame(facts, fault)
    seen[0] |= which


cdef void note_host(Cursor value, Facts* facts) noexcept nogil:
    if facts.flags & HAS_HOST:
        blame(facts, TWO_HOSTS)
    facts.flags |= HAS_HOST
    cdef int fault = check_authority(value)
    if fault:
        blame(facts, fault)


# Anything but one plain `100-continue` is an expectation that cannot be met (RFC 9110 section 10.1.1); a guess at what
# an odd one means is how the "0.CL" desynchronisations of 2025 worked.
cdef void note_expectation(Cursor value, Facts* facts) noexcept nogil:
    if facts.flags & (EXPECTS_CONTINUE | EXPECTS_OTHER) or not is_word(&value, b"100-continue", 12):
        facts.flags = (facts.flags & ~<uint32_t>EXPECTS_CONTINUE) | EXPECTS_OTHER
    else:
        facts.flags |= EXPECTS_CONTINUE


# Cuts the next element off a comma-separated list, without the whitespace around it; False when there is none left.
cdef bint next_element(Cursor* line, bint* more, Cursor* element) noexcept nogil:
    if not more[0]:
        return False
    cdef size_t length = distance(line, COMMA)
    element[0] = part(line, tell(line), length)
    skip(line, length)
    more[0] = take(line) == COMMA
    skip_blanks(element)
    trim_end(element)
    return True


cdef void note_connection(Cursor value, Facts* facts) noexcept nogil:
    cdef Cursor option
    cdef bint more = True
    while next_element(&value, &more, &option):
        if is_word(&option, b"close", 5):
            facts.flags |= SAYS_CLOSE
        elif is_word(&option, b"keep-alive", 10):
            facts.flags |= SAYS_KEEP_ALIVE
        elif is_word(&option, b"upgrade", 7):
            facts.flags |= SAYS_UPGRADE


# RFC 9110 section 8.6: 1*DIGIT. No sign, no base, no `_`, no list of equal values: int() would take the first three,
# and every one of them has been a smuggling hole (CVE-2022-24761, CVE-2023-40175).
cdef void note_length(Cursor value, Facts* facts) noexcept nogil:
    cdef uint64_t length = 0
    cdef size_t digits = left(&value)
    cdef int byte
    if facts.flags & HAS_LENGTH:
        blame(facts, TWO_LENGTHS)
    facts.flags |= HAS_LENGTH
    if digits == 0 or digits > LENGTH_DIGITS:
        blame(facts, BAD_LENGTH)
        return
    while left(&value):
        byte = take(&value)
        if byte < ZERO or byte > NINE:
            blame(facts, BAD_LENGTH)
            return
        length = length * 10 + <uint64_t>(byte - ZERO)  # 19 digits stay below 2^64
    if length > <uint64_t>0x7FFFFFFFFFFFFFFF:
        blame(facts, BAD_LENGTH)
        return
    facts.content_length = <int64_t>length


# RFC 9112 section 6.1: a list of codings of which the last is `chunked`, once. That list is legal and refused with 501
# where it holds another coding too; any other value leaves the end of the body unknown and is refused with 400.
cdef void note_coding(Cursor value, Facts* facts) noexcept nogil:
    cdef Cursor coding
    cdef bint more = True, ends_chunked = False
    cdef uint32_t chunked = 0, others = 0
    if facts.flags & HAS_CODING:
        blame(facts, TWO_CODINGS)
    facts.flags |= HAS_CODING
    while next_element(&value, &more, &coding):
        ends_chunked = is_word(&coding, b"chunked", 7)
        if ends_chunked:
            chunked += 1
        elif skip_class(&coding, TOKEN) and left(&coding) == 0:
            others += 1
        else:
            blame(facts, BAD_CODING)
            return
    if chunked != 1 or not ends_chunked:
        blame(facts, BAD_CODING)
    elif others:
        blame(facts, UNKNOWN_CODING)
    else:
        facts.flags |= IS_CHUNKED


cdef int check_authority(Cursor authority) noexcept nogil:
    cdef size_t length
    if peek(&authority) == OPEN_BRACKET:
        skip(&authority, 1)
        length = distance(&authority, CLOSE_BRACKET)
        if not is_address6(part(&authority, tell(&authority), length)):
            return BAD_HOST
        skip(&authority, length)
        if take(&authority) != CLOSE_BRACKET:
            return BAD_HOST
    elif not skip_name(&authority):
        return BAD_HOST
    if left(&authority) == 0:
        return 0
    if take(&authority) != COLON:
        return BAD_HOST
    return check_port(authority)


# Passes a reg-name (RFC 3986 section 3.2.2), which an IPv4 address is too; False when there is none.
cdef bint skip_name(Cursor* host) noexcept nogil:
    cdef size_t before = left(host)
    while True:
        skip_class(host, HOST)
        if peek(host) != PERCENT:
            return left(host) < before
        if not (is_hex(peek_at(host, 1)) and is_hex(peek_at(host, 2))):
            return False
        skip(host, 3)


cdef inline bint is_hex(int byte) noexcept nogil:
    return byte != END and OCTETS[<unsigned char>byte] & HEX


# An empty port is allowed by RFC 3986 section 3.2.3 and means the default.
cdef int check_port(Cursor port) noexcept nogil:
    cdef int number = 0, byte
    if left(&port) > PORT_DIGITS:
        return BAD_HOST
    while left(&port):
        byte = take(&port)
        if byte < ZERO or byte > NINE:
            return BAD_HOST
        number = number * 10 + byte - ZERO
    return BAD_HOST if number > HIGHEST_PORT else 0


# RFC 3986 IPv6address: eight groups of up to four hexadecimal digits, one run of which may be `::`, and the last two of
# which may be written as an IPv4 address. No zone: it means something on the sender's machine only (RFC 6874).
cdef bint is_address6(Cursor address) noexcept nogil:
    cdef int groups = 0
    cdef bint gap = False
    cdef size_t digits
    if peek(&address) == COLON and peek_at(&address, 1) != COLON:
        return False
    while left(&address):
        if peek(&address) == COLON and peek_at(&address, 1) == COLON:
            if gap:
                return False
            gap = True
            skip(&address, 2)
            continue
        if peek(&address) == COLON:
            skip(&address, 1)
        digits = distance(&address, COLON)
        if digits == left(&address) and distance(&address, DOT) < digits:
            groups += 2
            if not is_address4(&address):
                return False
            break
        digits = skip_class(&address, HEX)
        if digits == 0 or digits > 4:
            return False
        groups += 1
        if left(&address) and peek(&address) != COLON:
            return False
    return groups < ADDRESS_GROUPS if gap else groups == ADDRESS_GROUPS


cdef bint is_address4(Cursor* address) noexcept nogil:
    cdef int parts, number, digits, byte
    for parts in range(4):
        number = 0
        digits = 0
        while ZERO <= peek(address) <= NINE and digits < 3:
            byte = take(address)
            number = number * 10 + byte - ZERO
            digits += 1
        if digits == 0 or number > 255:
            return False
        if parts < 3 and take(address) != DOT:
            return False
    return left(address) == 0
