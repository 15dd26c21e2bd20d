# What hooks and loggers are handed.

from pronghorn.engine.exchange cimport Exchange


# The response as Gunicorn's `resp`; `request` is the `req` that it belongs to.
cdef object response_of(Exchange exchange, request)
