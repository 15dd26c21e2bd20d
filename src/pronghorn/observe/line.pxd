# The pieces that log lines and metrics are put together from.

from libc.stdint cimport uint64_t

from pronghorn.wire.buffer cimport Buffer, append

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    enum: PyUnicode_1BYTE_KIND

cdef enum:
    LINE_MOST = 65536       # octets of what one line holds; a request line of 8 KiB and a few fields stay far below it


cdef inline int put_bytes(Buffer* line, const char* data, size_t size) except -1:
    if append(line, data, size) < 0:
        raise MemoryError
    return 0


cdef inline int put_number(Buffer* line, uint64_t number, int least_digits) except -1:
    cdef char[20] digits
    cdef int at = 20
    while number or least_digits > 0:
        at -= 1
        digits[at] = <char>(c"0" + number % 10)
        number //= 10
        least_digits -= 1
    return put_bytes(line, &digits[at], 20 - at)


cdef inline int put_hex(Buffer* line, uint64_t number) except -1:
    cdef char[16] digits
    cdef const char* letters = "0123456789abcdef"
    cdef int at = 16
    while number or at == 16:
        at -= 1
        digits[at] = letters[number & 15]
        number >>= 4
    return put_bytes(line, &digits[at], 16 - at)


cdef inline int put_milliseconds(Buffer* line, uint64_t duration_ns) except -1:
    """With three decimals: 1.234."""
    put_number(line, duration_ns // 1000000, 1)
    put_bytes(line, ".", 1)
    return put_number(line, duration_ns // 1000 % 1000, 3)


cdef inline int status_of(str status) noexcept:
    """The number that a status line begins with; 0 if there is none."""
    cdef const unsigned char* data
    cdef int number = 0, at
    if status is None or PyUnicode_KIND(status) != PyUnicode_1BYTE_KIND or PyUnicode_GET_LENGTH(status) < 3:
        return 0
    data = <const unsigned char*>PyUnicode_DATA(status)
    for at in range(3):
        if not c"0" <= data[at] <= c"9":
            return 0
        number = number * 10 + data[at] - c"0"
    return number
