"""The access log: one line for every answered request, in Gunicorn's format, made without Python formatting.

Every request passes through here when the log is on, so a line is put together from a list of small operations that was compiled
from the format once, into one buffer that is written when the loop is idle or the buffer is large.
"""

import base64
import binascii
import logging

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DATA
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport localtime_r, time_t, tm
from posix.unistd cimport getpid

from pronghorn.observe.access_format import compile_format
from pronghorn.observe.sink import Sink
from pronghorn.wire.buffer cimport append, release, reserve

cdef extern from "Python.h":
    int PyUnicode_KIND(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    enum: PyUnicode_1BYTE_KIND

cdef enum:
    LINE_MOST = 65536       # octets of one line; a request line of 8 KiB and a few fields stay far below it
    FLUSH_AT = 32768        # octets at which the lines are written although the loop is busy
    ESCAPED_MOST = 4        # octets that one octet can become: \xNN

cdef const char* HEX = "0123456789abcdef"
cdef const char* MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

# For each octet: 0 if it is copied as it is, 1 if it is written \xNN. A raw control byte would let a peer forge a line or send
# escape sequences to the terminal that shows it (CVE-2020-7694), a quote or a backslash would let it leave its field.
cdef unsigned char[256] SPECIAL


cdef void fill_special():
    cdef int octet
    for octet in range(256):
        SPECIAL[octet] = octet < 0x20 or octet >= 0x7F or octet == c'"' or octet == c"\\"


fill_special()


@cython.final
cdef class AccessLog(Recorder):
    """Formats records by `format` (Gunicorn's atoms) and writes them to `target`, a path or `-` for standard output.

    Raises SettingsError for a malformed format and OSError when the target cannot be opened. What cannot be written later is
    dropped; the error log says how many lines were.
    """

    def __init__(self, str format, str target):
        pieces = compile_format(format)
        self.kinds = [int(kind) for kind, _ in pieces]
        self.texts = [text.encode() if kind == LITERAL else text for kind, text in pieces]
        self.count = len(pieces)
        PyMem_Free(self.codes)
        self.codes = <int*>PyMem_Malloc((self.count + 1) * sizeof(int))
        if self.codes == NULL:
            raise MemoryError
        for index, kind in enumerate(self.kinds):
            self.codes[index] = kind
        self.second = -1
        self.sink = Sink(target, 1)

    def __dealloc__(self):
        PyMem_Free(self.codes)
        release(&self.lines)

    def __repr__(self):
        return f"<AccessLog {self.sink.name} pending={self.lines.size}>"

    cpdef int record(
        self, str remote, dict environ, str status, list headers, int64_t sent, double began, uint64_t duration_ns
    ) except -1:
        """Adds the line of one request; writes only when many have come together.

        `environ` is None for a request that was refused, `sent` are octets of body, `began` is the wall clock in seconds.
        """
        cdef int index
        self.line_start = self.lines.size
        try:
            for index in range(self.count):
                self._put(
                    self.codes[index], self.texts[index], remote, environ, status, headers, sent, began, duration_ns
                )
        except BaseException:
            self.lines.size = self.line_start
            raise
        self._put_bytes("\n", 1)
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
            logging.getLogger("pronghorn.error.access").warning(
                "%d access log lines were lost: %s could not be written (%s)", lost, self.sink.name, reason
            )

    cpdef reopen(self):
        """Writes what is left to the old file and opens the target anew; says so in the error log when that fails."""
        self.flush()
        try:
            self.sink.reopen()
        except OSError as error:
            logging.getLogger("pronghorn.error.access").error(
                "access log %s cannot be opened anew: %s", self.sink.name, error.strerror
            )

    cdef int _put(
        self, int kind, object text, str remote, dict environ, str status, list headers, int64_t sent, double began,
        uint64_t duration_ns,
    ) except -1:
        if kind == LITERAL:
            return self._put_bytes(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        if kind == ENVIRON:
            return self._put_environ(environ, text)
        if kind == REMOTE:
            return self._put_value(remote or None)
        if kind == TIME:
            return self._put_stamp(began)
        if kind == REQUEST_LINE:
            return self._put_request_line(environ)
        if kind == STATUS:
            return self._put_status(status)
        if kind == SENT and sent >= 0:
            return self._put_number(<uint64_t>sent, 1)
        if kind == USER:
            return self._put_value(basic_user(environ))
        if kind == RESPONSE_FIELD:
            return self._put_field(headers, text)
        if kind == SECONDS:
            return self._put_number(duration_ns // 1000000000, 1)
        if kind == MICROSECONDS:
            return self._put_number(duration_ns // 1000, 1)
        if kind == MILLISECONDS:
            return self._put_number(duration_ns // 1000000, 1)
        if kind == DECIMAL_SECONDS:
            self._put_number(duration_ns // 1000000000, 1)
            self._put_bytes(".", 1)
            return self._put_number(duration_ns // 1000 % 1000000, 6)
        if kind == PROCESS:
            self._put_bytes("<", 1)
            self._put_number(<uint64_t>getpid(), 1)
            return self._put_bytes(">", 1)
        return self._put_bytes("-", 1)

    cdef int _put_bytes(self, const char* data, size_t size) except -1:
        if append(&self.lines, data, size) < 0:
            raise MemoryError
        return 0

    cdef int _put_value(self, object value) except -1:
        if value is None:
            return self._put_bytes("-", 1)
        return self._put_text(value if type(value) is str else str(value))

    cdef int _put_text(self, str text) except -1:
        cdef bytes encoded
        if PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND:
            return self._put_escaped(<const unsigned char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
        encoded = text.encode("utf-8", "backslashreplace")
        return self._put_escaped(<const unsigned char*>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))

    cdef int _put_escaped(self, const unsigned char* data, size_t size) except -1:
        cdef size_t present = self.lines.size - self.line_start
        cdef size_t at
        cdef unsigned char octet
        cdef char* out
        if present >= LINE_MOST:
            return 0
        if size > (LINE_MOST - present) // ESCAPED_MOST:    # what does not fit is cut: lines have an end
            size = (LINE_MOST - present) // ESCAPED_MOST
        if reserve(&self.lines, size * ESCAPED_MOST) < 0:
            raise MemoryError
        out = self.lines.data + self.lines.size
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
        self.lines.size = out - self.lines.data
        return 0

    cdef int _put_number(self, uint64_t number, int least_digits) except -1:
        cdef char[20] digits
        cdef int at = 20
        while number or least_digits > 0:
            at -= 1
            digits[at] = <char>(c"0" + number % 10)
            number //= 10
            least_digits -= 1
        return self._put_bytes(&digits[at], 20 - at)

    cdef int _put_environ(self, dict environ, object name) except -1:
        cdef PyObject* found = NULL
        if environ is None:
            return self._put_bytes("-", 1)
        found = PyDict_GetItem(environ, name)
        if found == NULL:   # {name}e is written in either case
            found = PyDict_GetItem(environ, (<str>name).upper())
        return self._put_value(None if found == NULL else <object>found)

    cdef int _put_request_line(self, dict environ) except -1:
        if environ is None:
            return self._put_bytes("-", 1)
        self._put_environ(environ, "REQUEST_METHOD")
        self._put_bytes(" ", 1)
        self._put_environ(environ, "RAW_URI")
        self._put_bytes(" ", 1)
        return self._put_environ(environ, "SERVER_PROTOCOL")

    cdef int _put_status(self, str status) except -1:
        """The code without its reason."""
        if not status:
            return self._put_bytes("-", 1)
        return self._put_text(status[:3] if len(status) > 3 else status)

    cdef int _put_field(self, list headers, str name) except -1:
        """The last response header of this name, as Gunicorn has it."""
        cdef object value = None
        cdef str key
        if headers is not None:
            for header in headers:
                key = header[0]
                if len(key) == len(name) and key.lower() == name:
                    value = header[1]
        return self._put_value(value)

    cdef int _put_stamp(self, double began) except -1:
        """The local time, as strftime's `[%d/%b/%Y:%H:%M:%S %z]` is in the C locale; made once a second."""
        cdef int64_t second = <int64_t>began
        if second != self.second:
            self.stamp_size = write_stamp(second, self.stamp)
            self.second = second
        return self._put_bytes(self.stamp, self.stamp_size)


cdef int write_stamp(int64_t second, char* out) except -1:
    cdef tm local
    cdef time_t when = <time_t>second
    if localtime_r(&when, &local) == NULL:
        raise OverflowError(f"{second} is no time of this calendar")
    cdef long offset = local.tm_gmtoff // 60 if local.tm_gmtoff >= 0 else -local.tm_gmtoff // 60
    cdef bytes text = b"[%02d/%s/%04d:%02d:%02d:%02d %s%02d%02d]" % (
        local.tm_mday, MONTHS[local.tm_mon * 3 : local.tm_mon * 3 + 3], local.tm_year + 1900,
        local.tm_hour, local.tm_min, local.tm_sec, b"-" if local.tm_gmtoff < 0 else b"+", offset // 60, offset % 60,
    )
    cdef int size = min(<int>len(text), 40)
    memcpy(out, PyBytes_AS_STRING(text), size)
    return size


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
