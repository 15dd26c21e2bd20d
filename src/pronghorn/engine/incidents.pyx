"""Counts what clients do wrong and what runs short, and tells the error log: a line for each kind in ten seconds.

A client may cause as many of them as it likes, so that none may cost a line of its own: the first is told at once, the
others by one line when the ten seconds are over, or the worker leaves. At level `debug` each is told.
"""

import logging

cimport cython
from libc.stdint cimport UINT64_MAX, uint64_t

from pronghorn.engine.posix cimport monotonic_ns
from pronghorn.engine.scoreboard cimport INCIDENTS

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

    def __cinit__(self):
        self.due_ns = UINT64_MAX
        self.latest = [None] * INCIDENTS

    cdef int note(self, int kind, str text, tuple values) except -1:
        cdef object level = LEVELS[kind]
        cdef uint64_t now
        self.counts[kind] += 1
        if not self.log.isEnabledFor(level):
            return 0
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.log(level, text, *values)
            return 0
        now = monotonic_ns()
        if self.told_ns[kind] and (self.untold[kind] or now < self.told_ns[kind] + SILENCE):
            self.latest[kind] = (text, values)      # first: the collector may let tell_rest run
            self.untold[kind] += 1
            self.due_ns = min(self.due_ns, self.told_ns[kind] + SILENCE)
            return 0
        self.told_ns[kind] = now
        self.log.log(level, text, *values)
        return 0

    cdef int tell_rest(self, bint leaving) except -1:
        cdef int kind
        cdef uint64_t number, now = monotonic_ns()
        for kind in range(INCIDENTS):
            number = self.untold[kind]
            if number == 0 or (now < self.told_ns[kind] + SILENCE and not leaving):
                continue
            text, values = self.latest[kind]
            self.told_ns[kind], self.untold[kind], self.latest[kind] = now, 0, None
            if number > 1:
                text += " (the last of %d since the line before)"
                values += (number,)
            self.log.log(LEVELS[kind], text, *values)
        # Not before: while a line is written other threads may have noted more.
        self.due_ns = UINT64_MAX
        for kind in range(INCIDENTS):
            if self.untold[kind]:
                self.due_ns = min(self.due_ns, self.told_ns[kind] + SILENCE)
        return 0
