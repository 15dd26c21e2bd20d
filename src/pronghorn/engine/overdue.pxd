# A call that is past its deadline, in the error log.

from libc.stdint cimport uint64_t

from pronghorn.engine.exchange cimport Exchange

# Where a thread is, outermost first; read at once, as the thread may run on as soon as it can.
cdef list places_of(frame)
# Says what becomes of the call. `changed`: behind the setting's name, if the deadline is not the one that is set.
cdef int tell_overdue(log, Exchange exchange, uint64_t now, str changed, str outcome, list places) except -1
