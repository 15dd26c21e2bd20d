"""The chunked coding (RFC 9112 section 7.1): a decoder that can stop at any byte and go on.

Every octet that is not body data passes through one of two small machines, one octet at a time: `read_size_line` and
`read_trailers`. Their verdict cannot depend on how the bytes were cut, because they never look ahead or back. Body data
is not looked at: it is handed out as pieces of the caller's own buffer.

Line ends are CRLF and nothing else, after sizes, extensions, data and trailers alike: a lone LF or CR here is how one
request is hidden in another (CVE-2025-22871, CVE-2025-55315, RFC 9112 erratum 7633).
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pronghorn.wire.cursor cimport Cursor, left, open_cursor, skip, skip_text, take, tell
from pronghorn.wire.faults cimport (
    BAD_BYTE, BAD_CHUNK_END, BAD_CHUNK_SIZE, BAD_EXTENSION, BAD_NAME, BARE_CR, BARE_LF, FOLDED_LINE, HUGE_CHUNK,
    LARGE_BODY, LARGE_SECTION, LONG_EXTENSION, LONG_FIELD, MANY_CHUNKS, MANY_FIELDS, SPACED_NAME,
)
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.octets cimport (
    BACKSLASH, COLON, CR, EQUALS, HEX, HTAB, LF, NINE, OCTETS, QUOTE, SEMICOLON, SP, TEXT, TOKEN, ZERO,
)

from pronghorn.wire.faults import peer_error

cdef enum:                      # Chunked.state; a negative one is the fault that ended the body
    IN_SIZE_LINE = 0
    IN_DATA = 1
    BEHIND_DATA = 2
    IN_TRAILERS = 3
    FINISHED = 4

cdef enum:                      # Chunked.line_state in IN_SIZE_LINE
    IN_SIZE = 0
    BEFORE_SEMICOLON = 1        # after whitespace: a `;` must follow
    BEFORE_NAME = 2
    IN_NAME = 3
    BEHIND_NAME = 4             # after whitespace: `=` or `;` must follow
    BEFORE_VALUE = 5
    IN_VALUE = 6
    IN_QUOTES = 7
    BEHIND_BACKSLASH = 8
    BEHIND_QUOTES = 9
    BEFORE_LF = 10              # in BEHIND_DATA too

cdef enum:                      # Chunked.line_state in IN_TRAILERS
    LINE_START = 0
    IN_TRAILER_NAME = 1
    IN_TRAILER_VALUE = 2
    LINE_END = 3
    SECTION_END = 4

cdef enum:
    SIZE_DIGITS = 16            # hexadecimal digits of a chunk size, leading zeros counted
    LINE_EXTENSION = 4096       # octets of extension on one chunk-size line
    BODY_EXTENSION = 16384      # and in a whole body (CVE-2023-39326: kilobytes of it for each octet of data)
    FREE_CHUNKS = 131072        # chunks of any size, and beyond them one for each
    OCTETS_PER_CHUNK = 16       # of body: 100,000 chunks of 10 octets pass, 1,000,000 of one do not

cdef uint64_t LARGEST = 0x7FFFFFFFFFFFFFFF  # what a chunk size may be: the file offsets behind it are signed


cdef int decode_chunked(
    Chunked* state, const ChunkLimits* limits, const uint8_t* data, size_t size,
    size_t* used, const uint8_t** piece, size_t* length,
) noexcept nogil:
    cdef Cursor cursor = open_cursor(data, size)
    cdef int verdict = MORE
    length[0] = 0
    piece[0] = data
    while verdict == MORE and state.state >= 0:
        if state.state == FINISHED:
            verdict = DONE
        elif left(&cursor) == 0:
            break
        elif state.state == IN_SIZE_LINE:
            verdict = read_size_line(state, limits, &cursor)
        elif state.state == IN_DATA:
            piece[0] = cursor.at
            length[0] = skip(&cursor, <size_t>min(state.left, <uint64_t>left(&cursor)))
            state.left -= length[0]
            state.total += length[0]
            if state.left == 0:
                enter(state, BEHIND_DATA, 0)
            verdict = PIECE
        elif state.state == BEHIND_DATA:
            verdict = read_data_end(state, &cursor)
        else:
            verdict = read_trailers(state, limits, &cursor)
        if verdict < 0:
            state.state = verdict
    used[0] = tell(&cursor)
    return state.state if state.state < 0 else verdict


cdef inline void enter(Chunked* state, int which, int line_state) noexcept nogil:
    state.state = which
    state.line_state = line_state


cdef int read_data_end(Chunked* state, Cursor* cursor) noexcept nogil:
    cdef int byte = take(cursor)
    if state.line_state != BEFORE_LF:
        if byte != CR:
            return BAD_CHUNK_END
        state.line_state = BEFORE_LF
        return MORE
    if byte != LF:
        return BAD_CHUNK_END
    state.digits = 0
    state.line_extension = 0
    enter(state, IN_SIZE_LINE, IN_SIZE)
    return MORE


# --- chunk-size [ chunk-ext ] CRLF ---

cdef int read_size_line(Chunked* state, const ChunkLimits* limits, Cursor* cursor) noexcept nogil:
    cdef int byte, where
    while left(cursor):
        byte = take(cursor)
        if state.line_state == BEFORE_LF:
            return end_size_line(state, limits) if byte == LF else BARE_CR
        if state.line_state == IN_SIZE and OCTETS[<uint8_t>byte] & HEX:
            where = add_digit(state, byte)
        else:
            where = step_extension(state, byte)
        if where < 0:
            return where
        state.line_state = where
        if where != IN_SIZE and where != BEFORE_LF:
            state.line_extension += 1
            state.extensions += 1
            if state.line_extension > LINE_EXTENSION or state.extensions > BODY_EXTENSION:
                return LONG_EXTENSION
    return MORE


cdef inline int add_digit(Chunked* state, int byte) noexcept nogil:
    if state.digits == SIZE_DIGITS:
        return BAD_CHUNK_SIZE
    if state.left > LARGEST >> 4:
        return HUGE_CHUNK
    state.digits += 1
    state.left = (state.left << 4) | <uint64_t>(byte - ZERO if byte <= NINE else (byte | 0x20) - 0x57)
    return IN_SIZE


# chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ). Whitespace is taken only where something
# of the extension follows it: before CRLF it is refused. Returns the next line state, or a fault.
cdef int step_extension(Chunked* state, int byte) noexcept nogil:
    cdef int where = state.line_state
    cdef bint blank = byte == SP or byte == HTAB
    cdef bint token = OCTETS[<uint8_t>byte] & TOKEN
    if where == IN_QUOTES:
        if byte == QUOTE:
            return BEHIND_QUOTES
        if byte == BACKSLASH:
            return BEHIND_BACKSLASH
        return IN_QUOTES if OCTETS[<uint8_t>byte] & TEXT else BAD_EXTENSION
    if where == BEHIND_BACKSLASH:
        return IN_QUOTES if OCTETS[<uint8_t>byte] & TEXT else BAD_EXTENSION
    if where == BEFORE_NAME:
        return IN_NAME if token else BEFORE_NAME if blank else BAD_EXTENSION
    if where == BEFORE_VALUE:
        if byte == QUOTE:
            return IN_QUOTES
        return IN_VALUE if token else BEFORE_VALUE if blank else BAD_EXTENSION
    if token and (where == IN_NAME or where == IN_VALUE):
        return where
    if where == IN_SIZE and (state.digits == 0 or not (blank or byte == CR or byte == SEMICOLON)):
        return BARE_LF if byte == LF and state.digits else BAD_CHUNK_SIZE
    if byte == SEMICOLON:
        return BEFORE_NAME
    if byte == EQUALS and (where == IN_NAME or where == BEHIND_NAME):
        return BEFORE_VALUE
    if blank:
        return BEHIND_NAME if where == IN_NAME or where == BEHIND_NAME else BEFORE_SEMICOLON
    if byte == CR and where != BEHIND_NAME and where != BEFORE_SEMICOLON:
        return BEFORE_LF
    return BARE_LF if byte == LF else BAD_EXTENSION


cdef int end_size_line(Chunked* state, const ChunkLimits* limits) noexcept nogil:
    if state.left == 0:
        enter(state, IN_TRAILERS, LINE_START)
        return MORE
    if state.total > limits.body or state.left > limits.body - state.total:
        return LARGE_BODY
    state.chunks += 1
    if state.chunks > FREE_CHUNKS + state.total / OCTETS_PER_CHUNK:
        return MANY_CHUNKS
    enter(state, IN_DATA, 0)
    return MORE


# --- The trailer section: RFC 9112 section 7.1.2 ---

# Trailers are held to the rules of header lines, counted against the same kinds of limits, and dropped: RFC 9110
# section 6.5.1 forbids to merge them into the header section, and no application of ours could see them anywhere else.
cdef int read_trailers(Chunked* state, const ChunkLimits* limits, Cursor* cursor) noexcept nogil:
    cdef int fault
    cdef uint32_t before
    while left(cursor):
        if state.trailer_bytes >= limits.section:
            return LARGE_SECTION
        before = <uint32_t>tell(cursor)
        if state.line_state == IN_TRAILER_VALUE:
            fault = pass_value(state, limits, cursor)
        else:
            fault = step_trailer(state, limits, take(cursor))
        state.trailer_bytes += <uint32_t>tell(cursor) - before
        if fault:
            return fault
        if state.state == FINISHED:
            return DONE
    return MORE


# One octet of a trailer line that is not of its value. 0 or a fault.
cdef int step_trailer(Chunked* state, const ChunkLimits* limits, int byte) noexcept nogil:
    cdef int where = state.line_state
    if where == LINE_END or where == SECTION_END:
        if byte != LF:
            return BARE_CR
        if where == SECTION_END:
            state.state = FINISHED
        state.line_state = LINE_START
        state.trailer_line = 0
        return 0
    if where == LINE_START:
        if byte == CR:
            state.line_state = SECTION_END
            return 0
        if byte == SP or byte == HTAB:
            return FOLDED_LINE
        state.trailers += 1
        if state.trailers > limits.fields:
            return MANY_FIELDS
    elif byte == COLON:
        state.line_state = IN_TRAILER_VALUE
    if not OCTETS[<uint8_t>byte] & TOKEN and state.line_state != IN_TRAILER_VALUE:
        return BARE_LF if byte == LF else SPACED_NAME if byte == SP or byte == HTAB else BAD_NAME
    if where == LINE_START:
        state.line_state = IN_TRAILER_NAME
    state.trailer_line += 1
    return LONG_FIELD if state.trailer_line > limits.field_line else 0


# The octets of a trailer's value that are here, up to either limit, and the CR behind them. 0 or a fault.
cdef int pass_value(Chunked* state, const ChunkLimits* limits, Cursor* cursor) noexcept nogil:
    cdef uint32_t room = min(limits.field_line - state.trailer_line, limits.section - state.trailer_bytes)
    cdef Cursor window = open_cursor(cursor.at, min(left(cursor), <size_t>room))
    cdef size_t passed = skip_text(&window)
    cdef int byte
    if passed:
        skip(cursor, passed)
        state.trailer_line += <uint32_t>passed
        return 0
    byte = take(cursor)
    if byte == CR:
        state.line_state = LINE_END
        return 0
    if state.trailer_line >= limits.field_line:
        return LONG_FIELD
    return BARE_LF if byte == LF else BAD_BYTE


# --- For Python: tests, fuzzing, tools ---

@cython.auto_pickle(False)
@cython.final
cdef class ChunkedDecoder:
    """Takes a chunked body in pieces. Limits are in octets but for `fields`, the number of trailer lines."""

    cdef ChunkLimits limits
    cdef Chunked state
    cdef readonly bytes rest

    def __cinit__(
        self, *, uint64_t body=1 << 30, uint32_t field_line=8192, uint32_t fields=100, uint32_t section=65536,
    ):
        self.limits = ChunkLimits(body, field_line, fields, section)
        memset(&self.state, 0, sizeof(Chunked))
        self.rest = b""

    def __repr__(self):
        return f"<ChunkedDecoder: {self.state.total} bytes in {self.state.chunks} chunks, state {self.state.state}>"

    @property
    def done(self):
        """Whether the body and its trailer section are complete. What came behind them is in `rest`."""
        return self.state.state == FINISHED

    def feed(self, bytes data):
        """Take the next piece; return the body octets in it. Raises PeerError, and again on every call after that."""
        cdef const uint8_t* start = <const uint8_t*><const char*>data
        cdef const uint8_t* piece
        cdef size_t size = <size_t>len(data), at = 0, used = 0, length = 0
        cdef int verdict = PIECE
        cdef bytearray body = bytearray()
        while verdict == PIECE:
            verdict = decode_chunked(&self.state, &self.limits, start + at, size - at, &used, &piece, &length)
            at += used
            body += piece[:length]
        if verdict < 0:
            raise peer_error(verdict)
        if verdict == DONE:
            self.rest += data[at:]
        return bytes(body)
