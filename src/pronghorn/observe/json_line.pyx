"""The one JSON encoder of both logs (RFC 8259), which writes into the buffer of a line.

Peers send octets, and JSON is made of text. What they send is read as UTF-8, and an octet that is no part of it appears
as `\\xNN`, as Python's `decode("utf-8", "backslashreplace")` has it and as the access log's text format does: so every
line is valid for every reader of JSON, whoever sent what. (Lone surrogates would give the octets back, but parsers that
are strict refuse the line; U+FFFD would not say what was there.)
"""

import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport strlen
from posix.unistd cimport getpid

from pronghorn.engine.exchange cimport Exchange, current_exchange
from pronghorn.observe.line cimport (
    LINE_MOST,
    PyUnicode_1BYTE_KIND,
    PyUnicode_DATA,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
    put_bytes,
    put_hex,
    put_milliseconds,
    put_number,
    status_of,
)
from pronghorn.wire.buffer cimport Buffer, release, reserve

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

cdef enum:
    ESCAPED_MOST = 6        # octets that one octet can become: \u001f

cdef const char* HEX = "0123456789abcdef"

# For each octet: 0 if it is copied; 1 if it is escaped as RFC 8259 section 7 wants it, or because it would give orders
# to a terminal; 2 if it begins, or continues, a sequence of UTF-8.
cdef unsigned char[256] KIND


cdef void fill_kinds():
    cdef int octet
    for octet in range(256):
        KIND[octet] = 2 if octet >= 0x80 else (octet < 0x20 or octet == 0x7F or octet == c'"' or octet == c"\\")


fill_kinds()


cdef inline size_t sequence_of(const unsigned char* data, size_t left) noexcept nogil:
    """The length of the well-formed UTF-8 sequence that `data` begins with (RFC 3629 section 4); 0 if there is none."""
    cdef unsigned char first = data[0], second = data[1] if left > 1 else 0
    if 0xC2 <= first <= 0xDF:
        return 2 if second & 0xC0 == 0x80 else 0
    if left < 3 or second & 0xC0 != 0x80 or data[2] & 0xC0 != 0x80:
        return 0
    if 0xE0 <= first <= 0xEF:
        # Neither longer than it need be nor half of a pair of UTF-16.
        return 0 if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F) else 3
    if left < 4 or data[3] & 0xC0 != 0x80 or not 0xF0 <= first <= 0xF4:
        return 0
    return 0 if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F) else 4


cdef inline char* put_unit(char* out, unsigned int unit) noexcept nogil:
    """A control character, a quote or a backslash, escaped."""
    out[0] = c"\\"
    if unit == c'"' or unit == c"\\":
        out[1] = <char>unit
        return out + 2
    if unit == c"\n" or unit == c"\r" or unit == c"\t":
        out[1] = c"n" if unit == c"\n" else c"r" if unit == c"\r" else c"t"
        return out + 2
    out[1] = c"u"
    out[2] = out[3] = c"0"
    out[4] = HEX[unit >> 4]
    out[5] = HEX[unit & 15]
    return out + 6


cdef inline size_t fitting(const Buffer* line, size_t size) noexcept nogil:
    """How much of a peer's value is written: lines have an end."""
    cdef size_t room = (LINE_MOST - line.size) // ESCAPED_MOST if line.size < LINE_MOST else 0
    return size if size < room else room


cdef int put_octets(Buffer* line, const unsigned char* data, size_t size) except -1:
    cdef size_t at = 0, length, i
    cdef unsigned char octet
    cdef char* out
    if reserve(line, size * ESCAPED_MOST + 2) < 0:
        raise MemoryError
    out = line.data + line.size
    out[0] = c'"'
    out += 1
    while at < size:
        octet = data[at]
        if KIND[octet] == 0:
            out[0] = <char>octet
            out += 1
            at += 1
            continue
        if KIND[octet] == 1:
            out = put_unit(out, octet)
            at += 1
            continue
        length = sequence_of(data + at, size - at)
        if length == 0:
            out[0] = out[1] = c"\\"
            out[2] = c"x"
            out[3] = HEX[octet >> 4]
            out[4] = HEX[octet & 15]
            out += 5
            at += 1
        elif octet == 0xC2 and data[at + 1] < 0xA0:     # U+0080 to U+009F are controls too
            out = put_unit(out, data[at + 1])
            at += 2
        else:
            for i in range(length):
                out[i] = <char>data[at + i]
            out += length
            at += length
    out[0] = c'"'
    line.size = out + 1 - line.data
    return 0


cdef int put_text(Buffer* line, str text) except -1:
    cdef bytes encoded
    if PyUnicode_IS_ASCII(text):
        return put_octets(line, <const unsigned char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    encoded = text.encode("utf-8", "backslashreplace")
    return put_octets(line, <const unsigned char*>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))


cdef int put_value(Buffer* line, object value) except -1:
    if value is None:
        return put_bytes(line, "null", 4)
    cdef str text = value if type(value) is str else str(value)
    cdef size_t size = fitting(line, <size_t>PyUnicode_GET_LENGTH(text))
    if PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND:
        return put_octets(line, <const unsigned char*>PyUnicode_DATA(text), size)
    return put_text(line, text[:size])      # the application has put it there


cdef inline int put_key(Buffer* line, const char* key) except -1:
    """A literal: `,"key":`, or what else stands between two values."""
    return put_bytes(line, key, strlen(key))


cdef int put_request(Buffer* line, Exchange exchange, uint64_t now_ns, bytes stamp) except -1:
    cdef uint64_t ended = exchange.called_ns or now_ns
    put_key(line, b'{"time":"')
    put_bytes(line, PyBytes_AS_STRING(stamp), PyBytes_GET_SIZE(stamp))
    put_bytes(line, ".", 1)
    put_number(line, <uint64_t>((exchange.began - <int64_t>exchange.began) * 1000), 3)
    put_key(line, b'Z","request_id":')
    put_id(line, exchange)
    put_key(line, b',"client":')
    put_value(line, exchange.connection.address or None)
    put_key(line, b',"method":')
    put_value(line, exchange.method)
    put_key(line, b',"path":')
    put_value(line, exchange.path)
    put_key(line, b',"query":')
    put_query(line, exchange.target)
    if exchange.method is None:
        put_key(line, b',"protocol":null,"status":')
    else:
        put_key(line, b',"protocol":"HTTP/1.0","status":' if exchange.http10 else b',"protocol":"HTTP/1.1","status":')
    put_number(line, <uint64_t>status_of(exchange.status), 1)
    put_key(line, b',"bytes":')
    put_number(line, <uint64_t>max(exchange.sent, 0), 1)
    put_key(line, b',"duration_ms":')
    put_milliseconds(line, now_ns - exchange.began_ns if now_ns > exchange.began_ns else 0)
    put_key(line, b',"queue_ms":')
    put_milliseconds(line, ended - exchange.queued_ns if 0 < exchange.queued_ns < ended else 0)
    put_key(line, b',"worker":')
    put_number(line, <uint64_t>getpid(), 1)
    put_key(line, b',"thread":')
    put_number(line, <uint64_t>exchange.thread.seat if exchange.thread is not None else 0, 1)
    put_key(line, b',"referer":')
    put_header(line, exchange.environ, "HTTP_REFERER")
    put_key(line, b',"user_agent":')
    put_header(line, exchange.environ, "HTTP_USER_AGENT")
    return put_bytes(line, "}", 1)


cdef int put_id(Buffer* line, Exchange exchange) except -1:
    """What Exchange.request_id says, without making a text of it."""
    if exchange.name is not None:
        return put_value(line, exchange.name)
    put_bytes(line, '"', 1)
    put_hex(line, <uint64_t>getpid())
    put_bytes(line, "-", 1)
    put_hex(line, exchange.connection.serial)
    put_bytes(line, "-", 1)
    put_hex(line, exchange.number)
    return put_bytes(line, '"', 1)


cdef int put_query(Buffer* line, str target) except -1:
    """What the peer sent behind the first question mark; null where it sent none."""
    cdef const unsigned char* data
    cdef Py_ssize_t at, size
    if target is not None:
        data = <const unsigned char*>PyUnicode_DATA(target)
        size = PyUnicode_GET_LENGTH(target)
        for at in range(size):
            if data[at] == c"?":
                return put_octets(line, data + at + 1, fitting(line, <size_t>(size - at - 1)))
    return put_bytes(line, "null", 4)


cdef int put_header(Buffer* line, dict environ, str name) except -1:
    cdef PyObject* found = PyDict_GetItem(environ, name) if environ is not None else NULL
    return put_value(line, None if found == NULL else <object>found)


def stamp_of(second):
    """A second of the wall clock as RFC 3339 writes it, in UTC and without the zone."""
    at = time.gmtime(second)
    return (
        f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    ).encode()


def render(fields):
    """A JSON object without a line feed in it. Values are texts, whole numbers, and None; names are ours."""
    cdef Buffer line
    cdef bytes separator = b"{"
    line.data = NULL
    line.size = line.capacity = 0
    try:
        for name, value in fields.items():
            put_bytes(&line, PyBytes_AS_STRING(separator), 1)
            separator = b","
            put_text(&line, name)
            put_bytes(&line, ":", 1)
            if type(value) is int:
                number = str(value).encode()
                put_bytes(&line, PyBytes_AS_STRING(number), PyBytes_GET_SIZE(number))
            elif value is None:
                put_bytes(&line, "null", 4)
            else:
                put_text(&line, value)
        put_bytes(&line, "}", 1)
        return PyBytes_FromStringAndSize(line.data, line.size).decode()
    finally:
        release(&line)


def quote(octets):
    """Octets of a peer as a JSON string: for tests."""
    cdef Buffer line
    cdef bytes given = octets
    line.data = NULL
    line.size = line.capacity = 0
    try:
        put_octets(&line, <const unsigned char*>PyBytes_AS_STRING(given), PyBytes_GET_SIZE(given))
        return PyBytes_FromStringAndSize(line.data, line.size)
    finally:
        release(&line)


def current_request_id():
    """The id of the request that the calling thread (or greenlet) runs; None outside of one."""
    cdef Exchange exchange = current_exchange()
    return None if exchange is None else exchange.request_id()
