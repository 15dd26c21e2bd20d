"""How long slow peers and late calls are waited for, and what happens then."""

import sys

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pronghorn.debug cimport hand_over_point
from pronghorn.engine.baton cimport MAX_SEATS, baton_pass
from pronghorn.engine.connection cimport RUNNING, SEND, Connection, FileSlice, unacked_by
from pronghorn.engine.exchange cimport Exchange, PoolThread, flush_beside
from pronghorn.engine.incidents cimport LATE_READER, NO_STORAGE_LEFT
from pronghorn.engine.linux cimport eventfd_read
from pronghorn.engine.overdue cimport places_of, tell_overdue
from pronghorn.engine.pool cimport Pool
from pronghorn.engine.posix cimport POLLIN, POLLOUT, monotonic_ns, poll, pollfd, sched_yield
from pronghorn.engine.routes cimport STREAMS, learn, stream_of
from pronghorn.engine.scoreboard cimport READY, STUCK
from pronghorn.engine.sockets cimport MILLISECOND, SECOND, name_of

from pronghorn.errors import RequestTimeout

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, PyObject* exception)

cdef enum:
    PUT_ASIDE = 1 << 30             # octets of one response that a spool file takes; then its thread waits
    TRICKLE = 64 << 10              # octets in a second; who takes less keeps no thread that others need

cdef uint64_t NEVER = ~<uint64_t>0
cdef uint64_t STUCK_AFTER = 5 * <uint64_t>SECOND    # a thread has to come back after RequestTimeout was raised in it
cdef uint64_t SLICE = WAIT_SLICE_MS * <uint64_t>MILLISECOND


cdef class Patience(Pool):
    cdef int wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        thread.awaits_peer = True
        try:
            self._wait_for_peer(thread, connection)
        finally:
            thread.awaits_peer = False
        return 0

    cdef int _wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        cdef int found
        cdef uint64_t now = monotonic_ns(), progress = now, before
        cdef Exchange exchange = thread.exchange
        cdef bint late, trickles
        if self._leave_thread(thread, connection, now):
            return 0
        connection.begin_pace(now)
        if not thread.lost:
            if baton_pass(self.baton, thread.ticket):
                thread.lost = True      # and the next leader sends what is held, whether it was we who passed it or not
            else:
                self._flush_held()
        if thread.lost and thread.seat < MAX_SEATS:
            self._take_verdict(thread)      # whatever it was computing, the lane need not wait for it any more
        # In slices: a stop of the engine may end the wait.
        while self._lags(connection) and not self.finished:
            before = now
            found = self._wait_writable(connection.fd)
            if connection.broken:
                break
            now = monotonic_ns()
            late = now - progress > self.queues[SEND].duration_ns
            if found > 0:
                connection.drain()
            if (found > 0 or late) and connection.keeps_pace(now, self.min_rate, self.queues[SEND].duration_ns):
                progress = now
            elif late:
                self._give_up_reader(connection)
                self._cut(connection)
            trickles = self._trickles(connection, exchange, now - before)
            if self._leave_thread(thread, connection, now):
                break
            if (
                trickles and self._lags(connection)
                and self.queue.count > <uint32_t>self.evicted and self._is_needed(exchange)
            ):
                self._evict(connection, exchange)
        if self.finished:
            connection.broken = True    # nobody sends the rest: an endless response would fill the memory with it
        return 0

    cdef bint _lags(self, Connection connection) noexcept:
        return not connection.broken and (
            connection.outbox_size > self.high_water // 2 or (connection.outbox_size > 0 and self.room.is_full())
        )

    cdef bint _is_needed(self, Exchange exchange) noexcept:
        return self.active + self.uncalled >= self.allowed or (exchange.streams and len(self.queue.streams) > 0)

    cdef bint _leave_thread(self, PoolThread thread, Connection connection, uint64_t now) except -1:
        """Ends the wait for a peer, if others need the thread. False: nobody does, or there is no room for the rest."""
        cdef Exchange exchange = thread.exchange
        if connection.outbox is None or connection.broken or not self._is_needed(exchange):
            return False
        if not exchange.lagged and connection.outbox_size > self.high_water // 2:
            self._note_stream(exchange)
        if connection.outbox_size > PUT_ASIDE or now - thread.refused_ns < SLICE:
            return False
        if not self._put_aside(connection):
            thread.refused_ns = now
            return False
        # Many such threads write as fast as the disk takes it. One that has just copied a piece into the kernel keeps
        # the processor until its slice is over, up to a tick of 4 ms, although the loop is awake and has a request.
        with nogil:
            hand_over_point()
            sched_yield()
        return True

    cdef int _note_stream(self, Exchange exchange) except -1:
        exchange.lagged = True
        learn(&self.routes, stream_of(exchange.method, exchange.path), STREAMS)
        self.queue.begin_stream(exchange)
        return 0

    cdef bint _trickles(self, Connection connection, Exchange exchange, uint64_t waited_ns) noexcept:
        """Whether the peer took little in the last second that its thread waited for it; judged once in each."""
        cdef int64_t taken
        exchange.awaited_ns += waited_ns
        if exchange.awaited_ns >= SECOND:
            taken = exchange.sent - <int64_t>connection.outbox_size - unacked_by(connection.fd)
            exchange.trickles = taken - exchange.taken < TRICKLE
            exchange.taken = taken
            exchange.awaited_ns = 0
        return exchange.trickles

    cdef int _evict(self, Connection connection, Exchange exchange) except -1:
        """Cuts a response: a request waits for its thread."""
        exchange.evicted = True
        self.evicted += 1
        self._cut(connection)
        return self.incidents.note(
            LATE_READER, "%s took less than %d KiB in a second of a stream that no file takes, while a request waited "
            "for its thread: closed", (name_of(connection), TRICKLE >> 10),
        )

    cdef int _cut(self, Connection connection) except -1:
        cdef list rest = [] if connection.outbox is None else connection.outbox[:]
        connection.broken = True
        connection.reset_on_close()
        connection.forget_outbox()
        for piece in rest:
            if isinstance(piece, FileSlice):
                (<FileSlice>piece).shut()       # a gigabyte's pages are freed without the lock
        return 0

    cdef bint _put_aside(self, Connection connection) except -1:
        """Moves what a slow peer does not take yet to a spool file, so that nobody need wait. False: it cannot be.

        As nginx does it: an application's thread is too dear to wait for a peer when others need it.
        """
        cdef int before = connection.state
        # Of one that is given up its own thread may be at the outbox.
        if connection.outbox is None or connection.broken or connection.outbox_size > PUT_ASIDE:
            return False
        connection.state = RUNNING      # a slow disk lets others run meanwhile
        try:
            connection.spool_outbox()
        except OSError as problem:
            self.incidents.note(
                NO_STORAGE_LEFT, "Cannot spool a response, which keeps its memory until the client has taken some, and "
                "its thread until another request needs it (settings `spool_dir`, `spool_limit`): %s", (str(problem),),
            )
            self.pressed = self.room.is_full()
            return False
        finally:
            if connection.state == RUNNING:
                connection.state = before
        return True

    cdef int _give_up_reader(self, Connection connection) except -1:
        if connection.is_behind():
            self.incidents.note(
                LATE_READER, "%s took a response more slowly than %d bytes a second (setting `min_rate`): closed",
                (name_of(connection), self.min_rate),
            )
        else:
            self.incidents.note(
                LATE_READER, "%s took nothing of a response for %g s (setting `send_timeout`): closed",
                (name_of(connection), self.queues[SEND].duration_ns / 1e9),
            )
        return 0

    cdef int _wait_writable(self, int fd) except -1:
        """Whether a socket takes bytes, within a slice of time; or earlier, if somebody needs a thread."""
        cdef pollfd[2] wanted
        cdef uint64_t value
        wanted[0].fd = fd
        wanted[0].events = POLLOUT
        wanted[1].fd = self.needed_fd
        wanted[1].events = POLLIN
        wanted[0].revents = wanted[1].revents = 0
        self.awaiting += 1
        with nogil:
            poll(wanted, 2, WAIT_SLICE_MS)
        self.awaiting -= 1
        if wanted[1].revents:
            eventfd_read(self.needed_fd, &value)
        return wanted[0].revents != 0

    # Deadlines of requests

    cdef int _check_overdue(self, PoolThread thread) except -1:
        """Which calls are past their deadline? Says as well when to look again."""
        cdef PoolThread late
        cdef Exchange exchange
        # A call that begins from now on cannot be late before that; one that chooses its own deadline says so
        # (`watch_deadline`), perhaps while we log.
        cdef uint64_t due, wanted = self.now + self.timeout_ns if self.timeout_ns else NEVER
        self.overdue_check_ns = NEVER
        for late in self.threads:
            exchange = late.exchange
            if exchange is None or exchange.leaving:
                continue
            if exchange.abandoned:
                due = late.overdue_ns + STUCK_AFTER
                if self.now >= due:
                    self._give_up_thread(late)
                    continue
            elif exchange.timeout_ns == 0:
                continue
            else:
                if late.awaits_peer:
                    exchange.progress_ns = self.now     # a slow peer is not the application's fault
                due = exchange.progress_ns + exchange.timeout_ns
                if self.now >= due:
                    self._call_overdue(thread, late, exchange)
                    due = self.now + (STUCK_AFTER if exchange.abandoned else exchange.timeout_ns)
            wanted = min(wanted, due)
        self.overdue_check_ns = min(self.overdue_check_ns, wanted)
        return 0

    cdef int _call_overdue(self, PoolThread thread, PoolThread late, Exchange exchange) except -1:
        """Answers in place of a call that is past its deadline, and tells it so: its thread may be free again soon.

        From here on the connection is the loop's and `exchange.abandoned` makes the late call talk to nobody. First all
        is done, without letting go of the GIL, and then it is logged: meanwhile the call may come back.
        """
        cdef Connection connection = exchange.connection
        # Before the call is looked at: this makes objects, and the collector may let it come back.
        places = places_of(self._frame_of(late))
        if late.exchange is not exchange or exchange.leaving or late.awaits_peer:
            return 0
        outcome = "it has been answered already"
        self._interrupt(late, exchange)
        late.overdue_ns = self.now
        flush_beside(self, late, connection)    # what it said before, for other requests of this connection
        if exchange.ended:
            exchange.progress_ns = self.now     # it is answered; what lasts is the application's close()
        else:
            exchange.abandoned = True
            late.connection = None
            connection.exchange = None
            if exchange.head_sent:
                outcome = "its response is cut"
                exchange.cut()
                connection.broken = True
            else:
                outcome = "it is answered 504"
                self._answer(
                    thread, connection, "504 Gateway Timeout", "The application did not answer in time.", exchange
                )
            self._settle(thread, connection, False)
        changed = "" if exchange.timeout_ns == self.timeout_ns else ", changed by the application"
        tell_overdue(self.log, exchange, self.now, changed, outcome, places)
        return 0

    cdef object _frame_of(self, PoolThread late):
        """Where the call is."""
        return sys._current_frames().get(late.ident)

    cdef int _interrupt(self, PoolThread late, Exchange exchange) except -1:
        """Raises RequestTimeout in the call."""
        exchange.interrupted = True
        PyThreadState_SetAsyncExc(<unsigned long>late.ident, <PyObject*>RequestTimeout)
        return 0

    cdef int _give_up_thread(self, PoolThread late) except -1:
        """RequestTimeout did not bring it back: it will hold the thread, and perhaps locks, for as long as it likes."""
        cdef Exchange exchange = late.exchange
        if self.row.state == READY:
            self.row.state = STUCK
        if not self.wants_recycling:
            self._ask_to_recycle(
                f"{exchange.method} {exchange.target} is past its deadline and holds a thread for good"
            )
        return 0

    cdef bint _awaits_calls(self) noexcept:
        cdef PoolThread thread
        for thread in self.threads:
            if thread.exchange is not None and not (
                thread.exchange.abandoned and self.now >= thread.overdue_ns + STUCK_AFTER
            ):
                return True
        return False
