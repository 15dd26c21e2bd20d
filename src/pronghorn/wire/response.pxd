# Response heads: status line and headers, checked and rendered.

from libc.stdint cimport int64_t, uint32_t

from pronghorn.wire.buffer cimport Buffer

cdef enum:              # Verdict.flags: what the application said itself
    SAID_DATE = 1
    SAID_SERVER = 2
    SAID_CLOSE = 4      # Connection: close

cdef struct Verdict:
    int status
    uint32_t flags
    int64_t content_length      # -1 when the application did not say

# Appends status line and headers to `out`, without the blank line behind them, and fills `verdict`. Raises TypeError or
# ValueError with a message for the application's author when PEP 3333 or RFC 9110 is broken; `out` is then as it was.
cdef int render_head(Buffer* out, str status, list headers, Verdict* verdict) except -1

# `Server` and `Date` lines for this second of the wall clock.
cdef int render_date(long now) except -1
cdef int append_standard(Buffer* out, const Verdict* verdict) except -1
cdef int append_length(Buffer* out, int64_t length) except -1
cdef int append_text(Buffer* out, const char* text) except -1
