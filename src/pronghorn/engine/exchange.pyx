"""One request and its answer: the one response writer, for every kind of application and every runtime.

The framing of a response is decided once, in `send_head`, from RFC 9112 section 6: a status without a body has none; a
length that is known is said; an HTTP/1.1 peer gets chunks; an HTTP/1.0 peer reads until the close.
"""

import os
import threading

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc

from pronghorn.debug cimport hand_over_point
from pronghorn.engine.linux cimport MSG_MORE
from pronghorn.engine.posix cimport MSG_NOSIGNAL, iovec, monotonic_ns, send, writev
from pronghorn.engine.scoreboard cimport name_request
from pronghorn.wire.buffer cimport append, release
from pronghorn.wire.response cimport SAID_CLOSE, append_length, append_standard, append_text, render_head

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, PyObject* exception)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    SMALL_BODY = 16 * 1024      # copying this much costs less than a second piece in writev
    OUT_ENOUGH = 64 * 1024      # pipelined responses leave together until there is this much


@cython.final
cdef class PoolThread:
    def __cinit__(self, int seat, size_t incoming):
        self.seat = seat
        self.incoming = <uint8_t*>malloc(incoming)
        if self.incoming == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.incoming)
        release(&self.out)
        release(&self.head)

    def __repr__(self):
        return f"<PoolThread {self.seat} {'in the application' if self.ticket else 'outside'} {self.connection!r}>"


cdef class Host:
    cdef int wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        raise NotImplementedError

    cdef int send_beside(self, Connection connection) except -1:
        raise NotImplementedError

    cdef bint leads(self, PoolThread thread) noexcept:
        return False

    cdef int watch_deadline(self, uint64_t at_ns) except -1:
        raise NotImplementedError


cdef class Handler:
    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        raise NotImplementedError

    cdef int welcome(self, Connection connection) except -1:
        return 0

    cdef int run(self, Exchange exchange) except -1:
        raise NotImplementedError


cdef dict pool_threads = {}     # of this process, by who runs: an application asks about its request by no other name
cdef object identify = threading.get_ident
cdef object park = None         # never comes back, if who runs is a greenlet


cdef void identify_by(object who, object park_) noexcept:
    global identify, park
    identify, park = who, park_


cdef int enlist(PoolThread thread) except -1:
    thread.ident = threading.get_ident()
    thread.call.thread = threading.get_native_id()
    thread.runner = identify()
    pool_threads[thread.runner] = thread
    return 0


cdef int discharge(PoolThread thread) except -1:
    pool_threads.pop(thread.runner, None)
    thread.runner = None
    return 0


cdef Exchange current_exchange():
    cdef PoolThread thread = pool_threads.get(identify())
    if thread is None and park is not None:
        # An engine of threads that was there before the first one of greenlets: in somebody's tests, never in a worker.
        thread = pool_threads.get(threading.get_ident())
    return None if thread is None else thread.exchange


cdef int forked = 0         # this process is a child that the application forked
cdef object forker = None   # and this is who forked it
cdef int has_forked = 0     # the application has forked, and a child may hold copies of our sockets


def _note_child():
    global forked, forker
    forked = 1
    forker = identify()


def _note_parent():
    global has_forked
    has_forked = 1


cdef void forget_forks() noexcept:
    global forked, has_forked
    forked = has_forked = 0


cdef bint may_be_shared() noexcept:
    return has_forked


cdef bint is_forked() noexcept:
    return forked


cdef void stop_if_forked() noexcept:
    """A child that the application forked and that came back out of it: it must never answer for its parent.

    Of greenlets a child has copies. Only the one that forked has come back; the others must not end what it does.
    """
    if forked:
        if park is not None and identify() is not forker:
            park()
        os._exit(0)


os.register_at_fork(after_in_child=_note_child, after_in_parent=_note_parent)


cdef int queue_out(PoolThread thread, Connection connection, size_t done) except -1:
    if done < thread.out.size:
        connection.put_copy(thread.out.data + done, thread.out.size - done)
    thread.out.size = 0
    return 0


cdef int flush_out(PoolThread thread, Connection connection) except -1:
    return flush(thread, connection, False)


cdef int flush_alone(PoolThread thread, Connection connection) except -1:
    return flush(thread, connection, True)


cdef int flush(PoolThread thread, Connection connection, bint alone) except -1:
    cdef size_t done = 0
    cdef ssize_t sent
    # The close that follows sends what MSG_MORE keeps back, and its FIN with it: one segment instead of two. But not if
    # it has to wait for the GIL first.
    cdef int flags = MSG_NOSIGNAL | (MSG_MORE if connection.closing and not alone else 0)
    if thread.out.size == 0:
        return 0
    stop_if_forked()
    if not connection.broken and connection.outbox is None:
        while done < thread.out.size:
            if alone:
                with nogil:
                    hand_over_point()
                    sent = send(connection.fd, thread.out.data + done, thread.out.size - done, flags)
                    hand_over_point()
            else:
                sent = send(connection.fd, thread.out.data + done, thread.out.size - done, flags)
            if sent >= 0:
                done += <size_t>sent
                connection.sent[0] += <uint64_t>sent
            elif errno == EAGAIN:
                break
            elif errno != EINTR:
                connection.broken = connection.left = True
                break
    if connection.broken:
        thread.out.size = 0
    else:
        queue_out(thread, connection, done)
    if thread.out.capacity > 4 * OUT_ENOUGH:
        release(&thread.out)        # one huge response must not cost its memory for ever
    return 0


cdef int flush_beside(Host host, PoolThread thread, Connection connection) except -1:
    flush_out(thread, connection)
    if connection.outbox is not None and not connection.broken:
        host.send_beside(connection)
    return 0


cdef class Exchange:
    """One request and its answer."""

    def __repr__(self):
        where = "ended" if self.ended else "answering" if self.head_sent else "waiting for the application"
        return f"<Exchange {self.method} {self.target} {where} on {self.connection!r}>"

    cdef int begin(self, str status, list headers) except -1:
        """Takes status and headers; renders them now, so that the application hears of mistakes while it can act."""
        self.thread.head.size = 0
        if self.thread.head.capacity > 4 * OUT_ENOUGH:
            release(&self.thread.head)
        self.started = False
        render_head(&self.thread.head, status, headers, &self.verdict)
        self.status = status
        self.headers = headers
        self.started = True
        return 0

    cdef int send_head(self, int64_t known_length) except -1:
        """Puts the head out. `known_length`: octets of the whole body, -1 when only its end will tell."""
        cdef Buffer* out = &self.thread.out
        cdef int status = self.verdict.status
        cdef int64_t length = self.verdict.content_length
        if self.abandoned:
            self.head_sent = True
            return 0
        if length < 0:
            length = known_length
        self.head_sent = True
        if append(out, self.thread.head.data, self.thread.head.size) < 0:
            raise MemoryError
        if status == 204 or status == 304:
            self.bodyless = True
            # RFC 9110 section 8.6: no Content-Length in a 204; in a 304 only the one a 200 would have had, which the
            # application knows.
            if status == 304 and self.verdict.content_length >= 0:
                append_length(out, self.verdict.content_length)
        elif status == 205:
            self.bodyless = True
            append_length(out, 0)
        elif self.is_head:
            self.bodyless = True
            # An application that skips the body of a HEAD does not thereby say that a GET would have an empty one.
            if length > 0 or self.verdict.content_length == 0:
                append_length(out, length)
        elif length >= 0:
            append_length(out, length)
        elif self.http10:
            self.keep_alive = False
        else:
            self.sends_chunks = True
            append_text(out, b"Transfer-Encoding: chunked\r\n")
        if self.verdict.flags & SAID_CLOSE or self.host.draining or not self.host.persistent:
            self.keep_alive = False
        if not self.keep_alive:
            append_text(out, b"Connection: close\r\n")
        elif self.http10:
            append_text(out, b"Connection: keep-alive\r\n")
        append_standard(out, &self.verdict)
        if self.host.id_line is not None and self.name is not None:
            self._tell_id()
        append_text(out, b"\r\n")
        return 0

    cdef int _tell_id(self) except -1:
        """The request's id, unless the application has told one."""
        cdef Buffer* out = &self.thread.out
        cdef bytes line = self.host.id_line
        cdef str name
        for name, _ in self.headers:
            if len(name) == len(self.host.id_header) and name.lower() == self.host.id_header:
                return 0
        # An id is visible ASCII (apps/headers.pyx), so one octet is one character.
        if (
            append(out, PyBytes_AS_STRING(line), <size_t>PyBytes_GET_SIZE(line)) < 0
            or append(out, PyUnicode_DATA(self.name), <size_t>PyUnicode_GET_LENGTH(self.name)) < 0
        ):
            raise MemoryError
        return append_text(out, b"\r\n")

    cdef int write_body(self, bytes data) except -1:
        """Puts a piece of the body out, framed; what goes beyond a promised Content-Length is cut."""
        cdef size_t size = <size_t>PyBytes_GET_SIZE(data)
        cdef char line[24]
        if size == 0 or self.abandoned:
            return 0
        if self.bodyless:
            return self.drop()
        if self.verdict.content_length >= 0 and self.sent + <int64_t>size > self.verdict.content_length:
            self.warn("the response is longer than its Content-Length %s: the rest is cut", self.verdict.content_length)
            size = <size_t>(self.verdict.content_length - self.sent)
            if size == 0:
                return 0
            data = data[:size]
        self.sent += <int64_t>size
        if self.sends_chunks:
            if append(&self.thread.out, line, <size_t>snprintf(line, sizeof(line), "%zx\r\n", size)) < 0:
                raise MemoryError
        self._put(data, size)
        if self.sends_chunks:
            append_text(&self.thread.out, b"\r\n")
        return 0

    cdef int _put(self, bytes data, size_t size) except -1:
        """Body bytes behind what stands in `out`: a small piece by copy, a large one by reference."""
        cdef Buffer* out = &self.thread.out
        cdef Connection connection = self.connection
        cdef iovec parts[2]
        cdef ssize_t sent
        cdef size_t head = out.size
        if size <= SMALL_BODY and out.size + size <= OUT_ENOUGH:
            if append(out, PyBytes_AS_STRING(data), size) < 0:
                raise MemoryError
            return 0
        if connection.outbox is not None or connection.broken:
            flush_out(self.thread, connection)
            if not connection.broken:
                connection.put(data, 0)
            return 0
        parts[0].iov_base = out.data
        parts[0].iov_len = head
        parts[1].iov_base = PyBytes_AS_STRING(data)
        parts[1].iov_len = size
        sent = writev(connection.fd, parts, 2)
        while sent < 0 and errno == EINTR:
            sent = writev(connection.fd, parts, 2)
        if sent < 0 and errno == EAGAIN:
            sent = 0
        if sent > 0:
            connection.sent[0] += <uint64_t>sent
        if sent < 0:
            connection.broken = connection.left = True
            out.size = 0
        elif <size_t>sent < head:
            queue_out(self.thread, connection, <size_t>sent)
            connection.put(data, 0)
        else:
            out.size = 0
            if <size_t>sent < head + size:
                connection.put(data, <size_t>sent - head)
        return 0

    cdef int send_file(self, int fd, long offset, int64_t size) except -1:
        """Puts `size` octets of a file out by sendfile; the loop sends what the peer does not take now."""
        if size <= 0 or self.abandoned:
            return 0
        if self.bodyless:
            return self.drop()
        if self.verdict.content_length >= 0 and self.sent + size > self.verdict.content_length:
            self.warn("the file is longer than the Content-Length %s: the rest is cut", self.verdict.content_length)
            size = self.verdict.content_length - self.sent
        self.flush()
        if not self.connection.broken:
            self.connection.put_file(fd, offset, <uint64_t>size)
            self.sent += size
            self.connection.drain()
        return 0

    cdef int flush(self) except -1:
        """Sends what was put out, and waits while the peer lags by more than the high-water mark."""
        if self.abandoned:
            return 0
        cdef Connection connection = self.connection
        if connection.outbox is not None and not connection.broken:
            connection.drain()      # what it had no room for before must not wait for the end of a stream that goes on
        flush_out(self.thread, connection)
        if connection.outbox is not None and not connection.broken and (
            connection.outbox_size > self.host.high_water or connection.room.is_full()
        ):
            self.host.wait_for_peer(self.thread, connection)
        if connection.outbox is not None and not connection.broken:
            self.host.send_beside(connection)
        self.progress_ns = monotonic_ns()
        return 0

    cdef int end(self) except -1:
        """The application has said all it had to say."""
        if self.ended or self.abandoned:
            return 0
        if not self.head_sent:
            self.send_head(0)
        self.ended = True
        if self.sends_chunks:
            append_text(&self.thread.out, b"0\r\n\r\n")
        elif not self.bodyless and 0 <= self.sent < self.verdict.content_length and not self.connection.broken:
            self.warn("the response is shorter than its Content-Length %s: closing", self.verdict.content_length)
            self.keep_alive = False
        return 0

    cdef int fail(self) except -1:
        """The application failed: a 500 if it can still be said, else a cut, so that the peer can tell."""
        if self.ended or self.abandoned:
            return 0
        if not self.head_sent:
            self.answer("500 Internal Server Error", "Internal Server Error", [])
            return 0
        self.ended = True
        self.keep_alive = False
        flush_out(self.thread, self.connection)
        return self.cut()

    cdef int cut(self) except -1:
        """Before a close in the middle of a response: where its end would look like that of the body, a reset."""
        if self.http10 and not self.sends_chunks and self.verdict.content_length < 0:
            self.connection.reset_on_close()
            self.connection.broken = True
        return 0

    cdef void leave(self) noexcept:
        self.leaving = True
        if self.interrupted:
            # If the exception has not been raised yet it must not hit the next request of this thread.
            PyThreadState_SetAsyncExc(<unsigned long>self.thread.ident, NULL)

    cdef bint is_told(self) noexcept:
        return (
            self.bodyless
            or self.connection.broken
            or self.abandoned
            or (self.verdict.content_length >= 0 and self.warned and self.sent >= self.verdict.content_length)
        )

    cdef int answer(self, str status, str text, list headers) except -1:
        """A whole plain-text response of the server's own."""
        cdef bytes body = text.encode() + b"\n"
        self.begin(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
        self.send_head(PyBytes_GET_SIZE(body))
        self.write_body(body)
        return self.end()

    cdef str request_id(self):
        return self.name or name_request(os.getpid(), self.connection.serial, self.number)

    cdef void take_request_of(self, Exchange other) noexcept:
        self.environ = other.environ
        self.method = other.method
        self.path = other.path
        self.target = other.target
        self.name = other.name
        self.number = other.number
        self.http10 = other.http10
        self.is_head = other.is_head
        self.began = other.began
        self.began_ns = other.began_ns
        self.queued_ns = other.queued_ns
        self.called_ns = other.called_ns

    cdef int drop(self) except -1:
        """Body of a response that has none. For HEAD an application may give what it would give for GET."""
        if not self.is_head:
            self.warn("a %s response has no body: what the application sent is dropped", self.status)
        return 0

    cdef object warn(self, text, value):
        """Once a request, to the error log."""
        if not self.warned:
            self.warned = True
            self.host.log.warning("%s %s: " + text, self.method, self.target, value)
