"""A handler behind proxies that say by the PROXY protocol whom they forward.

It stands in front of another handler and takes the header off a connection before that one sees a byte. From then on
the connection is the client's: REMOTE_ADDR, the logs, and whether forwarding headers count all go by the address in the
header. For a proxy that only passes bytes on passes on the client's headers, too.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t

from pronghorn.apps.peers cimport Peers
from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport PASSED, Exchange, Handler, Host
from pronghorn.wire.faults cimport FOREIGN_PROXY, OTHER_PROXY_VERSION
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.proxy cimport ABSENT, TCP4, TCP6, Endpoint, Introduction, parse_proxy

from pronghorn.wire import proxy

cdef dict VERSIONS = {"v1": (1,), "v2": (2,), "auto": (1, 2)}
cdef dict NOTHING = {}      # the introduction of a connection that begins with a request


@cython.final
cdef class Proxied(Handler):
    """Reads PROXY headers, as `trust` (a TrustOptions) allows them, and hands everything else to `inner`."""

    cdef Handler inner
    cdef tuple versions
    cdef Peers proxies

    def __init__(self, Handler inner, trust):
        self.inner = inner
        self.versions = VERSIONS[trust.proxy_protocol]
        self.proxies = Peers(trust.proxy_allow_ips)

    cdef int welcome(self, Connection connection) except -1:
        return self.inner.welcome(connection)

    cdef int run(self, Exchange exchange) except -1:
        return self.inner.run(exchange)

    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        cdef int result
        if connection.introduction is None:
            result = self._meet(host, connection, data, size)
            if result != ABSENT:
                return result
        result = self.inner.read_head(host, connection, data, size)
        if result == DONE:
            self.used = self.inner.used
            self.exchange = self.inner.exchange
            self.inner.exchange = None
            if connection.introduction:
                self.exchange.environ.update(connection.introduction)
        return result

    cdef int _meet(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        """Reads the header, if there is one. ABSENT: there is none, and a request may begin."""
        cdef Introduction said
        cdef int verdict = parse_proxy(data, size, &said)
        if verdict == MORE:
            return MORE
        if verdict == ABSENT:
            connection.introduction = NOTHING
            return ABSENT
        if not self.proxies.hold(connection.address):
            if self.proxies.is_news(connection.address):
                host.log.warning(
                    "Refused a PROXY header from %s: name it in proxy_allow_ips if it is your proxy", connection.address
                )
            return FOREIGN_PROXY
        if said.version not in self.versions:
            return OTHER_PROXY_VERSION
        if verdict != DONE:
            return verdict
        connection.introduction = {"PROXY_PROTOCOL": proxy.KINDS[said.kind]}
        if said.kind == TCP4 or said.kind == TCP6:
            connection.address, connection.port = texts_of(&said.source)
            address, port = texts_of(&said.destination)
            connection.introduction.update(PROXY_ADDR=address, PROXY_PORT=port)
            self.inner.welcome(connection)      # whose forwarding headers count goes by the new address
        self.used = said.end
        return PASSED


cdef tuple texts_of(const Endpoint* endpoint):
    return (<bytes>endpoint.text).decode("ascii"), str(endpoint.port)
