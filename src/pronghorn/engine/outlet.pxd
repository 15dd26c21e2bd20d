# What leaves: which responses are sent now, which wait, and what their connections wait for then.

from libc.stdint cimport uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport PoolThread
from pronghorn.engine.patience cimport Patience


cdef class Outlet(Patience):
    cdef int wake_fd
    cdef int batch_size             # events of this turn of the loop,
    cdef int batch_at               # and how many of them have been dealt with
    cdef list held                  # connections whose responses wait for the end of the batch
    cdef uint64_t held_ns           # since when
    cdef list returned              # connections given back with bytes that wait to be read as requests
    cdef bint waiting               # the leader is, or is about to be, inside a wait that may block
    cdef uint64_t wakes_ns          # and this is when it will look at the clock again

    cdef void _wake(self) noexcept
    cdef int _send_on(self, Connection connection) except -1
    cdef int _send_more(self, PoolThread thread, Connection connection) except -1
    cdef bint _hold(self, PoolThread thread, Connection connection) except -1
    cdef int _wait_for_request(self, Connection connection, uint64_t now) except -1
