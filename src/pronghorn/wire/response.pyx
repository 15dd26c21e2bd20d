"""Response heads: the one place where a status line and headers become bytes.

Everything an application can say wrongly is refused here, before a byte is sent: a CR, LF or NUL in a header would let
whoever controls the value write a response of their own (CVE-2018-1000164 and its kin).
"""

import time

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, strlen

from pronghorn.wire.buffer cimport Buffer, append, reserve

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum Name:             # headers the server has a word in
    ORDINARY = 0
    CONTENT_LENGTH = 1
    CONNECTION = 2
    DATE = 3
    SERVER = 4
    HOP_BY_HOP = 5          # RFC 9110 section 7.6.1: the server's business, which PEP 3333 forbids to applications

cdef dict SPECIAL = {
    "content-length": CONTENT_LENGTH,
    "connection": CONNECTION,
    "date": DATE,
    "server": SERVER,
    "keep-alive": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "upgrade": HOP_BY_HOP,
}

cdef enum:
    KNOWN_NAMES = 512
    KNOWN_STATUSES = 256


cdef struct KnownName:      # a checked header name, found again by the identity of its string
    PyObject* name
    int kind

cdef KnownName known_names[KNOWN_NAMES]
cdef list kept_names = []   # keeps the strings of known_names alive, so that their identity stays theirs
cdef dict known_statuses = {}

cdef uint8_t bad_value[256]     # bytes that may not stand in a field value (RFC 9110 section 5.5) or reason phrase
cdef uint8_t is_token[256]


def _fill_tables():
    cdef int i
    for i in range(256):
        bad_value[i] = (i < 0x20 and i != 0x09) or i == 0x7F
        is_token[i] = chr(i) in "!#$%&'*+-.^_`|~" or (i < 128 and chr(i).isalnum())


_fill_tables()

cdef char standard[128]         # "Server: …\r\nDate: …\r\n" of this second
cdef size_t standard_size = 0
cdef size_t server_size = 0
cdef long standard_second = -1


cdef int render_date(long now) except -1:
    global standard_size, server_size, standard_second
    if now == standard_second:
        return 0
    # time.strftime would follow the locale; IMF-fixdate is English (RFC 9110 section 5.6.7).
    at = time.gmtime(now)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.tm_wday]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[at.tm_mon - 1]
    server = b"Server: pronghorn\r\n"
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    text = server + f"Date: {day}, {at.tm_mday:02} {month} {at.tm_year} {clock} GMT\r\n".encode()
    memcpy(standard, <const char*>text, len(text))
    standard_size = len(text)
    server_size = len(server)
    standard_second = now
    return 0


cdef int append_standard(Buffer* out, const Verdict* verdict) except -1:
    cdef size_t start = server_size if verdict.flags & SAID_SERVER else 0
    cdef size_t end = server_size if verdict.flags & SAID_DATE else standard_size
    if append(out, standard + start, end - start) < 0:
        raise MemoryError
    return 0


cdef int append_length(Buffer* out, int64_t length) except -1:
    # By hand: snprintf would cost as much as all the rest of a small head.
    cdef char digits[20]
    cdef size_t at = sizeof(digits)
    cdef uint64_t left = <uint64_t>length
    while at == sizeof(digits) or (left and at):
        at -= 1
        digits[at] = <char>(48 + left % 10)
        left //= 10
    if (
        append(out, b"Content-Length: ", 16) < 0
        or append(out, &digits[at], sizeof(digits) - at) < 0
        or append(out, b"\r\n", 2) < 0
    ):
        raise MemoryError
    return 0


cdef int append_text(Buffer* out, const char* text) except -1:
    if append(out, text, strlen(text)) < 0:
        raise MemoryError
    return 0


cdef int name_kind(object name) except -1:
    """What the server has to do with the header `name`. Raises ValueError if it is no token."""
    cdef KnownName* slot = &known_names[(<size_t><void*>name >> 4) & (KNOWN_NAMES - 1)]
    if slot.name == <PyObject*>name:
        return slot.kind
    if PyUnicode_KIND(name) != 1 or PyUnicode_GET_LENGTH(name) == 0:
        raise ValueError(f"{name!r} is not a header name: it must be a token (RFC 9110 section 5.1)")
    cdef const uint8_t* data = <const uint8_t*>PyUnicode_DATA(name)
    cdef Py_ssize_t i
    for i in range(PyUnicode_GET_LENGTH(name)):
        if not is_token[data[i]]:
            raise ValueError(f"{name!r} is not a header name: it must be a token (RFC 9110 section 5.1)")
    cdef int kind = SPECIAL.get(name.lower(), ORDINARY)
    if slot.name == NULL:
        # Applications write header names as literals: the same few objects for ever. A slot is filled once and never
        # changes.
        kept_names.append(name)
        slot.kind = kind
        slot.name = <PyObject*>name
    return kind


cdef bytes status_line(str status):
    """The rendered status line. Raises ValueError when `status` is not `NNN reason`."""
    line = known_statuses.get(status)
    if line is not None:
        return <bytes>line
    if (
        len(status) < 3
        or not (status[:3].isascii() and status[:3].isdigit())
        or not 200 <= int(status[:3]) <= 599
        or (len(status) > 3 and status[3] != " ")
    ):
        raise ValueError(
            f"{status!r} is not a status: it must be three digits (200 to 599: an interim one is no answer), "
            "a space and a reason"
        )
    try:
        encoded = status.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"the status {status!r} has a character outside latin-1") from None
    if any(bad_value[byte] for byte in encoded):
        raise ValueError(f"the status {status!r} has a control character")
    line = b"HTTP/1.1 " + encoded + (b" " if len(status) == 3 else b"") + b"\r\n"
    if len(known_statuses) < KNOWN_STATUSES:
        known_statuses[status] = line
    return <bytes>line


cdef int64_t length_value(object value) except -2:
    # By hand, as in append_length: isdigit() and int() were a tenth of all instructions of a small response.
    cdef Py_ssize_t i, size = PyUnicode_GET_LENGTH(value)
    cdef const uint8_t* data = <const uint8_t*>PyUnicode_DATA(value)
    cdef int64_t length = 0
    cdef bint good = PyUnicode_KIND(value) == 1 and 0 < size <= 18      # 18 digits fit
    for i in range(size if good else 0):
        if not c"0" <= data[i] <= c"9":
            good = False
            break       # 18 octets that are no digits do not fit
        length = 10 * length + (data[i] - c"0")
    if not good:
        raise ValueError(f"Content-Length {value!r} is not a number of octets")
    return length


cdef int append_value(Buffer* out, object name, object value) except -1:
    """Copies a checked header value; the room is already reserved."""
    cdef Py_ssize_t i, size = PyUnicode_GET_LENGTH(value)
    cdef const uint8_t* data = <const uint8_t*>PyUnicode_DATA(value)
    cdef uint8_t* to = <uint8_t*>out.data + out.size
    cdef uint8_t bad = 0
    if PyUnicode_KIND(value) != 1:
        raise ValueError(f"the value of the header {name} has a character outside latin-1: {value!r}")
    for i in range(size):
        bad |= bad_value[data[i]]
    if bad:
        raise ValueError(f"the value of the header {name} has a control character: {value!r}")
    memcpy(to, data, <size_t>size)
    out.size += <size_t>size
    return 0


cdef int append_header(Buffer* out, object header, Verdict* verdict) except -1:
    if not PyTuple_Check(header) or PyTuple_GET_SIZE(header) != 2:
        raise TypeError(f"a response header must be a (name, value) tuple, not {header!r}")
    name = <object>PyTuple_GET_ITEM(header, 0)
    value = <object>PyTuple_GET_ITEM(header, 1)
    if not PyUnicode_Check(name) or not PyUnicode_Check(value):
        raise TypeError(f"name and value of a response header must be str, not {header!r}")
    cdef int kind = name_kind(name)
    cdef size_t size = <size_t>PyUnicode_GET_LENGTH(name)
    if kind == HOP_BY_HOP:
        return 0
    if kind == CONNECTION:
        if any(option.strip(" \t") == "close" for option in value.lower().split(",")):   # RFC 9110 section 7.6.1
            verdict.flags |= SAID_CLOSE
        return 0
    if kind == CONTENT_LENGTH:
        length = length_value(value)
        if verdict.content_length >= 0 and verdict.content_length != length:
            raise ValueError("two different Content-Length headers")
        if verdict.content_length >= 0:
            return 0
        verdict.content_length = length
        # It is written with the framing, by whoever knows whether this response may have one.
        return 0
    if kind == DATE:
        verdict.flags |= SAID_DATE
    elif kind == SERVER:
        verdict.flags |= SAID_SERVER
    if reserve(out, size + <size_t>PyUnicode_GET_LENGTH(value) + 4) < 0:
        raise MemoryError
    memcpy(out.data + out.size, PyUnicode_DATA(name), size)
    out.size += size
    memcpy(out.data + out.size, b": ", 2)
    out.size += 2
    append_value(out, name, value)
    memcpy(out.data + out.size, b"\r\n", 2)
    out.size += 2
    return 0


cdef int render_head(Buffer* out, str status, list headers, Verdict* verdict) except -1:
    cdef size_t start = out.size
    cdef Py_ssize_t i
    cdef bytes line
    verdict.flags = 0
    verdict.content_length = -1
    try:
        line = status_line(status)
        verdict.status = (line[9] - 48) * 100 + (line[10] - 48) * 10 + (line[11] - 48)
        if append(out, <const char*>line, len(line)) < 0:
            raise MemoryError
        for i in range(PyList_GET_SIZE(headers)):
            append_header(out, <object>PyList_GET_ITEM(headers, i), verdict)
    except BaseException:
        out.size = start
        raise
    return 0
