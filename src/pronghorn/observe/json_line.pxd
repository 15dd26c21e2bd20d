# JSON for both logs: texts as JSON strings, and a request as an object.

from libc.stdint cimport uint64_t

from pronghorn.engine.exchange cimport Exchange
from pronghorn.wire.buffer cimport Buffer

# Octets of a peer, in quotes. They are read as UTF-8; an octet that is no part of it appears as \xNN.
cdef int put_octets(Buffer* line, const unsigned char* data, size_t size) except -1
# A text of ours or of the application's, in quotes.
cdef int put_text(Buffer* line, str text) except -1
# What came from a peer in the way of PEP 3333, one octet in each character; None becomes null.
cdef int put_value(Buffer* line, object value) except -1

# The whole object of an answered request; `stamp` is its second, as in 2026-11-20T22:37:02.
cdef int put_request(Buffer* line, Exchange exchange, uint64_t now_ns, bytes stamp) except -1
