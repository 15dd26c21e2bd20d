"""The request target: its form, authority, path and query (RFC 9112 section 3.2).

The target is split and held to its form, never rewritten: no dot segments are resolved, no slashes merged, nothing is
unescaped. Whoever looked at the bytes before us must have seen the same request.
"""

from libc.stdint cimport uint8_t, uint32_t

from pronghorn.wire.cursor cimport Cursor, distance, is_word, left, part, peek, skip, take, tell
from pronghorn.wire.facts cimport check_authority
from pronghorn.wire.faults cimport BAD_ASTERISK, BAD_TARGET, USERINFO
from pronghorn.wire.http1 cimport ABSOLUTE_FORM, ASTERISK_FORM, AUTHORITY_FORM, DONE, ORIGIN_FORM, Head
from pronghorn.wire.octets cimport AT, COLON, PERCENT, QUESTION, SLASH, STAR


cdef int read_target(const Cursor* line, Head* head) noexcept nogil:
    cdef Cursor target = part(line, head.target.start, head.target.length)
    cdef Cursor method = part(line, head.method.start, head.method.length)
    head.authority.start = head.target.start
    head.authority.length = 0
    if is_method(method, b"CONNECT", 7):
        head.form = AUTHORITY_FORM
        head.authority.length = head.target.length
        set_path(target, head.target.length, head)
        return DONE
    if peek(&target) == SLASH:
        head.form = ORIGIN_FORM
        set_path(target, 0, head)
        return DONE
    if peek(&target) == STAR and head.target.length == 1:
        head.form = ASTERISK_FORM
        set_path(target, 1, head)
        return DONE if is_method(method, b"OPTIONS", 7) else BAD_ASTERISK
    head.form = ABSOLUTE_FORM
    return read_absolute(target, head)


# http://host[:port][/path][?query]. The scheme says nothing about how the request came and is forgotten.
cdef int read_absolute(Cursor target, Head* head) noexcept nogil:
    cdef size_t scheme = distance(&target, COLON)
    cdef Cursor name = part(&target, 0, scheme)
    cdef Cursor authority
    cdef size_t length
    if not (is_word(&name, b"http", 4) or is_word(&name, b"https", 5)):
        return BAD_TARGET
    skip(&target, scheme)
    if take(&target) != COLON or take(&target) != SLASH or take(&target) != SLASH:
        return BAD_TARGET
    authority = part(&target, tell(&target), distance(&target, SLASH))
    authority = part(&authority, 0, distance(&authority, QUESTION))
    length = left(&authority)
    if distance(&authority, AT) < length:
        return USERINFO
    head.authority.start = head.target.start + <uint32_t>tell(&target)
    head.authority.length = <uint32_t>length
    set_path(target, tell(&target) + length, head)
    return check_authority(authority) or DONE


# Splits what follows the first `first` octets of the target at its first `?`.
cdef inline void set_path(Cursor target, size_t first, Head* head) noexcept nogil:
    cdef Cursor path = part(&target, first, left(&target))
    cdef size_t length = distance(&path, QUESTION)
    cdef size_t query = length + 1 if length < left(&path) else length
    head.path.start = head.target.start + <uint32_t>first
    head.path.length = <uint32_t>length
    head.query.start = head.path.start + <uint32_t>query
    head.query.length = <uint32_t>(left(&path) - query)
    path = part(&path, 0, length)
    head.path_escaped = distance(&path, PERCENT) < length


# Methods are case-sensitive (RFC 9110 section 9.1): `get` is another method than GET.
cdef inline bint is_method(Cursor method, const char* name, size_t length) noexcept nogil:
    cdef size_t index
    if left(&method) != length:
        return False
    for index in range(length):
        if take(&method) != <uint8_t>name[index]:
            return False
    return True
