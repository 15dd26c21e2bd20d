"""The debug build's own view of itself: what lives, and delays where something changes hands.

`PRONGHORN_DEBUG=1 python setup.py build_ext` makes one; `make test-asan` does. In any other build `ENABLED` is false
and nothing is counted.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from pronghorn.engine.posix cimport load_u64, store_u64

ENABLED = bool(DEBUG)


@cython.final
cdef class Witness:
    def __cinit__(self, int kind):
        self.kind = kind
        tally(kind, 1)

    def __dealloc__(self):
        tally(self.kind, -1)


cdef int64_t living_now(int kind) noexcept nogil:
    return <int64_t>load_u64(<uint64_t*>&table.living[kind])


def living():
    """How many of each kind live in this process."""
    return {
        "engines": living_now(ENGINES),
        "connections": living_now(CONNECTIONS),
        "requests": living_now(REQUESTS),
        "buffers": living_now(BUFFERS),
        "spool files": living_now(SPOOL_FILES),
        "file slices": living_now(FILE_SLICES),
    }


def delay(*, uint64_t seed, uint64_t one_in, double most):
    """Holds threads up at hand-over points: one passage in `one_in` (0: none), for at most `most` seconds.

    The random numbers begin at `seed`; which thread draws which of them is the scheduler's choice.
    """
    store_u64(&table.drawn, seed)
    store_u64(&table.most_ns, <uint64_t>(most * 1e9))
    store_u64(&table.delays, 0)
    store_u64(&table.one_in, one_in)


def delays():
    """How many delays there were since `delay` was called."""
    return load_u64(&table.delays)
