"""From bytes to requests: reading heads and bodies, pipelined ones in order, each served when it is complete."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from pronghorn.engine.connection cimport CLOSED, LINGERING, READING, READING_BODY, Connection
from pronghorn.engine.exchange cimport PASSED, Exchange, PoolThread
from pronghorn.engine.posix cimport recv
from pronghorn.engine.sockets cimport INCOMING, INCOMING_BODY
from pronghorn.wire.buffer cimport append, discard_front, release
from pronghorn.wire.faults cimport NO_MEMORY, NO_STORAGE
from pronghorn.wire.framing cimport PIECE, decode_chunked
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.response cimport append_text

cdef class Intake(Pool):
    def __init__(self, listeners, slot, options, access, recycle_after):
        Pool.__init__(self, listeners, slot, options, access, recycle_after)
        self.body_memory = options.body_memory
        self.spool_dir = options.spool_dir
        self.chunk_limits.body = options.limit_request_body
        self.chunk_limits.field_line = options.limit_request_field_size
        self.chunk_limits.fields = options.limit_request_fields
        self.chunk_limits.section = options.limit_request_head

    cdef int _read(self, PoolThread thread, Connection connection) except -1:
        cdef ssize_t size = recv(connection.fd, thread.incoming, self._room(connection), 0)
        if size < 0:
            if errno != EAGAIN and errno != EINTR:
                self._drop(connection)
            return 0
        self.row.received += <uint64_t>size
        if size == 0:
            return self._drop(connection)
        if connection.state == LINGERING:
            return 0        # thrown away, until its end or the deadline comes
        if connection.received.size == 0:
            return self._feed(thread, connection, thread.incoming, <uint32_t>size)
        if append(&connection.received, thread.incoming, <size_t>size) < 0:
            thread.connection = connection      # the one that _recover closes
            raise MemoryError
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef size_t _room(self, Connection connection) noexcept:
        """How much to read. A large body in large pieces: each becomes one write to its spool file, and pages of the
        cache that are filled together cost the kernel a third less. Never past its end: what follows is a request."""
        cdef uint64_t least = INCOMING, most = INCOMING_BODY
        if connection.state != READING_BODY:
            return INCOMING
        return <size_t>max(least, min(most, (<Exchange>connection.exchange).body_left))

    cdef int _resume(self, PoolThread thread, Connection connection) except -1:
        """Goes on with what a connection has received already."""
        if connection.state != READING:
            return 0
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef int _feed(self, PoolThread thread, Connection connection, const uint8_t* data, uint32_t size) except -1:
        """Reads requests from `data`, which is the thread's own or connection.received, and runs them in order."""
        cdef uint32_t at = 0, used = 0
        cdef int result
        cdef Exchange exchange
        thread.connection = connection
        while True:
            if connection.state == READING_BODY:
                exchange = <Exchange>connection.exchange
            elif at == size or connection.closing or connection.outbox is not None:
                break
            else:
                result = self._read_head(connection, data + at, size - at)
                if result != DONE:
                    if result == PASSED:
                        at += self.handler.used
                        continue
                    if result < 0:
                        at = size
                        self._refuse(thread, connection, result)
                    break
                exchange = self.handler.exchange
                self.handler.exchange = None
                exchange.thread = thread
                at += self.handler.used
            result = self._take_body(exchange, data + at, size - at, &used)
            at += used
            if result == MORE:
                connection.exchange = exchange
                if (
                    exchange.expects_continue
                    and connection.state != READING_BODY
                    and at == size
                    and exchange.body.size == 0
                ):
                    append_text(&thread.out, b"HTTP/1.1 100 Continue\r\n\r\n")
                connection.state = READING_BODY
                break
            connection.state = READING
            if result < 0:
                exchange.body.dispose()
                connection.exchange = None
                at = size
                self._refuse(thread, connection, result)
                break
            self._serve(thread, connection, exchange)
            if exchange.abandoned:
                self._work_on(thread)
                return 0
            if thread.lost or connection.state != READING:
                break
        self._keep(connection, data, at, size)
        self._settle(thread, connection, thread.lost)
        if thread.lost:
            self._work_on(thread)
        return 0

    cdef int _read_head(self, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        cdef int result = self.handler.read_head(self, connection, data, size)
        if result != MORE and connection.partial != NULL:
            free(connection.partial)
            connection.partial = NULL
        return result

    cdef int _take_body(self, Exchange exchange, const uint8_t* data, uint32_t size, uint32_t* used) except? -9999:
        """Takes body bytes from `data`. DONE: the body is complete; MORE: all of `data` was used; or a fault."""
        cdef const uint8_t* piece
        cdef size_t length, step
        cdef uint32_t at = 0
        cdef int result = DONE
        used[0] = 0
        try:
            if exchange.has_chunks:
                while True:
                    result = decode_chunked(
                        &exchange.chunked, &self.chunk_limits, data + at, size - at, &step, &piece, &length
                    )
                    at += <uint32_t>step
                    if result != PIECE:
                        break
                    exchange.body.collect(piece, length, self.body_memory, self.spool_dir)
            elif exchange.body_left:
                at = <uint32_t>min(<uint64_t>size, exchange.body_left)
                if at:
                    exchange.body.collect(data, at, self.body_memory, self.spool_dir)
                    exchange.body_left -= at
                result = DONE if exchange.body_left == 0 else MORE
            if result == DONE and exchange.body is not None:
                exchange.body.rewind()
                if exchange.has_chunks:
                    # RFC 9112 section 7.1.3: once decoded, the length is known and the coding gone.
                    exchange.environ["CONTENT_LENGTH"] = str(exchange.body.size)
                    exchange.environ.pop("HTTP_TRANSFER_ENCODING", None)
        except OSError as problem:
            self.log.error("Cannot spool a request body: %s", problem)
            return NO_STORAGE
        except MemoryError:
            self.log.error("No memory for a request body")
            return NO_MEMORY
        used[0] = at
        return result

    cdef void _keep(self, Connection connection, const uint8_t* data, uint32_t at, uint32_t size) noexcept:
        """Keeps what was received and not used; an idle connection holds no memory for it."""
        if connection.closing or connection.state == CLOSED:
            connection.lingering = connection.lingering or at < size
            at = size
        if at == size:
            release(&connection.received)
        elif data == <const uint8_t*>connection.received.data:
            discard_front(&connection.received, at)
        elif append(&connection.received, data + at, size - at) < 0:
            connection.broken = True
