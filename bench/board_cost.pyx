"""What the engine writes to the scoreboard for each request, without the engine around it."""

from libc.stdint cimport uint32_t

from pronghorn.engine.posix cimport monotonic_ns
from pronghorn.engine.scoreboard cimport Row, Slot, end_call, publish_call


def nanoseconds(Slot slot, uint32_t requests):
    """A request's share, in nanoseconds, of `requests` of them.

    The call in flight is published and ended as engine/pool.pyx does it, by way of the same functions of another
    module; what was read and sent is added; and the loop writes its part of the row as if it turned for each request,
    which it does not while requests come in batches.
    """
    cdef Row* row = slot.row
    cdef uint32_t request
    began = monotonic_ns()
    for request in range(requests):
        publish_call(slot.calls, began, request, 1, "GET", "127.0.0.1", "/", None)
        end_call(slot.calls)
        row.received += 46
        row.sent += 160
        row.loop_ns = began + request
        row.requests = request
        row.handovers = 1
        row.queued = 0
        row.active = 1
    return (monotonic_ns() - began) / <double>requests
