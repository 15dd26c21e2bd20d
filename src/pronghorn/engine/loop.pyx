"""The engine of a worker: one event loop that all pool threads take turns to lead.

The leader holds the baton (baton.pxd): it waits for events, reads requests and calls the application itself, on its own thread. If
the call blocks, the watchdog gives the baton to a parked thread, which goes on with what was left of the batch; the old leader
finishes its call, sends its response, gives the connection back and parks.

Ownership: a connection belongs to the loop (whoever leads) or, while its state is RUNNING, to the one thread that runs its request.
Everything here happens under the GIL, which is released around a wait that may block and by the application; a thread that comes
back from the application may have lost the baton, and then touches nothing of the loop's but its own connection and the queues.
"""

import collections
import logging
import threading
import time

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from pronghorn.engine.baton cimport (
    MAX_SEATS,
    WAS_BLOCKED,
    WAS_BUSY,
    WOKEN_TO_LEAD,
    Baton,
    baton_destroy,
    baton_dismiss,
    baton_enter,
    baton_init,
    baton_lead,
    baton_leave,
    baton_park,
    baton_pass,
    baton_stop,
    baton_watch,
)
from pronghorn.engine.connection cimport (
    BODY,
    CLOSED,
    DEADLINES,
    HEAD,
    IDLE,
    LINGER,
    LINGERING,
    NO_DEADLINE,
    QUEUED,
    READING,
    READING_BODY,
    RUNNING,
    SEND,
    SENDING,
    Connection,
    DeadlineQueue,
    arm,
    disarm,
    format_address,
    port_number,
)
from pronghorn.engine.exchange cimport Exchange, Handler, Host, PoolThread, flush_out
from pronghorn.engine.linux cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    accept4,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    eventfd,
    eventfd_read,
    eventfd_write,
)
from pronghorn.engine.posix cimport (
    CLOCK_REALTIME,
    POLLOUT,
    SHUT_WR,
    add_int,
    clock_ns,
    close,
    load_int,
    monotonic_ns,
    poll,
    pollfd,
    recv,
    shutdown,
    sockaddr,
    sockaddr_storage,
)
from pronghorn.engine.recorder cimport Recorder
from pronghorn.engine.routes cimport Routes, computes, is_slow, learn_quick, learn_slow, route_of
from pronghorn.engine.scoreboard cimport Row, Slot
from pronghorn.wire.buffer cimport append, discard_front, release
from pronghorn.wire.faults cimport LATE_REQUEST, NO_STORAGE
from pronghorn.wire.framing cimport PIECE, ChunkLimits, decode_chunked
from pronghorn.wire.http1 cimport DONE, MORE
from pronghorn.wire.response cimport append_text, render_date

from pronghorn.wire import faults

cdef enum:
    BATCH = 64                      # events a turn
    INCOMING = 256 * 1024           # octets read at once; only what arrives is ever touched
    ACCEPTS = 32                    # connections accepted before others get their turn
    LINGER_BYTES = 64 * 1024        # thrown away at most while lingering
    LISTENER = 0xFFFFFFFF           # serials that no connection has
    WAKE = 0xFFFFFFFE
    READY = 2                       # scoreboard.READY

cdef uint64_t MS = 1000000
cdef uint64_t SECOND = 1000000000
cdef uint64_t TICK = 1 * MS                 # the watchdog's
cdef uint64_t PATIENCE = 5 * MS             # the interpreter's switch interval
cdef uint64_t QUICK = 1 * MS                # a call this short need not have lost the baton
cdef uint64_t BALANCE_PAUSE = 3 * MS        # how long a worker leaves a connection to one that has fewer
cdef uint64_t SHORTAGE_PAUSE = 250 * MS     # how long accepting pauses when descriptors or memory run out


cdef class Engine(Host):
    """One worker's server: `start` it after the fork, `drain` or `stop` it, wait for `fileno()` to become readable.

    `handler` answers the requests; `listeners` are bound, listening, non-blocking sockets, which the engine owns from now on;
    `options` is an EngineOptions; `access` a Recorder or None; `slot` this worker's row of the scoreboard or None.
    """

    cdef Handler handler
    cdef object options
    cdef Recorder recorder
    cdef Slot slot
    cdef Row* row
    cdef list listeners
    cdef int* listener_fds
    cdef int listener_count
    cdef str _state
    cdef object stopped             # threading.Event
    # threads
    cdef Baton* baton
    cdef list threads
    cdef int limit                  # threads that may be inside the application
    cdef int active                 # threads that are
    cdef int present                # threads that have not left yet
    cdef Routes routes
    cdef object queue               # complete requests that wait for a thread
    cdef object lane                # and those whose route computes: one of them runs at a time
    cdef uint32_t queue_limit
    cdef uint64_t queue_ns
    # the loop
    cdef int epoll
    cdef int wake_fd
    cdef int state_fd
    cdef epoll_event batch[BATCH]
    cdef int batch_size
    cdef int batch_at
    cdef list returned              # connections given back with bytes that wait to be read as requests
    cdef DeadlineQueue queues[DEADLINES]
    cdef uint64_t now
    cdef bint waiting               # the leader is, or is about to be, inside a wait that may block
    cdef uint64_t wakes_ns          # and this is when it will look at the clock again
    cdef bint stopping
    cdef bint finished
    cdef bint drain_seen
    # connections
    cdef PyObject** table           # by descriptor
    cdef int table_size
    cdef uint32_t serial
    cdef int connections
    cdef int connection_limit
    cdef bint accepting
    cdef bint deferred              # the last connection was left to a worker that has fewer
    cdef uint64_t resume_ns         # when a pause of accepting ends
    cdef uint64_t warned_ns
    # requests
    cdef size_t body_memory
    cdef uint64_t body_limit
    cdef object spool_dir
    cdef ChunkLimits chunk_limits
    cdef uint64_t requests
    cdef uint64_t recycle_after
    cdef readonly bint wants_recycling

    def __cinit__(self):
        self.epoll = self.wake_fd = self.state_fd = -1

    def __init__(self, Handler handler, listeners, options, *, access=None, slot=None, log=None, recycle_after=0):
        self.handler = handler
        self.options = options
        self.recorder = access
        self.access = access
        self.slot = slot
        self.row = self.slot.row if slot is not None else NULL
        self.log = log or logging.getLogger("pronghorn.error")
        self.listeners = list(listeners)
        self._state = "new"
        self.stopped = threading.Event()
        self.threads = []
        self.returned = []
        self.queue = collections.deque()
        self.lane = collections.deque()
        self._take_options(options)
        self.recycle_after = recycle_after
        self.baton = <Baton*>calloc(1, sizeof(Baton))
        self.listener_fds = <int*>calloc(len(self.listeners) + 1, sizeof(int))
        if self.baton == NULL or self.listener_fds == NULL:
            raise MemoryError
        if baton_init(self.baton, self.limit + 1, TICK, PATIENCE) < 0:
            raise OSError(errno, "cannot make the semaphores of the thread pool")
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.state_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.epoll < 0 or self.wake_fd < 0 or self.state_fd < 0:
            raise OSError(errno, "cannot make the descriptors of the event loop")
        self._watch_fd(self.wake_fd, WAKE)
        for listener in self.listeners:
            self.listener_fds[self.listener_count] = listener.fileno()
            self.listener_count += 1

    def _take_options(self, options):
        self.limit = min(options.threads, MAX_SEATS - 1)
        self.queue_limit = options.queue_limit
        self.queue_ns = <uint64_t>(options.queue_timeout * SECOND)
        self.connection_limit = options.worker_connections
        self.body_memory = options.body_memory
        self.body_limit = options.limit_request_body
        self.spool_dir = options.spool_dir
        self.high_water = options.send_buffer
        self.chunk_limits.body = options.limit_request_body
        self.chunk_limits.field_line = options.limit_request_field_size
        self.chunk_limits.fields = options.limit_request_fields
        self.chunk_limits.section = options.limit_request_head
        self.persistent = options.keepalive > 0
        for kind, seconds in (
            (IDLE, options.keepalive),
            (HEAD, options.header_timeout),
            (BODY, options.body_timeout),
            (SEND, options.send_timeout),
            (LINGER, options.linger_timeout),
        ):
            self.queues[<int>kind].duration_ns = <uint64_t>(seconds * SECOND)

    def __dealloc__(self):
        if self.baton != NULL:
            baton_stop(self.baton)
            baton_destroy(self.baton, self.limit + 1)
            free(self.baton)
        for fd in (self.epoll, self.wake_fd, self.state_fd):
            if fd >= 0:
                close(fd)
        free(self.table)
        free(self.listener_fds)

    def __repr__(self):
        return (
            f"<Engine {self._state}: {self.connections} connections, {self.active} of {self.limit} threads in the application, "
            f"{len(self.queue) + len(self.lane)} requests queued, {self.requests} answered>"
        )

    # What the worker's main thread calls

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
        return self.baton.handovers

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

    def start(self):
        """Starts the loop on threads of its own. Raises OSError when the system refuses a thread."""
        render_date(<long>time.time())
        self.now = monotonic_ns()
        self._set_accepting(True)
        if baton_watch(self.baton) < 0:
            raise OSError(errno, "cannot start the watchdog thread")
        self._change("running")
        self._start_thread()

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

    cdef void _wake(self) noexcept:
        eventfd_write(self.wake_fd, 1)

    # Threads

    def _start_thread(self):
        cdef PoolThread thread = PoolThread(len(self.threads), INCOMING)
        thread.thread = threading.Thread(
            target=self._thread_main, args=(thread,), name=f"pronghorn-{thread.seat}", daemon=True
        )
        self.threads.append(thread)
        self.present += 1
        thread.thread.start()

    def _thread_main(self, PoolThread thread):
        """A pool thread's life: lead when woken, park, leave when there is nothing to lead any more."""
        cdef int reason = WOKEN_TO_LEAD
        thread.ident = threading.get_ident()
        if thread.seat == 0:
            baton_lead(self.baton, 0)
        else:
            with nogil:
                reason = baton_park(self.baton, thread.seat)
        while reason == WOKEN_TO_LEAD:
            thread.lost = False
            while not thread.lost and not self.finished:
                try:
                    self._lead(thread)
                except BaseException:
                    # The loop's own fault. The batch is behind it already, so going on does not repeat what failed.
                    self.log.critical("The event loop failed; it goes on with the next event", exc_info=True)
                    thread.connection = None
                    thread.out.size = 0
            if self.finished:
                break
            with nogil:
                reason = baton_park(self.baton, thread.seat)
        self.present -= 1

    cdef int _take_over(self, PoolThread thread) except -1:
        """The first thing a new leader does."""
        cdef int before = self.baton.predecessor
        cdef PoolThread old
        if self.baton.handovers == 0 or before == thread.seat:
            return 0
        # A call that computes but left us the GIL sooner than its next switch does not hold it: it is as good as blocked.
        if self.baton.seats[before].verdict == WAS_BUSY and monotonic_ns() - self.baton.taken_ns < PATIENCE // 2:
            self.baton.seats[before].verdict = WAS_BLOCKED
            add_int(&self.baton.computing, -1)
        # Responses that the old leader was saving up for one send must not wait for the call it is in now.
        old = <PoolThread>self.threads[before]
        if old.connection is not None:
            flush_out(old, old.connection)
        return 0

    cdef int _lead(self, PoolThread thread) except -1:
        cdef epoll_event* event
        self._take_over(thread)
        while not self.finished:
            while self.batch_at < self.batch_size:
                event = &self.batch[self.batch_at]
                self.batch_at += 1
                self._dispatch(thread, event.data.u64, event.events)
                if thread.lost:
                    return 0
            while self.returned:
                self._resume(thread, <Connection>self.returned.pop())
                if thread.lost:
                    return 0
            if (self.queue or self.lane) and self._run_queued(thread):
                if thread.lost:
                    return 0
                continue
            self._turn(thread)
        return 0

    cdef int _turn(self, PoolThread thread) except -1:
        """What is due by the clock, and the next batch of events."""
        cdef int count, timeout
        self._clock()
        self._expire(thread)
        if self.stopping or self.draining:
            self._wind_down(thread)
            if self.finished:
                return 0
        if not self.accepting and self.resume_ns and self.now >= self.resume_ns and not self.draining:
            self._set_accepting(True)
        self.batch_at = self.batch_size = 0
        # First without waiting and with the GIL: releasing it around a call that returns at once costs more than the call.
        count = epoll_wait(self.epoll, self.batch, BATCH, 0)
        if count == 0 and not self.returned:
            if self.recorder is not None:
                self.recorder.flush()
            timeout = self._wait_ms()
            self.waiting = True
            with nogil:
                count = epoll_wait(self.epoll, self.batch, BATCH, timeout)
            self.waiting = False
            self._clock()
        self.batch_size = count if count > 0 else 0
        return 0

    cdef int _clock(self) except -1:
        self.now = monotonic_ns()
        render_date(<long>(clock_ns(CLOCK_REALTIME) // SECOND))
        if self.row != NULL:
            self.row.heartbeat_ns = self.now
            self.row.requests = self.requests
            self.row.handovers = self.baton.handovers
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
        if self.queue:
            wakes = min(wakes, (<Exchange>self.queue[0]).queued_ns + self.queue_ns)
        self.wakes_ns = wakes
        return <int>((wakes - self.now + MS - 1) // MS) if wakes > self.now else 0

    # Events

    cdef int _dispatch(self, PoolThread thread, uint64_t data, uint32_t events) except -1:
        cdef int fd = <int>(data & 0xFFFFFFFF)
        cdef uint32_t serial = <uint32_t>(data >> 32)
        cdef uint64_t value
        cdef Connection connection
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
        if connection.state == RUNNING or connection.state == QUEUED:
            # Not the loop's to touch now: disarm, so that a level-triggered event does not turn the loop; it comes back with it.
            self._set_interest(connection, 0)
        elif connection.state == SENDING:
            if events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                self._send_more(thread, connection)
        else:
            self._read(thread, connection)
        return 0

    cdef int _read(self, PoolThread thread, Connection connection) except -1:
        cdef ssize_t size = recv(connection.fd, thread.incoming, INCOMING, 0)
        if size < 0:
            if errno != EAGAIN and errno != EINTR:
                self._drop(connection)
            return 0
        if size == 0 or connection.state == LINGERING:
            connection.lingered += <uint64_t>size
            if size == 0 or connection.lingered > LINGER_BYTES:
                self._drop(connection)
            return 0
        if connection.received.size == 0:
            return self._feed(thread, connection, thread.incoming, <uint32_t>size)
        if append(&connection.received, thread.incoming, <size_t>size) < 0:
            raise MemoryError
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef int _resume(self, PoolThread thread, Connection connection) except -1:
        """Goes on with what a connection has received already."""
        if connection.state != READING:
            return 0
        return self._feed(thread, connection, <uint8_t*>connection.received.data, <uint32_t>connection.received.size)

    cdef int _send_more(self, PoolThread thread, Connection connection) except -1:
        cdef int result = connection.drain()
        if result < 0:
            self._drop(connection)
        elif result > 0:
            arm(connection, SEND, self.queues, self.now)
        else:
            connection.state = READING
            self._settle(thread, connection, True)
        return 0

    # Requests

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
                if result == MORE:
                    break
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
                if connection.state != READING_BODY and exchange.expects_continue and at == size and exchange.body.size == 0:
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
                    result = decode_chunked(&exchange.chunked, &self.chunk_limits, data + at, size - at, &step, &piece, &length)
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
        used[0] = at
        return result

    cdef int _serve(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """Runs a complete request on this thread, or queues it when every thread is taken."""
        cdef Routes* routes = &self.routes
        connection.exchange = exchange
        exchange.route = -1
        if self.active >= self.limit or self.queue:
            return self._enqueue(thread, exchange, self.queue)
        if routes.scored:
            exchange.route = route_of(<str>exchange.environ["REQUEST_METHOD"], <str>exchange.environ["PATH_INFO"])
            if is_slow(routes, exchange.route) and not self._part(thread, exchange.route):
                return self._enqueue(thread, exchange, self.lane)
        return self._call(thread, connection, exchange)

    cdef bint _part(self, PoolThread thread, int route) except -1:
        """Passes the baton before a call that is known to be slow. False: it computes, and another such call is running."""
        cdef bint computing = computes(&self.routes, route)
        if computing and load_int(&self.baton.computing) > 0:
            return False
        self._spare()
        if not thread.lost and baton_pass(self.baton, 0):
            thread.lost = True
        if thread.lost and computing:
            self.baton.seats[thread.seat].verdict = WAS_BUSY
            add_int(&self.baton.computing, 1)
        return True

    cdef int _spare(self) except -1:
        """A call that blocks needs somebody to give the baton to."""
        if len(self.threads) < self.active + 2 and len(self.threads) <= self.limit and not self.finished:
            self._start_thread()
        return 0

    cdef int _call(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """Runs one request, as the leader (inline) or as a thread that has lost the baton."""
        cdef Baton* baton = self.baton
        cdef bint parted = thread.lost
        connection.state = RUNNING
        connection.exchange = exchange
        exchange.thread = thread
        thread.connection = connection
        self.active += 1
        if self.active >= len(self.threads):
            self._spare()
        exchange.called_ns = monotonic_ns() if parted or self.routes.scored else self.now
        try:
            if not parted:
                thread.ticket = baton_enter(baton)
            self.handler.run(exchange)
        except BaseException:
            # The handler answers for the application's faults; this is one of ours, or no memory even for a 500.
            self.log.critical("A request could not be answered: %r", exchange, exc_info=True)
            connection.broken = True
        finally:
            if not thread.lost and not baton_leave(baton, thread.ticket):
                thread.lost = True
            thread.ticket = 0
            self.active -= 1
            if thread.lost or self.routes.scored:
                self._learn(thread, exchange, parted)
        self._finish(connection, exchange)
        return 0

    cdef int _learn(self, PoolThread thread, Exchange exchange, bint parted) except -1:
        """What this call says about its route."""
        cdef int verdict = 0
        if thread.lost:
            verdict = self.baton.seats[thread.seat].verdict
            self.baton.seats[thread.seat].verdict = 0
            if verdict == WAS_BUSY:
                add_int(&self.baton.computing, -1)
        if exchange.route < 0:
            exchange.route = route_of(<str>exchange.environ["REQUEST_METHOD"], <str>exchange.environ["PATH_INFO"])
        if thread.lost and not parted and verdict:
            learn_slow(&self.routes, exchange.route, verdict == WAS_BUSY)
        elif monotonic_ns() - exchange.called_ns < QUICK:
            learn_quick(&self.routes, exchange.route)
        return 0

    cdef int _finish(self, Connection connection, Exchange exchange) except -1:
        """The response is said, if not yet sent."""
        connection.exchange = None
        connection.state = READING
        connection.served += 1
        if connection.armed == HEAD:    # the next head has a deadline of its own
            disarm(connection, self.queues)
        self.requests += 1
        if self.recorder is not None:
            self._record(connection, exchange)
        if exchange.body is not None:
            exchange.body.dispose()
        if not exchange.keep_alive:
            connection.closing = True
            # When closing was our idea the peer may be sending already: a plain close would answer that with a reset, and the reset
            # would take the response with it (RFC 9112 section 9.6).
            connection.lingering = connection.lingering or not exchange.peer_closes
        if self.recycle_after and self.requests >= self.recycle_after and not self.wants_recycling:
            self.wants_recycling = True
            eventfd_write(self.state_fd, 1)
        return 0

    cdef int _record(self, Connection connection, Exchange exchange) except -1:
        cdef uint64_t now = monotonic_ns()
        self.recorder.record(
            connection.address, exchange.environ, exchange.status, exchange.headers, exchange.sent,
            exchange.began, now - exchange.began_ns,
        )
        return 0

    cdef int _enqueue(self, PoolThread thread, Exchange exchange, object queue) except -1:
        if <uint32_t>len(self.queue) + <uint32_t>len(self.lane) >= self.queue_limit:
            return self._turn_away(thread, exchange)
        exchange.queued_ns = self.now
        exchange.connection.state = QUEUED
        queue.append(exchange)
        return 0

    cdef int _turn_away(self, PoolThread thread, Exchange exchange) except -1:
        """503: there is no thread for this request and no room to wait, or it has waited long enough."""
        exchange.thread = thread
        thread.connection = exchange.connection
        exchange.answer("503 Service Unavailable", "The server is busy. Try again shortly.", [("Retry-After", "1")])
        return self._finish(exchange.connection, exchange)

    cdef Exchange _next_queued(self):
        """A request that may run now, or None."""
        if self.active >= self.limit:
            return None
        if self.queue:
            return <Exchange>self.queue.popleft()
        if self.lane and load_int(&self.baton.computing) <= 0:
            return <Exchange>self.lane.popleft()
        return None

    cdef bint _run_queued(self, PoolThread thread) except -1:
        """The leader takes a queued request. False when none may run now."""
        cdef Exchange exchange = self._next_queued()
        if exchange is None:
            return False
        self._run_taken(thread, exchange)
        if thread.lost:
            self._work_on(thread)
        return True

    cdef int _run_taken(self, PoolThread thread, Exchange exchange) except -1:
        cdef Connection connection = exchange.connection
        if connection.state != QUEUED:
            return 0
        if self.routes.scored:
            exchange.route = route_of(<str>exchange.environ["REQUEST_METHOD"], <str>exchange.environ["PATH_INFO"])
            if is_slow(&self.routes, exchange.route) and not self._part(thread, exchange.route):
                self.lane.append(exchange)
                return 0
        self._call(thread, connection, exchange)
        return self._settle(thread, connection, True)

    cdef int _work_on(self, PoolThread thread) except -1:
        """A thread that has lost the baton takes queued requests before it parks."""
        cdef Exchange exchange
        while not self.finished:
            exchange = self._next_queued()
            if exchange is None:
                return 0
            self._run_taken(thread, exchange)
        return 0

    cdef int _refuse(self, PoolThread thread, Connection connection, int fault) except -1:
        """Answers a fault of the peer with its status, and closes without ever looking at another byte as a request."""
        cdef Exchange exchange = Exchange.__new__(Exchange)
        what = faults.FAULTS[fault]
        exchange.connection = connection
        exchange.host = self
        exchange.thread = thread
        exchange.environ = {}
        thread.connection = connection
        self.log.debug("Refused a request of %s: %d, %s", connection.address or "a unix socket", what.status, what.detail)
        exchange.answer(f"{what.status} {what.reason}", what.detail, [])
        connection.closing = True
        connection.lingering = True
        connection.state = READING
        release(&connection.received)
        if self.recorder is not None:
            self.recorder.record(
                connection.address, None, exchange.status, exchange.headers, exchange.sent, clock_ns(CLOCK_REALTIME) / 1e9, 0
            )
        return 0

    # Connections

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

    cdef int _settle(self, PoolThread thread, Connection connection, bint resume) except -1:
        """Sends what is ready and decides what the connection waits for now. `resume`: bytes received may hold whole requests."""
        cdef uint64_t now = self.now
        flush_out(thread, connection)
        thread.connection = None
        if thread.lost:
            now = monotonic_ns()
        if connection.broken or self.finished:
            self._drop(connection)
            return 0
        if connection.state == QUEUED:
            return 0
        if connection.outbox is not None:
            if connection.state == READING:
                connection.state = SENDING
                self._set_interest(connection, EPOLLOUT)
                arm(connection, SEND, self.queues, now)
        elif connection.closing:
            self._part_from(connection)
            return 0
        elif connection.state == READING_BODY:
            self._set_interest(connection, EPOLLIN)
            arm(connection, BODY, self.queues, now)
        else:
            self._set_interest(connection, EPOLLIN)
            if connection.received.size == 0:
                arm(connection, IDLE, self.queues, now)
                if self.draining and connection.served:
                    connection.lingering = True
                    self._part_from(connection)
                    return 0
            else:
                if connection.armed != HEAD:
                    arm(connection, HEAD, self.queues, now)
                if resume:
                    self.returned.append(connection)
        if thread.lost and self.waiting and (connection.deadline_ns < self.wakes_ns or (resume and connection.received.size)):
            self._wake()
        return 0

    cdef int _part_from(self, Connection connection) except -1:
        """Everything is sent: closes, after the peer's end where it may still be sending (RFC 9112 section 9.6)."""
        if not connection.lingering:
            self._drop(connection)
            return 0
        shutdown(connection.fd, SHUT_WR)
        release(&connection.received)
        connection.state = LINGERING
        self._set_interest(connection, EPOLLIN)
        arm(connection, LINGER, self.queues, self.now)
        return 0

    cdef int _drop(self, Connection connection) except -1:
        """Closes and forgets a connection."""
        if connection.state == CLOSED:
            return 0
        disarm(connection, self.queues)
        if connection.exchange is not None and (<Exchange>connection.exchange).body is not None:
            (<Exchange>connection.exchange).body.dispose()
        connection.state = CLOSED
        connection.exchange = None
        connection.forget_outbox()
        release(&connection.received)
        self.table[connection.fd] = NULL
        close(connection.fd)
        self.connections -= 1
        if self.row != NULL:
            self.row.connections = self.connections
        Py_DECREF(connection)
        if not self.accepting and not self.draining and self.resume_ns == 0:
            self._set_accepting(True)       # it was at its limit
        return 0

    cdef int _watch_fd(self, int fd, uint32_t serial) except -1:
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = <uint64_t>serial << 32 | <uint32_t>fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) < 0:
            raise OSError(errno, "cannot watch a descriptor")
        return 0

    cdef int _set_interest(self, Connection connection, uint32_t events) except -1:
        cdef epoll_event event
        cdef int operation
        if connection.interest == events:
            return 0
        # Errors and hang-ups are reported whatever one asks for: only removing the descriptor silences them.
        operation = EPOLL_CTL_DEL if events == 0 else EPOLL_CTL_ADD if connection.interest == 0 else EPOLL_CTL_MOD
        event.events = events
        event.data.u64 = <uint64_t>connection.serial << 32 | <uint32_t>connection.fd
        if epoll_ctl(self.epoll, operation, connection.fd, &event) < 0:
            raise OSError(errno, "cannot watch a connection")
        connection.interest = events
        return 0

    cdef int wait_for_peer(self, PoolThread thread, Connection connection) except -1:
        cdef pollfd wanted
        cdef int found, timeout = <int>(self.queues[SEND].duration_ns // MS)
        if not thread.lost and baton_pass(self.baton, thread.ticket):
            thread.lost = True
        wanted.fd = connection.fd
        wanted.events = POLLOUT
        while connection.outbox_size > self.high_water // 2 and not connection.broken and not self.finished:
            with nogil:
                found = poll(&wanted, 1, timeout)
            if found == 0:
                connection.broken = True
                connection.forget_outbox()
            elif found > 0 and not connection.broken:
                connection.drain()
        return 0

    # Deadlines

    cdef int _expire(self, PoolThread thread) except -1:
        cdef int kind
        cdef Connection connection
        cdef Exchange exchange
        for kind in range(1, DEADLINES):
            while self.queues[kind].first != NULL:
                connection = <Connection>self.queues[kind].first
                if connection.deadline_ns > self.now:
                    break
                self._expired(thread, connection, kind)
        while self.queue:
            exchange = <Exchange>self.queue[0]
            if exchange.queued_ns + self.queue_ns > self.now:
                break
            self.queue.popleft()
            if exchange.connection.state == QUEUED:
                self._turn_away(thread, exchange)
                self._settle(thread, exchange.connection, True)
        return 0

    cdef int _expired(self, PoolThread thread, Connection connection, int kind) except -1:
        disarm(connection, self.queues)
        if connection.state == RUNNING or connection.state == QUEUED:
            return 0        # left over from before the request
        if (kind == HEAD and connection.received.size) or kind == BODY:
            if kind == BODY:
                (<Exchange>connection.exchange).body.dispose()
            connection.exchange = None
            self._refuse(thread, connection, LATE_REQUEST)
            return self._settle(thread, connection, False)
        if kind == SEND:
            self.log.debug("%s took nothing of a response for too long: closed", connection.address)
        return self._drop(connection)

    # Accepting

    cdef int _set_accepting(self, bint on) except -1:
        cdef int i
        cdef epoll_event event
        if self.accepting == on:
            return 0
        for i in range(self.listener_count):
            if on:
                self._watch_fd(self.listener_fds[i], LISTENER)
            else:
                epoll_ctl(self.epoll, EPOLL_CTL_DEL, self.listener_fds[i], &event)
        self.accepting = on
        self.resume_ns = 0
        return 0

    cdef int _pause_accepting(self, uint64_t duration_ns) except -1:
        self._set_accepting(False)
        self.resume_ns = self.now + duration_ns if duration_ns else 0
        return 0

    cdef bint _has_most(self) noexcept:
        """Another ready worker has clearly fewer connections than this one."""
        cdef Row* rows
        cdef int i, least = -1
        if self.row == NULL:
            return False
        rows = self.slot.board.rows
        for i in range(self.slot.board.size):
            if rows[i].state == READY and &rows[i] != self.row and (least < 0 or rows[i].connections < least):
                least = rows[i].connections
        return least >= 0 and self.connections > least + 1 + least // 8

    cdef int _accept(self, PoolThread thread, int listener) except -1:
        """Accepts what waits at a listener, as far as this worker's share goes.

        The listeners are shared, so every worker hears of a new connection. One that has clearly more than another ready worker
        leaves it to that one for a moment, and takes it only if nobody did: kept-alive connections spread evenly, and a worker that
        is stuck delays a connection by that moment at most.
        """
        cdef sockaddr_storage address
        cdef unsigned int length
        cdef int fd, turn
        for turn in range(ACCEPTS):
            if self.connections >= self.connection_limit and self._idlest() is None:
                return self._pause_accepting(0)
            if self._has_most() and not self.deferred and not self.draining:
                self.deferred = True
                return self._pause_accepting(BALANCE_PAUSE)
            self.deferred = False
            length = sizeof(address)
            fd = accept4(listener, <sockaddr*>&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                if self.connections >= self.connection_limit:
                    self._drop(self._idlest())
                self._welcome(thread, fd, &address, listener)
                if thread.lost:
                    return 0
            elif errno == EAGAIN:
                return 0
            elif errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                return self._accept_failed(errno)
            # Anything else (ECONNABORTED, EPROTO, EINTR, a network error of the peer's) concerns that connection alone: accept(2).
        return 0

    cdef int _accept_failed(self, int error) except -1:
        if self.now - self.warned_ns > 10 * SECOND or self.warned_ns == 0:
            self.warned_ns = self.now
            self.log.error("Cannot accept connections: %s. They wait in the listen queue", OSError(error, "accept"))
        return self._pause_accepting(SHORTAGE_PAUSE)

    cdef Connection _idlest(self):
        """The connection that has been idle for longest: it makes room for a new one. None when none is idle."""
        cdef Connection idlest
        while self.queues[IDLE].first != NULL:
            idlest = <Connection>self.queues[IDLE].first
            if idlest.state == READING:
                return idlest
            disarm(idlest, self.queues)
        return None

    cdef int _welcome(self, PoolThread thread, int fd, sockaddr_storage* address, int listener) except -1:
        """A new connection. Its request is usually there already: reading at once saves a turn, and for a short one two calls."""
        cdef Connection connection = Connection.__new__(Connection)
        cdef ssize_t size
        self._place(fd, connection)
        connection.fd = fd
        self.serial = (self.serial + 1) & 0x7FFFFFFF
        connection.serial = self.serial
        connection.listener = listener
        connection.address = format_address(address)
        connection.port = str(port_number(address)) if connection.address else ""
        self.connections += 1
        if self.row != NULL:
            self.row.connections = self.connections
        self.handler.welcome(connection)
        arm(connection, HEAD, self.queues, self.now)
        size = recv(fd, thread.incoming, INCOMING, 0)
        if size > 0:
            return self._feed(thread, connection, thread.incoming, <uint32_t>size)
        if size < 0 and errno == EAGAIN:
            return self._set_interest(connection, EPOLLIN)
        return self._drop(connection)

    cdef int _place(self, int fd, Connection connection) except -1:
        cdef int size = self.table_size
        cdef PyObject** table
        if fd >= size:
            size = max(2 * size, fd + 1, 64)
            table = <PyObject**>realloc(self.table, <size_t>size * sizeof(PyObject*))
            if table == NULL:
                close(fd)
                raise MemoryError
            memset(table + self.table_size, 0, <size_t>(size - self.table_size) * sizeof(PyObject*))
            self.table = table
            self.table_size = size
        Py_INCREF(connection)
        self.table[fd] = <PyObject*>connection
        return 0

    # The end

    cdef int _wind_down(self, PoolThread thread) except -1:
        """Draining or stopping: what is left to do before the loop can end."""
        cdef int fd
        cdef Connection connection
        if self.draining and not self.drain_seen and not self.stopping:
            self.drain_seen = True
            self._change("draining")
            if self.accepting or self.resume_ns:
                for fd in range(self.listener_count):
                    self._accept(thread, self.listener_fds[fd])
                    if thread.lost:
                        self.drain_seen = False
                        return 0
            self._close_listeners()
            for fd in range(self.table_size):
                if self.table[fd] != NULL:
                    self._drain_connection(<Connection>self.table[fd])
        if self.stopping or (self.connections == 0 and self.active == 0):
            self._end()
        return 0

    cdef int _drain_connection(self, Connection connection) except -1:
        """An idle connection is closed; one that has just come has a moment to say what it wants."""
        if connection.state != READING or connection.received.size:
            return 0
        if connection.served:
            connection.lingering = True     # its next request may be on the way: not a reset, please
            self._part_from(connection)
        else:
            arm(connection, LINGER, self.queues, self.now)
        return 0

    def _close_listeners(self):
        self._set_accepting(False)
        self.resume_ns = 0
        self.listener_count = 0
        for listener in self.listeners:
            listener.close()
        self.listeners = []

    cdef int _end(self) except -1:
        cdef int fd
        self.finished = True
        self._close_listeners()
        for fd in range(self.table_size):
            if self.table[fd] != NULL and (<Connection>self.table[fd]).state != RUNNING:
                self._drop(<Connection>self.table[fd])
        if self.recorder is not None:
            self.recorder.flush()
        while baton_dismiss(self.baton):
            pass
        with nogil:
            baton_stop(self.baton)
        self._change("stopped")
        self.stopped.set()
        return 0
