"""HTTP/1 request heads: the one parser of the project (RFC 9112 sections 2 to 5).

Strict: where the RFC lets a recipient be lenient, this one refuses, because two lenient recipients in a row are lenient
in different ways and that is what request smuggling is made of.

The verdict on a stream of bytes does not depend on how it was cut into pieces. Two readers see to that:

- `read_request_line` and `read_field` know the structure of one whole line. They are the fast path, and what they say
  counts only when the line is complete.
- `survey_line` knows octets and the line's limit only. It runs where the fast path did not succeed, finds the first
  octet that could stand in no line, the limit, or the line's end, and goes on from where it stopped when more bytes
  come.

A fault is therefore either the survey's (the first bad octet, wherever the pieces end) or the structure's (the line is
complete). Every octet is looked at by each of the two at most twice, so feeding a head byte by byte is linear.
"""

from typing import NamedTuple

cimport cython

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pronghorn.wire.cursor cimport (
    END, Cursor, copy_out, distance, blanks_before, is_same, left, move_to, open_cursor, part, peek, peek_at, skip,
    skip_blanks, skip_class, skip_line_end, skip_text, take, tell,
)
from pronghorn.wire.facts cimport gather_facts
from pronghorn.wire.faults cimport (
    BAD_BYTE, BAD_METHOD, BAD_NAME, BAD_START, BAD_TARGET, BAD_VERSION, BARE_CR, BARE_LF, CONNECT_METHOD,
    EMPTY_LINES, FOLDED_LINE, FRAGMENT, LARGE_SECTION, LONG_FIELD, LONG_METHOD, LONG_REQUEST_LINE, MANY_FIELDS, NO_HOST,
    NUL_ESCAPE, OLD_CODING, OTHER_HOST, SPACED_NAME, UNKNOWN_EXPECTATION, UNKNOWN_VERSION,
)
from pronghorn.wire.octets cimport (
    COLON, CR, DOT, HASH, HEX, HTAB, LF, LINE, NINE, OCTETS, PERCENT, SLASH, SP, TARGET, TEXT, TOKEN, ZERO,
)
from pronghorn.wire.target cimport read_target

from pronghorn.wire.faults import peer_error

cdef enum:
    METHOD_LENGTH = 64  # the longest registered method (UPDATEREDIRECTREF) has 17


cdef int parse_head(const uint8_t* data, uint32_t size, const Limits* limits, Head* head, Field* fields) noexcept nogil:
    cdef int verdict
    if head.section_start == 0:
        verdict = parse_request_line(data, size, limits, head)
        if verdict != DONE:
            return verdict
    return parse_section(data, size, limits, head, fields)


cdef int parse_request_line(const uint8_t* data, uint32_t size, const Limits* limits, Head* head) noexcept nogil:
    cdef Cursor cursor = open_cursor(data, size)
    cdef Cursor line
    cdef int verdict, survey
    cdef bint is_read
    if head.resume_line == 0:
        verdict = skip_empty_line(&cursor, head)
        if verdict != DONE:
            return verdict
    else:
        skip(&cursor, head.resume_line)
    if left(&cursor) == 0:
        return MORE
    verdict = check_start(&cursor, head.resume_line)
    if verdict != DONE:
        return verdict
    line = cursor
    is_read = head.resume_byte == 0
    if is_read:
        verdict = read_request_line(&line, head)
        if verdict == DONE and tell(&line) - head.resume_line <= <size_t>limits.request_line + 2:
            return begin_section(&line, head)
    survey = survey_line(cursor, LINE, limits.request_line, LONG_REQUEST_LINE, head)
    if survey != DONE:
        return survey
    if not is_read:         # its end was missing when it was read first
        verdict = read_request_line(&line, head)
    return verdict if verdict != DONE else begin_section(&line, head)


# One empty line in front is ignored, as RFC 9112 section 2.2 asks: old clients send one behind a POST body.
cdef inline int skip_empty_line(Cursor* cursor, Head* head) noexcept nogil:
    if peek(cursor) != CR:
        return DONE
    if left(cursor) == 1:
        return MORE
    if not skip_line_end(cursor):
        return BARE_CR
    head.resume_line = 2
    return DONE


# A method begins with a token octet. A TLS ClientHello, a NUL or a space is refused before anything else is waited for.
cdef inline int check_start(const Cursor* cursor, uint32_t line) noexcept nogil:
    cdef int first = peek(cursor)
    if OCTETS[<uint8_t>first] & TOKEN:
        return DONE
    if first == LF:
        return BARE_LF
    return EMPTY_LINES if first == CR and line else BAD_START


cdef inline int begin_section(const Cursor* cursor, Head* head) noexcept nogil:
    head.section_start = <uint32_t>tell(cursor)
    head.resume_line = head.section_start
    head.resume_byte = 0
    head.resume_count = 0
    return DONE


# Goes over the octets of a line that is not (known to be) complete, from head.resume_byte on. DONE: its CRLF is there.
# Octets at or behind the limit are not judged but for a CR, so that the verdict is the same whether they are there yet
# or not.
cdef int survey_line(Cursor line, uint8_t mask, uint32_t limit, int over_limit, Head* head) noexcept nogil:
    cdef Cursor window = part(&line, tell(&line), limit)
    cdef size_t passed
    skip(&window, head.resume_byte)
    passed = skip_class(&window, mask)
    head.resume_byte += <uint32_t>passed
    skip(&line, head.resume_byte)
    cdef int byte = peek(&line)
    if byte == END:
        return MORE
    if byte == CR:
        if left(&line) == 1:
            return MORE
        return DONE if peek_at(&line, 1) == LF else BARE_CR
    if head.resume_byte == limit:
        return over_limit
    return BARE_LF if byte == LF else BAD_BYTE


# --- The request line: RFC 9112 section 3 ---

cdef int read_request_line(Cursor* line, Head* head) noexcept nogil:
    cdef int verdict
    head.method.start = <uint32_t>tell(line)
    head.method.length = <uint32_t>skip_class(line, TOKEN)
    if head.method.length == 0 or peek(line) != SP:
        return BAD_METHOD
    if head.method.length > METHOD_LENGTH:
        return LONG_METHOD
    skip(line, 1)
    head.target.start = <uint32_t>tell(line)
    head.target.length = <uint32_t>skip_class(line, TARGET)
    if peek(line) != SP or head.target.length == 0:
        return FRAGMENT if peek(line) == HASH else BAD_TARGET
    skip(line, 1)
    verdict = read_version(line, head)
    if verdict != DONE:
        return verdict
    return read_target(line, head)


# Exactly `HTTP/1.0` or `HTTP/1.1` and the end of the line. Other versions that are well formed are 505 (RFC 9110
# section 15.6.6), HTTP/1.2 to 1.9 too: nobody speaks them, and what does is a scanner.
cdef inline int read_version(Cursor* line, Head* head) noexcept nogil:
    cdef Cursor name = part(line, tell(line), 5)
    cdef int major = peek_at(line, 5)
    cdef int minor = peek_at(line, 7)
    if take(&name) != 0x48 or take(&name) != 0x54 or take(&name) != 0x54 or take(&name) != 0x50 or take(&name) != SLASH:
        return BAD_VERSION
    if major < ZERO or major > NINE or peek_at(line, 6) != DOT or minor < ZERO or minor > NINE:
        return BAD_VERSION
    skip(line, 8)
    if not skip_line_end(line):
        return BAD_VERSION
    head.version = (major - ZERO) * 10 + minor - ZERO
    return DONE if head.version == 11 or head.version == 10 else UNKNOWN_VERSION


# --- The header section: RFC 9112 section 5 ---

cdef int parse_section(
    const uint8_t* data, uint32_t size, const Limits* limits, Head* head, Field* fields,
) noexcept nogil:
    cdef uint64_t cut = <uint64_t>head.section_start + limits.section
    cdef Cursor bytes = open_cursor(data, size if size < cut else <size_t>cut)
    cdef Cursor cursor = bytes
    cdef bint afresh = head.resume_line <= head.section_start and head.resume_byte == 0
    cdef uint32_t count
    cdef int verdict
    if head.resume_line < head.section_start:
        head.resume_line = head.section_start
    skip(&cursor, head.resume_line)
    verdict = read_lines(&cursor, limits, head, fields)
    if verdict != DONE:
        return LARGE_SECTION if verdict == MORE and size >= cut else verdict
    head.count = head.resume_count
    head.end = <uint32_t>tell(&cursor)
    if not afresh:
        cursor = bytes
        skip(&cursor, head.section_start)
        for count in range(head.count):
            read_field(&cursor, &fields[count])
    gather_facts(&bytes, head.section_start, fields, head.count, &head.facts)
    return DONE


# Reads lines up to the empty one. After each it moves the place where an unfinished parse goes on.
cdef int read_lines(Cursor* cursor, const Limits* limits, Head* head, Field* fields) noexcept nogil:
    cdef int verdict, survey, first
    while True:
        first = peek(cursor)
        if first == CR:
            if left(cursor) == 1:
                return MORE
            return DONE if skip_line_end(cursor) else BARE_CR
        if first == END:
            return MORE
        if first == SP or first == HTAB:
            return FOLDED_LINE
        if head.resume_count >= limits.fields:
            return MANY_FIELDS
        verdict = MORE
        if head.resume_byte == 0:
            verdict = read_field(cursor, &fields[head.resume_count])
        if verdict != DONE or tell(cursor) - head.resume_line > <size_t>limits.field_line + 2:
            move_to(cursor, head.resume_line)
            survey = survey_line(cursor[0], TEXT, limits.field_line, LONG_FIELD, head)
            if survey != DONE:
                return survey
            verdict = read_field(cursor, &fields[head.resume_count])
            if verdict != DONE:
                return verdict
        head.resume_line = <uint32_t>tell(cursor)
        head.resume_byte = 0
        head.resume_count += 1


# One line `name: value` with its CRLF. What it returns other than DONE counts only for a line that is complete.
cdef inline int read_field(Cursor* line, Field* field) noexcept nogil:
    cdef size_t start = tell(line)
    cdef size_t length = skip_class(line, TOKEN)
    cdef int byte = peek(line)
    if byte != COLON or length == 0:
        return SPACED_NAME if byte == SP or byte == HTAB else BAD_NAME
    field.name.start = <uint32_t>start
    field.name.length = <uint32_t>length
    skip(line, 1)
    skip_blanks(line)
    start = tell(line)
    length = skip_text(line)
    field.value.start = <uint32_t>start
    field.value.length = <uint32_t>(length - blanks_before(line, length))
    return DONE if skip_line_end(line) else BAD_BYTE


cdef int check_head(const uint8_t* data, const Head* head) noexcept nogil:
    cdef const Facts* facts = &head.facts
    cdef Cursor bytes, authority, host
    if head.form == AUTHORITY_FORM:
        return CONNECT_METHOD
    if facts.fault:
        return facts.fault
    if not facts.flags & HAS_HOST:
        if head.version >= 11:
            return NO_HOST
    elif head.form == ABSOLUTE_FORM:
        # RFC 9112 section 3.2.2 has the target win; an application that looks at HTTP_HOST would never know.
        bytes = open_cursor(data, head.end)
        authority = part(&bytes, head.authority.start, head.authority.length)
        host = part(&bytes, <size_t>head.section_start + facts.host.start, facts.host.length)
        if not is_same(&authority, &host):
            return OTHER_HOST
    if head.version < 11:
        return OLD_CODING if facts.flags & HAS_CODING else 0
    return UNKNOWN_EXPECTATION if facts.flags & EXPECTS_OTHER else 0


cdef int unescape_path(const uint8_t* data, uint32_t size, uint8_t* out) noexcept nogil:
    cdef Cursor path = open_cursor(data, size)
    cdef uint32_t written = 0
    cdef size_t plain
    cdef int value
    while left(&path):
        plain = distance(&path, PERCENT)
        if plain:
            written += <uint32_t>copy_out(&path, plain, out + written)
            continue
        value = -1
        if is_hex(peek_at(&path, 1)) and is_hex(peek_at(&path, 2)):
            value = hex_value(peek_at(&path, 1)) * 16 + hex_value(peek_at(&path, 2))
        if value == 0:
            return NUL_ESCAPE
        if value < 0:
            value = PERCENT
            skip(&path, 1)
        else:
            skip(&path, 3)
        out[written] = <uint8_t>value
        written += 1
    return <int>written


cdef inline bint is_hex(int byte) noexcept nogil:
    return byte != END and OCTETS[<uint8_t>byte] & HEX


cdef inline int hex_value(int byte) noexcept nogil:
    return byte - ZERO if byte <= NINE else (byte | 0x20) - 0x57


# --- For Python: tests, fuzzing, tools ---

class ParsedHead(NamedTuple):
    """A request head as Python objects; bytes as the peer sent them."""

    method: bytes
    target: bytes
    authority: bytes
    path: bytes
    query: bytes
    path_escaped: bool
    form: int
    version: int
    fields: list[tuple[bytes, bytes]]
    host: bytes | None
    content_length: int | None
    chunked: bool
    flags: int
    end: int


@cython.auto_pickle(False)
@cython.final
cdef class HeadParser:
    """Takes a request head in pieces.

    Limits are in octets but for `fields`, a number of lines; see `Limits` in http1.pxd.
    """

    cdef Limits limits
    cdef Head head
    cdef Field* room
    cdef bytearray data
    cdef int fault

    def __cinit__(
        self, *, uint32_t request_line=8192, uint32_t field_line=8192, uint32_t fields=100, uint32_t section=65536,
    ):
        self.limits = Limits(request_line, field_line, fields, section)
        memset(&self.head, 0, sizeof(Head))
        self.data = bytearray()
        self.fault = 0
        self.room = <Field*>PyMem_Malloc((<size_t>fields + 1) * sizeof(Field))
        if self.room == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.room)

    def __repr__(self):
        return f"<HeadParser: {len(self.data)} bytes, {self.head.resume_count} lines, fault {self.fault}>"

    def feed(self, data):
        """Take the next piece; return the ParsedHead when the head is complete, None before.

        Raises PeerError when the bytes cannot be served, and again on every call after that.
        """
        cdef int verdict
        cdef const uint8_t* start
        if not self.fault:
            self.data += data
            start = <const uint8_t*><char*>self.data
            verdict = parse_head(start, <uint32_t>min(len(self.data), UINT32_MAX), &self.limits, &self.head, self.room)
            if verdict == MORE:
                return None
            self.fault = verdict if verdict < 0 else check_head(start, &self.head)
        if self.fault:
            raise peer_error(self.fault)
        return self._parsed()

    cdef bytes _bytes(self, Span span):
        return bytes(self.data[span.start:span.start + span.length])

    cdef object _parsed(self):
        cdef Head* head = &self.head
        cdef Facts* facts = &head.facts
        host = Span(head.section_start + facts.host.start, facts.host.length)
        return ParsedHead(
            method=self._bytes(head.method),
            target=self._bytes(head.target),
            authority=self._bytes(head.authority),
            path=self._bytes(head.path),
            query=self._bytes(head.query),
            path_escaped=bool(head.path_escaped),
            form=head.form,
            version=head.version,
            fields=[(self._bytes(self.room[i].name), self._bytes(self.room[i].value)) for i in range(head.count)],
            host=self._bytes(host) if facts.flags & HAS_HOST else None,
            content_length=facts.content_length if facts.content_length >= 0 else None,
            chunked=bool(facts.flags & IS_CHUNKED),
            flags=facts.flags,
            end=head.end,
        )


def parse(data, *, request_line=8192, field_line=8192, fields=100, section=65536):
    """Parse a request head that is here whole: a ParsedHead, or None when it is incomplete. Raises PeerError."""
    return HeadParser(request_line=request_line, field_line=field_line, fields=fields, section=section).feed(data)


def unescape(path):
    """Decode the percent-encoding of a path once (RFC 3986 section 2.1). Raises PeerError for %00."""
    cdef bytearray out = bytearray(len(path))
    cdef int written = unescape_path(<const uint8_t*><const char*>path, <uint32_t>len(path), <uint8_t*><char*>out)
    if written < 0:
        raise peer_error(written)
    return bytes(out[:written])
