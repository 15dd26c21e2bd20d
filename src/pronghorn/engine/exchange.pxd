# One request and its answer, the thread that works on it, and the seams between the loop and what answers requests.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pronghorn.debug cimport Witness
from pronghorn.engine.connection cimport Connection
from pronghorn.engine.incidents cimport Incidents
from pronghorn.engine.scoreboard cimport Call
from pronghorn.engine.spool cimport Body
from pronghorn.wire.buffer cimport Buffer
from pronghorn.wire.framing cimport Chunked
from pronghorn.wire.response cimport Verdict


cdef class Exchange


cdef class PoolThread:
    """What one pool thread owns: its seat, and the buffers it reads into and renders into."""
    cdef readonly int seat
    cdef uint64_t ticket        # of the call it is in; 0 outside
    cdef bint lost              # it has lost the baton, and knows
    cdef bint awaits_peer       # in wait_for_peer: its call is not silent, whatever the time
    cdef uint64_t refused_ns    # when no file took what its peer did not take
    cdef Connection connection  # whose bytes stand in `out`
    cdef Exchange exchange      # the call it is in
    cdef uint64_t overdue_ns    # when that call's deadline passed
    cdef Call* call             # and what the scoreboard says of it
    cdef Buffer out             # responses not sent yet
    cdef Buffer head            # the head that start_response rendered
    cdef uint8_t* incoming
    cdef object thread          # the threading.Thread, or the greenlet
    cdef object ident           # of the system thread
    cdef object runner          # the key of pool_threads: the thread or greenlet that runs this


cdef class Host:
    """What an exchange needs from the loop that carries it."""
    cdef object log             # logging.Logger
    cdef object access          # AccessLog or None
    cdef readonly bint draining
    cdef bint persistent        # connections may be kept alive at all
    cdef bytes id_line          # the beginning of the header that tells a request's id, `X-Request-ID: `; or None
    cdef str id_header          # its name in lower case
    cdef size_t high_water
    cdef Incidents incidents

    # The peer lags: waits on this thread, without the baton, until it has caught up or is gone.
    cdef int wait_for_peer(self, PoolThread thread, Connection connection) except -1
    # The application goes on, and has said what the peer has not taken yet: the loop sends it meanwhile.
    cdef int send_beside(self, Connection connection) except -1
    # Whether it has the baton still: then the next leader sends what stands in `out`, should the call last.
    cdef bint leads(self, PoolThread thread) noexcept
    # A call has chosen its own deadline: the loop must look at it by then.
    cdef int watch_deadline(self, uint64_t at_ns) except -1


cdef class Exchange:
    cdef Connection connection
    cdef Host host
    cdef PoolThread thread
    cdef readonly dict environ
    cdef str method                 # for the log and the route table: what stands in `environ` is the application's
    cdef str path
    cdef str target
    cdef str name                   # the id that a trusted peer gave the request, or that it was given; see request_id
    cdef uint32_t number            # which request of its connection this is
    cdef Body body
    # the request
    cdef bint is_head
    cdef bint http10
    cdef bint keep_alive
    cdef bint peer_closes           # the peer said that this is its last request
    cdef bint expects_continue
    cdef bint has_chunks            # the request body is chunked
    cdef Chunked chunked
    cdef uint64_t body_left         # octets of a body of known length still to come
    cdef uint64_t began_ns
    cdef double began
    cdef uint64_t queued_ns
    cdef uint64_t called_ns         # when the application was called
    cdef uint64_t progress_ns       # when it last sent something, or was called: its deadline counts from here
    cdef uint64_t timeout_ns        # how long it may be silent; 0: for ever
    cdef int route                  # slot of the loop's route table, -1 unknown
    cdef int habit                  # what is known of the route: engine/routes.pxd
    cdef bint streams               # it is one of the streams that the queue counts
    cdef bint lagged                # its peer was slow, and others needed its thread
    cdef bint evicted               # its peer was too slow, and its thread is on its way to others
    cdef bint trickles              # what its peer took in the last second that was waited for it was little:
    cdef uint64_t awaited_ns        # how much of the next second has been waited,
    cdef int64_t taken              # and what its peer had taken before
    # the response
    cdef bint started               # start_response was called
    cdef bint head_sent
    cdef bint ended
    cdef bint bodyless              # HEAD, 204, 205, 304: what the application yields is dropped
    cdef bint sends_chunks
    cdef bint warned
    cdef bint leaving               # the application has returned or raised: too late to interrupt it
    cdef bint interrupted           # RequestTimeout was raised in its thread
    cdef bint abandoned             # its deadline passed and it was answered: what the application says goes nowhere
    cdef Verdict verdict
    cdef str status
    cdef list headers
    cdef int64_t sent               # octets of body
    cdef bint recorded              # the recorder has heard of it
    cdef Witness witness            # in the debug build

    cdef int begin(self, str status, list headers) except -1
    cdef int send_head(self, int64_t known_length) except -1
    cdef int write_body(self, bytes data) except -1
    cdef int send_file(self, int fd, long offset, int64_t size) except -1
    cdef int flush(self) except -1
    cdef int end(self) except -1
    cdef int fail(self) except -1
    cdef int cut(self) except -1
    # The application has returned or raised: nothing will be raised in its thread any more.
    cdef void leave(self) noexcept
    # Nothing that it may still send would reach the peer.
    cdef bint is_told(self) noexcept
    cdef int answer(self, str status, str text, list headers) except -1
    cdef int _put(self, bytes data, size_t size) except -1
    cdef int _tell_id(self) except -1
    cdef int drop(self) except -1
    cdef object warn(self, text, value)
    # What the logs call this request: the id that a trusted peer gave it, or one of ours.
    cdef str request_id(self)
    # Becomes an answer to the request of another exchange.
    cdef void take_request_of(self, Exchange other) noexcept


cdef enum:
    PASSED = 3      # beside MORE and DONE: `used` octets were read that are no request

cdef class Handler:
    """What answers requests: reads heads into exchanges, and runs them."""

    # Reads a head at the start of `data`. DONE: `self.exchange` is the new one and `self.used` the length of its head;
    # MORE; PASSED; or a fault of wire.faults.
    cdef Exchange exchange
    cdef uint32_t used
    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999
    # A new connection: notes what the handler wants to know of every peer.
    cdef int welcome(self, Connection connection) except -1
    # Calls the application and sends its response. Never raises for the application's faults.
    cdef int run(self, Exchange exchange) except -1

# The call that the calling thread is in; None outside of one.
cdef Exchange current_exchange()
# Who is who: a pool thread that has been started, and one that ends.
cdef int enlist(PoolThread thread) except -1
cdef int discharge(PoolThread thread) except -1
# Where requests run in greenlets, a thread is many: `who()` tells them apart, and `park()` keeps one for ever.
cdef void identify_by(object who, object park_) noexcept

# Forks of the application: an engine that starts was forked on purpose, and forgets them; a child that comes back out
# of the application ends; a socket that a child may hold too is shut down before it is closed.
cdef void forget_forks() noexcept
cdef bint may_be_shared() noexcept
cdef bint is_forked() noexcept
cdef void stop_if_forked() noexcept

# Leaves to the connection what stands in thread.out behind its first `done` octets.
cdef int queue_out(PoolThread thread, Connection connection, size_t done) except -1
# Sends what stands in thread.out to its connection; the rest waits in the connection's outbox.
cdef int flush_out(PoolThread thread, Connection connection) except -1
# The same without the GIL, for a thread that does not lead. To wake a peer whose processor sleeps may take longer than
# the rest of a request, and the kernel may give ours to another thread then: with the GIL held, each that wakes
# meanwhile would run into it. Nobody else may look for what the thread has to send, or take the connection.
cdef int flush_alone(PoolThread thread, Connection connection) except -1
# The same before its thread does something that may last, or while it does: the loop sends the rest meanwhile.
cdef int flush_beside(Host host, PoolThread thread, Connection connection) except -1
