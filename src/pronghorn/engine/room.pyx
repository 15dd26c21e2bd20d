"""The room of one worker for request bodies and for responses whose clients are slow: memory first, then files."""

import errno
import os
import tempfile

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.long cimport PyLong_FromVoidPtr
from libc.errno cimport EINTR
from libc.errno cimport errno as error_number
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint64_t

from pronghorn.debug cimport hand_over_point
from pronghorn.engine.posix cimport close, monotonic_ns, pwrite


cdef enum:
    SPARE_MOST = 128 * 1024 * 1024      # octets of a spool file that is kept for the next body
    SPARE_TIME = 1000 * 1000 * 1000     # nanoseconds that it waits for one
    SHARED_LEAST = 64 * 1024    # octets of a piece for which it is worth asking whether others hold it too


@cython.no_gc
cdef class Room:
    """Counts what is taken and given back; belongs to the interpreter lock."""

    def __cinit__(self, options):
        self.memory_most = options.buffer_memory
        self.disk_most = options.spool_limit
        self.directory = options.spool_dir
        self.shared = {}
        self.spare = -1

    def __dealloc__(self):
        if self.spare >= 0:
            close(self.spare)

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
        if self.disk + self.spare_size + size > self.disk_most:
            self.forget_spare(UINT64_MAX)
        if self.disk + size > self.disk_most:
            raise OSError(
                errno.EDQUOT,
                f"{self.disk + size} bytes in temporary files would be more than `spool_limit`, {self.disk_most} bytes",
            )
        self.disk += size
        return 0

    cdef int take_file(self, int64_t* on_disk) except -1:
        """Writing over the pages of a file costs the kernel half of making new ones."""
        cdef int fd = self.spare
        on_disk[0] = self.spare_size
        if fd < 0:
            return self.open_file()
        self.spare = -1
        self.disk += self.spare_size
        self.spare_size = 0
        return fd

    cdef int open_file(self) except -1:
        # TemporaryFile has no name on a file system that knows O_TMPFILE, and loses it at once elsewhere: nothing to
        # clean up.
        with tempfile.TemporaryFile(prefix="pronghorn-", dir=self.directory) as file:
            return os.dup(file.fileno())    # one that no program inherits: what others say is none of its business

    cdef int close_file(self, int fd, int64_t on_disk, bint reusable) except -1:
        self.disk -= on_disk
        if reusable and self.spare < 0 and on_disk <= SPARE_MOST:
            self.spare = fd
            self.spare_size = on_disk
            self.spare_until_ns = monotonic_ns() + SPARE_TIME
        else:
            with nogil:     # the pages of a large file are freed here
                close(fd)
        return 0

    cdef int forget_spare(self, uint64_t when) except -1:
        cdef int fd = self.spare
        if fd >= 0 and when >= self.spare_until_ns:
            self.spare = -1
            self.spare_size = 0
            with nogil:
                close(fd)
        return 0

    def __repr__(self):
        return f"<Room: {self.memory} of {self.memory_most} bytes of memory, {self.disk} of {self.disk_most} on disk>"


cdef int write_all_at(int fd, const void* data, size_t size, long offset) except -1:
    cdef const uint8_t* rest = <const uint8_t*>data
    cdef ssize_t done
    while size:
        with nogil:     # a full disk queue may hold it up for long
            hand_over_point()
            done = pwrite(fd, rest, size, offset)
        if done < 0:
            if error_number == EINTR:
                continue
            raise OSError(error_number, os.strerror(error_number), "a spool file")
        rest += done
        offset += done
        size -= <size_t>done
    return 0
