# From raw header names to environ keys.

from libc.stdint cimport uint8_t

# The environ key of a header name, or None for a header that must not reach the application.
cdef str header_key(const uint8_t* data, Py_ssize_t size)


cdef class HeaderPolicy:
    cdef dict schemes           # environ keys, and the value of each that says TLS
    cdef frozenset forwarders   # names with an underscore that trusted peers may send, in upper case
    cdef frozenset reserved     # environ keys that only those set
    cdef bint refuses           # any other name with an underscore is a fault
    cdef int fault              # of the last header, or 0

    # The environ key of a header of a peer, or None for one that does not count.
    cdef str key(self, const uint8_t* data, Py_ssize_t size, bint trusted)
    cdef str _odd_key(self, const uint8_t* data, Py_ssize_t size, bint trusted)
    # What the headers of a trusted peer say besides: scheme, mount. 0 or a fault.
    cdef int take_word(self, dict template) except? -9999

# The value of X-Request-ID, if it can name a request in a log: short, and of characters that mean nothing there.
cdef bint is_request_id(object value)
