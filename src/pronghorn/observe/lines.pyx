"""Request lines for somebody who develops: one readable line for each request, at once, coloured on a terminal."""

import os

cimport cython
from libc.stdint cimport uint64_t

from pronghorn.engine.exchange cimport Exchange
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

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        """Writes the line of one request."""
        cdef uint64_t duration = now_ns - exchange.began_ns if now_ns > exchange.began_ns else 0
        environ, status = exchange.environ or None, exchange.status or ""
        line = line_of(environ, status, exchange.sent, exchange.began, duration, coloured=self.coloured)
        self.sink.write(line.encode(errors="backslashreplace"))
        return 0
