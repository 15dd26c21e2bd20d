"""What an application may ask and change about the request that the calling thread runs."""

import math

cimport cython
from libc.stdint cimport uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, current_exchange
from pronghorn.engine.linux cimport POLLRDHUP
from pronghorn.engine.posix cimport POLLERR, POLLHUP, monotonic_ns, poll, pollfd

cdef enum:
    LONGEST = 366 * 24 * 3600       # seconds, as of a setting
    SECOND = 1000 * 1000 * 1000     # nanoseconds


@cython.final
cdef class Deadline:
    """The deadline of one request; as a context manager, until the end of the block."""

    cdef Exchange exchange
    cdef uint64_t before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A generator's block may end long after its request.
        if current_exchange() is self.exchange:
            change(self.exchange, self.before)


cdef int change(Exchange exchange, uint64_t timeout_ns) except -1:
    exchange.timeout_ns = timeout_ns
    exchange.progress_ns = monotonic_ns()
    if timeout_ns:
        exchange.host.watch_deadline(exchange.progress_ns + timeout_ns)
    return 0


def set_timeout(seconds):
    """Gives the request that this thread runs `seconds` from now on, instead of the `timeout` that is set; 0: no limit.

    As with the setting, each part of the response that is sent starts the time anew. It holds until the end of the
    request; as a context manager (`with pronghorn.timeout(120): ...`) until the end of the block, and what was valid
    before begins anew there. Raises ValueError for a number below 0 or above a year, and RuntimeError outside of a
    request: it works in the thread in which the server calls the application.
    """
    cdef double wanted = seconds
    cdef Exchange exchange = current_exchange()
    cdef Deadline deadline
    if not math.isfinite(wanted) or not 0 <= wanted <= LONGEST:
        raise ValueError(f"a timeout of {seconds!r} seconds: 0 (no limit) to {LONGEST} are possible")
    if exchange is None:
        raise RuntimeError(
            "the timeout of a request can be changed only in the thread in which Pronghorn calls the application"
        )
    deadline = Deadline.__new__(Deadline)
    deadline.exchange = exchange
    deadline.before = exchange.timeout_ns
    change(exchange, <uint64_t>(wanted * SECOND))
    return deadline


def disconnected():
    """Whether the client of the request that this thread runs has gone, so that nobody waits for the answer.

    One system call that never waits. A client that has only closed its sending half and still reads looks the same as
    one that has closed: the server answers both. What a client has sent behind this request does not matter. Raises
    RuntimeError outside of a request.
    """
    cdef Exchange exchange = current_exchange()
    cdef Connection connection
    cdef pollfd asked
    if exchange is None:
        raise RuntimeError(
            "whether the client is gone can be asked only in the thread in which Pronghorn calls the application"
        )
    connection = exchange.connection
    # An abandoned exchange has been answered, and its connection is no longer its own.
    if exchange.abandoned or connection.broken or connection.fd < 0:
        return True
    asked.fd = connection.fd
    asked.events = POLLRDHUP        # an end is seen behind unread bytes, too
    return poll(&asked, 1, 0) > 0 and asked.revents & (POLLRDHUP | POLLHUP | POLLERR) != 0
