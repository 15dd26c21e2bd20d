# What the debug build (PRONGHORN_DEBUG=1 for setup.py) counts, delays and holds to be true. In any other build all of
# it compiles to nothing: no branch, no load.

from libc.stdint cimport int64_t, uint64_t

cdef enum:                  # what is counted while it lives
    ENGINES = 0
    CONNECTIONS = 1
    REQUESTS = 2            # Exchange objects, whoever holds them
    BUFFERS = 3             # those that have memory
    SPOOL_FILES = 4
    FILE_SLICES = 5         # files that are still to be sent
    KINDS = 6

cdef struct Table:
    int64_t living[KINDS]
    uint64_t one_in         # so many passages of a hand-over point for each delay; 0: no delays
    uint64_t most_ns        # the longest of them
    uint64_t drawn          # the state of the random numbers
    uint64_t delays

# One for all native modules of a process.
cdef Table table

cdef extern from * nogil:
    """
    #ifdef PRONGHORN_DEBUG
    #define PH_DEBUG 1
    #include <sched.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <time.h>
    #define ph_count(place, by) ((void)__atomic_add_fetch((place), (by), __ATOMIC_RELAXED))
    #define ph_expect(truth) ((truth) ? (void)0 : ph_violated(#truth, __FILE__, __LINE__))
    #define ph_delay(one_in, most_ns, drawn, delays) ph_delay_now((one_in), (most_ns), (drawn), (delays))

    static inline void ph_violated(const char *what, const char *file, int line) {
        fprintf(stderr, "pronghorn, debug build: %s:%d: this must hold: %s\\n", file, line, what);
        abort();
    }

    /* SplitMix64 over a shared counter: threads draw from one sequence, in whatever order they come. */
    static inline void ph_delay_now(uint64_t *one_in, uint64_t *most_ns, uint64_t *drawn, uint64_t *delays) {
        uint64_t chance = __atomic_load_n(one_in, __ATOMIC_RELAXED), x;
        uint64_t most = __atomic_load_n(most_ns, __ATOMIC_RELAXED);
        struct timespec pause = {0, 0};
        if (chance == 0)
            return;
        x = __atomic_add_fetch(drawn, 0x9E3779B97F4A7C15u, __ATOMIC_RELAXED);
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
        x ^= x >> 31;
        if (x % chance)
            return;
        __atomic_add_fetch(delays, 1, __ATOMIC_RELAXED);
        if (x >> 63) {
            sched_yield();
        } else {
            pause.tv_nsec = (long)((x >> 16) % (most + 1));
            nanosleep(&pause, NULL);
        }
    }
    #else
    #define PH_DEBUG 0
    #define ph_count(place, by) ((void)0)
    #define ph_expect(truth) ((void)0)
    #define ph_delay(one_in, most_ns, drawn, delays) ((void)0)
    #endif
    """
    const bint DEBUG "PH_DEBUG"
    void ph_count(int64_t* place, int by)
    void ph_delay(uint64_t* one_in, uint64_t* most_ns, uint64_t* drawn, uint64_t* delays)
    # What must hold; where it does not, the process is aborted.
    void expect "ph_expect"(bint truth)


# One more (1) or less (-1) of a kind lives.
cdef inline void tally(int kind, int by) noexcept nogil:
    ph_count(&table.living[kind], by)


# A point at which something changes hands: threads are held up here at random, if a test asks for it.
cdef inline void hand_over_point() noexcept nogil:
    ph_delay(&table.one_in, &table.most_ns, &table.drawn, &table.delays)


cdef class Witness:
    """Counts as one of its kind while it lives. For classes that are made too often to have a constructor."""
    cdef int kind
