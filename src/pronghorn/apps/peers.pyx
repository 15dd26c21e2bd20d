"""Peers that a setting names, by address or network: whose forwarding headers count, who may speak for others."""

import ipaddress

cimport cython

cdef enum:
    KNOWN = 4096    # remembered verdicts
    TOLD = 64       # refused addresses that are named in the log


@cython.final
cdef class Peers:
    """Addresses and networks, or `*` for everyone.

    A peer without an address is at the other end of a unix socket. Only who may open that is there, so it is always one
    of them, as with Gunicorn.
    """

    def __init__(self, allowed):
        self.everyone = "*" in allowed
        self.networks = [ipaddress.ip_network(text) for text in allowed if text != "*"]
        self.known = {}
        self.refused = set()

    cdef bint hold(self, str address) except -1:
        if self.everyone or not address:
            return True
        if not self.networks:
            return False
        known = self.known.get(address)
        if known is None:
            known = self._look(address)
            if len(self.known) < KNOWN:
                self.known[address] = known
        return known

    cdef bint _look(self, str address) except -1:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False        # what a proxy says of its client need not be an address
        return any(found in network for network in self.networks)

    cdef bint is_news(self, str address) except -1:
        if address in self.refused or len(self.refused) >= TOLD:
            return False
        self.refused.add(address)
        return True
