"""What every worker is doing, in memory that the arbiter and all workers share.

The arbiter makes the board before it forks; each worker writes its own row without a lock, everybody reads all rows.
The calls in flight are written before the application is called: a worker that hangs with the interpreter lock, or that
has crashed, still shows what it was doing.
"""

import mmap
from urllib.parse import quote

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_DecodeLatin1, PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pronghorn.engine.posix cimport load_u64, monotonic_ns

cdef extern from "Python.h":
    void* PyUnicode_DATA(object text)

cdef extern from * nogil:
    """
    /* What is between the two sequences is read while it is written, so each piece of it is an atomic of its own: no
       compiler may tear it or move it across them. On x86-64 all of these are plain moves. */
    #define ph_put(place, value) __atomic_store_n((place), (value), __ATOMIC_RELAXED)
    #define ph_get(place) __atomic_load_n((place), __ATOMIC_RELAXED)
    #define ph_begin(call) do { ph_put(&(call)->sequence, (call)->sequence + 1); \\
                                __atomic_thread_fence(__ATOMIC_RELEASE); } while (0)
    #define ph_finish(call) __atomic_store_n(&(call)->sequence, (call)->sequence + 1, __ATOMIC_RELEASE)
    #define ph_reread(place) (__atomic_thread_fence(__ATOMIC_ACQUIRE), ph_get(place))
    """
    void begin_write "ph_begin"(Call* call)
    void finish_write "ph_finish"(Call* call)
    uint64_t load_behind "ph_reread"(const uint64_t* place)
    uint64_t get_word "ph_get"(const uint64_t* place)
    void put_word "ph_put"(uint64_t* place, uint64_t value)
    void put_half "ph_put"(uint32_t* place, uint32_t value)
    void put_quarter "ph_put"(uint16_t* place, uint16_t value)
    void put_octet "ph_put"(uint8_t* place, uint8_t value)

cdef tuple INCIDENT_NAMES = (       # in the order of incidents.pxd
    "refused", "late_head", "late_body", "late_reader", "left", "turned_away", "full", "evicted", "no_descriptor",
    "no_storage", "no_memory", "held_back", "silent",
)

cdef enum:
    TRIES = 100         # a thread that was stopped or killed inside its few stores must not hold up a reader


cdef class Scoreboard:
    """`size` rows of shared memory, inherited over fork. A row belongs to one worker at a time."""

    def __init__(self, int size):
        cdef Py_buffer view
        if size < 1:
            raise ValueError(f"a scoreboard of {size} rows")
        # Room for the most threads that can be set: a reload may raise them. The kernel gives pages as they are used.
        self.memory = mmap.mmap(-1, sizeof(Board) + size * (sizeof(Row) + MAX_SEATS * sizeof(Call)))
        self.size = size
        PyObject_GetBuffer(self.memory, &view, PyBUF_WRITABLE)
        self.board = <Board*>view.buf
        self.rows = <Row*>(self.board + 1)
        self.calls = <Call*>(self.rows + size)
        PyBuffer_Release(&view)     # the mapping stays: nothing else can close self.memory

    @property
    def serving(self):
        """Whether the fleet wants new clients. False: every worker answers `ready_path` with 503, and serves on."""
        return not self.board.unready

    @serving.setter
    def serving(self, bint serving):
        self.board.unready = not serving

    def slot(self, int index):
        """Row `index`, for its worker to write and for others to read."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        cdef Slot slot = Slot.__new__(Slot)
        slot.board = self
        slot.row = &self.rows[index]
        slot.calls = &self.calls[<size_t>index * MAX_SEATS]
        slot.index = index
        return slot

    def __repr__(self):
        used = sum(self.slot(i).state != FREE for i in range(self.size))
        return f"<Scoreboard {used} of {self.size} rows used>"


cdef class Slot:
    """One worker's row."""

    def claim(self, int pid, int generation):
        """Empties the row and writes whose it is."""
        self.release()
        self.row.pid = pid
        self.row.generation = <uint32_t>generation
        self.row.state = BOOTING
        self.row.loop_ns = self.row.beat_ns = monotonic_ns()

    def release(self):
        """Gives the row back: its worker is gone."""
        cdef uint32_t i
        for i in range(min(self.row.threads, <uint32_t>MAX_SEATS)):
            end_call(&self.calls[i])
            if self.calls[i].sequence & 1:      # its thread died while it wrote
                finish_write(&self.calls[i])
        memset(self.row, 0, sizeof(Row))

    def beat(self):
        """The worker's main thread says that it runs, and so that the interpreter lock can be had."""
        self.row.beat_ns = monotonic_ns()

    @property
    def heartbeat(self):
        """When the worker last showed life, in seconds of the monotonic clock.

        Life is that the loop turns and that the main thread runs: the older of the two. A stopped process and a C call
        that never gives the interpreter lock back silence both; a call that merely blocks or computes neither.
        """
        return min(self.row.loop_ns, self.row.beat_ns) / 1e9

    def running(self):
        """The requests inside the application, the oldest first."""
        cdef Call call
        cdef uint32_t i
        cdef uint64_t now = monotonic_ns()
        found = []
        for i in range(min(self.row.threads, <uint32_t>MAX_SEATS)):
            if read_call(&self.calls[i], &call):
                found.append(running_request(&call, i, self.row.pid, now))
        found.sort(key=age_of, reverse=True)
        return found

    @property
    def pid(self):
        return self.row.pid

    @property
    def generation(self):
        return self.row.generation

    @property
    def state(self):
        return self.row.state

    @state.setter
    def state(self, int state):
        self.row.state = state

    @property
    def connections(self):
        """Open connections."""
        return self.row.connections

    @property
    def requests(self):
        """Requests answered."""
        return self.row.requests

    @property
    def received(self):
        """Octets read from peers."""
        return self.row.received

    @property
    def sent(self):
        """Octets written to peers."""
        return self.row.sent

    @property
    def buffered(self):
        """Octets of request bodies and unsent responses in memory, when the loop last turned."""
        return self.row.buffered

    @property
    def spooled(self):
        """Octets of them in spool files."""
        return self.row.spooled

    @property
    def incidents(self):
        """What clients did wrong and what ran short so far: how often, by kind (incidents.pxd)."""
        cdef int kind
        return {name: self.row.incidents[kind] for kind, name in enumerate(INCIDENT_NAMES)}

    @property
    def queued(self):
        """Complete requests that waited for a thread when the loop last turned."""
        return self.row.queued

    @property
    def active(self):
        """Threads inside the application when the loop last turned."""
        return self.row.active

    @property
    def threads(self):
        """Threads started."""
        return self.row.threads

    @property
    def handovers(self):
        """How often the baton was passed."""
        return self.row.handovers

    def __repr__(self):
        return (
            f"<Slot {self.index}: pid {self.row.pid} generation {self.row.generation} state {self.row.state} "
            f"connections {self.row.connections} requests {self.row.requests}>"
        )


@cython.final
cdef class RunningRequest:
    """One request that was inside the application when it was looked at."""

    cdef readonly str method
    cdef readonly str path
    cdef readonly str client
    cdef readonly str request_id
    cdef readonly double age
    cdef readonly int seat
    cdef readonly int thread

    def __str__(self):
        client = f"client {self.client}, " if self.client else ""
        return (
            f"{self.method} {self.path}, {self.age:.1f} s "
            f"({client}request {self.request_id}, thread pronghorn-{self.seat})"
        )

    def __repr__(self):
        return f"<RunningRequest {self}>"


cdef struct Text:           # latin-1
    const uint8_t* data
    size_t size


cdef inline Text octets_of(str text) noexcept:
    cdef Text found
    found.data = <const uint8_t*>PyUnicode_DATA(text)
    found.size = <size_t>PyUnicode_GET_LENGTH(text)
    return found


cdef void publish_call(
    Call* call, uint64_t started_ns, uint32_t connection, uint32_t number, str method, str address, str path, str name
) noexcept:
    cdef Text none
    none.size = 0
    write_call(
        call, started_ns, connection, number,
        octets_of(method), octets_of(address), octets_of(path), octets_of(name) if name is not None else none,
    )


cdef inline void write_call(
    Call* call, uint64_t started_ns, uint32_t connection, uint32_t number,
    Text method, Text address, Text path, Text name,
) noexcept nogil:
    begin_write(call)
    put_word(&call.started_ns, started_ns)
    put_half(&call.connection, connection)
    put_half(&call.number, number)
    put_octet(&call.method_size, put_text(call.method, method, METHOD_MOST))
    put_octet(&call.address_size, put_text(call.address, address, ADDRESS_MOST))
    put_octet(&call.path_size, put_text(call.path, path, PATH_MOST))
    put_octet(&call.id_size, put_text(call.id, name, ID_MOST))
    finish_write(call)


cdef inline uint8_t put_text(char* place, Text text, size_t most) noexcept nogil:
    """Copies a text as far as there is room; its size. Putting a last word together would cost more than its octets."""
    cdef size_t at = 0, size = min(text.size, most)
    cdef uint64_t word
    cdef uint32_t half
    cdef uint16_t quarter
    while size - at >= 8:
        memcpy(&word, text.data + at, 8)
        put_word(<uint64_t*>(place + at), word)
        at += 8
    if size & 4:
        memcpy(&half, text.data + at, 4)
        put_half(<uint32_t*>(place + at), half)
        at += 4
    if size & 2:
        memcpy(&quarter, text.data + at, 2)
        put_quarter(<uint16_t*>(place + at), quarter)
        at += 2
    if size & 1:
        put_octet(<uint8_t*>(place + at), text.data[at])
    return <uint8_t>size


cdef void end_call(Call* call) noexcept nogil:
    put_word(&call.started_ns, 0)


cdef str SAFE = "!$&'()*+,-./:;=@_~"     # RFC 3986 section 3.3: what stands in a path as it is


cdef str name_request(int pid, uint32_t connection, uint32_t number):
    return f"{pid:x}-{connection:x}-{number:x}"


cdef bint read_call(const Call* call, Call* copy) noexcept nogil:
    """Copies a call in flight; False when there is none, or its thread is just writing and does not come to an end."""
    cdef const uint64_t* source = <const uint64_t*>call
    cdef uint64_t* target = <uint64_t*>copy
    cdef uint64_t sequence
    cdef size_t i
    cdef int _try
    for _try in range(TRIES):
        sequence = load_u64(&call.sequence)
        for i in range(sizeof(Call) // sizeof(uint64_t)):
            target[i] = get_word(source + i)
        if sequence & 1 == 0 and load_behind(&call.sequence) == sequence:
            return copy.started_ns != 0
    return False


cdef object age_of(request):
    return (<RunningRequest>request).age


cdef RunningRequest running_request(const Call* call, int seat, int pid, uint64_t now):
    cdef RunningRequest request = RunningRequest.__new__(RunningRequest)
    request.method = text_of(call.method, call.method_size, METHOD_MOST)
    request.path = quote(text_of(call.path, call.path_size, PATH_MOST).encode("latin-1"), SAFE)
    request.client = text_of(call.address, call.address_size, ADDRESS_MOST)
    request.request_id = text_of(call.id, call.id_size, ID_MOST) or name_request(pid, call.connection, call.number)
    request.age = (now - call.started_ns) / 1e9 if now > call.started_ns else 0.0
    request.seat = seat
    request.thread = call.thread
    return request


cdef str text_of(const char* data, uint8_t size, int most):
    """The sizes are read from memory that another process writes: they are held against the room."""
    return PyUnicode_DecodeLatin1(data, min(<int>size, most), NULL)
