# The requests that wait for a thread: who is next.

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.exchange cimport Exchange
from pronghorn.engine.routes cimport Routes


cdef class Queue:
    """Three lines, each in the order in which they came.

    A route that is known to compute waits until everything else that is ready has been served: its neighbours then wait
    for one such call at most, however many there are. Long streams whose clients are slow have a line of their own as
    well, since each takes its time: those and the others take turns.
    """
    cdef object others
    cdef object streams
    cdef object computing
    cdef uint32_t count             # in all three
    cdef int streaming              # calls that are long streams whose peers are slow, or will be; given away ones too
    cdef bint stream_ran            # the last one that began was known to be a stream: the others have their turn

    # `habit`: that of its route, as far as it is known.
    cdef int add(self, Exchange exchange, int habit) except -1
    # Whether one more stream may run, where so many threads are.
    cdef bint may_stream(self, int threads) noexcept
    # The exchange is one of those that are streaming; it is none any more.
    cdef void begin_stream(self, Exchange exchange) noexcept
    cdef void end_stream(self, Exchange exchange) noexcept
    # Whether a request may run now that computes, or that is a stream, says the caller.
    cdef bint has_any(self, bint may_compute, bint may_stream) noexcept
    # Takes out the one whose turn it is, and says its habit in `exchange.habit`. None: there is none that may run.
    cdef Exchange take(self, const Routes* routes, bint may_compute, bint may_stream)
    # Takes out one that has waited for so long; None: there is none.
    cdef Exchange take_overdue(self, uint64_t now, uint64_t most_ns)
    cdef Exchange _take_from(self, object line, int habit)
    # Since when the one waits that has waited longest; far in the future if there is none.
    cdef uint64_t oldest_ns(self) noexcept
