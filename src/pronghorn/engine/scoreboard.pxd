# The scoreboard as it lies in shared memory: a head, a row for each worker, and for each row its calls in flight.
#
# Whoever writes a row is its worker, whoever reads it may be any process. What is one naturally aligned number is read
# whole. A call is many fields, so it has a sequence (a seqlock): odd while its thread writes it, and another number
# afterwards. A reader that finds the same even number before and behind its copy has the whole of one call.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from pronghorn.engine.baton cimport MAX_SEATS

cpdef enum:                 # Row.state
    FREE = 0
    BOOTING = 1
    READY = 2
    DRAINING = 3
    STUCK = 4               # it serves, but a call holds one of its threads for good, or all of it hangs

cdef enum:
    INCIDENTS = 13          # kinds of them: incidents.pxd
    METHOD_MOST = 16        # octets kept of a method; longer ones are cut, as the others are
    ADDRESS_MOST = 48
    PATH_MOST = 224
    ID_MOST = 128           # and of a request's id: a longer one is none (Exchange.request_id)

cdef struct Call:           # one thread of the pool, and the request it runs; all aligned to words
    uint64_t sequence
    uint64_t started_ns     # when the application was called; 0: it runs none
    uint32_t connection     # serial of the connection,
    uint32_t number         # and which of its requests: with the pid they make the request's id
    int32_t thread          # the kernel's number of the thread, as `top -H` shows it
    uint8_t method_size
    uint8_t address_size
    uint8_t path_size
    uint8_t id_size         # 0: it has none but ours
    char method[METHOD_MOST]
    char address[ADDRESS_MOST]
    char path[PATH_MOST]
    char id[ID_MOST]

cdef struct Row:
    int32_t pid
    uint32_t generation
    int32_t state
    int32_t connections     # open
    uint64_t requests       # answered
    uint64_t received       # octets read from peers
    uint64_t sent           # octets written to them
    uint64_t loop_ns        # when the loop last turned
    uint64_t beat_ns        # when the main thread last ran
    uint64_t handovers
    uint32_t queued         # complete requests that wait for a thread
    uint32_t active         # threads inside the application
    uint32_t threads        # threads of the pool so far: so many calls have meaning
    int32_t starved         # it has no descriptor left to accept with
    uint64_t buffered       # octets of bodies and unsent responses in memory
    uint64_t spooled        # and in spool files
    uint64_t incidents[INCIDENTS]
    int waits               # the loop sleeps until the kernel has something for it
    char padding[52]        # a row has its own cache lines: workers write theirs all the time

cdef struct Board:
    int32_t unready         # the fleet wants no new clients (`drain_delay`)
    char padding[60]


cdef class Scoreboard:
    cdef object memory
    cdef Board* board
    cdef Row* rows
    cdef Call* calls        # MAX_SEATS for each row; what no thread has used costs no memory
    cdef readonly int size


cdef class Slot:
    cdef Scoreboard board
    cdef Row* row
    cdef Call* calls
    cdef readonly int index


# A thread says what it is about to run; texts are latin-1, as all that comes from a peer is. Only the path of the
# target: a query may hold what is nobody else's business. `name`: the request's id if it brought one.
cdef void publish_call(
    Call* call, uint64_t started_ns, uint32_t connection, uint32_t number, str method, str address, str path, str name
) noexcept
cdef void end_call(Call* call) noexcept nogil

cdef str name_request(int pid, uint32_t connection, uint32_t number)
