"""What every worker is doing, in memory that the arbiter and all workers share.

The arbiter makes the board before it forks; each worker writes its own row without a lock, everybody reads all rows. A
row is a few naturally aligned integers, so a reader sees each value whole, if perhaps a moment old.
"""

import mmap

from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memset

from pronghorn.engine.posix cimport monotonic_ns

FREE, BOOTING, READY, DRAINING = range(4)


cdef class Scoreboard:
    """`size` rows of shared memory, inherited over fork. A row belongs to one worker at a time."""

    def __init__(self, int size):
        cdef Py_buffer view
        if size < 1:
            raise ValueError(f"a scoreboard of {size} rows")
        self.memory = mmap.mmap(-1, sizeof(Board) + size * sizeof(Row))
        self.size = size
        PyObject_GetBuffer(self.memory, &view, PyBUF_WRITABLE)
        self.board = <Board*>view.buf
        self.rows = <Row*>(<char*>view.buf + sizeof(Board))
        PyBuffer_Release(&view)     # the mapping stays: nothing else can close self.memory

    @property
    def serving(self):
        """Whether the fleet wants new clients: written by the arbiter, read by the workers."""
        return self.board.unready == 0

    @serving.setter
    def serving(self, bint value):
        self.board.unready = not value

    def slot(self, int index):
        """Row `index`, for its worker to write and for others to read."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        cdef Slot slot = Slot.__new__(Slot)
        slot.board = self
        slot.row = &self.rows[index]
        slot.index = index
        return slot

    def __repr__(self):
        used = sum(self.slot(i).state != FREE for i in range(self.size))
        return f"<Scoreboard {used} of {self.size} rows used>"


cdef class Slot:
    """One worker's row."""

    def claim(self, int pid, int generation):
        """Empties the row and writes whose it is."""
        memset(self.row, 0, sizeof(Row))
        self.row.pid = pid
        self.row.generation = generation
        self.row.state = BOOTING
        self.row.heartbeat_ns = monotonic_ns()

    def release(self):
        """Gives the row back: its worker is gone."""
        memset(self.row, 0, sizeof(Row))

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
        return self.row.connections

    @property
    def requests(self):
        return self.row.requests

    @property
    def handovers(self):
        return self.row.handovers

    @property
    def heartbeat(self):
        """When the worker's loop last turned, in seconds of the monotonic clock."""
        return self.row.heartbeat_ns / 1e9

    def __repr__(self):
        return (
            f"<Slot {self.index}: pid {self.row.pid} generation {self.row.generation} state {self.row.state} "
            f"connections {self.row.connections} requests {self.row.requests}>"
        )
