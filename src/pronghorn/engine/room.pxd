# What bodies and responses of one worker take up while they wait for somebody: memory and spool files.

cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Room:
    cdef readonly int64_t memory        # octets of bodies and unsent responses
    cdef readonly int64_t disk          # octets in spool files
    cdef int64_t memory_most            # `buffer_memory`
    cdef int64_t disk_most              # `spool_limit`
    cdef object directory               # of the spool files; None: the system's
    cdef dict shared                    # how many outboxes hold a large piece, by its address
    cdef int spare                      # a spool file that the last body has left for the next one; -1: there is none
    cdef int64_t spare_size             # octets that it takes up on the disk
    cdef uint64_t spare_until_ns

    # `size` more octets of bodies may be kept in memory. They get half of it: the rest is left for the responses.
    cdef bint has_memory(self, int64_t size) noexcept
    cdef inline bint is_full(self) noexcept:
        """More is kept than may be."""
        return self.memory > self.memory_most

    # An outbox holds a piece, or no longer.
    cdef int hold(self, bytes piece) except -1
    cdef int let_go(self, bytes piece) except -1
    # Before so much is written to a spool file. Raises OSError when that would be more than may be.
    cdef int take_disk(self, int64_t size) except -1
    # A new spool file, which has no name.
    cdef int open_file(self) except -1
    # The same for a body; it may have been another's, which has left `on_disk` octets in it.
    cdef int take_file(self, int64_t* on_disk) except -1
    # The end of one: given to the next, or, unless it is `reusable`, closed. Its `on_disk` octets are free again.
    cdef int close_file(self, int fd, int64_t on_disk, bint reusable) except -1
    # Closes what waits for a next body, `when` nobody has needed it until then.
    cdef int forget_spare(self, uint64_t when) except -1


# Writes all of it at `offset`, without the interpreter lock; raises OSError.
cdef int write_all_at(int fd, const void* data, size_t size, long offset) except -1
