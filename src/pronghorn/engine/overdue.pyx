"""What the error log says of a call that is past its deadline: which request it is, and where it is."""

import traceback

from libc.stdint cimport uint64_t

from pronghorn.engine.exchange cimport Exchange


cdef list places_of(frame):
    places = []
    while frame is not None:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None))
        frame = frame.f_back
    places.reverse()
    return places


cdef int tell_overdue(log, Exchange exchange, uint64_t now, str changed, str outcome, list places) except -1:
    client = exchange.connection.address
    stack = "".join(traceback.StackSummary.from_list(places).format()) or "  (it has no Python stack)"
    log.error(
        "%s %s (request %s%s) runs for %.1f s and has been silent for more than %g s (setting `timeout`%s): %s, "
        "and RequestTimeout is raised in its thread, which is in\n%s",
        exchange.method, exchange.target, exchange.request_id(), f", client {client}" if client else "",
        (now - exchange.called_ns) / 1e9, exchange.timeout_ns / 1e9, changed, outcome, stack.rstrip(),
    )
    return 0
