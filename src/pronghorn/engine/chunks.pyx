"""Keeps the interpreter's stack chunks that greenlets give back, for the next ones.

Since CPython 3.11 a greenlet that calls a Python function gets a chunk of 16 KiB for its frames from the interpreter's
arena allocator, and gives it back when it ends: an mmap, its page faults and a munmap for every request, three times
what else a greenlet costs. The arena allocator is meant to be replaced (Python/C API, "Customize pymalloc Arena
Allocator"), and greenlet itself asks for it to free those chunks.
"""

from pronghorn.engine.posix cimport (
    pthread_mutex_init,
    pthread_mutex_t,
    pthread_mutex_trylock,
    pthread_mutex_unlock,
)

cdef extern from "Python.h":
    ctypedef struct PyObjectArenaAllocator:
        void* ctx
        void* (*alloc)(void* ctx, size_t size) noexcept nogil
        void (*free)(void* ctx, void* pointer, size_t size) noexcept nogil
    void PyObject_GetArenaAllocator(PyObjectArenaAllocator* allocator)
    void PyObject_SetArenaAllocator(PyObjectArenaAllocator* allocator)

cdef enum:
    CHUNK = 16 * 1024       # DATA_STACK_CHUNK_SIZE of the interpreter; what has another size is none of ours
    KEPT = 1024             # 16 MiB of addresses, of which one page in four is in use

cdef PyObjectArenaAllocator below
cdef void* kept[KEPT]
cdef int count = 0
cdef bint installed = False
# Chunks come and go with threads too, perhaps without the interpreter lock. Who would have to wait goes below instead:
# so a fork in the middle cannot leave the lock behind.
cdef pthread_mutex_t lock


cdef void* allocate(void* ctx, size_t size) noexcept nogil:
    global count
    cdef void* chunk = NULL
    if size == CHUNK and pthread_mutex_trylock(&lock) == 0:
        if count:
            count -= 1
            chunk = kept[count]
        pthread_mutex_unlock(&lock)
    return chunk if chunk != NULL else below.alloc(below.ctx, size)


cdef void give_back(void* ctx, void* pointer, size_t size) noexcept nogil:
    global count
    cdef bint taken = False
    if size == CHUNK and pthread_mutex_trylock(&lock) == 0:
        if count < KEPT:
            kept[count] = pointer
            count += 1
            taken = True
        pthread_mutex_unlock(&lock)
    if not taken:
        below.free(below.ctx, pointer, size)


def keep_chunks():
    """Has this process keep up to 1024 of them from now on."""
    global installed
    cdef PyObjectArenaAllocator ours
    if installed:
        return
    installed = True
    pthread_mutex_init(&lock, NULL)
    PyObject_GetArenaAllocator(&below)
    ours.ctx = NULL
    ours.alloc = allocate
    ours.free = give_back
    PyObject_SetArenaAllocator(&ours)
