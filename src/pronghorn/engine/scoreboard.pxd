# The scoreboard's row as it lies in shared memory.

from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef struct Row:
    int32_t pid
    uint32_t generation
    int32_t state
    int32_t connections
    uint64_t requests
    uint64_t heartbeat_ns
    uint64_t handovers
    char padding[88]      # a row has its own cache lines: workers write theirs all the time


cdef struct Board:
    int32_t unready         # the fleet wants no new clients (`drain_delay`)
    char padding[124]


cdef class Scoreboard:
    cdef object memory
    cdef Board* board
    cdef Row* rows
    cdef readonly int size


cdef class Slot:
    cdef Scoreboard board
    cdef Row* row
    cdef readonly int index
