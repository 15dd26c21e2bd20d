# The access log as the loop sees it: a Recorder that formats into a buffer of its own.

from libc.stdint cimport int64_t, uint64_t

from pronghorn.engine.recorder cimport Recorder
from pronghorn.wire.buffer cimport Buffer

cdef enum:              # access_format.Kind
    LITERAL = 0
    REMOTE = 1
    DASH = 2
    USER = 3
    REQUEST_LINE = 4
    STATUS = 5
    ENVIRON = 6
    RESPONSE_FIELD = 7
    TIME = 8
    SENT = 9
    SECONDS = 10
    MICROSECONDS = 11
    MILLISECONDS = 12
    DECIMAL_SECONDS = 13
    PROCESS = 14

cdef class AccessLog(Recorder):
    cdef readonly object sink
    cdef bint json
    cdef list texts         # of bytes for a literal, of str for a name
    cdef int* codes         # the kind of each piece
    cdef int count
    cdef Buffer lines
    cdef Buffer spare       # the memory of the next line
    cdef int64_t second     # the one that `stamp` is the text of
    cdef bytes stamp

    cpdef int put(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1
    cpdef flush(self)
    cpdef reopen(self)
    cdef Buffer _take_spare(self) noexcept
    cdef void _give_back(self, Buffer* line) noexcept
    cdef int _join(self, Buffer* line) except -1
    cdef bytes _stamp_of(self, double began)
