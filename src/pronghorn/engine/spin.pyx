"""Waiting awake, for a moment, as an adaptive mutex does it.

A loop that is faster than its clients has served one request when the next is about to be sent. To go to sleep between
two of them costs both sides: the loop, which is woken from it, and the sender, which has to wake another processor for
that. While a client is as busy as that, the next request comes sooner than a spin is over.
"""

from pronghorn.engine.linux cimport epoll_event, epoll_wait
from pronghorn.engine.posix cimport monotonic_ns

cdef enum:
    SPIN = 10 * 1000            # nanoseconds, as all times here: what it costs to sleep and to be woken
    CALM = 10 * 1000 * 1000     # without spins when they are in vain
    ALL = 256
    HALF = 128                  # more of them in vain are too many
    ONCE_MORE = 96              # behind a calm two or three in a row are


cdef bint is_worth_a_spin(const Spin* spin, uint64_t now) noexcept nogil:
    return now >= spin.calm_ns


cdef int spin_for(int epoll, epoll_event* events, int most) noexcept nogil:
    cdef uint64_t end = monotonic_ns() + SPIN
    cdef int count = epoll_wait(epoll, events, most, 0)
    while count == 0 and monotonic_ns() < end:
        count = epoll_wait(epoll, events, most, 0)
    return count


cdef void weigh_spin(Spin* spin, int count, uint64_t now) noexcept nogil:
    spin.vain += ((0 if count else ALL) - spin.vain) // 8
    if spin.vain > HALF:
        spin.vain = ONCE_MORE
        spin.calm_ns = now + CALM
