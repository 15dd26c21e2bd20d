"""What the loop tells about each request it has answered; the access log is one who listens."""

cimport cython


cdef class Recorder:
    """Takes a record of every answered request; `flush` is called whenever the loop is about to wait.

    The exchange of a request that was refused before it was understood has no method, and its environ is empty.
    """

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        raise NotImplementedError

    cpdef flush(self):
        raise NotImplementedError


@cython.final
cdef class Recorders(Recorder):
    """Several as one, in their order."""

    def __init__(self, members):
        self.members = [<Recorder?>member for member in members]
        self.may_wait = any(member.may_wait for member in self.members)

    def __repr__(self):
        return f"<Recorders {self.members}>"

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        for member in self.members:
            (<Recorder>member).record(exchange, now_ns)
        return 0

    cpdef flush(self):
        for member in self.members:
            (<Recorder>member).flush()
