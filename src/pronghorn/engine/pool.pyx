"""The threads of a worker: who calls the application, the calls that are given away, and the requests that wait."""

import collections
import threading
import time

from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from pronghorn.debug cimport DEBUG, REQUESTS, Witness, expect, hand_over_point
from pronghorn.engine.baton cimport (
    MAX_SEATS,
    WAS_BLOCKED,
    WAS_BUSY,
    WOKEN_TO_LEAD,
    WOKEN_TO_LEAVE,
    WOKEN_TO_WORK,
    Baton,
    baton_destroy,
    baton_enter,
    baton_init,
    baton_lead,
    baton_leave,
    baton_park,
    baton_stop,
    baton_summon,
    baton_watch,
)
from pronghorn.engine.connection cimport (
    HEAD,
    QUEUED,
    READING,
    READING_BODY,
    RUNNING,
    SENDING,
    Connection,
    disarm,
)
from pronghorn.engine.exchange cimport (
    Exchange,
    PoolThread,
    discharge,
    enlist,
    flush_beside,
    flush_out,
    may_be_shared,
    stop_if_forked,
)
from pronghorn.engine.incidents cimport (
    LATE_BODY,
    LATE_HEAD,
    REFUSED,
    TURNED_AWAY,
)
from pronghorn.engine.linux cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd, eventfd_write
from pronghorn.engine.posix cimport (
    CLOCK_REALTIME,
    add_int,
    clock_ns,
    close,
    load_int,
    load_u64,
    monotonic_ns,
)
from pronghorn.engine.routes cimport BLOCKS, COMPUTES, STREAMS, UNKNOWN, habit_of, learn, route_of, stream_of, unlearn
from pronghorn.engine.scoreboard cimport end_call, publish_call
from pronghorn.engine.sockets cimport INCOMING_BODY, MILLISECOND, SECOND, name_of
from pronghorn.engine.queue cimport Queue
from pronghorn.wire.buffer cimport release
from pronghorn.wire.faults cimport LATE_REQUEST, NO_MEMORY, NO_STORAGE

from pronghorn.wire import faults

cdef enum:
    TICK = 1 * MILLISECOND          # the watchdog's
    PATIENCE = 5 * MILLISECOND      # the interpreter's switch interval
    PROMPT = 800 * 1000             # the GIL came sooner than any switch interval: its holder did not hold it
    QUICK = 1 * MILLISECOND         # a call this short need not have lost the baton
    LONG = 2 * MILLISECOND          # a call this long makes its neighbours wait


cdef class Pool(Sockets):
    def __cinit__(self, *args, **kwargs):
        self.state_fd = self.needed_fd = -1

    def __init__(self, listeners, slot, options, access, recycle_after):
        Sockets.__init__(self, listeners, slot, options)
        self.threads = []
        self.queue = Queue()
        self.calls = collections.deque()
        self.limit = self.allowed = min(options.threads, MAX_SEATS - 1)
        self.queue_limit = options.queue_limit
        self.queue_ns = <uint64_t>(options.queue_timeout * SECOND)
        self.timeout_ns = <uint64_t>(options.timeout * SECOND)
        self.recorder = access
        self.access = access
        self.recycle_after = recycle_after
        self.baton = <Baton*>calloc(1, sizeof(Baton))
        if self.baton == NULL:
            raise MemoryError
        self.state_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.needed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if min(self.state_fd, self.needed_fd, baton_init(self.baton, self.limit + 1, TICK, PATIENCE)) < 0:
            raise OSError(errno, "cannot make the semaphores of the thread pool")

    def __dealloc__(self):
        if self.baton != NULL:
            baton_stop(self.baton)
            baton_destroy(self.baton)
            free(self.baton)
        if self.state_fd >= 0:
            close(self.state_fd)
        if self.needed_fd >= 0:
            close(self.needed_fd)

    cdef int _lead(self, PoolThread thread) except -1:
        raise NotImplementedError

    cdef int _settle(self, PoolThread thread, Connection connection, bint resume) except -1:
        raise NotImplementedError

    cdef int _flush_held(self) except -1:
        raise NotImplementedError

    cdef int _start_leader(self) except -1:
        """Starts whoever leads the loop first, and who watches it. Errors as with `_start_thread`."""
        if baton_watch(self.baton) < 0:
            raise RuntimeError("no thread for the watchdog")
        return self._start_thread()

    cdef int _start_thread(self) except -1:
        """One more thread for the pool. Raises RuntimeError or MemoryError when the system refuses it."""
        cdef PoolThread thread = PoolThread(len(self.threads), INCOMING_BODY)
        thread.call = &self.slot.calls[thread.seat]
        thread.thread = threading.Thread(
            target=self._thread_main, args=(thread,), name=f"pronghorn-{thread.seat}", daemon=True
        )
        self.threads.append(thread)
        try:
            thread.thread.start()
        except RuntimeError:
            self.threads.pop()
            raise
        self.row.threads = <uint32_t>len(self.threads)
        self.allowed = self.limit
        return 0

    def _thread_main(self, PoolThread thread):
        """A pool thread's life: lead when woken, park, leave when there is nothing to lead any more."""
        cdef int reason = WOKEN_TO_LEAD
        enlist(thread)
        if thread.seat == 0:
            baton_lead(self.baton, 0)
        else:
            with nogil:
                reason = baton_park(self.baton, thread.seat)
        while reason != WOKEN_TO_LEAVE:
            thread.lost = reason == WOKEN_TO_WORK
            try:
                if thread.lost:
                    add_int(&self.summoned, -1)
                    self._work_on(thread)
            except BaseException:
                self._recover(thread)
            while not thread.lost and not self.finished:
                try:
                    self._lead(thread)
                except BaseException:
                    self._recover(thread)
            if self.finished:
                break
            with nogil:
                reason = baton_park(self.baton, thread.seat)
        discharge(thread)

    cdef int _recover(self, PoolThread thread) except -1:
        """The loop's own fault, or no memory for what it was about to do: called while the exception is handled.

        The batch is behind it already, and the connection at which it failed is closed, so that going on does not
        repeat what failed. Where it fails all the time the pause keeps it from spinning.
        """
        cdef Connection connection = thread.connection
        cdef uint64_t now = monotonic_ns()
        self.summon()       # what was given away need not wait for what follows
        thread.connection = None
        thread.out.size = 0
        self.log.critical("The event loop failed; it goes on with the next event", exc_info=True)
        if connection is not None and connection.state != RUNNING and connection.state != QUEUED:
            self._drop(connection)
        if now - self.failed_ns < SECOND:
            time.sleep(0.1)
        self.failed_ns = now
        return 0

    cdef int _take_over(self, PoolThread thread) except -1:
        """The first thing a new leader does."""
        cdef int before = self.baton.predecessor
        cdef PoolThread old
        if self.baton.handovers == 0 or before == thread.seat:
            return 0
        # A call that computes but left us the GIL sooner than its next switch does not hold it: it is as good as
        # blocked.
        if self.baton.seats[before].verdict == WAS_BUSY and monotonic_ns() - self.baton.taken_ns < PROMPT:
            self.baton.seats[before].verdict = WAS_BLOCKED
            add_int(&self.baton.computing, -1)
        # Responses that the old leader was saving up for one send must not wait for the call it is in now.
        old = <PoolThread>self.threads[before]
        if old.connection is not None:
            flush_beside(self, old, old.connection)
        self._flush_held()
        return self._send_for_threads()

    cdef bint leads(self, PoolThread thread) noexcept:
        # `lost` is what a thread finds out when its call is over.
        return not thread.lost and load_u64(&self.baton.word) == thread.ticket

    cdef int _serve(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """A complete request."""
        connection.exchange = exchange
        exchange.route = -1
        if self.ready_path is not None and self.slot.board.board.unready and exchange.path == self.ready_path:
            return self._say_unready(thread, exchange)
        return self._begin(thread, connection, exchange)

    cdef int _begin(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """Runs a request on this thread now, gives it to another one, or lets it wait (queue.pxd)."""
        cdef int habit = UNKNOWN
        if self.routes.scored:
            exchange.route = route_of(exchange.method, exchange.path)
            habit = habit_of(&self.routes, exchange.route, exchange.method, exchange.path)
            if habit == COMPUTES:
                return self._enqueue(thread, exchange, habit)
        if habit == UNKNOWN:
            self._send_for_threads()
        self._spare()
        if (
            self.active + self.uncalled >= self.allowed
            or (self.queue.count and self.queue.others)
            or (habit == STREAMS and (self.queue.streams or not self.queue.may_stream(self.allowed)))
        ):
            return self._enqueue(thread, exchange, habit)
        exchange.habit = habit
        if habit == STREAMS:
            self.queue.stream_ran = True
        if habit != UNKNOWN and self._give_away(exchange):
            return 0
        return self._call(thread, connection, exchange)

    cdef bint _give_away(self, Exchange exchange) except -1:
        """Leaves a call that is known to last to another thread. False: there is none.

        The leader stays what it is and goes on with its batch. It wakes the others when it is about to let go of the
        GIL (`summon`): one that is woken before runs into the GIL, and goes to sleep once more.
        """
        if <int>len(self.threads) < self.active + self.uncalled + 2:
            self.summon()
            return False
        if exchange.queued_ns == 0:
            exchange.queued_ns = self.now
        self.calls.append(exchange)
        exchange.connection.state = QUEUED
        add_int(&self.uncalled, 1)
        if exchange.habit == STREAMS:
            self.queue.begin_stream(exchange)
        return True

    cdef int _send_for_threads(self) except -1:
        """Before the leader does something that may last. Others may run meanwhile."""
        if self.uncalled and load_int(&self.summoned) == 0:
            self._flush_held()          # the first one may have the GIL for a while
            with nogil:
                self.summon()
        return 0

    cdef void summon(self) noexcept nogil:
        # One: whoever takes a call wakes the next, so that not all of them come at once and wait for the GIL.
        if load_int(&self.uncalled) > 0 and load_int(&self.summoned) == 0:
            add_int(&self.summoned, 1)
            baton_summon(self.baton)

    cdef int _spare(self) except -1:
        """A call that blocks needs somebody to give the baton to: one thread more than there will be calls."""
        cdef int count = <int>len(self.threads)
        if count >= self.active + self.uncalled + 2 or count > self.limit or self.finished:
            return 0
        if self.now < self.spare_again_ns:
            return 0
        try:
            self._start_thread()
        except (MemoryError, RuntimeError) as error:
            # At a limit of the system (pids or memory of a container). With fewer threads the server is slower, not
            # broken: somebody must be left to lead.
            self.spare_again_ns = self.now + SECOND
            self.allowed = max(1, <int>len(self.threads) - 1)
            self.log.error(
                "Cannot start a thread beside the %d that run (%s); trying again later",
                len(self.threads), error or "no memory",
            )
        return 0

    cdef int _call(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """Runs one request, as the leader (inline) or as a thread that has lost the baton."""
        cdef Baton* baton = self.baton
        cdef bint parted = thread.lost
        expect(connection.state == READING or connection.state == QUEUED)     # it has one owner
        connection.state = RUNNING
        connection.exchange = exchange
        exchange.thread = thread
        thread.connection = connection
        thread.exchange = exchange
        self.active += 1
        if exchange.habit == STREAMS:
            self.queue.begin_stream(exchange)
        # With an access log it has a time of its own, which is later than the batch's: none ends before its `timeout`.
        exchange.called_ns = (
            monotonic_ns() if parted or self.timing or self.routes.scored else max(self.now, exchange.began_ns)
        )
        exchange.progress_ns = exchange.called_ns
        exchange.timeout_ns = self.timeout_ns
        publish_call(
            thread.call, exchange.called_ns, connection.serial, exchange.number,
            exchange.method, connection.address, exchange.path, exchange.name,
        )
        try:
            if not parted:
                thread.ticket = baton_enter(baton)
            self.handler.run(exchange)
            if self.recorder is not None and self.recorder.may_wait and not exchange.abandoned:
                flush_beside(self, thread, connection)
                self._record(connection, exchange)
        except BaseException:
            # The handler answers for the application's faults; this is one of ours, or no memory even for a 500.
            self.log.critical("A request could not be answered: %r", exchange, exc_info=True)
            connection.broken = True
        finally:
            exchange.leave()
            stop_if_forked()
            hand_over_point()
            if not thread.lost and not baton_leave(baton, thread.ticket):
                thread.lost = True
            thread.ticket = 0
            thread.exchange = None
            end_call(thread.call)
            self.active -= 1
            self.queue.end_stream(exchange)
            if exchange.evicted:
                exchange.evicted = False
                self.evicted -= 1
            if thread.lost or self.timing or self.routes.scored:
                self._learn(thread, exchange, parted)
        if exchange.abandoned:
            self._returned_late(thread, exchange)
        else:
            expect(connection.state == RUNNING)     # nobody took it meanwhile
            self._finish(connection, exchange)
        return 0

    cdef int _drain_file(self, PoolThread thread, Connection connection) except -2:
        """Sends more of a file as if that were a call of the application: it may have to be read from a disk, and if
        that takes long the watchdog passes the baton on."""
        cdef Baton* baton = self.baton
        cdef int result = -1
        self._spare()
        connection.state = RUNNING
        self.active += 1
        thread.ticket = baton_enter(baton)
        try:
            result = connection.drain()
        finally:
            connection.state = SENDING
            if not baton_leave(baton, thread.ticket):
                thread.lost = True
                self._take_verdict(thread)
            thread.ticket = 0
            self.active -= 1
        return result

    cdef int _take_verdict(self, PoolThread thread) noexcept:
        """What the call was doing when it lost the baton; told once."""
        cdef int verdict = self.baton.seats[thread.seat].verdict
        self.baton.seats[thread.seat].verdict = 0
        if verdict == WAS_BUSY:
            add_int(&self.baton.computing, -1)
        return verdict

    cdef int _learn(self, PoolThread thread, Exchange exchange, bint parted) except -1:
        """What this call says about its route."""
        cdef int verdict = 0
        cdef uint64_t duration
        if thread.lost:
            verdict = self._take_verdict(thread)
        if exchange.route < 0:
            exchange.route = route_of(exchange.method, exchange.path)
        if not exchange.lagged:
            unlearn(&self.routes, stream_of(exchange.method, exchange.path), STREAMS)
        duration = monotonic_ns() - exchange.called_ns
        if duration < QUICK:
            unlearn(&self.routes, exchange.route, BLOCKS)
            unlearn(&self.routes, exchange.route, COMPUTES)
        elif verdict and not parted:
            learn(&self.routes, exchange.route, COMPUTES if verdict == WAS_BUSY else BLOCKS)
        elif not thread.lost and duration > LONG:
            learn(&self.routes, exchange.route, COMPUTES)       # it kept the baton, so it was not blocked
        return 0

    cdef int _finish(self, Connection connection, Exchange exchange) except -1:
        """The response is said, if not yet sent."""
        try:
            self._conclude(connection, exchange)
        except BaseException:
            connection.broken = True
            raise
        finally:
            # Last: until here it is this thread's alone, and the access log may have let others run.
            connection.state = READING
        return 0

    cdef int _conclude(self, Connection connection, Exchange exchange) except -1:
        connection.exchange = None
        connection.served += 1
        if connection.armed == HEAD:    # the next head has a deadline of its own
            disarm(connection, self.queues)
        self.requests += 1
        if self.recorder is not None and not exchange.recorded:
            self._record(connection, exchange)
        if exchange.body is not None:
            if exchange.body.file is not None:
                flush_out(exchange.thread, connection)      # freeing a large file takes milliseconds
            exchange.body.dispose(not may_be_shared())
        if not exchange.keep_alive:
            connection.closing = True
            # When closing was our idea the peer may be sending already: a plain close would answer that with a reset,
            # and the reset would take the response with it (RFC 9112 section 9.6).
            connection.lingering = connection.lingering or not exchange.peer_closes
        if self.recycle_after and self.requests >= self.recycle_after and not self.wants_recycling:
            self._ask_to_recycle(f"it has answered {self.requests} requests (setting `max_requests`)")
        return 0

    cdef int _record(self, Connection connection, Exchange exchange) except -1:
        cdef uint64_t now = monotonic_ns()
        if self.unflushed_ns == 0:
            self.unflushed_ns = now
        exchange.recorded = True
        try:
            self.recorder.record(exchange, now)
        except BaseException:       # a SystemExit of something the application put there ends no worker
            self.log.exception("A request could not be written to the access log")
        return 0

    cdef int _answer(
        self, PoolThread thread, Connection connection, str status, str text, Exchange late
    ) except -1:
        """A response of the server's own that ends the connection, whatever may still come from the peer.

        `late` is the exchange that it answers in the place of; None for a request that was refused.
        """
        cdef Exchange exchange = Exchange.__new__(Exchange)
        if DEBUG:
            exchange.witness = Witness(REQUESTS)
        exchange.connection = connection
        exchange.host = self
        exchange.thread = thread
        exchange.environ = {}
        exchange.number = connection.served + 1
        if late is not None:
            exchange.take_request_of(late)
        thread.connection = connection
        exchange.answer(status, text, [])
        connection.closing = True
        connection.lingering = True
        connection.state = READING
        release(&connection.received)
        if self.recorder is not None:
            if late is None:
                exchange.began_ns = monotonic_ns()
                exchange.began = clock_ns(CLOCK_REALTIME) / 1e9
            self._record(connection, exchange)
        return 0

    cdef int _refuse(self, PoolThread thread, Connection connection, int fault) except -1:
        """Answers a fault of the peer with its status, and closes without ever looking at another byte as a request."""
        what = faults.FAULTS[fault]
        if what.status == faults.SILENCE:
            self.incidents.note(REFUSED, "Closed a connection of %s: %s", (name_of(connection), what.detail))
            connection.closing = True
            connection.state = READING
            return 0
        if fault == LATE_REQUEST:
            late = LATE_BODY if connection.state == READING_BODY else LATE_HEAD
            settings = "`body_timeout`, `min_rate`" if late == LATE_BODY else "`header_timeout`"
            self.incidents.note(late, "%s sent a request too slowly: 408 (%s)", (name_of(connection), settings))
        elif fault != NO_STORAGE and fault != NO_MEMORY:
            self.incidents.note(
                REFUSED, "Refused a request of %s: %d, %s", (name_of(connection), what.status, what.detail)
            )
        return self._answer(thread, connection, f"{what.status} {what.reason}", what.detail, None)

    cdef int _enqueue(self, PoolThread thread, Exchange exchange, int habit) except -1:
        if self.queue.count >= self.queue_limit:
            return self._turn_away(thread, exchange)
        exchange.queued_ns = self.now
        self.queue.add(exchange, habit)
        exchange.connection.state = QUEUED
        if self.awaiting and (self.active + self.uncalled >= self.allowed or habit == STREAMS):
            eventfd_write(self.needed_fd, 1)
        return 0

    cdef int _turn_away(self, PoolThread thread, Exchange exchange) except -1:
        """503: there is no thread for this request and no room to wait, or it has waited long enough."""
        exchange.thread = thread
        thread.connection = exchange.connection
        self.incidents.note(
            TURNED_AWAY, "%s %s was answered 503: no thread was free for it (settings `threads`, `queue_limit`, "
            "`queue_timeout`)", (exchange.method, exchange.target.partition("?")[0]),
        )
        exchange.answer("503 Service Unavailable", "The server is busy. Try again shortly.", [("Retry-After", "1")])
        return self._finish(exchange.connection, exchange)

    cdef int _say_unready(self, PoolThread thread, Exchange exchange) except -1:
        """The readiness check of a fleet that is about to leave: load balancers send their next clients elsewhere."""
        exchange.thread = thread
        thread.connection = exchange.connection
        exchange.answer("503 Service Unavailable", "The server is about to stop.", [])
        return self._finish(exchange.connection, exchange)

    cdef bint _has_runnable(self) noexcept:
        """A request that waits may run now, or is to be sorted out."""
        return self.queue.count > 0 and self.active + self.uncalled < self.allowed and self.queue.has_any(
            load_int(&self.baton.computing) <= 0, self.queue.may_stream(self.allowed)
        )

    cdef int _run_queued(self, PoolThread thread) except -1:
        """Runs the next request that waits; only if `_has_runnable`."""
        cdef Exchange exchange
        self._spare()
        if not thread.lost:
            self._flush_held()
            self._send_for_threads()
        if not self._has_runnable():
            return 0
        expect(self.queue.streaming >= 0 and self.queue.streaming <= self.active + self.uncalled)
        exchange = self.queue.take(
            &self.routes, load_int(&self.baton.computing) <= 0, self.queue.may_stream(self.allowed)
        )
        if exchange is None or exchange.connection.state != QUEUED:
            return 0
        if thread.lost and exchange.habit == COMPUTES:
            # It runs beside a leader, which must not start a second computing call: as if the watchdog had said so.
            self.baton.seats[thread.seat].verdict = WAS_BUSY
            add_int(&self.baton.computing, 1)
        elif not thread.lost and exchange.habit in (BLOCKS, STREAMS) and self._give_away(exchange):
            return 0
        return self._run(thread, exchange)

    cdef int _run(self, PoolThread thread, Exchange exchange) except -1:
        """Runs a request that waited."""
        cdef Connection connection = exchange.connection
        self._call(thread, connection, exchange)
        return 0 if exchange.abandoned else self._settle(thread, connection, True)

    cdef int _run_given(self, PoolThread thread) except -1:
        """Runs the next call that was given away; only if there is one."""
        # A local that held another exchange would free it here, and with it objects of the application's, whose
        # finalizers let others run: those would find a count, and no call.
        cdef Exchange exchange = <Exchange>self.calls.popleft()
        add_int(&self.uncalled, -1)
        if exchange.connection.state == QUEUED:
            return self._run(thread, exchange)
        self.queue.end_stream(exchange)
        return 0

    cdef int _work_on(self, PoolThread thread) except -1:
        """A thread that does not lead takes the requests that wait for one before it parks."""
        while not self.finished:
            if self.uncalled > 1:
                with nogil:             # before this one is taken: it counts until it is `active`
                    self.summon()
            if self.uncalled:
                self._run_given(thread)
            elif self._has_runnable():
                self._run_queued(thread)
            else:
                break
        return 0

    cdef int _returned_late(self, PoolThread thread, Exchange exchange) except -1:
        """An abandoned call has come back after all."""
        thread.out.size = 0
        self.requests += 1
        if exchange.body is not None:
            exchange.body.dispose(False)
        return 0

    cdef int _ask_to_recycle(self, str reason) except -1:
        self.wants_recycling = True
        self.recycling_reason = reason
        eventfd_write(self.state_fd, 1)
        return 0
