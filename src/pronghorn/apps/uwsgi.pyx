"""A handler behind a front end that speaks the uwsgi protocol: nginx's `uwsgi_pass`.

The request that a packet means is handed to the WSGI handler as a request head, so that parsing, limits and header
policy are those of HTTP. What the front end says beside it joins the environ: its own variables, never `wsgi.` ones or
headers, which only a request can have. A response is one of HTTP without chunks, and its end is the connection's.
"""

import re

cimport cython
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from pronghorn.apps.peers cimport Peers
from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, Handler, Host
from pronghorn.wire.buffer cimport Buffer, release
from pronghorn.wire.faults cimport BAD_VARIABLE, FOREIGN_UWSGI, MIXED_SCHEMES, TWO_VARIABLES
from pronghorn.wire.http1 cimport DONE, Span
from pronghorn.wire.uwsgi cimport PLAIN, PROTOCOL, Packet, Variable, parse_packet, write_head

cdef enum:
    OTHERS = 128    # variables beside those that `limit_request_fields` counts: nginx sends 15, and its owner some more

cdef object VERSION = re.compile(r"HTTP/[0-9](\.[0-9])?")
cdef object ADDRESS = re.compile(r"[!-~]{1,108}")       # printable: it stands in logs; nginx says `unix:` for some
cdef tuple MAY_BE_EMPTY = ("PATH_INFO", "QUERY_STRING", "SCRIPT_NAME")


@cython.final
cdef class Uwsgi(Handler):
    """Reads uwsgi packets and hands the requests in them to `inner`.

    `options` is an EngineOptions (its limits); `trust` a TrustOptions, which says who may send packets; `mount` is
    where the application stands unless the front end says so (SCRIPT_NAME).
    """

    cdef Handler inner
    cdef Peers allowed
    cdef str mount
    cdef uint32_t limit
    cdef uint32_t most
    cdef Variable* variables
    cdef Buffer head

    def __init__(self, Handler inner, options, trust, str mount):
        self.inner = inner
        self.allowed = Peers(trust.uwsgi_allow_ips)
        self.mount = mount
        self.limit = options.limit_request_head
        self.most = options.limit_request_fields + OTHERS
        self.variables = <Variable*>malloc(self.most * sizeof(Variable))
        if self.variables == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.variables)
        release(&self.head)

    cdef int welcome(self, Connection connection) except -1:
        return self.inner.welcome(connection)

    cdef int run(self, Exchange exchange) except -1:
        return self.inner.run(exchange)

    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        cdef Packet packet
        cdef dict said = {}
        cdef Exchange exchange
        cdef int result
        if not self.allowed.hold(connection.address):
            if self.allowed.is_news(connection.address):
                host.log.warning(
                    "Refused a uwsgi request from %s: name it in uwsgi_allow_ips if it is your front end",
                    connection.address,
                )
            return FOREIGN_UWSGI
        result = parse_packet(data, size, self.limit, self.most, self.variables, &packet)
        if result != DONE:
            return result
        result = take_plain(data, self.variables, packet.count, said)
        if result < 0:
            return result
        if "REMOTE_ADDR" in said:
            # From here on the connection is the client's: in the logs, and for whether forwarding headers count.
            connection.address = said["REMOTE_ADDR"]
            connection.port = said.get("REMOTE_PORT", "")
            self.inner.welcome(connection)
        self.head.size = 0
        result = write_head(data, &packet, self.variables, &self.head)
        if result < 0:
            return result
        result = self.inner.read_head(host, connection, <uint8_t*>self.head.data, <uint32_t>self.head.size)
        if result != DONE:
            return result
        self.used = packet.end
        exchange = self.inner.exchange
        self.inner.exchange = None
        result = self._complete(exchange, said)
        if result == DONE:
            self.exchange = exchange    # one that is refused is nobody's, and must not be kept until the next
        return result

    cdef int _complete(self, Exchange exchange, dict said) except? -9999:
        """Adds to the exchange what a request head cannot say."""
        cdef dict environ = exchange.environ
        cdef str mount = said.get("SCRIPT_NAME", self.mount).rstrip("/")
        cdef str path = said.get("PATH_INFO", exchange.path)
        cdef str https = said.get("HTTPS", "").lower()
        cdef str scheme = said.get("REQUEST_SCHEME", "https" if is_on(https) else "http").lower()
        if (https and is_on(https) != (scheme == "https")) or scheme not in ("http", "https"):
            return MIXED_SCHEMES
        # nginx sends the whole path, others what is left of it behind SCRIPT_NAME.
        if mount and mount + path != exchange.path and (path + "/").startswith(mount + "/"):
            path = path[len(mount):]
        environ.update(said)
        environ["SCRIPT_NAME"] = mount
        environ["PATH_INFO"] = path
        if scheme == "https":
            environ["wsgi.url_scheme"] = scheme
        exchange.http10 = True      # no chunks: the front end would pass them on as the body
        exchange.keep_alive = False
        exchange.peer_closes = True
        return DONE


cdef inline bint is_on(str https):
    return https in ("on", "1", "true")


cdef int take_plain(const uint8_t* data, const Variable* variables, uint32_t count, dict said) except? -9999:
    """The front end's own variables. 0 or a fault."""
    cdef uint32_t index
    for index in range(count):
        if variables[index].kind != PLAIN and variables[index].kind != PROTOCOL:
            continue
        name, value = text_of(data, variables[index].name), text_of(data, variables[index].value)
        if name in said:
            return TWO_VARIABLES
        if value or name in MAY_BE_EMPTY:
            said[name] = value
        if "\0" in value:
            return BAD_VARIABLE
    if VERSION.fullmatch(said.get("SERVER_PROTOCOL", "HTTP/1.1")) is None:
        return BAD_VARIABLE
    for name in ("REMOTE_ADDR", "REMOTE_PORT"):
        if ADDRESS.fullmatch(said.get(name, "-")) is None:
            return BAD_VARIABLE
    for name in ("PATH_INFO", "SCRIPT_NAME"):
        if said.get(name) and said[name][0] != "/":
            return BAD_VARIABLE     # an application that joins it to a host would be led elsewhere
    return 0


cdef inline str text_of(const uint8_t* data, Span span):
    return PyUnicode_DecodeLatin1(<const char*>data + span.start, span.length, NULL)
