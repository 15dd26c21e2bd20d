# The event loop: what else drives it (greenlets.pyx) must know of it.

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport PoolThread
from pronghorn.engine.intake cimport Intake
from pronghorn.engine.linux cimport epoll_event

cdef enum:
    BATCH = 64                      # events a turn


cdef class Engine(Intake):
    cdef str _state
    cdef object stopped             # threading.Event
    cdef int wake_fd
    cdef epoll_event batch[BATCH]
    cdef int batch_size
    cdef int batch_at
    cdef uint64_t batch_ns          # when it came
    cdef list held                  # connections whose responses wait for the end of the batch
    cdef uint64_t held_ns           # since when
    cdef list attached              # descriptors of connected sockets that are to be served
    cdef list returned              # connections given back with bytes that wait to be read as requests
    cdef bint waiting               # the leader is, or is about to be, inside a wait that may block
    cdef uint64_t wakes_ns          # and this is when it will look at the clock again
    cdef bint stopping
    cdef bint drain_seen

    cdef object _change(self, str state)
    cdef void _wake(self) noexcept
    # What is due by the clock, and the next batch of events.
    cdef int _turn(self, PoolThread thread) except -1
    # Waits for events, at most until the next deadline: how many there are in `batch`, or the negative of an errno.
    cdef int _gather(self, bint likely) except? -9999
    cdef int _welcome_attached(self, PoolThread thread, int fd) except -1
    cdef int _clock(self) except -1
    cdef int _wait_ms(self) except -1
    cdef int _dispatch(self, PoolThread thread, uint64_t data, uint32_t events) except -1
    cdef int _send_on(self, Connection connection) except -1
    cdef int _send_more(self, PoolThread thread, Connection connection) except -1
    cdef bint _hold(self, PoolThread thread, Connection connection) except -1
    cdef int _wait_for_request(self, Connection connection, uint64_t now) except -1
    cdef int _expire(self, PoolThread thread) except -1
    cdef int _expire_queue(self, PoolThread thread, object queue) except -1
    cdef int _expired(self, PoolThread thread, Connection connection, int kind) except -1
    cdef int _wind_down(self, PoolThread thread) except -1
    cdef int _drain_connection(self, Connection connection) except -1
    cdef int _end(self) except -1
