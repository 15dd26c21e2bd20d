# The event loop: what else drives it (greenlets.pyx) must know of it.

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport PoolThread
from pronghorn.engine.intake cimport Intake
from pronghorn.engine.linux cimport epoll_event
from pronghorn.engine.rush cimport Rush
from pronghorn.engine.spin cimport Spin

cdef enum:
    BATCH = 64                      # events a turn


cdef class Engine(Intake):
    cdef str _state
    cdef object stopped             # threading.Event
    cdef epoll_event batch[BATCH]
    cdef uint64_t batch_ns          # when it came
    cdef list attached              # descriptors of connected sockets that are to be served
    cdef Rush rush
    cdef Spin spin
    cdef bint stopping
    cdef bint drain_seen

    cdef object _change(self, str state)
    # What is due by the clock, and the next batch of events.
    cdef int _turn(self, PoolThread thread) except -1
    # Waits for events, at most until the next deadline: how many there are in `batch`, or the negative of an errno.
    cdef int _gather(self, bint likely) except? -9999
    cdef int _welcome_attached(self, PoolThread thread, int fd) except -1
    cdef int _clock(self) except -1
    cdef int _wait_ms(self) except -1
    cdef int _dispatch(self, PoolThread thread, uint64_t data, uint32_t events) except -1
    cdef int _expire(self, PoolThread thread) except -1
    cdef int _expire_queue(self, PoolThread thread) except -1
    cdef int _expired(self, PoolThread thread, Connection connection, int kind) except -1
    cdef int _wind_down(self, PoolThread thread) except -1
    cdef int _drain_connection(self, Connection connection) except -1
    cdef int _end(self) except -1
