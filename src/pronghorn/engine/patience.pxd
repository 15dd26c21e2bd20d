# How long slow peers and late calls are waited for, and what happens then.

from libc.stdint cimport uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, PoolThread
from pronghorn.engine.pool cimport Pool


cdef enum:
    WAIT_SLICE_MS = 250             # how long a wait for a peer goes on before it looks whether it is still wanted


cdef class Patience(Pool):
    cdef int _wait_for_peer(self, PoolThread thread, Connection connection) except -1
    # Whether its peer lags so far behind that the thread goes on waiting.
    cdef bint _lags(self, Connection connection) noexcept
    # A request waits for the thread, or would have to.
    cdef bint _is_needed(self, Exchange exchange) noexcept
    cdef bint _put_aside(self, Connection connection) except -1
    cdef bint _leave_thread(self, PoolThread thread, Connection connection, uint64_t now) except -1
    # A call turns out to be a long stream whose peer is slow.
    cdef int _note_stream(self, Exchange exchange) except -1
    cdef bint _trickles(self, Connection connection, Exchange exchange, uint64_t waited_ns) noexcept
    cdef int _evict(self, Connection connection, Exchange exchange) except -1
    cdef int _cut(self, Connection connection) except -1
    # A response was taken too slowly.
    cdef int _give_up_reader(self, Connection connection) except -1
    # Whether a socket takes bytes, within a slice of time.
    cdef int _wait_writable(self, int fd) except -1
    # Which calls are past their deadline? Says as well when to look again.
    cdef int _check_overdue(self, PoolThread thread) except -1
    cdef int _call_overdue(self, PoolThread thread, PoolThread late, Exchange exchange) except -1
    # Where a call is.
    cdef object _frame_of(self, PoolThread late)
    cdef int _interrupt(self, PoolThread late, Exchange exchange) except -1
    cdef int _give_up_thread(self, PoolThread late) except -1
    # A call is inside the application that may still come to its end.
    cdef bint _awaits_calls(self) noexcept
