# An input as a parser sees it that has received only a part: what lies behind that must not be touched, and what was
# not touched cannot have been relied on.

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #if defined(__has_feature)
    #if __has_feature(address_sanitizer)
    #define __SANITIZE_ADDRESS__        /* gcc says it in this way */
    #endif
    #endif
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    #else
    #define ASAN_POISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
    #define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
    #endif
    __attribute__((weak)) unsigned long long pronghorn_steps;    /* the parsers' own, see wire/cursor.pxd */
    """
    void ASAN_POISON_MEMORY_REGION(const void* data, size_t size)
    void ASAN_UNPOISON_MEMORY_REGION(const void* data, size_t size)
    uint64_t steps_taken "pronghorn_steps"

cdef struct Window:
    uint8_t* data       # a block of the exact size: one octet behind the end is an error too
    size_t size
    size_t shown        # octets that may be touched


# Nothing may be touched yet.
cdef inline int open_window(Window* window, bytes data) except -1:
    window.size = <size_t>len(data)
    window.data = <uint8_t*>malloc(window.size)
    if window.data == NULL and window.size:
        raise MemoryError
    memcpy(window.data, <const char*>data, window.size)
    window.shown = 0
    ASAN_POISON_MEMORY_REGION(window.data, window.size)
    return 0


# From now on `more` octets more may be touched.
cdef inline void show(Window* window, size_t more) noexcept:
    ASAN_UNPOISON_MEMORY_REGION(window.data + window.shown, more)
    window.shown += more


cdef inline void close_window(Window* window) noexcept:
    ASAN_UNPOISON_MEMORY_REGION(window.data, window.size)
    free(window.data)
    window.data = NULL


# Numbers that are the same for the same input, so that whatever is chosen by them is a part of the finding.
cdef inline uint64_t seed_of(bytes data) noexcept:
    cdef uint64_t seed = 0xCBF29CE484222325ULL
    cdef const uint8_t* octets = <const uint8_t*><const char*>data
    cdef Py_ssize_t index
    for index in range(len(data)):
        seed = (seed ^ octets[index]) * 0x100000001B3ULL
    return seed


cdef inline uint64_t next_number(uint64_t* state, uint64_t below) noexcept:
    state[0] += 0x9E3779B97F4A7C15ULL
    cdef uint64_t mixed = (state[0] ^ (state[0] >> 30)) * 0xBF58476D1CE4E5B9ULL
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL
    return (mixed ^ (mixed >> 31)) % below


# How many octets come next, where `left` have not come yet. `way`: 0 all at once, 1 one by one, 2 by chance, small
# pieces being as likely as large ones.
cdef inline size_t next_piece(int way, size_t left, uint64_t* state) noexcept:
    cdef size_t most
    if way == 0 or left < 2:
        return left
    if way == 1:
        return 1
    most = <size_t>1 << next_number(state, 12)
    return 1 + <size_t>next_number(state, most if most < left else left)
