"""A request body, collected by the loop and read by the application as `wsgi.input`."""

import os

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memchr

from pronghorn.debug cimport SPOOL_FILES, tally
from pronghorn.engine.posix cimport close
from pronghorn.engine.room cimport Room, write_all_at
from pronghorn.wire.buffer cimport append, release


@cython.final
cdef class Body:
    """A complete request body as a binary file (PEP 3333, "Input and Error Streams").

    Reading never waits: the body has arrived before the application is called. At its end every read returns b"".
    """

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:
            tally(SPOOL_FILES, -1)
            close(self.fd)
        release(&self.memory)

    cdef int collect(self, const uint8_t* data, size_t size, size_t in_memory, Room room) except -1:
        cdef size_t before
        self.room = room
        if self.fd < 0 and (self.memory.size + size > in_memory or not room.has_memory(<int64_t>size)):
            self.fd = room.take_file(&self.on_disk)
            tally(SPOOL_FILES, 1)
            self._write(<const uint8_t*>self.memory.data, self.memory.size, 0)
            self._release_memory()
        if self.fd >= 0:
            self._write(data, size, self.size)
        else:
            before = self.memory.capacity
            if append(&self.memory, data, size) < 0:
                raise MemoryError("no memory for a request body")
            room.memory += <int64_t>(self.memory.capacity - before)
        self.size += size
        return 0

    cdef int _write(self, const uint8_t* data, size_t size, uint64_t at) except -1:
        cdef int64_t end = <int64_t>(at + size)
        if end > self.on_disk:
            self.room.take_disk(end - self.on_disk)
            self.on_disk = end
        write_all_at(self.fd, data, size, <long>at)
        return 0

    cdef int _release_memory(self) except -1:
        if self.room is not None:
            self.room.memory -= <int64_t>self.memory.capacity
        release(&self.memory)
        return 0

    cdef int rewind(self) except -1:
        if self.fd >= 0:
            if self.on_disk > <int64_t>self.size:       # what another body has left is not this one's
                os.ftruncate(self.fd, self.size)
                self.room.disk -= self.on_disk - <int64_t>self.size
                self.on_disk = <int64_t>self.size
            os.lseek(self.fd, 0, os.SEEK_SET)
            self.file = open(self.fd, "rb", closefd=False)
        return 0

    cdef int dispose(self, bint reusable) except -1:
        cdef int fd = self.fd
        if fd >= 0:
            if self.file is not None:
                self.file.close()
            self.fd = -1
            tally(SPOOL_FILES, -1)
            self.room.close_file(fd, self.on_disk, reusable)
            self.on_disk = 0
        self._release_memory()
        self.position = 0
        return 0

    cdef object _take(self, size_t count):
        """The next `count` bytes in memory, or what is left of them."""
        cdef size_t left = self.memory.size - self.position
        if count > left:
            count = left
        piece = PyBytes_FromStringAndSize(self.memory.data + self.position, <Py_ssize_t>count)
        self.position += count
        return piece

    def read(self, size=-1):
        """Up to `size` bytes; all that is left when `size` is negative or None."""
        if self.file is not None:
            return self.file.read(-1 if size is None else size)
        cdef Py_ssize_t count = -1 if size is None else size
        return self._take(<size_t>-1 if count < 0 else <size_t>count)

    def read1(self, size=-1):
        """Like `read`: everything is there already."""
        return self.read(size)

    def readinto(self, buffer):
        """Fills `buffer` as far as the body goes; returns how many bytes that was."""
        if self.file is not None:
            return self.file.readinto(buffer)
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        """The next line with its end, at most `size` bytes of it."""
        if self.file is not None:
            return self.file.readline(-1 if size is None else size)
        cdef Py_ssize_t limit = -1 if size is None else size
        cdef size_t left = self.memory.size - self.position
        cdef const char* start = self.memory.data + self.position
        cdef const char* found
        if left == 0:
            return b""
        if limit >= 0 and <size_t>limit < left:
            left = <size_t>limit
        found = <const char*>memchr(start, c"\n", left)
        return self._take(left if found == NULL else <size_t>(found - start) + 1)

    def readlines(self, hint=-1):
        """The lines that are left; stops after `hint` bytes when it is positive."""
        lines = []
        total = 0
        limit = -1 if hint is None else hint
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if 0 < limit <= total:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def seekable(self):
        return False

    def readable(self):
        return True

    def writable(self):
        return False

    def close(self):
        """Does nothing: the server owns the stream (PEP 3333), and drops it with the request."""

    def __repr__(self):
        return f"<Body of {self.size} bytes in {'memory' if self.file is None else 'a file'}>"
