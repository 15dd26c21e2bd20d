"""Header names as environ keys (PEP 3333: `HTTP_` and the name in upper case), which are dropped, and who is believed.

Here stands the whole header policy: every runtime and protocol goes through it.
"""

import re
import sys

cimport cython
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp, memcpy

from pronghorn.engine.scoreboard cimport ID_MOST
from pronghorn.wire.faults cimport MIXED_SCHEMES, UNDERSCORE_NAME

cdef enum:
    KNOWN = 1024
    LONGEST = 48

cdef struct KnownName:
    PyObject* key           # None for a name that is dropped
    Py_ssize_t size
    char name[LONGEST]

cdef KnownName known[KNOWN]
cdef list kept = []         # the keys of `known`

cdef object REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=@~-]+")

cdef frozenset DROPPED = frozenset({
    "HTTP_PROXY",           # httpoxy, CVE-2016-5385: CGI libraries take it for the variable of the same name
})
cdef str MOUNT = "HTTP_SCRIPT_NAME"
cdef frozenset FORWARDING = frozenset({"HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED"})


cdef inline bint is_forwarding(str key):
    return key in FORWARDING or key.startswith("HTTP_X_FORWARDED_")


@cython.final
cdef class HeaderPolicy:
    """What the settings say about headers; `options` is a TrustOptions."""

    def __init__(self, options):
        schemes = (text.partition("=") for text in options.secure_scheme_headers)
        self.schemes = {
            "HTTP_" + name.upper().replace("-", "_"): value.strip().lower() for name, _, value in schemes
        }
        self.forwarders = frozenset(name.upper() for name in options.forwarder_headers if "_" in name)
        # Also from trusted peers: where one sends REMOTE_USER and its client Remote-User, the key is the peer's.
        self.reserved = frozenset("HTTP_" + name.replace("-", "_") for name in self.forwarders)
        self.refuses = options.header_map == "refuse"

    cdef str key(self, const uint8_t* data, Py_ssize_t size, bint trusted):
        cdef str key = header_key(data, size)
        self.fault = 0
        if key is None:
            return self._odd_key(data, size, trusted)
        if key in self.reserved or (not trusted and (is_forwarding(key) or key in self.schemes)):
            return None
        return key

    cdef str _odd_key(self, const uint8_t* data, Py_ssize_t size, bint trusted):
        """That of a header which is dropped unless a setting says otherwise."""
        cdef str name = PyUnicode_DecodeLatin1(<const char*>data, size, NULL).upper()
        if "_" not in name:
            return None
        if trusted and name in self.forwarders:
            return "HTTP_" + name.replace("-", "_")
        if self.refuses:
            self.fault = UNDERSCORE_NAME
        return None

    cdef int take_word(self, dict template) except? -9999:
        cdef set seen = set()
        for key, secure in self.schemes.items():
            value = template.get(key)
            if value is not None:
                seen.add("https" if value.strip(" \t").lower() == secure else "http")
        if "https" in seen:
            template["wsgi.url_scheme"] = "https"
        if MOUNT in self.reserved and MOUNT in template:
            template["SCRIPT_NAME"] = template[MOUNT].rstrip("/")
        return MIXED_SCHEMES if len(seen) > 1 else 0


cdef str make_key(const uint8_t* data, Py_ssize_t size):
    # With the hyphen become an underscore, X_Forwarded_For could pass for X-Forwarded-For: nginx drops such names too.
    if memchr(data, c"_", <size_t>size) != NULL:
        return None
    name = PyUnicode_DecodeLatin1(<const char*>data, size, NULL).upper().replace("-", "_")
    if name == "CONTENT_TYPE" or name == "CONTENT_LENGTH":
        return sys.intern(name)
    name = "HTTP_" + name
    return None if name in DROPPED else sys.intern(name)


cdef str header_key(const uint8_t* data, Py_ssize_t size):
    cdef unsigned int hash = 2166136261u
    cdef Py_ssize_t i
    cdef KnownName* slot
    for i in range(size):
        hash = (hash ^ data[i]) * 16777619u
    slot = &known[(hash ^ (hash >> 16)) & (KNOWN - 1)]
    if slot.key != NULL and slot.size == size and memcmp(slot.name, data, <size_t>size) == 0:
        return <str><object>slot.key
    key = make_key(data, size)
    if slot.key == NULL and size <= LONGEST:
        # A slot is filled once: a peer that makes names up cannot push out the ones that others send.
        kept.append(key)
        memcpy(slot.name, data, <size_t>size)
        slot.size = size
        slot.key = <PyObject*>key
    return key


def _know(names):
    """Fills the table with common names, so that made-up ones find the slots taken."""
    for name in names:
        for spelling in (name, name.lower()):
            raw = spelling.encode()
            header_key(<const uint8_t*><const char*>raw, len(raw))


_know((
    "Host", "Connection", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cookie", "Content-Type",
    "Content-Length", "Referer", "Origin", "Cache-Control", "Pragma", "Authorization", "If-None-Match",
    "If-Modified-Since", "Range", "If-Range", "Upgrade-Insecure-Requests", "Sec-Fetch-Site", "Sec-Fetch-Mode",
    "Sec-Fetch-User", "Sec-Fetch-Dest", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "DNT", "Priority",
    "TE", "Transfer-Encoding", "Expect", "Keep-Alive", "Upgrade", "X-Requested-With", "X-Forwarded-For",
    "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "Forwarded", "X-Request-ID",
    "Traceparent", "Tracestate", "X-CSRFToken", "X-Amzn-Trace-Id", "Via", "Date",
))


def key_of(bytes name):
    """The environ key of a raw header name, or None: for tests."""
    return header_key(<const uint8_t*><const char*>name, len(name))


cdef bint is_request_id(object value):
    return value is not None and len(value) <= ID_MOST and REQUEST_ID.fullmatch(value) is not None
