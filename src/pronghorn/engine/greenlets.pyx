"""The engine in greenlets: gevent's hub drives the loop, and every request runs in a greenlet of its own.

To the layers below, a greenlet that runs a request is a pool thread that has lost the baton: it touches its own
connection and the queues, and gives the connection back by `_settle`. The loop is a greenlet too, and the only leader
there ever is. It never calls the application itself, so that a handler may wait whenever it likes; when it has nothing
to do it waits in the hub, for its epoll descriptor and for the next deadline, while the others run.

The loop is no callback of the hub's: there nothing may wait, and a log handler of the application's might.

Only the worker class that asks for it imports this module: it needs gevent.
"""

cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.baton cimport MAX_SEATS
from pronghorn.engine.connection cimport QUEUED, Connection
from pronghorn.engine.exchange cimport Exchange, PoolThread, discharge, enlist, identify_by, is_forked
from pronghorn.engine.linux cimport epoll_wait
from pronghorn.engine.loop cimport BATCH, Engine
from pronghorn.engine.patience cimport WAIT_SLICE_MS
from pronghorn.engine.routes cimport UNKNOWN
from pronghorn.engine.scoreboard cimport Call
from pronghorn.engine.sockets cimport INCOMING_BODY
from pronghorn.wire.buffer cimport release

from gevent import Greenlet, get_hub, killall
from gevent.socket import wait_write
from greenlet import getcurrent

from pronghorn.engine.chunks import keep_chunks
from pronghorn.errors import RequestTimeout

cdef enum:
    READABLE = 1        # libev's EV_READ
    NO_INPUT = 1        # octets; a greenlet that runs a request reads nothing from its peer
    LAST_WORDS = 1      # second that killed requests have for their `finally`


def park():
    """Never comes back."""
    while True:
        get_hub().switch()


@cython.final
cdef class GreenletEngine(Engine):
    """The engine of a worker whose application waits by gevent. `start` it on the thread whose hub shall drive it.

    `options.worker_connections` bounds the greenlets, as it does the connections; `options.threads` means nothing.
    """

    cdef object hub
    cdef object readable            # the hub's watcher of our epoll descriptor
    cdef object timer               # and of the next deadline
    cdef uint64_t timer_ns          # when that goes off
    cdef object leader              # the loop's greenlet
    cdef bint parked                # it waits in the hub
    cdef list free                  # seats that no request uses
    cdef Call unseen                # what the scoreboard has no room to show

    def __init__(self, handler, listeners, options, **more):
        Engine.__init__(self, handler, listeners, options, **more)
        self.limit = self.allowed = options.worker_connections
        self.free = []

    def run(self):
        """Starts, and comes back when the engine has stopped; requests that still run then are killed."""
        cdef PoolThread seat
        self.start()
        self.leader.join()
        killall([seat.thread for seat in self.threads if seat.thread is not None], timeout=LAST_WORDS)

    # The loop

    cdef int _start_leader(self) except -1:
        cdef PoolThread thread = PoolThread(0, INCOMING_BODY)
        thread.call = &self.slot.calls[0]
        keep_chunks()
        identify_by(getcurrent, park)
        self.hub = get_hub()
        self.readable = self.hub.loop.io(self.epoll, READABLE)
        self.timer = self.hub.loop.timer(0)
        self.leader = Greenlet.spawn(self._lead_until_the_end, thread)
        return 0

    def _lead_until_the_end(self, PoolThread thread):
        try:
            self._thread_main(thread)
        finally:
            self.readable.close()
            self.timer.close()
            # What of a hub's thread gevent keeps for good holds no memory of ours.
            release(&thread.out)
            release(&thread.head)

    cdef int _gather(self, bint likely) except? -9999:
        """Lets the greenlets run until there are events (loop.pxd)."""
        cdef int count
        if not self.returned:
            self._wait_ms()
            self._set_timer()
            if not self.readable.active:
                self.readable.start(self._due)
            self.waiting = self.parked = True
            try:
                self.hub.switch()
            finally:
                self.waiting = self.parked = False
        self._clock()
        count = epoll_wait(self.epoll, self.batch, BATCH, 0)
        return count if count >= 0 else -errno

    cdef int _set_timer(self) except -1:
        """A timer that goes off too early costs a turn, and setting it anew for every turn costs more than that."""
        if self.timer.active and self.timer_ns <= self.wakes_ns:
            return 0
        self.timer.close()
        self.timer_ns = max(self.wakes_ns, self.now)
        self.timer = self.hub.loop.timer((self.timer_ns - self.now) / 1e9)
        self.timer.start(self._due)
        return 0

    def _due(self):
        """In the hub: there are events, or a deadline has come."""
        if is_forked():
            self.readable.stop()    # a child of the application's shares our epoll: they are its parent's events
        elif self.parked:
            self.leader.switch()
        else:
            self.readable.stop()    # the loop waits for something else; it looks at its events when it comes back

    # Requests

    cdef bint _has_runnable(self) noexcept:
        return False                # for the loop: what waits is taken by the next greenlet that has a free seat

    cdef int _spare(self) except -1:
        return 0

    cdef int _learn(self, PoolThread thread, Exchange exchange, bint parted) except -1:
        return 0

    cdef int _begin(self, PoolThread thread, Connection connection, Exchange exchange) except -1:
        """Gives a complete request to a greenlet, or queues it: then there are as many as there may be."""
        if not self.free and <int>len(self.threads) >= self.limit:
            return self._enqueue(thread, exchange, UNKNOWN)
        exchange.queued_ns = self.now
        connection.state = QUEUED
        return self._spawn(exchange)

    cdef int _spawn(self, Exchange exchange) except -1:
        cdef PoolThread seat
        if self.free:
            seat = <PoolThread>self.free.pop()
        else:
            seat = PoolThread(len(self.threads) + 1, NO_INPUT)
            seat.lost = True
            seat.call = &self.slot.calls[seat.seat] if seat.seat < MAX_SEATS else &self.unseen
            self.threads.append(seat)
            self.row.threads = <uint32_t>min(seat.seat + 1, MAX_SEATS)
        seat.thread = Greenlet(self._run_request, seat, exchange)
        seat.thread.start()
        return 0

    def _run_request(self, PoolThread seat, Exchange exchange):
        """A greenlet's life: one request. Its locals and its context are gone with it."""
        cdef Connection connection = exchange.connection
        enlist(seat)
        try:
            if connection.state == QUEUED:
                self._call(seat, connection, exchange)
                if not exchange.abandoned:
                    self._settle(seat, connection, True)
        except BaseException:
            self._recover(seat)
        finally:
            discharge(seat)
            seat.thread = None
            self.free.append(seat)
            self._take_queued()

    cdef int _take_queued(self) except -1:
        cdef Exchange exchange
        while self.queue.count and self.free and not self.finished:
            exchange = self.queue.take(&self.routes, True, True)
            if exchange.connection.state == QUEUED:
                self._spawn(exchange)
        return 0

    cdef int _note_stream(self, Exchange exchange) except -1:
        return 0                    # it holds nobody up

    cdef int _wait_writable(self, int fd) except -1:
        try:
            wait_write(fd, WAIT_SLICE_MS / 1e3)
        except TimeoutError:
            return 0
        return 1

    # Deadlines of requests

    cdef object _frame_of(self, PoolThread late):
        return late.thread.gr_frame

    cdef int _interrupt(self, PoolThread late, Exchange exchange) except -1:
        """Soon, from the hub: a switch to it from here would never come back."""
        self.hub.loop.run_callback(self._throw, late, exchange)
        return 0

    def _throw(self, PoolThread late, Exchange exchange):
        if late.exchange is exchange and not exchange.leaving:
            late.thread.throw(RequestTimeout)
