"""A peer on a kept-alive connection sends the same header section again and again: parse it once.

The cache is sound because it compares the whole section byte for byte: whatever is found was parsed, checked and turned
into an environ template from exactly these bytes, for a peer of the same listener and the same trust. The hash only
chooses where to look.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memcpy

cdef enum:
    SLOTS = 256
    LARGEST = 4096      # octets; a larger section is rare and parsed every time
    ONCE = 1024


@cython.final
cdef class Section:
    """One section's bytes, what they say, and the template of an environ with its headers."""


cdef inline uint64_t hash_bytes(const uint8_t* data, uint32_t size) noexcept nogil:
    cdef uint64_t hash = 0x9E3779B97F4A7C15ULL ^ size, word
    cdef uint32_t at = 0
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        hash = (hash ^ word) * 0xFF51AFD7ED558CCDULL
        hash ^= hash >> 32
        at += 8
    word = 0
    memcpy(&word, data + at, size - at)
    hash = (hash ^ word) * 0xC4CEB9FE1A85EC53ULL
    return hash ^ (hash >> 29)


cdef inline bint holds(Section section, const uint8_t* data, uint32_t size, int listener, bint trusted) noexcept:
    """`data` begins with this section."""
    cdef uint32_t length = <uint32_t>PyBytes_GET_SIZE(section.block)
    return (
        length <= size
        and section.listener == listener
        and section.trusted == trusted
        and memcmp(PyBytes_AS_STRING(section.block), data, length) == 0
    )


@cython.final
cdef class SectionCache:
    """At most 256 sections of at most 4 KiB, the newest of those that collide."""

    def __cinit__(self):
        self.slots = [None] * SLOTS

    cdef Section find(self, uint32_t* slot, const uint8_t* data, uint32_t size, int listener, bint trusted):
        """The section `data` begins with, or None. `slot` remembers where the connection's last one was."""
        cdef Section section = <Section>self.slots[slot[0] & (SLOTS - 1)]
        cdef uint32_t at
        if section is not None and holds(section, data, size, listener, trusted):
            return section
        # Another connection may have sent it; where the section ends is plain only if nothing follows it.
        if size > LARGEST or size < 4 or memcmp(data + size - 4, b"\r\n\r\n", 4) != 0:
            return None
        at = <uint32_t>(hash_bytes(data, size) & (SLOTS - 1))
        section = <Section>self.slots[at]
        if section is not None and holds(section, data, size, listener, trusted):
            slot[0] = at
            return section
        return None

    cdef int store(
        self, uint32_t* slot, const uint8_t* data, uint32_t size, int listener, bint trusted,
        dict template, const Facts* facts,
    ) except -1:
        """Keeps a section from its second appearance on: one that never comes again is not worth the copy."""
        cdef Section section
        cdef uint64_t hash
        if size > LARGEST:
            return 0
        hash = hash_bytes(data, size)
        if self.once[(hash >> 8) & (ONCE - 1)] != hash:
            self.once[(hash >> 8) & (ONCE - 1)] = hash
            return 0
        section = Section.__new__(Section)
        section.block = PyBytes_FromStringAndSize(<const char*>data, size)
        section.template = template.copy()
        section.facts = facts[0]
        section.listener = listener
        section.trusted = trusted
        slot[0] = <uint32_t>(hash & (SLOTS - 1))
        self.slots[slot[0]] = section
        return 0
