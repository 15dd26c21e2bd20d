# A growing run of bytes: the one way responses and bodies are put together. Every append checks its room.

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from pronghorn.debug cimport BUFFERS, tally

cdef struct Buffer:     # starts zeroed
    char* data
    size_t size
    size_t capacity


cdef inline int reserve(Buffer* buffer, size_t more) noexcept nogil:
    """Room for `more` bytes behind the present ones; -1 when there is no memory."""
    cdef size_t wanted, capacity
    cdef char* data
    if more <= buffer.capacity - buffer.size:
        return 0
    if more > <size_t>-1 // 4 - buffer.size:
        return -1
    wanted = buffer.size + more
    capacity = buffer.capacity * 2 if buffer.capacity * 2 > 1024 else 1024
    if capacity < wanted:
        capacity = wanted
    data = <char*>realloc(buffer.data, capacity)
    if data == NULL:
        return -1
    if buffer.data == NULL:
        tally(BUFFERS, 1)
    buffer.data = data
    buffer.capacity = capacity
    return 0


cdef inline int append(Buffer* buffer, const void* data, size_t size) noexcept nogil:
    """Copies `size` bytes to the end; -1 when there is no memory."""
    if reserve(buffer, size) < 0:
        return -1
    memcpy(buffer.data + buffer.size, data, size)
    buffer.size += size
    return 0


cdef inline void discard_front(Buffer* buffer, size_t count) noexcept nogil:
    """Forgets the first `count` bytes. With none nothing moves: a head that comes in pieces would cost their square."""
    if count >= buffer.size:
        buffer.size = 0
    if count == 0 or buffer.size == 0:
        return
    memmove(buffer.data, buffer.data + count, buffer.size - count)
    buffer.size -= count


cdef inline void release(Buffer* buffer) noexcept nogil:
    """Gives the memory back; the buffer is empty and can be used again."""
    if buffer.data != NULL:
        tally(BUFFERS, -1)
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
