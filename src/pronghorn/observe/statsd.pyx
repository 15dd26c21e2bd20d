"""Metrics for a statsd server (github.com/statsd/statsd, docs/metric_types.md), under the names that Gunicorn has.

A datagram for each metric would cost three system calls a request. Here a request costs one line in a buffer; what is
counted is summed up. When the loop flushes its recorders, 50 ms after the first record at the latest, the lines leave
together, several in a datagram, as statsd, Datadog's agent, Telegraf and statsd_exporter take them.
"""

import logging
import os
import socket

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint64_t

from pronghorn.engine.posix cimport MSG_DONTWAIT, MSG_NOSIGNAL, monotonic_ns, send
from pronghorn.observe.line cimport put_bytes, put_milliseconds, status_of
from pronghorn.wire.buffer cimport release

from pronghorn.errors import SettingsError
from pronghorn.options.log_targets import parse_statsd

cdef enum:
    UDP_MOST = 1432         # fits an Ethernet frame behind the headers of IPv6: a datagram in fragments is often lost
    UNIX_MOST = 8192        # what Datadog's agent reads
    FIGURES_MOST = 40       # octets of a number, a type and what is between

cdef uint64_t MINUTE = 60 * <uint64_t>1000000000

cdef dict TYPES = {"gauge": "g", "counter": "c|@1.0", "histogram": "h", "timer": "ms"}


def connect(str address):
    """A socket for the statsd server at `address`, which never waits, and its name for messages.

    Raises SettingsError if the name is unknown. Nobody need listen there.
    """
    target = parse_statsd(address)
    try:
        if target.path:
            family, name = socket.AF_UNIX, target.path
        else:
            family, _, _, _, name = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"statsd_host: {address!r} cannot be used ({error}); name a host that this machine can look up"
        ) from error
    try:
        sock.connect(name)
    except OSError:
        pass    # A unix socket that is not there yet: `_send` tries again.
    return sock, name


@cython.final
cdef class Statsd(Recorder):
    """Sends metrics to the statsd server at `address` (`host:port`, `unix:///path`), and never waits for it.

    Before each name stands `prefix`, behind each metric `tags` in Datadog's form. What the server does not take is
    lost, and the error log says so. Raises SettingsError for an unknown host.
    """

    def __init__(self, str address, *, str prefix="", str tags=""):
        self.socket, self.peer = connect(address)
        self.name = address
        self.fd = self.socket.fileno()
        self.datagram = UNIX_MOST if self.socket.family == socket.AF_UNIX else UDP_MOST
        self.prefix = (prefix.rstrip(".") + ".").encode() if prefix.rstrip(".") else b""
        self.duration = self.prefix + b"gunicorn.request.duration:"
        self.tail = f"|#{tags}\n".encode() if tags else b"\n"
        self.seen = []

    def __dealloc__(self):
        release(&self.lines)

    def __repr__(self):
        return f"<Statsd {self.name} pending={self.lines.size}>"

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        cdef int status = status_of(exchange.status)
        self._room_for(<size_t>PyBytes_GET_SIZE(self.duration))
        put_bytes(&self.lines, PyBytes_AS_STRING(self.duration), PyBytes_GET_SIZE(self.duration))
        put_milliseconds(&self.lines, now_ns - exchange.began_ns if now_ns > exchange.began_ns else 0)
        put_bytes(&self.lines, "|ms", 3)
        put_bytes(&self.lines, PyBytes_AS_STRING(self.tail), PyBytes_GET_SIZE(self.tail))
        self.requests += 1
        if self.statuses[status] == 0:
            self.seen.append(status)
        self.statuses[status] += 1
        return 0

    def measure(self, str name, value, str kind):
        """Sends one metric at once; `kind` is gauge, counter, histogram or timer. Another kind is left out."""
        if kind in TYPES:
            self._add(name, value, TYPES[kind])
            self.flush()

    def count(self, str name):
        """One more of what `name` counts."""
        self._add(name, 1, TYPES["counter"])
        self.flush()

    def _add(self, str name, value, str kind):
        cdef bytes line = self.prefix + f"{name}:{value}|{kind}".encode(errors="replace") + self.tail
        self._room_for(<size_t>PyBytes_GET_SIZE(line))
        put_bytes(&self.lines, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))

    cpdef flush(self):
        """Sends what has come together. Never waits and never raises for what the server does."""
        if self.requests:
            self._add_counters()
        self._send()

    def close(self):
        """Gives the socket back; what is measured from now on is lost."""
        self.socket.close()
        self.fd = -1

    cdef int _add_counters(self) except -1:
        cdef uint64_t requests = self.requests
        cdef list seen = self.seen
        cdef int status
        self.requests = 0
        self.seen = []
        counts = [(status, self.statuses[status]) for status in seen]
        for status in seen:
            self.statuses[status] = 0
        self._add("gunicorn.requests", requests, TYPES["counter"])
        for status, count in counts:
            self._add(f"gunicorn.request.status.{status}", count, TYPES["counter"])
        return 0

    cdef int _room_for(self, size_t size) except -1:
        """Sends what is there if a metric with so long a beginning would not fit behind it."""
        size += FIGURES_MOST + <size_t>PyBytes_GET_SIZE(self.tail)
        if self.lines.size and self.lines.size + size > self.datagram:
            self._send()
        return 0

    cdef int _send(self) except -1:
        cdef size_t size = self.lines.size
        if size == 0:
            return 0
        self.lines.size = 0
        # The last line feed stays behind: some servers take what follows it for an empty metric.
        if send(self.fd, self.lines.data, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
            self._lose(errno)
        return 0

    cdef int _lose(self, int error) except -1:
        """Says so at most once a minute: with UDP every other datagram tells whether somebody listens."""
        cdef uint64_t now = monotonic_ns()
        self.lost += 1
        if self.told_ns == 0 or now - self.told_ns > MINUTE:
            self.told_ns = now
            logging.getLogger("pronghorn.error").warning(
                "statsd at %s does not take what is measured (%s); datagrams lost so far: %d",
                self.name, os.strerror(error), self.lost,
            )
        if self.socket.family == socket.AF_UNIX and error != EAGAIN and self.fd >= 0:
            # Whoever listens there now is not who did.
            try:
                self.socket.connect(self.peer)
            except OSError:
                pass    # It was told; every send tries again.
        return 0
