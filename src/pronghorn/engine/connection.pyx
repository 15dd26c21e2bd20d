"""A connection: what it has received, what it still has to send, when it must have moved on."""

import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free

from pronghorn.debug cimport CONNECTIONS, FILE_SLICES, expect, hand_over_point, tally
from pronghorn.engine.linux cimport MSG_MORE, SIOCINQ, SIOCOUTQ, ioctl, sendfile
from pronghorn.engine.posix cimport (
    AF_INET,
    AF_INET6,
    MSG_NOSIGNAL,
    SO_LINGER,
    SO_RCVLOWAT,
    SOL_SOCKET,
    close,
    getsockname,
    in6_addr,
    inet_ntop,
    linger,
    ntohs,
    send,
    setsockopt,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from pronghorn.engine.room cimport write_all_at
from pronghorn.wire.buffer cimport release

cdef extern from "Python.h":
    int PyList_SetSlice(list list, Py_ssize_t low, Py_ssize_t high, PyObject* items) except -1
    bint PyGC_Disable()
    bint PyGC_Enable()

cdef enum:
    SENDFILE_TURN = 8 << 20     # octets a turn: a peer that reads at memory speed must not keep the loop to itself
    SPOOLED_LEAST = 16 * 1024   # octets; fewer are not worth a descriptor
    # Octets of a spool file; then the next one is begun. What a peer has taken of a stream is given back with its file,
    # and without an end to that a long stream whose peer never catches up would keep all of it. Smaller ones would take
    # more descriptors, which connections need: these are 16 for the most that is put aside of one response.
    SPOOLED_MOST = 64 << 20


@cython.final
@cython.no_gc
cdef class FileSlice:
    def __cinit__(self):
        self.fd = -1
        tally(FILE_SLICES, 1)

    def __dealloc__(self):
        tally(FILE_SLICES, -1)
        if self.fd >= 0:
            close(self.fd)
        if self.room is not None:
            self.room.disk -= self.on_disk

    cdef int shut(self) except -1:
        cdef int fd = self.fd
        self.fd = -1
        with nogil:
            close(fd)
        return 0


@cython.final
@cython.freelist(256)
@cython.no_gc
cdef class Connection:
    """One peer. It belongs to the loop or to exactly one thread, which `state` says."""

    def __cinit__(self):
        self.fd = -1
        self.wakes_at = 1
        tally(CONNECTIONS, 1)

    def __dealloc__(self):
        tally(CONNECTIONS, -1)
        release(&self.received)
        free(self.partial)

    def __repr__(self):
        names = ("reading", "reading body", "queued", "running", "sending", "lingering", "closed")
        return (
            f"<Connection {self.fd} {self.address}:{self.port} {names[self.state]} "
            f"received {self.received.size} unsent {self.outbox_size} served {self.served}>"
        )

    cdef int put(self, bytes data, size_t start) except -1:
        """Queues `data` from `start` on, without copying it; `start` is 0 behind other pieces."""
        if self.broken:
            return 0
        if self.outbox is None:
            self.outbox = empty_list()
        expect(start == 0 or len(self.outbox) == 0)
        if not self.outbox:
            self.outbox_start = start
        self.outbox.append(data)
        self.outbox_size += <uint64_t>PyBytes_GET_SIZE(data) - start
        self.room.hold(data)
        return 0

    cdef int put_copy(self, const char* data, size_t size) except -1:
        return self.put(PyBytes_FromStringAndSize(data, <Py_ssize_t>size), 0)

    cdef int put_file(self, int fd, long offset, uint64_t size) except -1:
        """Queues `size` bytes of a file. The descriptor is duplicated: the application closes its own."""
        cdef FileSlice piece = FileSlice.__new__(FileSlice)
        piece.fd = os.dup(fd)       # one that no program of the application's inherits
        piece.offset = offset
        piece.left = size
        if self.broken:
            return 0        # its request's deadline passed meanwhile, and the loop has closed it
        if self.outbox is None:
            self.outbox = empty_list()
        if not self.outbox:
            self.outbox_start = 0
        self.outbox.append(piece)
        self.outbox_size += size
        return 0

    cdef int spool_outbox(self) except -1:
        self.at_outbox = True       # opening a file lets others run, and so does writing
        try:
            return self._spool_outbox()
        finally:
            self.at_outbox = False

    cdef int _spool_outbox(self) except -1:
        cdef FileSlice own = None
        cdef bytes piece
        cdef list pieces = empty_list()
        cdef Py_ssize_t at_piece, first = len(self.outbox)
        cdef size_t start = 0
        cdef long at
        cdef uint64_t size = 0
        # What waits behind the last file. What stands before a file of the application's is the head of a response.
        while first and isinstance(self.outbox[first - 1], bytes):
            first -= 1
            size += <uint64_t>PyBytes_GET_SIZE(self.outbox[first])
        if first == 0:
            start = self.outbox_start
            size -= start
        if size < SPOOLED_LEAST:
            return 0
        for at_piece in range(first, len(self.outbox)):
            pieces.append(self.outbox[at_piece])
        if first:
            own = <FileSlice>self.outbox[first - 1]
        if own is None or own.room is None or own.on_disk >= SPOOLED_MOST:
            own = self._own_slice()
        self.room.take_disk(<int64_t>size)
        own.on_disk += <int64_t>size        # whatever happens: it is given back with the file
        at = own.offset + <long>own.left
        for piece in pieces:
            write_all_at(own.fd, PyBytes_AS_STRING(piece) + start, <size_t>PyBytes_GET_SIZE(piece) - start, at)
            at += PyBytes_GET_SIZE(piece) - <long>start
            start = 0
        if self.outbox is None:
            return 0        # its request's deadline passed meanwhile, and the loop has closed it
        self._forget(first, first + len(pieces))
        if first == 0:
            self.outbox_start = 0
        if own.left == 0:
            self.outbox.insert(first, own)
        own.left += size
        return 0

    cdef FileSlice _own_slice(self):
        """An empty spool file."""
        cdef FileSlice own = FileSlice.__new__(FileSlice)
        own.fd = self.room.open_file()
        own.room = self.room
        return own

    cdef bint sends_file(self) noexcept:
        return self.outbox is not None and isinstance(self.outbox[0], FileSlice)

    cdef int drain(self) except -2:
        cdef Py_ssize_t done = 0
        cdef int result = 0
        cdef bint more
        # Counted anew for each piece: while a file is read the next leader may add what this thread had in hand.
        while result == 0 and self.outbox is not None and done < len(self.outbox):
            item = self.outbox[done]
            if isinstance(item, FileSlice):
                # A disk may be slow: the loop reads a file only in a turn that counts as a call (Pool._drain_file), and
                # with the lock only what was put aside a moment ago, which is in memory.
                if self.state == SENDING or (self.keeps_lock and (<FileSlice>item).room is None):
                    result = 2
                else:
                    result = self._drain_file(<FileSlice>item)
            else:
                more = done + 1 < len(self.outbox) or self.closing  # the close that follows sends what MSG_MORE keeps
                result = self._drain_bytes(<bytes>item, MSG_NOSIGNAL | (MSG_MORE if more else 0))
            if result == 0:
                done += 1
                self.outbox_start = 0
        if result < 0:
            self.broken = self.left = True
            self.reset_on_close()       # the peer must not take what it has for the whole
            self.forget_outbox()
        elif self.outbox is None or done == len(self.outbox):
            self.forget_outbox()
        elif done:
            self._forget(0, done)
        return result

    cdef int drain_beside(self) except -2:
        self.keeps_lock = True
        try:
            return self.drain()
        finally:
            self.keeps_lock = False

    cdef void _note_sent(self, uint64_t size) noexcept:
        self.outbox_size -= size
        self.sent[0] += size
        self.moved += <int64_t>size

    cdef int _drain_bytes(self, bytes data, int flags) except -2:
        cdef size_t size = <size_t>PyBytes_GET_SIZE(data)
        cdef ssize_t sent
        while self.outbox_start < size:
            sent = send(self.fd, PyBytes_AS_STRING(data) + self.outbox_start, size - self.outbox_start, flags)
            if sent < 0:
                if errno == EINTR:
                    continue
                return 1 if errno == EAGAIN else -1
            self.outbox_start += <size_t>sent
            self._note_sent(<uint64_t>sent)
            if self.outbox_start < size:
                return 1        # it took what it had room for: asking again would only say so
        return 0

    cdef int _drain_file(self, FileSlice piece) except -2:
        cdef uint64_t room = min(piece.left, <uint64_t>SENDFILE_TURN)
        cdef ssize_t sent
        cdef int fd = self.fd
        while room:
            if self.keeps_lock:
                sent = sendfile(fd, piece.fd, &piece.offset, room)
            else:
                self.at_outbox = self.in_sendfile = True
                with nogil:         # a file that is not in memory is read from the disk here
                    hand_over_point()
                    sent = sendfile(fd, piece.fd, &piece.offset, room)
                self.at_outbox = self.in_sendfile = False
                if self.fd < 0:     # its request's deadline passed meanwhile, and the loop has dropped it
                    close(fd)
                    return -1
            if sent < 0:
                if errno == EINTR:
                    continue
                return 1 if errno == EAGAIN else -1
            if sent == 0:       # the file is shorter than it was: the peer must not take the rest for complete
                return -1
            room -= <uint64_t>sent
            piece.left -= <uint64_t>sent
            self._note_sent(<uint64_t>sent)
            # A short count is no reason to stop: a peer that reads meanwhile keeps this going without a turn.
        return 1 if piece.left else 0

    cdef int forget_outbox(self) except -1:
        if self.outbox is not None:
            self._forget(0, len(self.outbox))
        self.outbox = None
        self.outbox_start = 0
        self.outbox_size = 0
        return 0

    cdef int _forget(self, Py_ssize_t first, Py_ssize_t end) except -1:
        """Takes pieces out of the outbox, and makes no object that the collector counts: nobody may come between."""
        cdef Py_ssize_t at
        for at in range(first, end):
            if type(self.outbox[at]) is bytes:
                self.room.let_go(<bytes>self.outbox[at])
        PyList_SetSlice(self.outbox, first, end, NULL)
        return 0

    cdef void begin_pace(self, uint64_t now) noexcept:
        self.moved = self.paid_ns = 0
        self.moved_ns = now
        self.unacked = 0 if self.outbox is None else unacked_by(self.fd)

    cdef bint keeps_pace(self, uint64_t now, uint64_t rate, uint64_t most_ns) noexcept:
        """Each octet pays for `1 / rate` of a second, and time passes: who owes time makes no progress that counts.

        So a stall may be made up for, and no more than `most_ns` of a fast start can be lived on. Of a response counts
        what the peer has taken: the kernel's buffer holds some minutes' worth of a slow one, and says that it has room
        when a third of it is free.
        """
        cdef int64_t moved = self.moved
        cdef int unacked
        if self.outbox is not None:
            unacked = unacked_by(self.fd)
            moved += self.unacked - unacked
            self.unacked = unacked
        self.moved = 0
        if rate:
            self.paid_ns += <int64_t>min(moved * 1e9 / rate, 1e18) - <int64_t>(now - self.moved_ns)
            self.paid_ns = min(self.paid_ns, <int64_t>most_ns)
        self.moved_ns = now
        return moved > 0 and self.paid_ns >= 0

    cdef bint is_behind(self) noexcept:
        return self.paid_ns < 0

    cdef void wake_at(self, int size) noexcept:
        if setsockopt(self.fd, SOL_SOCKET, SO_RCVLOWAT, &size, sizeof(size)) == 0:
            self.wakes_at = <uint32_t>size

    cdef void reset_on_close(self):
        """Makes close() a reset: the peer must not take the bytes it has for a whole body."""
        cdef linger hard
        hard.l_onoff = 1
        hard.l_linger = 0
        setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard))


cdef list empty_list():
    """Made without the collector, which runs finalizers: those may let other threads run.

    Between a look at an outbox and its change nobody may come. The next leader may hold in hand what this thread had
    said (Pool._take_over); what either adds or sends then would stand in front of what the other has begun to add.
    """
    cdef bint collects = PyGC_Disable()
    try:
        return []
    finally:
        if collects:
            PyGC_Enable()


cdef int unacked_by(int fd) noexcept:
    cdef int size = 0
    ioctl(fd, SIOCOUTQ, &size)
    return size


cdef int unread_of(int fd) noexcept:
    cdef int size = 0
    ioctl(fd, SIOCINQ, &size)
    return size


# The queues hold borrowed pointers: a connection is disarmed before the loop's table lets go of it.

cdef void disarm(Connection connection, DeadlineQueue* queues) noexcept:
    if connection.armed == NO_DEADLINE:
        return
    cdef DeadlineQueue* queue = &queues[connection.armed]
    if connection.before == NULL:
        queue.first = connection.behind
    else:
        (<Connection>connection.before).behind = connection.behind
    if connection.behind == NULL:
        queue.last = connection.before
    else:
        (<Connection>connection.behind).before = connection.before
    connection.before = NULL
    connection.behind = NULL
    connection.armed = NO_DEADLINE


cdef void arm(Connection connection, int kind, DeadlineQueue* queues, uint64_t now) noexcept:
    """Puts the connection at the end of its kind's queue: a kind has one duration, so they stand in order."""
    cdef DeadlineQueue* queue = &queues[kind]
    connection.deadline_ns = now + queue.duration_ns
    if connection.armed == kind and connection.behind == NULL:
        return
    disarm(connection, queues)
    connection.armed = <unsigned char>kind
    connection.before = queue.last
    if queue.last == NULL:
        queue.first = <void*>connection
    else:
        (<Connection>queue.last).behind = <void*>connection
    queue.last = <void*>connection


cdef int port_number(const sockaddr_storage* address) noexcept nogil:
    if address.ss_family == AF_INET:
        return ntohs((<const sockaddr_in*>address).sin_port)
    if address.ss_family == AF_INET6:
        return ntohs((<const sockaddr_in6*>address).sin6_port)
    return -1


cdef str local_address(Connection connection):
    """The address that the peer has connected to; nothing on a unix socket."""
    cdef sockaddr_storage address
    cdef socklen_t size = sizeof(address)
    if getsockname(connection.fd, <sockaddr*>&address, &size) < 0:
        return ""
    return format_address(&address)


cdef str format_address(const sockaddr_storage* address):
    """The peer's address as REMOTE_ADDR shows it; a unix socket's peer has none."""
    cdef char text[64]
    cdef const in6_addr* six
    cdef int i
    cdef bint mapped = True
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &(<const sockaddr_in*>address).sin_addr, text, sizeof(text))
    elif address.ss_family == AF_INET6:
        six = &(<const sockaddr_in6*>address).sin6_addr
        for i in range(12):
            mapped = mapped and six.s6_addr[i] == (0xFF if i >= 10 else 0)
        if mapped:      # an IPv4 peer of a dual-stack socket is known by its IPv4 address everywhere else
            inet_ntop(AF_INET, &six.s6_addr[12], text, sizeof(text))
        else:
            inet_ntop(AF_INET6, six, text, sizeof(text))
    else:
        return ""
    return text.decode("ascii")
