# The uwsgi protocol: a request as a packet of CGI variables, with the body behind it.

from libc.stdint cimport uint8_t, uint32_t

from pronghorn.wire.buffer cimport Buffer
from pronghorn.wire.http1 cimport Span

cdef enum:              # Variable.kind
    PLAIN = 0           # of the front end's own: its configuration, or what it knows of the request
    HEADER = 1          # HTTP_…, CONTENT_TYPE, CONTENT_LENGTH: a header of the request
    METHOD = 2          # REQUEST_METHOD
    TARGET = 3          # REQUEST_URI
    PROTOCOL = 4        # SERVER_PROTOCOL
    NAMELESS = 5        # a name that is not of A to Z, 0 to 9 and `_`: it means nothing

cdef struct Variable:
    Span name
    Span value
    int kind

cdef struct Packet:
    uint32_t count      # variables
    uint32_t end        # octets of the packet; the body follows

# Reads a packet at the start of `data` into `variables`, which has room for `most`; `limit`: octets of all variables.
# MORE, DONE or a fault. Nothing is kept between two calls, and behind the four octets of its head nothing is looked at
# until all of it is there.
cdef int parse_packet(
    const uint8_t* data, uint32_t size, uint32_t limit, uint32_t most, Variable* variables, Packet* packet,
) noexcept nogil

# Writes the request head that the variables mean to the end of `out`, for the parser of request heads to judge. 0 or a
# fault.
cdef int write_head(const uint8_t* data, const Packet* packet, const Variable* variables, Buffer* out) noexcept nogil
