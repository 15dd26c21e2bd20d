# Header sections that were seen before, and the environ templates made of them.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pronghorn.wire.http1 cimport Facts


cdef class Section:
    cdef bytes block        # the section as received, to its empty line
    cdef dict template
    cdef Facts facts
    cdef int listener
    cdef bint trusted


cdef class SectionCache:
    cdef list slots
    cdef uint64_t once[1024]        # hashes of sections seen once

    cdef Section find(self, uint32_t* slot, const uint8_t* data, uint32_t size, int listener, bint trusted)
    cdef int store(
        self, uint32_t* slot, const uint8_t* data, uint32_t size, int listener, bint trusted,
        dict template, const Facts* facts,
    ) except -1
