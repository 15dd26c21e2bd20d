"""What leaves: which responses are sent now, which wait, and what their connections wait for then."""

from libc.stdint cimport uint64_t

from pronghorn.engine.connection cimport (
    BODY,
    HEAD,
    IDLE,
    LARGE_PIECE,
    LINGER,
    QUEUED,
    READING,
    READING_BODY,
    RUNNING,
    SEND,
    SENDING,
    Connection,
    arm,
)
from pronghorn.engine.exchange cimport PoolThread, flush_alone, flush_out, queue_out
from pronghorn.engine.linux cimport EPOLLIN, EPOLLOUT, eventfd_write
from pronghorn.engine.patience cimport Patience
from pronghorn.engine.posix cimport monotonic_ns
from pronghorn.engine.sockets cimport FLUSH_LOG, MILLISECOND

cdef enum:
    HOLD = 1 * MILLISECOND          # a response is kept back at most
    SMALL = 4 * 1024                # octets of a response whose wake-up costs more than itself


cdef class Outlet(Patience):
    cdef void _wake(self) noexcept:
        eventfd_write(self.wake_fd, 1)

    cdef int _send_on(self, Connection connection) except -1:
        """Sends what the application has said, while it is about to say more (PEP 3333, "Buffering and Streaming"), and
        what is left of earlier responses while a request waits or runs."""
        cdef int result
        if connection.at_outbox:        # its thread is at it, and asks again when it goes back to the application
            return self._set_interest(connection, 0)
        result = connection.drain_beside()
        if result == 1:
            return 0
        return self._set_interest(connection, EPOLLIN if result == 0 else 0)    # a file waits for its thread to be back

    cdef int _send_more(self, PoolThread thread, Connection connection) except -1:
        cdef int result = self._drain_file(thread, connection) if connection.sends_file() else connection.drain()
        if result > 0 and not thread.lost:
            return self._await_progress(connection, SEND, self.now)
        if result == 0:
            # An exchange is that of a request whose body is still to come.
            connection.state = READING if connection.exchange is None else READING_BODY
        self._settle(thread, connection, True)
        if thread.lost:
            self._work_on(thread)
        return 0

    cdef bint _hold(self, PoolThread thread, Connection connection) except -1:
        """Keeps a small response back for a moment when more events of the batch wait. False: this one must not wait.

        A send wakes the peer; one that sleeps at the other end of the loopback or of a proxy's socket costs the sender
        as much as the send itself. Responses of a busy worker therefore leave in groups: at the end of the batch,
        before anything that may block, and at the latest HOLD after the first.
        """
        if (
            thread.lost
            or thread.out.size == 0
            or thread.out.size > SMALL
            or connection.state != READING
            or connection.outbox is not None
            or connection.received.size
            or connection.broken
            or self.draining
        ):
            return False
        queue_out(thread, connection, 0)
        thread.connection = None
        connection.state = SENDING
        self.now = monotonic_ns()
        if not self.held:
            self.held_ns = self.now
        self.held.append(connection)
        if self.now - self.held_ns > HOLD:
            self._flush_held()
        return True

    cdef int _flush_held(self) except -1:
        cdef Connection connection
        cdef int result
        if not self.held:
            return 0
        fresh = []      # first: the collector may let others run
        held, self.held = self.held, fresh
        for connection in held:
            if connection.state != SENDING:
                continue        # closed meanwhile
            result = connection.drain()
            if result < 0:
                self._drop(connection)
            elif result > 0:
                self._set_interest(connection, EPOLLOUT)
                self._await_progress(connection, SEND, self.now)
            elif connection.closing:
                self._part_from(connection)
            else:
                connection.state = READING
                self._wait_for_request(connection, self.now)
        return 0

    cdef int _wait_for_request(self, Connection connection, uint64_t now) except -1:
        """A connection with nothing to send and nothing received."""
        self._set_interest(connection, EPOLLIN)
        arm(connection, LINGER if self.draining else IDLE, self.queues, now)
        return 0

    cdef int _settle(self, PoolThread thread, Connection connection, bint resume) except -1:
        """Sends what is ready and decides what the connection waits for now (pool.pxd)."""
        cdef uint64_t now = self.now
        if (self.batch_at < self.batch_size or self.more_waits) and self._hold(thread, connection):
            return 0
        if thread.lost and connection.state == READING:
            connection.state = RUNNING
            thread.connection = None        # or a new leader would send what it finds here as well
            try:
                flush_alone(thread, connection)
            except BaseException:
                thread.connection = connection      # for _recover
                connection.broken = True
                raise
            finally:
                if connection.state == RUNNING:
                    connection.state = READING
        else:
            flush_out(thread, connection)
            thread.connection = None
        if connection.outbox is not None and connection.state != QUEUED and self.room.is_full():
            self._put_aside(connection)
        if thread.lost:
            now = monotonic_ns()
        if connection.broken or self.finished:
            self._drop(connection)
            if thread.lost and self.draining and self.waiting:
                self._wake()        # it may have been the last one the drain waits for
            return 0
        if connection.state == QUEUED:
            # What its earlier responses have left does not wait until this request has a thread.
            return 0 if connection.outbox is None else self.send_beside(connection)
        if connection.outbox is not None:
            connection.state = SENDING
            self._set_interest(connection, EPOLLOUT)
            self._await_progress(connection, SEND, now)
        elif connection.closing:
            self._part_from(connection)
            if thread.lost and self.draining and self.waiting:
                self._wake()
            return 0
        elif connection.state == READING_BODY:
            self._set_interest(connection, EPOLLIN)
            self._await_progress(connection, LARGE_PIECE if connection.wakes_at > 1 else BODY, now)
        else:
            if connection.received.size == 0:
                self._wait_for_request(connection, now)
            else:
                self._set_interest(connection, EPOLLIN)
                if connection.armed != HEAD:
                    arm(connection, HEAD, self.queues, now)
                if resume and not connection.returned:
                    connection.returned = True
                    self.returned.append(connection)
        if (
            thread.lost
            and self.waiting
            and (
                connection.deadline_ns < self.wakes_ns
                or (resume and connection.received.size)
                or (self.unflushed_ns and self.unflushed_ns + FLUSH_LOG < self.wakes_ns)
            )
        ):
            self._wake()
        return 0
