"""The engine of a worker: one event loop that all pool threads take turns to lead.

The leader holds the baton (baton.pxd): it waits for events, reads requests and calls the application itself, on its own
thread. If the call blocks, the watchdog gives the baton to a parked thread, which goes on with what was left of the
batch; the old leader finishes its call, sends its response, gives the connection back and parks. A call that is known
to block is given to a parked thread instead, which does the same.

Ownership: a connection belongs to the loop (whoever leads) or, while its state is RUNNING, to the one thread that runs
its request and sends the answer. Everything here happens under the GIL, which is released around a wait that may block,
around the last send of a thread that does not lead, and by the application; a thread that comes back from the
application may have lost the baton, and then touches nothing of the loop's but its own connection and the queues.

A layer is a class, the base of the next one, in a file of its name: Sockets (connections), Pool (threads), Patience
(what is slow), Outlet (what leaves), Intake (what arrives), and Engine, here: the loop itself.
"""

import logging
import os
import threading
import time

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pronghorn.debug cimport ENGINES, expect, hand_over_point, tally
from pronghorn.engine.baton cimport baton_dismiss, baton_stop
from pronghorn.engine.connection cimport (
    BODY,
    DEADLINES,
    HEAD,
    IDLE,
    LARGE_PIECE,
    LINGER,
    QUEUED,
    READING,
    RUNNING,
    SEND,
    SENDING,
    Connection,
    arm,
    disarm,
)
from pronghorn.engine.exchange cimport Exchange, Handler, PoolThread, forget_forks
from pronghorn.engine.incidents cimport SILENT
from pronghorn.engine.linux cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLLERR,
    EPOLLHUP,
    EPOLLOUT,
    epoll_event,
    epoll_wait,
    eventfd,
    eventfd_read,
    eventfd_write,
)
from pronghorn.engine.intake cimport Intake
from pronghorn.engine.posix cimport (
    AF_INET,
    CLOCK_REALTIME,
    clock_ns,
    close,
    load_int,
    load_u64,
    monotonic_ns,
    sockaddr_in,
    sockaddr_storage,
    store_int,
)
from pronghorn.engine.rush cimport is_worth_a_nap, take_nap, weigh_nap
from pronghorn.engine.sockets cimport FLUSH_LOG, LISTENER, MILLISECOND, SECOND, WAKE, name_of
from pronghorn.engine.spin cimport is_worth_a_spin, spin_for, weigh_spin
from pronghorn.wire.faults cimport LATE_REQUEST
from pronghorn.wire.response cimport render_date

cdef enum:
    LONG_BATCH = 2 * MILLISECOND    # after a batch that took this long the calls of the next one are timed
    AT_ONCE = 100 * MILLISECOND     # within which a sender that was fast brings the next large piece, or is not
    RECENT = 1 * SECOND             # a connection that was used within it is not idle when a drain begins


cdef class Engine(Intake):
    """One worker's server: `start` it after the fork, `drain` or `stop` it, wait for `fileno()` to become readable.

    `handler` answers the requests; `listeners` are bound, listening, non-blocking sockets, which the engine owns from
    now on; `options` is an EngineOptions; `access` a Recorder or None; `slot` this worker's row of the scoreboard or
    None; after `recycle_after` requests `wants_recycling` becomes true (0: never). While the scoreboard says that the
    fleet wants no new clients, requests for `ready_path` are answered 503. `id_header`, if there is one, is told with
    every response: it holds the id of its request.
    """

    def __cinit__(self, *args, **kwargs):
        self.wake_fd = -1
        tally(ENGINES, 1)

    def __init__(
        self, Handler handler, listeners, options, *,
        access=None, slot=None, log=None, recycle_after=0, ready_path=None, id_header=None,
    ):
        Intake.__init__(self, listeners, slot, options, access, recycle_after)
        self.handler = handler
        self.log = self.incidents.log = log or logging.getLogger("pronghorn.error")
        self._state = "new"
        self.stopped = threading.Event()
        self.ready_path = None if ready_path is None else ready_path.partition("?")[0]
        if id_header is not None:
            self.id_line = f"{id_header}: ".encode()
            self.id_header = id_header.lower()
        self.attached = []
        self.returned = []
        self.held = []
        self._take_options(options)
        self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.wake_fd < 0:
            raise OSError(errno, "cannot make the descriptors of the event loop")
        self._watch_fd(self.wake_fd, WAKE)

    def _take_options(self, options):
        self.connection_limit = options.worker_connections
        self.high_water = options.send_buffer
        self.persistent = options.keepalive > 0
        for kind, seconds in (
            (IDLE, options.keepalive),
            (HEAD, options.header_timeout),
            (BODY, options.body_timeout),
            (SEND, options.send_timeout),
            (LINGER, options.linger_timeout),
        ):
            self.queues[<int>kind].duration_ns = <uint64_t>(seconds * SECOND)
        self.queues[LARGE_PIECE].duration_ns = AT_ONCE

    def __dealloc__(self):
        tally(ENGINES, -1)
        if self.wake_fd >= 0:
            close(self.wake_fd)

    def __repr__(self):
        return (
            f"<Engine {self._state}: {self.connections} connections, "
            f"{self.active} of {self.limit} threads in the application, "
            f"{self.queue.count + self.uncalled} requests queued, {self.requests} answered>"
        )

    @property
    def state(self):
        """`new`, `running`, `draining` or `stopped`."""
        return self._state

    @property
    def connections_open(self):
        return self.connections

    @property
    def requests_answered(self):
        return self.requests

    @property
    def handovers(self):
        """How often the baton was passed."""
        return load_u64(&self.baton.handovers)

    @property
    def threads_started(self):
        return len(self.threads)

    def fileno(self):
        """A descriptor that is readable when `state` or `wants_recycling` has changed."""
        return self.state_fd

    def acknowledge(self):
        """Makes `fileno()` unreadable until the next change."""
        cdef uint64_t value
        eventfd_read(self.state_fd, &value)

    @property
    def calls_inside(self):
        """How many calls are inside the application, in threads or greenlets; late ones too, and after a stop."""
        return self.active

    @property
    def requests_running(self):
        """How many accepted requests have no whole response yet."""
        return len(self.running())

    def running(self):
        """The accepted requests that have no whole response yet, in words: what a stop would cut off."""
        cdef PoolThread thread
        cdef Exchange exchange
        cdef Connection connection
        cdef int fd
        cdef uint64_t now = monotonic_ns()
        found = []
        for thread in self.threads:
            exchange = thread.exchange
            if exchange is not None and not exchange.abandoned:
                found.append(describe_call(thread, exchange, now))
        waiting = (*self.calls, *self.queue)
        found += [f"{describe(exchange)} waiting for a thread" for exchange in waiting]
        for fd in range(self.table_size):
            if self.table[fd] != NULL and (<Connection>self.table[fd]).state == SENDING:
                connection = <Connection>self.table[fd]
                found.append(f"{connection.outbox_size} unsent bytes for {connection.address or 'a unix socket'}")
        return found

    def lost(self):
        """The calls that are past their deadline, were answered, and have not come back, in words."""
        cdef PoolThread thread
        cdef uint64_t now = monotonic_ns()
        return [
            describe_call(thread, thread.exchange, now)
            for thread in self.threads
            if thread.exchange is not None and thread.exchange.abandoned
        ]

    def start(self, *, bint accepting=True):
        """Starts the loop on threads of its own, and to accept unless `accepting` is false.

        Raises OSError when the system refuses a thread.
        """
        forget_forks()
        render_date(<long>time.time())
        self.now = monotonic_ns()
        self._set_accepting(accepting)
        try:
            self._start_leader()
        except (MemoryError, RuntimeError) as error:
            raise OSError(f"the system refuses the engine a thread: {error or 'no memory'}") from error
        self._change("running")

    def accept(self):
        """Begins to accept, after a start without."""
        self.resume_ns = 1
        self._wake()

    def attach(self, sock):
        """Serves a connected socket as if it had been accepted from this machine at the first listener."""
        sock.setblocking(False)
        self.attached.append(sock.detach())
        self._wake()

    def drain(self):
        """Accepts what waits in the accept queue, then no more; finishes what was accepted; stops."""
        self.draining = True
        self._wake()

    def stop(self):
        """Stops at once: what is unanswered stays so."""
        self.stopping = True
        self._wake()

    def join(self, timeout=None):
        """Waits until the engine has stopped, at most `timeout` seconds. True when it has."""
        return self.stopped.wait(timeout)

    cdef object _change(self, str state):
        self._state = state
        eventfd_write(self.state_fd, 1)

    cdef int _lead(self, PoolThread thread) except -1:
        cdef epoll_event* event
        cdef Py_ssize_t _turn
        self._take_over(thread)
        while not self.finished:
            while self.batch_at < self.batch_size:
                event = &self.batch[self.batch_at]
                self.batch_at += 1
                self._dispatch(thread, event.data.u64, event.events)
                if thread.lost:
                    return 0
            while self.attached:
                self._welcome_attached(thread, self.attached.pop())
                if thread.lost:
                    return 0
            for _turn in range(len(self.returned)):     # what comes back once more waits for its next turn
                self._resume(thread, <Connection>self.returned.pop(0))
                if thread.lost:
                    return 0
            if self._has_runnable():
                self._run_queued(thread)
                if thread.lost:
                    self._work_on(thread)
                    return 0
            self._turn(thread)
            if thread.lost:
                return 0
        return 0

    cdef int _turn(self, PoolThread thread) except -1:
        """What is due by the clock, and the next batch of events."""
        cdef int count
        cdef bint likely = self.batch_size > 1
        expect(load_int(&self.baton.leader) == thread.seat and not thread.lost)
        self._flush_held()
        self._clock()
        self.timing = self.now - self.batch_ns > LONG_BATCH
        self._expire(thread)
        if self.unflushed_ns and self.now >= self.unflushed_ns + FLUSH_LOG:
            self.unflushed_ns = 0       # first: while lines are written other threads may add some
            self.recorder.flush()
        if self.now >= self.overdue_check_ns:
            self._check_overdue(thread)
        if self.now >= self.incidents.due_ns:
            self.incidents.tell_rest(False)
        if self.stopping or self.draining:
            self._wind_down(thread)
            if self.finished or thread.lost:
                return 0        # what waited in the accept queue may have blocked: the batch is another leader's
        if self.pressed and not self.room.is_full():
            self._read_on()
        self.room.forget_spare(self.now)
        if not self.accepting and self.resume_ns and self.now >= self.resume_ns and not self.draining:
            self._resume_accepting()
        expect(load_int(&self.baton.leader) == thread.seat and not thread.lost)
        self.batch_at = self.batch_size = 0
        count = self._gather(likely)
        expect(load_int(&self.baton.leader) == thread.seat)
        if count < 0 and count != -EINTR:
            # Only an application that closes descriptors that are not its own gets here. The next call would fail too.
            self.log.critical("The descriptor of the event loop is gone: %s. This worker ends", os.strerror(-count))
            self.stopping = True
        self.batch_ns = self.now
        self.batch_size = count if count > 0 else 0
        return 0

    cdef int _gather(self, bint likely) except? -9999:
        """Waits for the next batch of events (loop.pxd); not if something can go on at once.

        First without waiting and with the GIL, if the last batch makes more events `likely`: releasing it around a call
        that returns at once costs more than the call. But if there are calls for other threads, they need it now.
        """
        cdef int count = 0, error = 0, timeout
        cdef bint naps, spins, goes_on = self.returned or self._has_runnable()
        if (likely or goes_on) and not self.uncalled:
            count = epoll_wait(self.epoll, self.batch, BATCH, 0)
            error = errno
        if self.uncalled or (count == 0 and not goes_on):
            timeout = 0 if goes_on else self._wait_ms()
            naps = self.arrived > 0 and not goes_on and is_worth_a_nap(&self.rush, self.arrived, self.now)
            self.arrived = 0
            spins = (       # not while others want the processor
                not naps and timeout > 0 and self.active == 0 and self.uncalled == 0
                and is_worth_a_spin(&self.spin, self.now)
            )
            self.waiting = True
            with nogil:
                hand_over_point()
                self.summon()
                store_int(&self.row.waits, 1)
                if naps:
                    take_nap()
                elif spins:
                    count = spin_for(self.epoll, self.batch, BATCH)
                    weigh_spin(&self.spin, count, self.now)
                if count == 0:
                    count = epoll_wait(self.epoll, self.batch, BATCH, timeout)
                store_int(&self.row.waits, 0)
                hand_over_point()
            error = errno
            self.waiting = False
            self._clock()
            if naps:
                weigh_nap(&self.rush, count, self.now)
        return count if count >= 0 else -error

    cdef int _welcome_attached(self, PoolThread thread, int fd) except -1:
        cdef sockaddr_storage address
        cdef uint8_t* octets = <uint8_t*>&(<sockaddr_in*>&address).sin_addr
        memset(&address, 0, sizeof(address))
        address.ss_family = AF_INET
        octets[0] = 127
        octets[3] = 1
        return self._welcome(thread, fd, &address, self.listener_fds[0])

    cdef int _clock(self) except -1:
        self.now = monotonic_ns()
        render_date(<long>(clock_ns(CLOCK_REALTIME) // SECOND))
        self.row.loop_ns = self.now
        self.row.requests = self.requests
        self.row.handovers = self.baton.handovers
        self.row.queued = self.queue.count + <uint32_t>self.uncalled
        self.row.active = <uint32_t>self.active
        self.row.buffered = <uint64_t>self.room.memory
        self.row.spooled = <uint64_t>self.room.disk
        return 0

    cdef int watch_deadline(self, uint64_t at_ns) except -1:
        self.overdue_check_ns = min(self.overdue_check_ns, at_ns)
        if self.waiting and at_ns < self.wakes_ns:
            self._wake()
        return 0

    cdef int _wait_ms(self) except -1:
        """Until the next deadline, at most a second: the date and the scoreboard must not stand still."""
        cdef uint64_t wakes = self.now + SECOND
        cdef int kind
        for kind in range(1, DEADLINES):
            if self.queues[kind].first != NULL:
                wakes = min(wakes, (<Connection>self.queues[kind].first).deadline_ns)
        if self.resume_ns and not self.accepting:
            wakes = min(wakes, self.resume_ns)
        if self.unflushed_ns:
            wakes = min(wakes, self.unflushed_ns + FLUSH_LOG)
        if self.active or self.uncalled:
            wakes = min(wakes, self.overdue_check_ns)
        if self.queue.count:
            wakes = min(wakes, self.queue.oldest_ns() + self.queue_ns)
        self.wakes_ns = wakes
        return <int>((wakes - self.now + MILLISECOND - 1) // MILLISECOND) if wakes > self.now else 0

    cdef int _dispatch(self, PoolThread thread, uint64_t data, uint32_t events) except -1:
        cdef int fd = <int><uint32_t>data
        cdef uint32_t serial = <uint32_t>(data >> 32)
        cdef uint64_t value
        cdef Connection connection
        cdef bint owned
        if serial == LISTENER:
            return self._accept(thread, fd)
        if serial == WAKE:
            eventfd_read(self.wake_fd, &value)
            return 0
        if fd >= self.table_size or self.table[fd] == NULL:
            return 0
        connection = <Connection>self.table[fd]
        if connection.serial != serial:
            return 0
        owned = connection.state == RUNNING or connection.state == QUEUED
        if owned and connection.interest == EPOLLOUT and events & EPOLLOUT:
            return self._send_on(connection)
        if owned or connection.returned:
            # Not the loop's to touch now, or what it has sent is not served yet: disarm, so that a level-triggered
            # event does not turn the loop; it comes back with it.
            self._set_interest(connection, 0)
        elif connection.state == SENDING:
            if events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                self._send_more(thread, connection)
        else:
            self._read(thread, connection)
        return 0

    cdef int _expire(self, PoolThread thread) except -1:
        cdef int kind
        cdef Connection connection
        for kind in range(1, DEADLINES):
            while self.queues[kind].first != NULL:
                connection = <Connection>self.queues[kind].first
                if connection.deadline_ns > self.now:
                    break
                self._expired(thread, connection, kind)
        return self._expire_queue(thread) if self.queue.count else 0

    cdef int _expire_queue(self, PoolThread thread) except -1:
        cdef Exchange exchange
        while True:
            exchange = self.queue.take_overdue(self.now, self.queue_ns)
            if exchange is None:
                break
            if exchange.connection.state == QUEUED:
                self._turn_away(thread, exchange)
                self._settle(thread, exchange.connection, True)
        return 0

    cdef int _expired(self, PoolThread thread, Connection connection, int kind) except -1:
        disarm(connection, self.queues)
        if connection.state == RUNNING or connection.state == QUEUED:
            return 0        # left over from before the request
        if kind == LARGE_PIECE:
            connection.wake_at(1)
            return self._await_progress(connection, BODY, self.now)
        if (kind == HEAD and connection.received.size) or kind == BODY:
            if kind == BODY:
                (<Exchange>connection.exchange).body.dispose(False)
            connection.exchange = None
            self._refuse(thread, connection, LATE_REQUEST)
            return self._settle(thread, connection, False)
        if kind == SEND:
            if connection.keeps_pace(self.now, self.min_rate, self.queues[SEND].duration_ns):
                arm(connection, SEND, self.queues, self.now)
                return 0
            self._give_up_reader(connection)
        elif kind == HEAD:
            self.incidents.note(SILENT, "%s connected and said nothing: closed", (name_of(connection),))
        return self._drop(connection)

    cdef int _wind_down(self, PoolThread thread) except -1:
        """Draining or stopping: what is left to do before the loop can end."""
        cdef int fd
        if self.draining and not self.drain_seen and not self.stopping:
            if self._state != "draining":
                self._change("draining")
            if self.accepting or self.resume_ns:
                self._empty_queues(thread)
                if thread.lost:
                    return 0
            # Without descriptors what waits in the accept queue is accepted as others go.
            if not self.row.starved or self.connections == 0:
                self.drain_seen = True
                self._close_listeners()
            for fd in range(self.table_size):
                if self.table[fd] != NULL:
                    self._drain_connection(<Connection>self.table[fd])
        if self.stopping or (self.connections == 0 and not self._awaits_calls()):
            self._end()
        return 0

    cdef int _drain_connection(self, Connection connection) except -1:
        """An idle connection is closed; one that has just come, or was just used, has a moment to say what it wants.

        A busy client's next request crosses a close that comes right behind the last response. It may be sent again
        (RFC 9112 section 9.3.1), but not every client does so, and the answer can say `Connection: close` instead.
        """
        if connection.state != READING or connection.received.size or connection.armed == LINGER:
            return 0
        if connection.armed == IDLE and self.now + self.queues[IDLE].duration_ns > connection.deadline_ns + RECENT:
            connection.lingering = True
            self._part_from(connection)
        else:
            arm(connection, LINGER, self.queues, self.now)
        return 0

    cdef int _end(self) except -1:
        cdef int fd
        expect(self.queue.streaming <= self.active + self.uncalled)
        self.finished = True
        self._close_listeners()
        for fd in range(self.table_size):
            if self.table[fd] != NULL and (<Connection>self.table[fd]).state != RUNNING:
                self._drop(<Connection>self.table[fd])
        self._clock()       # the scoreboard's last word
        self.incidents.tell_rest(True)
        if self.recorder is not None:
            self.recorder.flush()
        with nogil:
            baton_stop(self.baton)
        while baton_dismiss(self.baton):
            pass
        self._change("stopped")
        self.stopped.set()
        return 0


cdef str describe_call(PoolThread thread, Exchange exchange, uint64_t now):
    """As the scoreboard says it, which has no room for what many greenlets run."""
    client = f"client {exchange.connection.address}, " if exchange.connection.address else ""
    return (
        f"{describe(exchange)}, {(now - exchange.called_ns) / 1e9:.1f} s "
        f"({client}request {exchange.request_id()}, thread pronghorn-{thread.seat})"
    )


cdef str describe(Exchange exchange):
    """Without the query: it may hold what is nobody else's business."""
    return f"{exchange.method} {exchange.target.partition('?')[0]}"
