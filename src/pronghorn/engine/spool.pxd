# A request body: in memory while it is small, in an unlinked temporary file beyond.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from pronghorn.engine.room cimport Room
from pronghorn.wire.buffer cimport Buffer


cdef class Body:
    cdef Buffer memory
    cdef size_t position
    cdef int fd                 # of the spool file once the body has outgrown memory, else -1
    cdef object file            # for reading it, when it is complete
    cdef readonly uint64_t size
    cdef Room room
    cdef int64_t on_disk

    # While the body arrives. Raises OSError when the spool cannot take it (a full disk, `spool_limit`).
    cdef int collect(self, const uint8_t* data, size_t size, size_t in_memory, Room room) except -1
    # The body is complete: reading starts at its beginning.
    cdef int rewind(self) except -1
    # The request is over: gives memory and disk space back, whoever still holds the object. The spool file may serve
    # another body, if it is `reusable`: no child process has it.
    cdef int dispose(self, bint reusable) except -1
    cdef int _write(self, const uint8_t* data, size_t size, uint64_t at) except -1
    cdef int _release_memory(self) except -1
    cdef object _take(self, size_t count)
