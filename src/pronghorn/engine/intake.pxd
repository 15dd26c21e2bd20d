# From bytes to requests: what a connection has received is read as heads and bodies, and complete requests are served.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, PoolThread
from pronghorn.engine.outlet cimport Outlet
from pronghorn.wire.framing cimport ChunkLimits


cdef class Intake(Outlet):
    cdef size_t body_memory
    cdef ChunkLimits chunk_limits
    cdef list held_back             # connections that are not read while unsent responses fill the memory

    # A connection is readable.
    cdef int _read(self, PoolThread thread, Connection connection) except -1
    cdef int _end_of_input(self, PoolThread thread, Connection connection) except -1
    # It has received what may be whole requests, and may go on.
    cdef int _resume(self, PoolThread thread, Connection connection) except -1

    cdef size_t _amount(self, Connection connection) noexcept
    cdef int _hold_back(self, Connection connection) except -1
    cdef void _await_piece(self, Connection connection, uint64_t left, uint32_t size) noexcept
    # There is memory again.
    cdef int _read_on(self) except -1
    cdef int _read_head(self, Connection connection, const uint8_t* data, uint32_t size) except? -9999
    cdef int _take_body(self, Exchange exchange, const uint8_t* data, uint32_t size, uint32_t* used) except? -9999
    cdef void _keep(self, Connection connection, const uint8_t* data, uint32_t at, uint32_t size) noexcept
