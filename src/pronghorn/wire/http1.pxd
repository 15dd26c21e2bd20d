# HTTP/1 request heads: the one parser. Spans into the caller's bytes, no Python objects, no allocation, no GIL.

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    MORE = 0    # the bytes end inside the head
    DONE = 1    # a whole head was read; a negative value is a fault of wire.faults

cdef enum:      # Head.form, RFC 9112 section 3.2
    ORIGIN_FORM = 1
    ABSOLUTE_FORM = 2
    AUTHORITY_FORM = 3
    ASTERISK_FORM = 4

cdef enum:      # Facts.flags: what the header section says, before it is held against the request line
    HAS_HOST = 1
    HAS_LENGTH = 2
    HAS_CODING = 4          # a Transfer-Encoding field is present
    IS_CHUNKED = 8          # and it is exactly `chunked`, once
    SAYS_CLOSE = 16         # Connection lists `close`
    SAYS_KEEP_ALIVE = 32    # Connection lists `keep-alive`
    SAYS_UPGRADE = 64       # Connection lists `upgrade`
    EXPECTS_CONTINUE = 128  # Expect is exactly `100-continue`, once; on HTTP/1.0 it means nothing
    EXPECTS_OTHER = 256     # Expect is anything else; check_head refuses it on HTTP/1.1
    HAS_REQUEST_ID = 512    # a trusted peer's X-Request-ID that may stand in a log: noted by the handler, not here
    HAS_MOUNT = 1024        # the application does not stand at `/`: noted by the handler, too

cdef struct Span:
    uint32_t start
    uint32_t length

cdef struct Field:
    Span name
    Span value              # without the whitespace around it

cdef struct Limits:
    uint32_t request_line   # octets, without CRLF
    uint32_t field_line     # octets of one header line, without CRLF
    uint32_t fields         # number of header lines
    uint32_t section        # octets of the whole header section

cdef struct Facts:
    int64_t content_length  # -1 when absent
    uint32_t flags
    Span host               # the Host value, relative to the start of the header section
    int fault               # 0, or the first fault that is a matter of whole fields (two Hosts, a bad length, …)

cdef struct Head:
    # the request line
    Span method
    Span target             # as sent
    Span authority          # of an absolute-form or authority-form target
    Span path               # still percent-encoded; empty for `*` and for an absolute form that ends at its authority
    Span query              # without the `?`
    int form
    int version             # 10 or 11
    bint path_escaped       # the path holds a `%`
    # the header section
    uint32_t section_start
    uint32_t end            # offset of the first byte behind the head
    uint32_t count
    Facts facts
    # where an unfinished parse goes on
    uint32_t resume_line
    uint32_t resume_byte
    uint32_t resume_count

# Reads the request line (and one empty line before it). DONE sets everything up to section_start.
cdef int parse_request_line(const uint8_t* data, uint32_t size, const Limits* limits, Head* head) noexcept nogil

# Reads the header section from head.section_start into `fields` (room for limits.fields) and head.facts, head.count,
# head.end.
cdef int parse_section(
    const uint8_t* data, uint32_t size, const Limits* limits, Head* head, Field* fields,
) noexcept nogil

# Both, and goes on where it stopped: call it again with the same bytes and more behind them. `head` starts zeroed;
# `fields` need not keep its contents between the calls. A head that ends inside its limits is never longer than
# request_line + section + 4 octets, so a buffer of that size always leads to DONE or a fault.
cdef int parse_head(const uint8_t* data, uint32_t size, const Limits* limits, Head* head, Field* fields) noexcept nogil

# Holds the facts against the request line: Host, framing, version, target. 0 or a fault.
cdef int check_head(const uint8_t* data, const Head* head) noexcept nogil

# Decodes %XX once. Writes at most `size` bytes to `out`; returns how many, or a fault (a bad escape is left as it is;
# %00 is a fault).
cdef int unescape_path(const uint8_t* data, uint32_t size, uint8_t* out) noexcept nogil
