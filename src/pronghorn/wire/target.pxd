# The request target: its form, authority, path and query (RFC 9112 section 3.2).

from pronghorn.wire.cursor cimport Cursor
from pronghorn.wire.http1 cimport Head

# Takes the target that head.target spans apart. `line` was opened on the bytes that the spans count from; head.method
# is set, for some forms belong to one method. DONE or a fault.
cdef int read_target(const Cursor* line, Head* head) noexcept nogil
