# What the fields of a header section mean to the server itself: host, framing, persistence, expectation.

from libc.stdint cimport uint32_t

from pronghorn.wire.cursor cimport Cursor
from pronghorn.wire.http1 cimport Facts, Field

# Reads the facts off `count` fields, whose spans are offsets into what `bytes` was opened on. They depend on nothing
# else, so a connection that sends the same section again may be given the same facts again.
cdef void gather_facts(
    const Cursor* bytes, uint32_t section_start, const Field* fields, uint32_t count, Facts* facts,
) noexcept nogil

# Whether all that is left is host[:port] of RFC 3986 section 3.2.2, with a host. 0 or a fault.
cdef int check_authority(Cursor authority) noexcept nogil
