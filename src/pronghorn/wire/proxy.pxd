# The PROXY protocol, versions 1 and 2: what a proxy says of a connection before it forwards the first byte of it.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    ABSENT = 2      # beside MORE, DONE and the faults: the connection begins with something else

cdef enum:          # Introduction.kind
    UNKNOWN = 0     # the proxy does not know, or does not say, whom it forwards
    LOCAL = 1       # the proxy speaks for itself: a health check
    TCP4 = 2
    TCP6 = 3
    UNIX = 4        # a client on a unix socket of the proxy's

cdef enum:
    LONGEST_LINE = 107      # octets of a line of version 1, with its CRLF (the document's own count)
    LONGEST_HEADER = 4096   # octets of a header of version 2: what nginx takes, and room for a client's certificate
    ADDRESS_TEXT = 46       # of an address as text, with a NUL behind it

cdef struct Endpoint:
    char text[ADDRESS_TEXT]     # empty where the kind has no addresses
    int port

cdef struct Introduction:
    int version     # 1 or 2 as soon as it is plain which one begins here; 0 before
    int kind
    Endpoint source
    Endpoint destination
    uint32_t end    # octets of the header

# Reads a header at the start of `data`. Nothing is kept between two calls: an unfinished one is read again, which costs
# at most LONGEST_LINE octets for a piece.
cdef int parse_proxy(const uint8_t* data, uint32_t size, Introduction* introduction) noexcept nogil
