"""How long slow peers and late calls are waited for, and what happens then."""

import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from pronghorn.engine.baton cimport MAX_SEATS, baton_pass
from pronghorn.engine.connection cimport RUNNING, SEND, Connection
from pronghorn.engine.exchange cimport Exchange, PoolThread, flush_beside
from pronghorn.engine.incidents cimport LATE_READER, NO_STORAGE_LEFT
from pronghorn.engine.linux cimport eventfd_read
from pronghorn.engine.overdue cimport places_of, tell_overdue
from pronghorn.engine.pool cimport Pool
from pronghorn.engine.posix cimport POLLIN, POLLOUT, monotonic_ns, poll, pollfd, sched_yield
from pronghorn.engine.routes cimport STREAMS, learn, route_of
from pronghorn.engine.scoreboard cimport READY, STUCK
from pronghorn.engine.sockets cimport SECOND, name_of

from pronghorn.errors import RequestTimeout

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, PyObject* exception)

cdef enum:
    PUT_ASIDE = 1 << 30             # octets of one response that a spool file takes; then its thread waits

cdef uint64_t NEVER = ~<uint64_t>0
cdef uint64_t HELD_MOST = SECOND                    # that a thread waits for a peer while a request waits for it
cdef uint64_t STUCK_AFTER = 5 * <uint64_t>SECOND    # a thread has to come back after RequestTimeout was raised in it


cdef class Patience(Pool):
    cdef int wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        thread.awaits_peer = True
        thread.awaits_ns = monotonic_ns()
        self.awaiting += 1
        try:
            self._wait_for_peer(thread, connection)
        finally:
            self.awaiting -= 1
            thread.awaits_peer = False
        return 0

    cdef int _wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        cdef int found
        cdef uint64_t now = thread.awaits_ns, progress = now
        cdef uint64_t enough = self.high_water // 2
        cdef bint late
        if self._leave_thread(thread, connection):
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
        while (
            (connection.outbox_size > enough or (connection.outbox_size and self.room.is_full()))
            and not connection.broken
            and not self.finished
        ):
            found = self._wait_writable(connection.fd)
            if connection.broken:
                break
            now = monotonic_ns()
            late = now - progress > self.queues[SEND].duration_ns
            if found > 0:
                connection.drain()
                thread.awaits_ns = now
            if (found > 0 or late) and connection.keeps_pace(now, self.min_rate, self.queues[SEND].duration_ns):
                progress = now
            elif late:
                self._give_up_reader(connection)
                self._cut(connection)
            if self._leave_thread(thread, connection):
                break
            if self._must_give_up(thread, now) and not connection.broken:
                self.incidents.note(
                    LATE_READER, "%s took nothing for %g s of a stream that no file takes, while a request waited for "
                    "its thread: closed", (name_of(connection), HELD_MOST / 1e9),
                )
                self._cut(connection)
        if self.finished:
            connection.broken = True    # nobody sends the rest: an endless response would fill the memory with it
        return 0

    cdef bint _needs_threads(self) noexcept:
        """Somebody waits for a thread, or would have to, while this one waits for its peer."""
        return self.queue.count > 0 or self.active + self.uncalled >= self.allowed

    cdef bint _leave_thread(self, PoolThread thread, Connection connection) except -1:
        """Ends the wait for a peer, if others need the thread. False: nobody does, or there is no room for the rest."""
        if not self._needs_threads() or not self._put_aside(connection):
            return False
        if not thread.exchange.put_aside:
            self._note_stream(thread.exchange)
        # Many such threads write as fast as the disk takes it. One that has just copied a piece into the kernel keeps
        # the processor until its slice is over, up to a tick of 4 ms, although the loop is awake and has a request.
        with nogil:
            sched_yield()
        return True

    cdef int _note_stream(self, Exchange exchange) except -1:
        exchange.put_aside = True
        if exchange.route < 0:
            exchange.route = route_of(exchange.method, exchange.path)
        learn(&self.routes, exchange.route, STREAMS)
        return 0 if exchange.streams else self._count_stream(exchange)

    cdef bint _must_give_up(self, PoolThread thread, uint64_t now) noexcept:
        """A request waits, and of the peers that threads wait for this one has taken nothing for longest."""
        cdef PoolThread other
        if self.queue.count == 0 or now - thread.awaits_ns < HELD_MOST:
            return False
        for other in self.threads:
            if other.awaits_peer and other.awaits_ns < thread.awaits_ns:
                return False
        return True

    cdef int _cut(self, Connection connection) except -1:
        connection.broken = True
        connection.reset_on_close()
        return connection.forget_outbox()

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
        with nogil:
            poll(wanted, 2, WAIT_SLICE_MS)
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
