"""What the loop tells about each request it has answered; the access log is one."""


cdef class Recorder:
    """Takes a record of every answered request.

    `environ` is the WSGI environment, or None for a request that was refused before there was one; `headers` those of
    the response; `sent` octets of body; `began` wall-clock seconds; `flush` is called whenever the loop is about to
    wait.
    """

    cdef int record(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1:
        raise NotImplementedError

    cpdef flush(self):
        raise NotImplementedError
