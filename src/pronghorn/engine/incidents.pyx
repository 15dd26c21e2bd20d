"""Counts what clients do wrong and what runs short, and tells the error log: a line for each kind in ten seconds.

A client may cause as many of them as it likes, so that none may cost a line of its own. At level `debug` each is told.
"""

import logging

cimport cython
from libc.stdint cimport uint64_t

from pronghorn.engine.posix cimport monotonic_ns

cdef uint64_t SILENCE = 10_000_000_000ULL       # nanoseconds between two lines of a kind

cdef list LEVELS = [
    # What is the client's own doing is everyday on the open internet; what the administrator can change is a warning;
    # what loses requests that were right is an error.
    logging.INFO,       # REFUSED
    logging.INFO,       # LATE_HEAD
    logging.INFO,       # LATE_BODY
    logging.INFO,       # LATE_READER
    logging.DEBUG,      # LEFT
    logging.WARNING,    # TURNED_AWAY
    logging.WARNING,    # FULL
    logging.DEBUG,      # EVICTED
    logging.ERROR,      # NO_DESCRIPTOR
    logging.ERROR,      # NO_STORAGE_LEFT
    logging.ERROR,      # NO_MEMORY_LEFT
    logging.WARNING,    # HELD_BACK
    logging.DEBUG,      # SILENT
]


@cython.final
cdef class Incidents:
    """The incidents of one worker; `counts` lies in its row of the scoreboard."""

    cdef int note(self, int kind, str text, tuple values) except -1:
        cdef object level = LEVELS[kind]
        cdef uint64_t now
        self.counts[kind] += 1
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.log(level, text, *values)
            return 0
        now = monotonic_ns()
        if self.told_ns[kind] and now < self.told_ns[kind] + SILENCE:
            self.untold[kind] += 1
            return 0
        self.told_ns[kind] = now
        untold, self.untold[kind] = self.untold[kind], 0
        if untold:
            text += " (%d like it since the last such line)"
            values += (untold,)
        self.log.log(level, text, *values)
        return 0
