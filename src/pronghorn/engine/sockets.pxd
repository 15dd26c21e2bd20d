# The sockets of a worker: its listeners and connections, what epoll watches, which deadline each waits for.

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pronghorn.engine.connection cimport DEADLINES, Connection, DeadlineQueue
from pronghorn.engine.exchange cimport Handler, Host, PoolThread
from pronghorn.engine.posix cimport sockaddr_storage
from pronghorn.engine.room cimport Room
from pronghorn.engine.scoreboard cimport Row, Slot

cdef enum:
    INCOMING = 256 * 1024           # octets read at once
    INCOMING_BODY = 1024 * 1024     # of a body whose length says that so much is its own; only what arrives is touched
    MILLISECOND = 1000 * 1000       # nanoseconds
    SECOND = 1000 * 1000 * 1000
    FLUSH_LOG = 50 * MILLISECOND    # lines of the access log wait for others: a write for each would cost more than it


cdef enum:                          # serials that no connection has: what an event of epoll is about
    LISTENER = 0x7FFFFFFF
    WAKE = 0x7FFFFFFE
    LAST_SERIAL = 0x7FFFFF00


cdef class Sockets(Host):
    cdef Handler handler
    cdef readonly Slot slot         # this worker's row of the scoreboard
    cdef Row* row
    cdef int epoll
    cdef uint64_t now
    cdef DeadlineQueue queues[DEADLINES]
    cdef bint finished              # the loop has ended: whatever comes back is closed
    # listeners
    cdef list listeners
    cdef int* listener_fds
    cdef int listener_count
    cdef bint accepting
    cdef bint full                  # accepting pauses because of the connection limit
    cdef int burst                  # connections accepted before others get their turn
    cdef bint more_waits            # another connection may be accepted at once
    cdef uint64_t left_ns           # since when a connection is left to a worker that has fewer; 0: it is not
    cdef uint64_t hurry_ns          # until when nobody is waited for who sleeps and does not come
    cdef uint32_t arrived           # connections accepted since the loop waited last
    cdef uint64_t resume_ns         # when a pause of accepting ends
    cdef int reserve                # a descriptor kept for the day when there are no others; -1: it is in use
    cdef uint32_t shed              # connections turned away for want of one
    cdef uint64_t shed_ns           # when the last was
    # connections
    cdef PyObject** table           # by descriptor
    cdef int table_size
    cdef uint32_t serial
    cdef int connections
    cdef int connection_limit
    cdef Room room                  # what their bodies and responses may take up
    cdef bint pressed               # that is full, and no file takes what waits: no further request is read
    cdef uint64_t min_rate          # octets a second; 0: any will do

    # Bytes have arrived on a new connection: the loop reads them as requests.
    cdef int _feed(self, PoolThread thread, Connection connection, const uint8_t* data, uint32_t size) except -1

    cdef int _watch_fd(self, int fd, uint32_t serial) except -1
    cdef int _set_interest(self, Connection connection, uint32_t events) except -1
    cdef int _part_from(self, Connection connection) except -1
    cdef int _drop(self, Connection connection) except -1
    cdef int _place(self, int fd, Connection connection) except -1
    cdef int _set_accepting(self, bint on) except -1
    cdef int _pause_accepting(self, uint64_t duration_ns) except -1
    cdef int _resume_accepting(self) except -1
    cdef bint _is_awaited(self) noexcept
    cdef Row* _poorest(self) noexcept
    cdef bint _leaves_to(self, Row* poorer) noexcept
    cdef int _accept(self, PoolThread thread, int listener) except -1
    cdef int _empty_queues(self, PoolThread thread) except -1
    cdef int _accept_failed(self, int listener, int error) except -1
    cdef bint _others_accept(self) noexcept
    cdef bint _shed(self, int listener) noexcept
    cdef void _hold_reserve(self) noexcept
    # The peer owes us something, or has moved some of it: what is too slow does not put the deadline off.
    cdef int _await_progress(self, Connection connection, int kind, uint64_t now) except -1
    cdef Connection _idlest(self)
    cdef Connection _first_unused(self, int kind, uint64_t least_ns)
    cdef int _make_room(self, Connection idlest) except -1
    cdef int _welcome(self, PoolThread thread, int fd, sockaddr_storage* address, int listener) except -1
    cdef int _close_listeners(self) except -1


# What the log calls a peer.
cdef str name_of(Connection connection)
