"""The sockets of a worker: accepting and sharing out connections, what epoll watches, letting connections go."""

import os
import resource
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport (
    EAGAIN,
    EBADF,
    EINVAL,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOTSOCK,
    errno,
)
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from pronghorn.engine.connection cimport (
    CLOSED,
    HEAD,
    IDLE,
    LINGER,
    LINGERING,
    READING,
    RUNNING,
    Connection,
    arm,
    disarm,
    format_address,
    port_number,
    unread_of,
)
from pronghorn.engine.exchange cimport Exchange, PoolThread, may_be_shared
from pronghorn.engine.incidents cimport EVICTED, FULL, LEFT, NO_DESCRIPTOR, Incidents
from pronghorn.engine.linux cimport (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLIN,
    EPOLLOUT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    accept4,
    dup3,
    epoll_create1,
    epoll_ctl,
    epoll_event,
)
from pronghorn.engine.posix cimport (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    O_CLOEXEC,
    O_RDONLY,
    POLLIN,
    SHUT_RDWR,
    SHUT_WR,
    close,
    load_int,
    open_file,
    poll,
    pollfd,
    recv,
    send,
    shutdown,
    sockaddr,
    sockaddr_storage,
)
from pronghorn.engine.room cimport Room
from pronghorn.engine.scoreboard cimport READY, Row, Scoreboard
from pronghorn.wire.buffer cimport release

from pronghorn.linux import keep_little_unsent

cdef enum:
    ACCEPTS = 32                                # connections accepted at most before others get their turn
    BALANCE_PAUSE = 3 * MILLISECOND             # how long a worker leaves a connection to one that has fewer,
    LONGEST_BALANCE = 250 * MILLISECOND         # and at most, to one that sleeps
    SHORTAGE_PAUSE = 250 * MILLISECOND          # how long accepting pauses when descriptors or memory run out
    FULL_PAUSE = 50 * MILLISECOND               # how long accepting pauses at the connection limit
    SHORTEST_IDLE = 500 * MILLISECOND           # what has been idle for less is not closed to make room
    LOOK_AT = 16                                # idle connections looked at to find one to close
    UNSENT = 128 * 1024                         # octets that the kernel takes of a response beyond what it can send

cdef uint64_t SHORTEST_SILENCE = 5 * <uint64_t>SECOND   # and a new one that says nothing is not closed before that


cdef bytes TURNED_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 39\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\nThe server has no descriptor to spare.\n"
)


cdef class Sockets(Host):
    def __cinit__(self, *args, **kwargs):
        self.epoll = self.reserve = -1

    def __init__(self, listeners, slot, options):
        self.slot = slot if slot is not None else Scoreboard(1).slot(0)
        self.row = self.slot.row
        self.room = Room(options)
        self.min_rate = options.min_rate
        self.incidents = Incidents.__new__(Incidents)
        self.incidents.counts = self.row.incidents
        self.listeners = list(listeners)
        self.listener_fds = <int*>calloc(len(self.listeners) + 1, sizeof(int))
        if self.listener_fds == NULL:
            raise MemoryError
        for listener in self.listeners:
            prepare(listener)
            self.listener_fds[self.listener_count] = listener.fileno()
            self.listener_count += 1
        self.burst = 1
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "cannot make the descriptor of the event loop")
        self._hold_reserve()

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)
        if self.reserve >= 0:
            close(self.reserve)
        free(self.table)
        free(self.listener_fds)

    cdef int _feed(self, PoolThread thread, Connection connection, const uint8_t* data, uint32_t size) except -1:
        raise NotImplementedError

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
            error = errno
            if connection.state == RUNNING:
                connection.broken = True        # a thread owns it, and closes it when it is done
                return 0
            self._drop(connection)      # nobody would ever hear of it again
            raise OSError(error, "cannot watch a connection")
        connection.interest = events
        return 0

    cdef int send_beside(self, Connection connection) except -1:
        return self._set_interest(connection, EPOLLOUT)

    cdef int _part_from(self, Connection connection) except -1:
        """Everything is sent: closes, after the peer's end where it may still be sending (RFC 9112 section 9.6).

        A peer that has asked for the close may have sent more all the same (section 2.2: an empty line behind a body).
        With that unread the kernel would answer the close by a reset, and drop the response, which may still wait.
        """
        if not connection.lingering and unread_of(connection.fd) == 0:
            self._drop(connection)
            return 0
        shutdown(connection.fd, SHUT_WR)
        release(&connection.received)
        connection.state = LINGERING
        connection.moved = 0
        self._set_interest(connection, EPOLLIN)
        arm(connection, LINGER, self.queues, self.now)
        return 0

    cdef int _drop(self, Connection connection) except -1:
        """Closes and forgets a connection."""
        cdef epoll_event event
        cdef Exchange exchange = connection.exchange
        if connection.state == CLOSED:
            return 0
        disarm(connection, self.queues)
        if connection.outbox is not None:
            connection.reset_on_close()     # the peer must not take what it has for the whole
        # A child that holds a copy keeps the socket open, and in epoll, and so does sendfile until it is back: its
        # events would turn the loop meanwhile.
        if connection.interest and (may_be_shared() or connection.in_sendfile):
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, connection.fd, &event)
        if connection.outbox is None and may_be_shared():
            shutdown(connection.fd, SHUT_RDWR)
        connection.state = CLOSED
        connection.exchange = None
        connection.forget_outbox()
        release(&connection.received)
        self.table[connection.fd] = NULL
        if connection.in_sendfile:
            # A number that is closed is the next connection's, and a thread that is about to use it would send to that
            # one. So it is kept for what takes no octets, until the thread closes it.
            dup3(self.epoll, connection.fd, O_CLOEXEC)
        else:
            close(connection.fd)
        connection.fd = -1
        connection.broken = True
        self.connections -= 1
        self.row.connections = self.connections
        Py_DECREF(connection)
        if (self.full or (self.row.starved and not self.accepting)) and not self.draining:
            self.full = False
            self._set_accepting(True)
        # Last: a log lets others run, and so does closing a file. A thread that has lost the baton owns its connection
        # only until then, and one that takes requests from the queue must find this one closed.
        if exchange is not None and exchange.body is not None:
            exchange.body.dispose(False)
        if connection.left:
            self.incidents.note(LEFT, "%s left in the middle of a request or a response", (name_of(connection),))
        return 0

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

    cdef int _set_accepting(self, bint on) except -1:
        cdef int i
        cdef epoll_event event
        if self.accepting == on:
            return 0
        for i in range(self.listener_count):
            if on:
                try:
                    self._watch_fd(self.listener_fds[i], LISTENER)
                except OSError as error:
                    self.log.critical("A listener cannot be used any more: %s. Has the application closed it?", error)
            else:
                epoll_ctl(self.epoll, EPOLL_CTL_DEL, self.listener_fds[i], &event)
        self.accepting = on
        self.resume_ns = 0
        return 0

    cdef int _pause_accepting(self, uint64_t duration_ns) except -1:
        self._set_accepting(False)
        self.resume_ns = self.now + duration_ns if duration_ns else 0
        return 0

    cdef int _resume_accepting(self) except -1:
        """At the end of a pause. Where nobody waits any more, the connection that was left has been taken."""
        self._set_accepting(True)
        if self.left_ns and not self._is_awaited():
            self.left_ns = 0
        return 0

    cdef bint _is_awaited(self) noexcept:
        """Somebody waits in an accept queue."""
        cdef pollfd queue
        cdef int i
        for i in range(self.listener_count):
            queue.fd = self.listener_fds[i]
            queue.events = POLLIN
            if poll(&queue, 1, 0) != 0:
                return True
        return False

    cdef Row* _poorest(self) noexcept:
        """The ready worker that has fewest connections, if those are clearly fewer than here."""
        cdef Row* rows = self.slot.board.rows
        cdef Row* least = NULL
        cdef int i
        for i in range(self.slot.board.size):
            if rows[i].state == READY and &rows[i] != self.row and (
                least == NULL or rows[i].connections < least.connections
            ):
                least = &rows[i]
        if least != NULL and self.connections > least.connections + 1 + least.connections // 8:
            return least
        return NULL

    cdef bint _leaves_to(self, Row* poorer) noexcept:
        """Whether a connection is left to that worker for a moment, or for one more.

        One that is busy takes it within a moment or does not take it soon. One that sleeps takes it as soon as it is
        given a processor, and on a machine with more to do than processors that may take some moments. If it takes
        too many, the worker is stopped, and whoever connects meanwhile need not wait for it again.
        """
        if self.left_ns == 0:
            self.left_ns = self.now
            return True
        if not load_int(&poorer.waits) or self.now < self.hurry_ns:
            return False
        if self.now < self.left_ns + LONGEST_BALANCE:
            return True
        self.hurry_ns = self.now + SECOND
        return False

    cdef int _accept(self, PoolThread thread, int listener) except -1:
        """Accepts what waits at a listener, as far as this worker's share goes.

        The listeners are shared, so every worker hears of a new connection. One that has clearly more than another
        ready worker leaves it to that one for a moment, and takes it only if nobody did: kept-alive connections spread
        evenly, and a worker that is stuck delays a connection by that moment at most. Returns 1 when there is nothing
        more to be had for now.
        """
        cdef Row* poorer
        cdef sockaddr_storage address
        cdef unsigned int length
        cdef int fd, _turn
        for _turn in range(self.burst):
            if self.connections >= self.connection_limit and self._idlest() is None:
                self.full = True
                self.incidents.note(
                    FULL, "All %d connections are in use (setting `worker_connections`): new ones wait in the listen "
                    "queue", (self.connection_limit,),
                )
                return self._pause_accepting(FULL_PAUSE)
            poorer = self._poorest()
            if poorer != NULL and not self.draining and self._leaves_to(poorer):
                return self._pause_accepting(BALANCE_PAUSE)
            self.left_ns = 0
            length = sizeof(address)
            fd = accept4(listener, <sockaddr*>&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self.row.starved = 0
                self.arrived += 1
                if self.connections >= self.connection_limit:
                    self._make_room(self._idlest())
                self.more_waits = _turn + 1 < self.burst
                self._welcome(thread, fd, &address, listener)
                self.more_waits = False
                if thread.lost:
                    return 0
            elif errno == EAGAIN:
                self.row.starved = 0        # the kernel takes a descriptor before it looks into the queue
                self.burst = max(1, self.burst // 2)
                return 1
            elif (
                errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM
                or errno == EBADF or errno == EINVAL or errno == ENOTSOCK       # the application has closed it
            ):
                if self._accept_failed(listener, errno):
                    return 1
            # Anything else (ECONNABORTED, EPROTO, EINTR, a network error of the peer's) concerns that connection alone:
            # accept(2).
        # So many were there: perhaps there are more next time. One by one costs no call that only says `none`.
        self.burst = min(ACCEPTS, 2 * self.burst)
        return 0

    cdef int _empty_queues(self, PoolThread thread) except -1:
        """Before the listeners are closed: what waits there was promised a server by the kernel, and would be reset."""
        cdef int i
        for i in range(self.listener_count):
            while self._accept(thread, self.listener_fds[i]) == 0 and self.connections < self.connection_limit:
                if thread.lost:
                    return 0
        return 0

    cdef int _accept_failed(self, int listener, int error) except -1:
        """No descriptor, no memory, or no listener any more. 0: there is room now; 1: accepting pauses.

        The listener stays readable, so going on would turn the loop for nothing. Another worker may have descriptors:
        then the connection is its. Otherwise the connection that is idle longest makes room, and where none is idle one
        client is told on the reserve descriptor, at most one for each pause; the others wait in the listen queue.
        """
        cdef Connection idlest = None
        if error == EMFILE or error == ENFILE:
            self.row.starved = 1
            if not self._others_accept():
                idlest = self._idlest()
                if idlest is not None:
                    self._make_room(idlest)
                elif self.now >= self.shed_ns + SHORTAGE_PAUSE and self._shed(listener):
                    self.shed += 1
                    self.shed_ns = self.now
        if idlest is None:
            self._pause_accepting(SHORTAGE_PAUSE)
        self.incidents.note(
            NO_DESCRIPTOR,
            "Cannot accept connections: %s%s. Idle connections are closed to make room; new ones wait in the "
            "listen queue, or are answered 503 (%d so far)",
            (
                os.strerror(error),
                f" (ulimit -n is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]})" if error == EMFILE else "",
                self.shed,
            ),
        )
        return 0 if idlest is not None else 1

    cdef bint _others_accept(self) noexcept:
        """Another ready worker has descriptors, as far as it knows."""
        cdef Row* rows = self.slot.board.rows
        cdef int i
        for i in range(self.slot.board.size):
            if &rows[i] != self.row and rows[i].state == READY and not rows[i].starved:
                return True
        return False

    cdef bint _shed(self, int listener) noexcept:
        """Accepts one connection by means of the reserve descriptor, and turns it away."""
        cdef char[4096] request
        cdef int fd = -1
        if self.reserve >= 0:
            close(self.reserve)
            self.reserve = -1
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            send(fd, PyBytes_AS_STRING(TURNED_AWAY), <size_t>PyBytes_GET_SIZE(TURNED_AWAY), MSG_NOSIGNAL)
            shutdown(fd, SHUT_WR)
            # Closing a socket with unread bytes is a reset, which would take the answer with it.
            recv(fd, request, sizeof(request), MSG_DONTWAIT)
            close(fd)
        self._hold_reserve()
        return fd >= 0

    cdef void _hold_reserve(self) noexcept:
        if self.reserve < 0:
            self.reserve = open_file("/dev/null", O_RDONLY | O_CLOEXEC)

    cdef Connection _idlest(self):
        """The connection that has been idle for longest: it makes room for a new one. None when none is idle.

        One whose next request is here already, unread, or that has only just been answered is not idle: closing those
        would cost a busy worker's peers their requests.
        """
        cdef Connection idlest = self._first_unused(IDLE, SHORTEST_IDLE)
        return self._first_unused(HEAD, SHORTEST_SILENCE) if idlest is None else idlest

    cdef Connection _first_unused(self, int kind, uint64_t least_ns):
        """The first that waits for a request of which nothing has come, for `least_ns` at least."""
        cdef void* link = self.queues[kind].first
        cdef Connection unused
        cdef char byte
        cdef int _looked
        for _looked in range(LOOK_AT):
            if link == NULL:
                return None
            unused = <Connection>link
            if self.now + self.queues[kind].duration_ns < unused.deadline_ns + least_ns:
                return None
            if (
                unused.state == READING
                and unused.received.size == 0
                and recv(unused.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
            ):
                return unused
            link = unused.behind
        return None

    cdef int _make_room(self, Connection idlest) except -1:
        if idlest is not None:
            self.incidents.note(EVICTED, "%s was idle longest and made room for another", (name_of(idlest),))
            self._drop(idlest)
        return 0

    cdef int _await_progress(self, Connection connection, int kind, uint64_t now) except -1:
        if connection.armed != kind:
            connection.begin_pace(now)
            arm(connection, kind, self.queues, now)
        elif connection.keeps_pace(now, self.min_rate, self.queues[kind].duration_ns):
            arm(connection, kind, self.queues, now)
        return 0

    cdef int _welcome(self, PoolThread thread, int fd, sockaddr_storage* address, int listener) except -1:
        """A new connection. Its request is usually there already: reading at once saves a turn."""
        cdef Connection connection = Connection.__new__(Connection)
        cdef ssize_t size
        self._place(fd, connection)
        connection.fd = fd
        self.serial = self.serial + 1 if self.serial < LAST_SERIAL else 1
        connection.serial = self.serial
        connection.listener = listener
        connection.address = format_address(address)
        connection.port = str(port_number(address)) if connection.address else ""
        connection.sent = &self.row.sent
        connection.room = self.room
        self.connections += 1
        self.row.connections = self.connections
        self.handler.welcome(connection)
        arm(connection, HEAD, self.queues, self.now)
        if self.pressed:
            return self._set_interest(connection, EPOLLIN)      # Intake decides when it is read
        size = recv(fd, thread.incoming, INCOMING, 0)
        if size > 0:
            self.row.received += <uint64_t>size
            return self._feed(thread, connection, thread.incoming, <uint32_t>size)
        if size < 0 and errno == EAGAIN:
            return self._set_interest(connection, EPOLLIN)
        return self._drop(connection)

    cdef int _close_listeners(self) except -1:
        self._set_accepting(False)
        self.resume_ns = 0
        self.listener_count = 0
        for listener in self.listeners:
            listener.close()
        self.listeners = []
        return 0


cdef str name_of(Connection connection):
    return connection.address or "a unix socket"


cdef int prepare(listener) except -1:
    """What accepted sockets inherit: one call for each listener instead of one for each connection.

    Without UNSENT the kernel takes up to 4 MiB of a response for a peer that reads nothing, and some thousand such
    peers take all the memory that it has for TCP (tcp_mem), also from others. And what is sent at memory speed is
    faster with it, because it is still in the processor's cache when the peer takes it.
    """
    listener.setblocking(False)
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_little_unsent(listener, UNSENT)
    return 0
