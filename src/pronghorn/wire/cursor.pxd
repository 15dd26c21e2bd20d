# The one way bytes from a peer are touched: a pointer that knows where its bytes begin and end.
#
# Octets are returned as int, by statements: in a conditional expression Cython gives END the octet's type and makes it
# 255.
#
# Nothing here reads outside [start, end), whatever it is asked: a length from the wire is compared with what is there,
# never added to a pointer first. The parsers have no pointer arithmetic of their own.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from pronghorn.wire.octets cimport CR, HTAB, LF, OCTETS, SP, TEXT

cdef extern from "<endian.h>" nogil:
    uint64_t le64toh(uint64_t word)

cdef extern from *:
    int __builtin_ctzll(unsigned long long word) nogil

# What parsing costs, counted in octets looked at, where PRONGHORN_COUNT_STEPS is defined: in the builds of fuzz/, which
# hold the parsers to a number of steps in proportion to what they were given. The server's own build counts nothing.
cdef extern from *:
    """
    #ifdef PRONGHORN_COUNT_STEPS
    __attribute__((weak)) unsigned long long pronghorn_steps;   /* one for all modules, if loaded with RTLD_GLOBAL */
    #define PRONGHORN_COUNT(octets) ((void)(pronghorn_steps += 1 + (octets)))
    #else
    #define PRONGHORN_COUNT(octets) ((void)(octets))
    #endif
    """
    void note_steps "PRONGHORN_COUNT"(size_t octets) nogil

cdef enum:
    END = -1    # what peek and take say where no byte is left

cdef struct Cursor:
    const uint8_t* start
    const uint8_t* at
    const uint8_t* end


cdef inline Cursor open_cursor(const uint8_t* data, size_t size) noexcept nogil:
    cdef Cursor cursor
    cursor.start = data
    cursor.at = data
    cursor.end = data + size
    return cursor


# The bytes [first, first + length) of what `cursor` was opened on, cut to what is there.
cdef inline Cursor part(const Cursor* cursor, size_t first, size_t length) noexcept nogil:
    cdef size_t size = <size_t>(cursor.end - cursor.start)
    note_steps(0)
    if first > size:
        first = size
    if length > size - first:
        length = size - first
    return open_cursor(cursor.start + first, length)


cdef inline size_t left(const Cursor* cursor) noexcept nogil:
    return <size_t>(cursor.end - cursor.at)


cdef inline size_t tell(const Cursor* cursor) noexcept nogil:
    return <size_t>(cursor.at - cursor.start)


cdef inline int peek(const Cursor* cursor) noexcept nogil:
    note_steps(0)
    if cursor.at < cursor.end:
        return cursor.at[0]
    return END


cdef inline int peek_at(const Cursor* cursor, size_t distance) noexcept nogil:
    note_steps(0)
    if distance < left(cursor):
        return cursor.at[distance]
    return END


cdef inline int take(Cursor* cursor) noexcept nogil:
    cdef int byte = END
    note_steps(0)
    if cursor.at < cursor.end:
        byte = cursor.at[0]
        cursor.at += 1
    return byte


# Moves on by `count` bytes, or to the end where there are fewer; returns how many it passed.
cdef inline size_t skip(Cursor* cursor, size_t count) noexcept nogil:
    cdef size_t passed = count if count < left(cursor) else left(cursor)
    note_steps(0)
    cursor.at += passed
    return passed


# Goes to `place` bytes behind the start, or to the end where there are fewer.
cdef inline void move_to(Cursor* cursor, size_t place) noexcept nogil:
    cdef size_t size = <size_t>(cursor.end - cursor.start)
    cursor.at = cursor.start + (place if place < size else size)


# Copies the next `count` bytes (or as many as there are) to `out` and moves past them; returns how many.
cdef inline size_t copy_out(Cursor* cursor, size_t count, uint8_t* out) noexcept nogil:
    cdef size_t copied = count if count < left(cursor) else left(cursor)
    note_steps(copied)
    memcpy(out, cursor.at, copied)
    cursor.at += copied
    return copied


# Moves past every byte of a class of octets; returns how many there were.
cdef inline size_t skip_class(Cursor* cursor, uint8_t mask) noexcept nogil:
    cdef const uint8_t* at = cursor.at
    cdef const uint8_t* end = cursor.end
    while at < end and OCTETS[at[0]] & mask:
        at += 1
    cdef size_t passed = <size_t>(at - cursor.at)
    note_steps(passed)
    cursor.at = at
    return passed


# The same as skip_class(cursor, TEXT), eight octets at a time, because values are most of a head. The mask has the high
# bit of each octet below SP and of each DEL; a borrow can set bits above the first of them but none below, so the first
# one is exact.
cdef inline size_t skip_text(Cursor* cursor) noexcept nogil:
    cdef const uint8_t* at = cursor.at
    cdef uint64_t word, flipped, mask
    cdef size_t passed
    while cursor.end - at >= 8:
        memcpy(&word, at, 8)
        word = le64toh(word)
        flipped = word ^ <uint64_t>0x7F7F7F7F7F7F7F7F
        mask = (
            ((word - <uint64_t>0x2020202020202020) & ~word)
            | ((flipped - <uint64_t>0x0101010101010101) & ~flipped)
        ) & <uint64_t>0x8080808080808080
        if mask == 0:
            at += 8
            continue
        at += __builtin_ctzll(mask) >> 3
        if at[0] != HTAB:
            break
        at += 1
    passed = <size_t>(at - cursor.at)
    cursor.at = at
    note_steps(passed)
    return passed + skip_class(cursor, TEXT)


# Moves past SP and HTAB: the only whitespace HTTP knows (Python's strip() takes VT, FF, NEL and NBSP too, and proxies
# do not).
cdef inline size_t skip_blanks(Cursor* cursor) noexcept nogil:
    cdef size_t passed = 0
    while cursor.at < cursor.end and (cursor.at[0] == SP or cursor.at[0] == HTAB):
        cursor.at += 1
        passed += 1
    note_steps(passed)
    return passed


# Takes SP and HTAB off the far end.
cdef inline void trim_end(Cursor* cursor) noexcept nogil:
    while cursor.end > cursor.at and ((cursor.end - 1)[0] == SP or (cursor.end - 1)[0] == HTAB):
        note_steps(0)
        cursor.end -= 1


# How many SP and HTAB stand right before here, of at most `most` bytes.
cdef inline size_t blanks_before(const Cursor* cursor, size_t most) noexcept nogil:
    cdef const uint8_t* at = cursor.at
    cdef const uint8_t* floor = at - (most if most < tell(cursor) else tell(cursor))
    while at > floor and ((at - 1)[0] == SP or (at - 1)[0] == HTAB):
        at -= 1
    note_steps(<size_t>(cursor.at - at))
    return <size_t>(cursor.at - at)


# Moves past CRLF if that is what stands here.
cdef inline bint skip_line_end(Cursor* cursor) noexcept nogil:
    note_steps(1)
    if left(cursor) >= 2 and cursor.at[0] == CR and cursor.at[1] == LF:
        cursor.at += 2
        return True
    return False


# How far it is to the next `byte`, or to the end where there is none.
cdef inline size_t distance(const Cursor* cursor, int byte) noexcept nogil:
    cdef const uint8_t* found = NULL
    if cursor.at < cursor.end:
        found = <const uint8_t*>memchr(cursor.at, byte, left(cursor))
    cdef size_t passed = left(cursor) if found == NULL else <size_t>(found - cursor.at)
    note_steps(passed)
    return passed


# Whether all that is left is `word`, which is written in lower case; letters of either case match.
cdef inline bint is_word(const Cursor* cursor, const char* word, size_t length) noexcept nogil:
    cdef size_t index
    if left(cursor) != length:
        return False
    note_steps(length)
    for index in range(length):
        if lower(cursor.at[index]) != <uint8_t>word[index]:
            return False
    return True


# Whether two cursors have the same bytes left, letters of either case being the same.
cdef inline bint is_same(const Cursor* one, const Cursor* other) noexcept nogil:
    cdef size_t index
    if left(one) != left(other):
        return False
    note_steps(left(one))
    for index in range(left(one)):
        if lower(one.at[index]) != lower(other.at[index]):
            return False
    return True


cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    return byte | 0x20 if 0x41 <= byte <= 0x5A else byte
