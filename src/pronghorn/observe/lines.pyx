"""Request lines for somebody who develops: one readable line for each request, at once, coloured on a terminal."""

import os

cimport cython
from libc.stdint cimport int64_t, uint64_t

from pronghorn.observe.access cimport AccessLog

from pronghorn.observe.readable import line_of


@cython.final
cdef class RequestLines(AccessLog):
    """Writes them to `target`, a path or `-`: standard output. Raises SettingsError if that cannot be opened."""

    cdef readonly bint coloured

    def __init__(self, str target):
        AccessLog.__init__(self, "", target)
        # https://no-color.org
        self.coloured = (
            os.isatty(self.sink.fileno()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    cpdef int record(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1:
        """Writes the line of one request; the arguments are an AccessLog's."""
        line = line_of(environ, status or "", sent, began, duration_ns, coloured=self.coloured)
        self.sink.write(line.encode(errors="backslashreplace"))
        return 0
