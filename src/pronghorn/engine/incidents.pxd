# What clients do wrong and what runs short: each kind is counted, and told to the error log once in a while.

from libc.stdint cimport uint64_t

from pronghorn.engine.scoreboard cimport INCIDENTS

cdef enum:              # kinds, in the order of scoreboard.pyx
    REFUSED = 0         # a request that was wrong
    LATE_HEAD = 1       # a head that did not come to its end in time
    LATE_BODY = 2       # a body that came too slowly, or not at all
    LATE_READER = 3     # a response that was taken too slowly, or not at all
    LEFT = 4            # a client that left before the end of its request or of the response
    TURNED_AWAY = 5     # a request for which there was no thread in time
    FULL = 6            # `worker_connections` is reached, and nobody is idle
    EVICTED = 7         # a connection that was closed to make room for another
    NO_DESCRIPTOR = 8   # nothing left to accept with
    NO_STORAGE_LEFT = 9     # a body or a response that no spool file takes
    NO_MEMORY_LEFT = 10
    HELD_BACK = 11      # reading pauses, because unsent responses fill the memory
    SILENT = 12         # a new connection on which nothing was said


cdef class Incidents:
    cdef object log
    cdef uint64_t* counts
    cdef uint64_t[INCIDENTS] told_ns    # when a line was written last; 0: never
    cdef uint64_t[INCIDENTS] untold     # and how many have been without one since
    cdef list latest                    # the last one of them: its text and values
    cdef uint64_t due_ns                # when the next line is due for those without; UINT64_MAX: there are none

    # `text % values` is the line. Costs nothing that a client could not cause anyway. The values are kept for a while.
    cdef int note(self, int kind, str text, tuple values) except -1
    # A line for each kind of which some have been without: where the ten seconds are over, or of every one.
    cdef int tell_rest(self, bint leaving) except -1
