"""The access log through a logger of the user's: `access(resp, req, environ, request_time)`, as Gunicorn calls it.

It stands in the place of the native access log only where the logger, or the configuration of `logging`, asks for it.
"""

from datetime import timedelta

cimport cython
from libc.stdint cimport uint64_t

from pronghorn.apps.hooked cimport response_of
from pronghorn.engine.exchange cimport Exchange
from pronghorn.engine.recorder cimport Recorder

from pronghorn.apps.handed import Request


@cython.final
cdef class LoggerRecorder(Recorder):
    """Tells `logger` of each request. What it raises is logged, and breaks nothing."""

    cdef object logger

    def __init__(self, logger):
        self.logger = logger
        self.may_wait = True

    def __repr__(self):
        return f"<LoggerRecorder to {self.logger!r}>"

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        cdef dict environ = exchange.environ or environ_of_refused(exchange)
        cdef uint64_t duration = now_ns - exchange.began_ns if now_ns > exchange.began_ns else 0
        try:
            request = Request(
                environ, environ["REQUEST_METHOD"] if exchange.method is None else exchange.method,
                exchange.target or "", exchange.number,
            )
            self.logger.access(
                response_of(exchange, request), request, environ, timedelta(microseconds=duration // 1000)
            )
        except BaseException:
            exchange.host.log.error("The logger's access failed", exc_info=True)
        return 0

    cpdef flush(self):
        pass


cdef dict environ_of_refused(Exchange exchange):
    """What loggers read of an environ, of a request that was never understood."""
    return {
        "REQUEST_METHOD": "-",
        "RAW_URI": "-",
        "REQUEST_URI": "-",
        "SCRIPT_NAME": "",
        "PATH_INFO": "-",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "-",
        "REMOTE_ADDR": exchange.connection.address,
        "REMOTE_PORT": exchange.connection.port,
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
    }
