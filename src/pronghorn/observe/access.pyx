"""The access log: one line for every answered request, in Gunicorn's format, made without Python formatting.

Every request passes through here when the log is on, so a line is put together from a list of small operations that
was compiled from the format once, into one buffer that is written when the loop is idle or the buffer is large.
"""

import base64
import binascii
import logging
import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport getpid

from pronghorn.engine.exchange cimport Exchange
from pronghorn.observe.json_line cimport put_request
from pronghorn.observe.line cimport (
    LINE_MOST,
    PyUnicode_1BYTE_KIND,
    PyUnicode_DATA,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
    put_bytes,
    put_number,
)
from pronghorn.wire.buffer cimport append, release, reserve

from pronghorn.errors import SettingsError
from pronghorn.observe import json_line
from pronghorn.options.access_format import compile_format
from pronghorn.observe.sink import Sink

cdef enum:
    FLUSH_AT = 32768        # octets at which the lines are written although the loop is busy
    ESCAPED_MOST = 4        # octets that one octet can become: \xNN

cdef const char* HEX = "0123456789abcdef"
cdef tuple MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# For each octet: 0 if it is copied, 1 if it is escaped. A raw control byte would let a peer forge a line or
# send escape sequences to the terminal that shows it (CVE-2020-7694), a quote or a backslash would let it leave its
# field.
cdef unsigned char[256] SPECIAL


cdef void fill_special():
    cdef int octet
    for octet in range(256):
        SPECIAL[octet] = octet < 0x20 or octet >= 0x7F or octet == c'"' or octet == c"\\"


fill_special()


cdef class AccessLog(Recorder):
    """Formats records by `line_format` (Gunicorn's atoms) and writes them to `target`, a path or `-`: standard output.

    With `json` each line is a JSON object instead. Raises SettingsError for a malformed format and for a target that
    cannot be opened. What cannot be written later is dropped; the error log says how many lines were.
    """

    def __init__(self, str line_format, str target, *, bint json=False):
        self.json = json
        pieces = compile_format(line_format)
        self.texts = [text.encode() if kind == LITERAL else text for kind, text in pieces]
        self.count = len(pieces)
        PyMem_Free(self.codes)
        self.codes = <int*>PyMem_Malloc((self.count + 1) * sizeof(int))
        if self.codes == NULL:
            raise MemoryError
        for index, (kind, _) in enumerate(pieces):
            self.codes[index] = kind
        self.second = -1
        try:
            self.sink = Sink(target, 1)
        except OSError as error:
            raise SettingsError(
                f"accesslog: {target!r} cannot be opened for writing ({error.strerror}); "
                "name a file this user may write, or - for standard output"
            ) from error

    def __dealloc__(self):
        PyMem_Free(self.codes)
        release(&self.lines)
        release(&self.spare)

    def __repr__(self):
        return f"<AccessLog {self.sink.name} pending={self.lines.size}>"

    cdef int record(self, Exchange exchange, uint64_t now_ns) except -1:
        cdef uint64_t duration = now_ns - exchange.began_ns if now_ns > exchange.began_ns else 0
        cdef Buffer line
        if not self.json:
            return self.put(
                exchange.connection.address, exchange.environ or None, exchange.status, exchange.headers,
                exchange.sent, exchange.began, duration,
            )
        line = self._take_spare()
        try:
            put_request(&line, exchange, now_ns, self._stamp_of(exchange.began))
            self._join(&line)
        finally:
            self._give_back(&line)
        return 0

    cpdef int put(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1:
        """Adds the line of one request; writes only when many have come together.

        `environ` is None for a request that was refused, `sent` are octets of body (negative: unknown), `began` is the
        wall clock in seconds.
        """
        cdef Buffer line = self._take_spare()
        cdef bytes stamp
        cdef int index, kind
        try:
            for index in range(self.count):
                kind = self.codes[index]
                if kind == TIME:
                    stamp = self._stamp_of(began)
                    put_bytes(&line, PyBytes_AS_STRING(stamp), PyBytes_GET_SIZE(stamp))
                elif kind <= RESPONSE_FIELD:
                    put_atom(&line, kind, self.texts[index], remote, environ, status, headers)
                else:
                    put_figure(&line, kind, sent, duration_ns)
            self._join(&line)
        finally:
            self._give_back(&line)
        return 0

    # Formatting may run Python (a Basic user, an object in the environ) and so let another thread in here: a line is
    # put together apart and joins the others in one step that lets nobody in.

    cdef Buffer _take_spare(self) noexcept:
        cdef Buffer line = self.spare
        self.spare.data = NULL
        self.spare.size = self.spare.capacity = 0
        return line

    cdef void _give_back(self, Buffer* line) noexcept:
        release(&self.spare)
        self.spare = line[0]
        self.spare.size = 0

    cdef int _join(self, Buffer* line) except -1:
        put_bytes(line, "\n", 1)
        if append(&self.lines, line.data, line.size) < 0:
            raise MemoryError
        if self.lines.size >= FLUSH_AT:
            self.flush()
        return 0

    cpdef flush(self):
        """Writes what has come together. Never waits and never raises for what the target does."""
        if self.lines.size == 0:
            return
        # Taken out first: writing lets go of the GIL, and another thread may add a line meanwhile.
        cdef bytes lines = PyBytes_FromStringAndSize(self.lines.data, self.lines.size)
        self.lines.size = 0
        if self.sink.write(lines) and self.sink.lost:
            lost, reason = self.sink.taken_back()
            logging.getLogger("pronghorn.error").warning(
                "%d access log lines were lost: %s could not be written (%s)", lost, self.sink.name, reason
            )

    cpdef reopen(self):
        """Writes what is left to the old file and opens the target anew; says so in the error log when that fails."""
        self.flush()
        try:
            self.sink.reopen()
        except OSError as error:
            logging.getLogger("pronghorn.error").error(
                "access log %s cannot be opened anew: %s", self.sink.name, error.strerror
            )

    cdef bytes _stamp_of(self, double began):
        """The second as a line has it, made once a second: in JSON as RFC 3339 has it, in a text the local time, as
        strftime's `[%d/%b/%Y:%H:%M:%S %z]` is in the C locale."""
        cdef int64_t second = <int64_t>began
        cdef bytes stamp = self.stamp
        if second != self.second:
            stamp = json_line.stamp_of(second) if self.json else stamp_of(second)
            self.stamp = stamp
            self.second = second
        return stamp


cdef int put_atom(
    Buffer* line, int kind, object text, str remote, dict environ, str status, list headers
) except -1:
    """What is copied from the request or the response."""
    if kind == LITERAL:
        return put_bytes(line, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    if kind == ENVIRON:
        return put_environ(line, environ, text)
    if kind == REMOTE:
        return put_value(line, remote or None)
    if kind == REQUEST_LINE:
        return put_request_line(line, environ)
    if kind == STATUS:
        return put_value(line, status[:3] if status else None)
    if kind == USER:
        return put_value(line, basic_user(environ))
    if kind == RESPONSE_FIELD:
        return put_field(line, headers, text)
    return put_bytes(line, "-", 1)


cdef int put_figure(Buffer* line, int kind, int64_t sent, uint64_t duration_ns) except -1:
    """What is measured."""
    if kind == SENT:
        return put_bytes(line, "-", 1) if sent < 0 else put_number(line, <uint64_t>sent, 1)
    if kind == SECONDS:
        return put_number(line, duration_ns // 1000000000, 1)
    if kind == MICROSECONDS:
        return put_number(line, duration_ns // 1000, 1)
    if kind == MILLISECONDS:
        return put_number(line, duration_ns // 1000000, 1)
    if kind == DECIMAL_SECONDS:
        put_number(line, duration_ns // 1000000000, 1)
        put_bytes(line, ".", 1)
        return put_number(line, duration_ns // 1000 % 1000000, 6)
    put_bytes(line, "<", 1)
    put_number(line, <uint64_t>getpid(), 1)
    return put_bytes(line, ">", 1)


cdef int put_value(Buffer* line, object value) except -1:
    cdef bytes encoded
    if value is None:
        return put_bytes(line, "-", 1)
    cdef str text = value if type(value) is str else str(value)
    if PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND:
        return put_escaped(line, <const unsigned char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    encoded = text.encode("utf-8", "backslashreplace")
    return put_escaped(line, <const unsigned char*>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))


cdef int put_escaped(Buffer* line, const unsigned char* data, size_t size) except -1:
    cdef size_t at
    cdef unsigned char octet
    cdef char* out
    if line.size >= LINE_MOST:
        return 0
    if size > (LINE_MOST - line.size) // ESCAPED_MOST:    # what does not fit is cut: lines have an end
        size = (LINE_MOST - line.size) // ESCAPED_MOST
    if reserve(line, size * ESCAPED_MOST) < 0:
        raise MemoryError
    out = line.data + line.size
    for at in range(size):
        octet = data[at]
        if not SPECIAL[octet]:
            out[0] = <char>octet
            out += 1
        elif octet == c'"':     # as Gunicorn writes it
            out[0] = c"\\"
            out[1] = c'"'
            out += 2
        else:
            out[0] = c"\\"
            out[1] = c"x"
            out[2] = HEX[octet >> 4]
            out[3] = HEX[octet & 15]
            out += 4
    line.size = out - line.data
    return 0


cdef int put_environ(Buffer* line, dict environ, str name) except -1:
    cdef PyObject* found = NULL
    if environ is None:
        return put_bytes(line, "-", 1)
    found = PyDict_GetItem(environ, name)
    if found == NULL and name[:5] != "HTTP_":   # {name}e is written in either case
        found = PyDict_GetItem(environ, name.upper())
    return put_value(line, None if found == NULL else <object>found)


cdef int put_request_line(Buffer* line, dict environ) except -1:
    if environ is None:
        return put_bytes(line, "-", 1)
    put_environ(line, environ, "REQUEST_METHOD")
    put_bytes(line, " ", 1)
    put_environ(line, environ, "RAW_URI")
    put_bytes(line, " ", 1)
    return put_environ(line, environ, "SERVER_PROTOCOL")


cdef int put_field(Buffer* line, list headers, str name) except -1:
    """The last response header of this name, as Gunicorn has it."""
    cdef object value = None
    cdef str key
    if headers is not None:
        for header in headers:
            key = header[0]
            if len(key) == len(name) and key.lower() == name:
                value = header[1]
    return put_value(line, value)


cdef bytes stamp_of(int64_t second):
    # Month names of our own: strftime's follow the locale, which the application may have set.
    local = time.localtime(second)
    west = local.tm_gmtoff < 0
    hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
    return (
        f"[{local.tm_mday:02}/{MONTHS[local.tm_mon - 1]}/{local.tm_year}"
        f":{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02} "
        f"{'-' if west else '+'}{hours:02}{minutes:02}]"
    ).encode()


cdef object basic_user(dict environ):
    """The user that Basic Authorization names (RFC 7617), or None. Nobody has checked the password."""
    if environ is None:
        return None
    credentials = environ.get("HTTP_AUTHORIZATION")
    if type(credentials) is not str or credentials[:6].lower() != "basic ":
        return None
    try:
        return base64.b64decode(credentials[6:].strip()).partition(b":")[0].decode() or None
    except (binascii.Error, ValueError):
        return None
