# Who is at the other end, as far as settings name it.


cdef class Peers:
    cdef bint everyone
    cdef list networks
    cdef dict known
    cdef set refused

    # Whether the peer of this address (as Connection.address shows it) is one of them.
    cdef bint hold(self, str address) except -1
    cdef bint _look(self, str address) except -1
    # Whether a refusal of this address should be told: the first one of each, and not endlessly many.
    cdef bint is_news(self, str address) except -1
