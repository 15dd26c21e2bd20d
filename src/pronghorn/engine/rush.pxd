# Connections that come fast: the loop naps before it waits for more of them.

from libc.stdint cimport uint32_t, uint64_t

cdef struct Rush:               # all zero: none
    bint on                     # connections come fast
    uint32_t recent             # of them, since that was looked at
    uint64_t looked_ns          # when it was
    int idle                    # by how much naps bring less than they should, smoothed
    uint64_t calm_ns            # no nap before

# Whether to nap now, after `arrived` more connections.
cdef bint is_worth_a_nap(Rush* rush, uint32_t arrived, uint64_t now) noexcept nogil
cdef void take_nap() noexcept nogil
# What a nap has brought: `count` events.
cdef void weigh_nap(Rush* rush, int count, uint64_t now) noexcept nogil
