"""The room of one worker for request bodies and for responses whose clients are slow: memory first, then files."""

import errno
import os
import tempfile

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.long cimport PyLong_FromVoidPtr
from libc.errno cimport EINTR
from libc.errno cimport errno as error_number
from libc.stdint cimport int64_t, uint8_t

from pronghorn.engine.posix cimport pwrite


cdef enum:
    SHARED_LEAST = 64 * 1024    # octets of a piece for which it is worth asking whether others hold it too


@cython.no_gc
cdef class Room:
    """Counts what is taken and given back; belongs to the interpreter lock."""

    def __cinit__(self, options):
        self.memory_most = options.buffer_memory
        self.disk_most = options.spool_limit
        self.directory = options.spool_dir
        self.shared = {}

    cdef bint has_memory(self, int64_t size) noexcept:
        return self.memory + size <= self.memory_most // 2

    cdef int hold(self, bytes piece) except -1:
        """A piece that many outboxes hold (an application that keeps a page and gives it to everybody) counts once."""
        cdef int64_t size = PyBytes_GET_SIZE(piece)
        cdef int64_t count
        if size >= SHARED_LEAST:
            address = PyLong_FromVoidPtr(<void*>piece)
            count = self.shared.get(address, 0)
            self.shared[address] = count + 1
            if count:
                return 0
        self.memory += size
        return 0

    cdef int let_go(self, bytes piece) except -1:
        cdef int64_t size = PyBytes_GET_SIZE(piece)
        cdef int64_t count
        if size >= SHARED_LEAST:
            address = PyLong_FromVoidPtr(<void*>piece)
            count = self.shared.pop(address) - 1
            if count:
                self.shared[address] = count
                return 0
        self.memory -= size
        return 0

    cdef int take_disk(self, int64_t size) except -1:
        if self.disk + size > self.disk_most:
            raise OSError(
                errno.EDQUOT,
                f"{self.disk + size} bytes in temporary files would be more than `spool_limit`, {self.disk_most} bytes",
            )
        self.disk += size
        return 0

    cdef object open_file(self):
        # TemporaryFile has no name on a file system that knows O_TMPFILE, and loses it at once elsewhere: nothing to
        # clean up.
        return tempfile.TemporaryFile(prefix="pronghorn-", dir=self.directory)

    def __repr__(self):
        return f"<Room: {self.memory} of {self.memory_most} bytes of memory, {self.disk} of {self.disk_most} on disk>"


cdef int write_all_at(int fd, const void* data, size_t size, long offset) except -1:
    cdef const uint8_t* rest = <const uint8_t*>data
    cdef ssize_t done
    while size:
        with nogil:     # a full disk queue may hold it up for long
            done = pwrite(fd, rest, size, offset)
        if done < 0:
            if error_number == EINTR:
                continue
            raise OSError(error_number, os.strerror(error_number), "a spool file")
        rest += done
        offset += done
        size -= <size_t>done
    return 0
