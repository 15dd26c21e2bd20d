# Metrics for statsd: a Recorder that counts and measures requests.

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.exchange cimport Exchange
from pronghorn.engine.recorder cimport Recorder
from pronghorn.wire.buffer cimport Buffer

cdef enum:
    STATUSES = 1000


cdef class Statsd(Recorder):
    cdef readonly object socket
    cdef readonly str name          # of the server, for messages
    cdef readonly object peer       # what the socket is connected to
    cdef int fd
    cdef size_t datagram            # octets that one may have
    cdef bytes duration             # what stands before a duration: prefix and name
    cdef bytes prefix
    cdef bytes tail                 # what stands behind each metric: tags and the line feed
    cdef Buffer lines               # metrics that are not sent yet
    cdef uint64_t requests          # since the last flush
    cdef uint32_t[STATUSES] statuses
    cdef list seen                  # the statuses that are not 0
    cdef uint64_t lost              # datagrams
    cdef uint64_t told_ns           # when the error log said so last

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1
    cpdef flush(self)
    cdef int _add_counters(self) except -1
    cdef int _send(self) except -1
    cdef int _lose(self, int error) except -1
    cdef int _room_for(self, size_t size) except -1
