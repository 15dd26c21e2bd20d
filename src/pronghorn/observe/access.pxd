# The access log as the loop sees it: a Recorder that formats into a buffer of its own.

from libc.stdint cimport int64_t, uint64_t

from pronghorn.engine.recorder cimport Recorder
from pronghorn.wire.buffer cimport Buffer

cdef enum:              # access_format.Kind
    LITERAL = 0
    REMOTE = 1
    DASH = 2
    USER = 3
    TIME = 4
    REQUEST_LINE = 5
    STATUS = 6
    SENT = 7
    SECONDS = 8
    MICROSECONDS = 9
    MILLISECONDS = 10
    DECIMAL_SECONDS = 11
    PROCESS = 12
    ENVIRON = 13
    RESPONSE_FIELD = 14

cdef class AccessLog(Recorder):
    cdef readonly object sink
    cdef list kinds         # of int
    cdef list texts         # of bytes for a literal, of str for a name
    cdef int* codes         # `kinds` for the machine
    cdef int count
    cdef Buffer lines
    cdef size_t line_start
    cdef int64_t second     # the one that `stamp` is the text of
    cdef char[40] stamp
    cdef int stamp_size

    cpdef int record(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1
    cpdef flush(self)
    cpdef reopen(self)
    cdef int _put(
        self, int kind, object text, str remote, dict environ, str status, list headers, int64_t sent, double began,
        uint64_t duration_ns,
    ) except -1
    cdef int _put_bytes(self, const char* data, size_t size) except -1
    cdef int _put_value(self, object value) except -1
    cdef int _put_text(self, str text) except -1
    cdef int _put_escaped(self, const unsigned char* data, size_t size) except -1
    cdef int _put_number(self, uint64_t number, int least_digits) except -1
    cdef int _put_environ(self, dict environ, object name) except -1
    cdef int _put_request_line(self, dict environ) except -1
    cdef int _put_status(self, str status) except -1
    cdef int _put_field(self, list headers, str name) except -1
    cdef int _put_stamp(self, double began) except -1
