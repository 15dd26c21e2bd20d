# The seam to the access log.

from libc.stdint cimport int64_t, uint64_t


cdef class Recorder:
    cdef int record(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1
    cpdef flush(self)
