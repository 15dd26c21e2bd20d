# From raw header names to environ keys.

from libc.stdint cimport uint8_t

# The environ key of a header name, or None for a header that must not reach the application.
cdef str header_key(const uint8_t* data, Py_ssize_t size)

# A header that forwards what another server saw: it counts only from a peer that is trusted.
cdef bint is_forwarding(str key)

# The value of X-Request-ID, if it can name a request in a log: short, and of characters that mean nothing there.
cdef bint is_request_id(object value)
