"""Naps of the loop while connections come fast: interrupt coalescing, as network cards do it.

Each connection wakes a loop that has nothing else to do twice, when it comes and when its request does; and to wake a
sleeping processor costs the sender as well. While more of them come than one in a nap's time the loop sleeps on for a
nap instead, and finds the next connections at once, and with them the requests of the last ones.
"""

from pronghorn.engine.posix cimport nanosleep, timespec

cdef enum:
    MILLISECOND = 1000 * 1000   # in nanoseconds, as all times here
    RUSH = 12                   # connections in a millisecond
    NAP = 50 * 1000             # the kernel adds as much (prctl, PR_SET_TIMERSLACK)
    CALM = 10 * MILLISECOND     # without naps when they are in vain
    EVENT = 16                  # what one event counts, so that there are parts of one
    ENOUGH = 5 * EVENT // 2     # for a nap to bring
    TOO_FEW = EVENT // 2        # less than that: fewer than two


cdef bint is_worth_a_nap(Rush* rush, uint32_t arrived, uint64_t now) noexcept nogil:
    cdef uint64_t passed = now - rush.looked_ns
    rush.recent += arrived
    if passed >= MILLISECOND:
        rush.on = <uint64_t>rush.recent * MILLISECOND >= RUSH * passed
        rush.looked_ns = now
        rush.recent = 0
    return rush.on and now >= rush.calm_ns


cdef void take_nap() noexcept nogil:
    cdef timespec nap
    nap.tv_sec = 0
    nap.tv_nsec = NAP
    nanosleep(&nap, NULL)


cdef void weigh_nap(Rush* rush, int count, uint64_t now) noexcept nogil:
    """A single client that connects again and again is fast, too, and it waits for each nap: that brings one event."""
    rush.idle += (ENOUGH - EVENT * count - rush.idle) // 8
    if rush.idle > TOO_FEW:
        rush.idle = 0
        rush.calm_ns = now + CALM
