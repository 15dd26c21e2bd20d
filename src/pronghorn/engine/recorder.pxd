# The seam to what hears of answered requests: the access log, metrics.

from libc.stdint cimport uint64_t

from pronghorn.engine.exchange cimport Exchange


cdef class Recorder:
    cdef readonly bint may_wait     # it calls code that may wait: it is told of a request as part of the request

    # `now_ns`: the monotonic clock at the end of the exchange.
    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1
    cpdef flush(self)


cdef class Recorders(Recorder):
    cdef list members
