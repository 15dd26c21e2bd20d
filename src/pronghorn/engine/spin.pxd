# The next request comes so soon that it is not worth going to sleep: the loop looks for it for a moment.

from libc.stdint cimport uint64_t

from pronghorn.engine.linux cimport epoll_event

cdef struct Spin:               # all zero: they are not in vain
    int vain                    # how many of them are, smoothed
    uint64_t calm_ns            # none before

cdef bint is_worth_a_spin(const Spin* spin, uint64_t now) noexcept nogil
# What epoll_wait says as soon as there is something, and for as long as a spin lasts nothing.
cdef int spin_for(int epoll, epoll_event* events, int most) noexcept nogil
# What a spin has brought: `count` events.
cdef void weigh_spin(Spin* spin, int count, uint64_t now) noexcept nogil
