"""`pre_request` and `post_request`, around the calls of an application.

A handler in front of another one. It stands there only where one of the two is defined, so nobody else pays for it.
"""

cimport cython
from cpython.dict cimport PyDict_Copy
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, Handler, Host, flush_beside, stop_if_forked

from pronghorn.apps.handed import Request, Response


@cython.final
cdef class Hooked(Handler):
    """Answers requests by `inner`, with `before(worker, req)` and `after(worker, req, environ, resp)`; either is None
    where it is not defined."""

    cdef Handler inner
    cdef object worker
    cdef object before
    cdef object after
    cdef readonly uint64_t requests_answered    # or begun: a hook after a request counts that one

    def __init__(self, Handler inner not None, worker, before, after):
        self.inner = inner
        self.worker = worker
        self.before = before
        self.after = after

    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        cdef int result = self.inner.read_head(host, connection, data, size)
        self.exchange = self.inner.exchange
        self.used = self.inner.used
        self.inner.exchange = None
        return result

    cdef int welcome(self, Connection connection) except -1:
        return self.inner.welcome(connection)

    cdef int run(self, Exchange exchange) except -1:
        # A copy: what stands in the environ is the application's from now on.
        request = Request(PyDict_Copy(exchange.environ), exchange.method, exchange.target, exchange.number)
        if self.before is None or self._call_before(exchange, request):
            self.requests_answered += 1
            self.inner.run(exchange)
        if self.after is not None:
            self._call_after(exchange, request)
        return 0

    cdef bint _call_before(self, Exchange exchange, request) except -1:
        """Whether the application may be called."""
        try:
            self.before(self.worker, request)
        except BaseException:
            exchange.leave()
            stop_if_forked()
            exchange.host.log.error(
                "pre_request raised, so %s %s is answered 500", exchange.method, exchange.target, exc_info=True
            )
            exchange.fail()
            return False
        return True

    cdef int _call_after(self, Exchange exchange, request) except -1:
        try:
            if not exchange.abandoned:
                flush_beside(exchange.host, exchange.thread, exchange.connection)   # nobody waits for the hook
            # What is left of the request's time is the hook's; if it is over, nothing is raised in its place.
            if exchange.interrupted:
                exchange.leave()
            else:
                exchange.leaving = False
            self.after(self.worker, request, exchange.environ, response_of(exchange, request))
        except BaseException:
            exchange.leave()
            stop_if_forked()
            exchange.host.log.error(
                "post_request raised after %s %s", exchange.method, exchange.target, exc_info=True
            )
        return 0


cdef object response_of(Exchange exchange, request):
    length = exchange.verdict.content_length
    return Response(
        request,
        status=exchange.status if exchange.started else "500 Internal Server Error",
        headers=exchange.headers if exchange.started else [],
        sent=exchange.sent,
        length=length if length >= 0 else None,
        headers_sent=exchange.head_sent,
        chunked=exchange.sends_chunks,
        must_close=not exchange.keep_alive,
    )
