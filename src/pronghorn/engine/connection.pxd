# A connection, the bytes it still has to send, and the deadline it waits for.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pronghorn.engine.posix cimport sockaddr_storage
from pronghorn.engine.room cimport Room
from pronghorn.wire.buffer cimport Buffer
from pronghorn.wire.http1 cimport Head

cdef enum:          # Connection.state
    READING = 0     # between requests, or inside a head
    READING_BODY = 1
    QUEUED = 2      # a complete request waits for a thread
    RUNNING = 3     # a thread owns it
    SENDING = 4     # the rest of a response drains; the next request waits
    LINGERING = 5   # we have said our last word and wait for the peer's end
    CLOSED = 6

cdef enum:          # Connection.armed
    NO_DEADLINE = 0
    IDLE = 1        # the next request's first byte
    HEAD = 2        # the end of a head that has begun
    BODY = 3        # the next byte of a body
    LARGE_PIECE = 4     # the next large piece of a body that comes fast
    SEND = 5        # the peer taking some of what we send
    LINGER = 6
    DEADLINES = 7


cdef class FileSlice:
    """A run of bytes of an open file that is still to be sent. Owns its descriptor."""
    cdef int fd
    cdef long offset
    cdef uint64_t left
    cdef Room room                  # of a spool file of ours, else None;
    cdef int64_t on_disk            # and the disk it takes up there

    # Before its end, without the interpreter lock; nobody may use it any more.
    cdef int shut(self) except -1


cdef class Connection:
    cdef int fd
    cdef uint32_t serial            # tells a stale event of a descriptor that was closed and given out again
    cdef int listener
    cdef uint8_t state
    cdef uint8_t armed
    cdef uint32_t wakes_at          # octets that have to arrive before epoll reports any
    cdef uint32_t interest          # the events epoll reports for it; 0: it is not registered
    cdef bint broken                # the peer is gone: what is written from now on goes nowhere
    cdef bint left                  # it has gone in the middle of a request or of a response
    cdef bint closing               # close when everything is sent
    cdef bint lingering             # and wait for the peer's end before
    cdef bint trusted               # a peer whose forwarding headers count
    cdef bint in_sendfile           # without the interpreter lock: who comes back from it closes what was dropped
    cdef bint returned              # it waits for its turn with requests that it has received already
    cdef uint32_t served            # requests so far
    cdef uint32_t cache_slot        # where this peer's header section was last found
    # the deadline: a link of the queue of its kind
    cdef uint64_t deadline_ns
    cdef void* before
    cdef void* behind
    # how fast the peer sends or takes what it owes us: `min_rate`
    cdef int64_t moved              # octets since `moved_ns`
    cdef int unacked                # of those sent, octets that it has not taken: they wait in the kernel
    cdef uint64_t moved_ns
    cdef int64_t paid_ns            # time it has paid for in advance; below 0: it is behind
    # what has arrived and is not used yet
    cdef Buffer received
    cdef Head* partial              # where reading an unfinished head goes on
    cdef object exchange            # the request that is read, queued or run
    # what has not been sent yet
    cdef list outbox                # bytes and FileSlice
    cdef size_t outbox_start        # bytes of its first item already sent
    cdef uint64_t outbox_size
    cdef bint at_outbox             # the thread that owns it works on the outbox without the interpreter lock
    cdef bint keeps_lock            # nobody may come between: see drain_beside
    cdef Room room
    cdef uint64_t* sent             # octets sent by this worker (scoreboard): counted where they leave
    cdef str address                # the peer's, or that of the client whom a proxy forwards, once it has said so
    cdef str port
    cdef dict introduction          # what a PROXY header says, for environs; None where none was looked for

    # To add a piece lets nobody else run, so that it stands where it was meant to stand.
    cdef int put(self, bytes data, size_t start) except -1
    cdef int put_copy(self, const char* data, size_t size) except -1
    cdef int put_file(self, int fd, long offset, uint64_t size) except -1
    # Moves what waits in memory to a spool file. Raises OSError where it cannot be: then it waits as before.
    cdef int spool_outbox(self) except -1
    cdef int _spool_outbox(self) except -1
    cdef FileSlice _own_slice(self)
    # Sends as much as the peer takes. 0: all gone; 1: the peer is slow; 2: next is a file that must not be read like
    # this; -1: the peer is gone (`broken` is set).
    cdef int drain(self) except -2
    # The same for the loop, while a thread that owns the connection is in the application; not while it is `at_outbox`.
    cdef int drain_beside(self) except -2
    # What is to be sent next is a file.
    cdef bint sends_file(self) noexcept
    cdef int forget_outbox(self) except -1
    cdef int _forget(self, Py_ssize_t first, Py_ssize_t end) except -1
    # From now on the peer owes us something: bytes of a body, or that it takes a response.
    cdef void begin_pace(self, uint64_t now) noexcept
    # Whether it has moved some of it since, and fast enough to count as progress. `rate` in octets a second, 0: any
    # will do; `most_ns`: so much time may be paid for in advance.
    cdef bint keeps_pace(self, uint64_t now, uint64_t rate, uint64_t most_ns) noexcept
    cdef bint is_behind(self) noexcept
    # Has epoll report input when `size` octets of it are there, or its end.
    cdef void wake_at(self, int size) noexcept
    cdef void reset_on_close(self)
    cdef void _note_sent(self, uint64_t size) noexcept
    cdef int _drain_bytes(self, bytes data, int flags) except -2
    cdef int _drain_file(self, FileSlice piece) except -2


cdef struct DeadlineQueue:          # connections in the order of their deadlines
    void* first
    void* last
    uint64_t duration_ns


cdef void arm(Connection connection, int kind, DeadlineQueue* queues, uint64_t now) noexcept
cdef void disarm(Connection connection, DeadlineQueue* queues) noexcept

cdef str local_address(Connection connection)
cdef str format_address(const sockaddr_storage* address)
cdef int port_number(const sockaddr_storage* address) noexcept nogil
cdef int unacked_by(int fd) noexcept    # octets for the peer that the kernel holds, sent or not
cdef int unread_of(int fd) noexcept     # octets of the peer's that it holds
