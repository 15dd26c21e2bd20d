"""From bytes to requests: reading heads and bodies, pipelined ones in order, each served when it is complete."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from pronghorn.engine.connection cimport CLOSED, HEAD, LINGERING, READING, READING_BODY, Connection, arm, disarm
from pronghorn.engine.exchange cimport PASSED, Exchange, PoolThread
from pronghorn.engine.incidents cimport HELD_BACK, NO_MEMORY_LEFT, NO_STORAGE_LEFT
from pronghorn.engine.linux cimport EPOLLIN
from pronghorn.engine.posix cimport recv
from pronghorn.engine.sockets cimport INCOMING, INCOMING_BODY
from pronghorn.wire.buffer cimport append, discard_front, release
from pronghorn.wire.faults cimport NO_MEMORY, NO_STORAGE
from pronghorn.wire.framing cimport PIECE, decode_chunked
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.response cimport append_text

cdef enum:
    FAST = 64 * 1024    # octets of a body at once, by which a fast sender is known
    LARGE = 512 * 1024  # and what one turn is to bring then
    PIPELINED = 32      # requests of one connection that are served before others get their turn
    # Octets behind a refusal that are read and thrown away, for a client that sends all of its file before it reads why
    # not: with a close before that, the reset would take the answer with it. A bound, or it is work that one asks for.
    WASTE = 16 * 1024 * 1024


cdef class Intake(Outlet):
    def __init__(self, listeners, slot, options, access, recycle_after):
        Outlet.__init__(self, listeners, slot, options, access, recycle_after)
        self.body_memory = options.body_memory
        self.held_back = []
        self.chunk_limits.body = options.limit_request_body
        self.chunk_limits.field_line = options.limit_request_field_size
        self.chunk_limits.fields = options.limit_request_fields
        self.chunk_limits.section = options.limit_request_head

    cdef int _read(self, PoolThread thread, Connection connection) except -1:
        cdef ssize_t size
        if self.pressed and connection.state == READING:
            return self._hold_back(connection)
        size = recv(connection.fd, thread.incoming, self._amount(connection), 0)
        if size < 0:
            if errno != EAGAIN and errno != EINTR:
                connection.left = connection.state == READING_BODY or connection.received.size > 0
                self._drop(connection)
            return 0
        self.row.received += <uint64_t>size
        connection.moved += size
        if size == 0:
            return self._end_of_input(thread, connection)
        if connection.state == LINGERING:
            return self._drop(connection) if connection.moved > WASTE else 0    # or until its end or the deadline
        if connection.received.size == 0:
            return self._feed(thread, connection, thread.incoming, <uint32_t>size)
        if append(&connection.received, thread.incoming, <size_t>size) < 0:
            thread.connection = connection      # the one that _recover closes
            raise MemoryError
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef int _end_of_input(self, PoolThread thread, Connection connection) except -1:
        """The peer sends no more. What it has sent comes first: it may be a whole request that waits to be resumed."""
        cdef size_t before = connection.received.size
        if before and connection.state == READING:
            self._resume(thread, connection)
            if thread.lost or connection.received.size != before:
                return 0        # it is still at its end when it is looked at again
        connection.left = connection.state == READING_BODY or before > 0
        return self._drop(connection)

    cdef size_t _amount(self, Connection connection) noexcept:
        """How much to read. A large body in large pieces: each becomes one write to its spool file, and pages of the
        cache that are filled together cost the kernel a third less. Never past its end: what follows is a request."""
        cdef uint64_t least = INCOMING, most = INCOMING_BODY
        if connection.state != READING_BODY:
            return INCOMING
        return <size_t>max(least, min(most, (<Exchange>connection.exchange).body_left))

    cdef int _hold_back(self, Connection connection) except -1:
        """Reads no next request while there is no memory for its response: slow peers have to take theirs first."""
        self.incidents.note(
            HELD_BACK, "Unsent responses take up %d bytes of memory (setting `buffer_memory`), and no file takes them: "
            "no request is read until clients have taken some", (self.room.memory,),
        )
        disarm(connection, self.queues)     # it is not its fault
        self._set_interest(connection, 0)
        self.held_back.append(connection)
        return 0

    cdef int _read_on(self) except -1:
        cdef Connection connection
        self.pressed = False
        fresh = []      # first: the collector may let others run
        waiting, self.held_back = self.held_back, fresh
        for connection in waiting:
            if connection.state == READING:
                self._set_interest(connection, EPOLLIN)
                arm(connection, HEAD, self.queues, self.now)
        return 0

    cdef int _resume(self, PoolThread thread, Connection connection) except -1:
        """Goes on with what a connection has received already."""
        connection.returned = False
        if connection.state != READING:
            return 0
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef int _feed(self, PoolThread thread, Connection connection, const uint8_t* data, uint32_t size) except -1:
        """Reads requests from `data`, which is the thread's own or connection.received, and runs them in order."""
        cdef uint32_t at = 0, used = 0
        cdef int result, turns = PIPELINED
        cdef Exchange exchange
        thread.connection = connection
        while True:
            if connection.state == READING_BODY:
                exchange = <Exchange>connection.exchange
            elif at == size or connection.closing or connection.outbox is not None or turns == 0:
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
                if not exchange.has_chunks:
                    self._await_piece(connection, exchange.body_left, size)
                break
            if connection.wakes_at > 1:
                connection.wake_at(1)
            connection.state = READING
            if result < 0:
                exchange.body.dispose(False)
                connection.exchange = None
                at = size
                self._refuse(thread, connection, result)
                break
            self._serve(thread, connection, exchange)
            turns -= 1
            if exchange.abandoned:
                self._work_on(thread)
                return 0
            if thread.lost or connection.state != READING:
                break
        self._keep(connection, data, at, size)
        self._settle(thread, connection, thread.lost or turns == 0)
        if thread.lost:
            self._work_on(thread)
        return 0

    cdef void _await_piece(self, Connection connection, uint64_t left, uint32_t size) noexcept:
        """Has a body that comes fast wake us for each large piece, and not for each segment.

        On one machine with its sender, waking for each takes half the time of both. `size` octets have come at once,
        and `left` are still to come: where the last of them are less than a piece, all of them.
        """
        cdef uint32_t wanted = 1
        if size >= FAST and (connection.wakes_at > 1 or left >= LARGE):
            wanted = <uint32_t>min(left, <uint64_t>LARGE)
        if wanted != connection.wakes_at:
            connection.wake_at(<int>wanted)

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
                    exchange.body.collect(piece, length, self.body_memory, self.room)
            elif exchange.body_left:
                at = <uint32_t>min(<uint64_t>size, exchange.body_left)
                if at:
                    exchange.body.collect(data, at, self.body_memory, self.room)
                    exchange.body_left -= at
                result = DONE if exchange.body_left == 0 else MORE
            if result == DONE and exchange.body is not None:
                exchange.body.rewind()
                if exchange.has_chunks:
                    # RFC 9112 section 7.1.3: once decoded, the length is known and the coding gone.
                    exchange.environ["CONTENT_LENGTH"] = str(exchange.body.size)
                    exchange.environ.pop("HTTP_TRANSFER_ENCODING", None)
        except OSError as problem:
            self.incidents.note(NO_STORAGE_LEFT, "Cannot spool a request body: %s: 507", (str(problem),))
            return NO_STORAGE
        except MemoryError:
            self.incidents.note(NO_MEMORY_LEFT, "No memory for a request body", ())
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
