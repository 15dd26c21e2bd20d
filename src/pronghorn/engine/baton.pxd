# The baton: the right of one thread to run the loop, and the watchdog that takes it away. No Python object in here.
#
# One word says who may lead. It counts calls: odd while the leader is inside the application, even while it runs the
# loop.
#
#     enter():  the leader stores n+1 (odd), then calls the application
#     leave():  the leader swaps n+1 -> n+2. It succeeds: it still leads. It fails: somebody took the baton meanwhile
#     take():   the watchdog (or the leader itself, in pass) swaps n+1 -> n+2 and wakes one parked thread, which
#               leads now
#
# Both swaps start from the same odd value and only one of them can succeed, so there are never two leaders and never
# none. take() happens under `lock` and only when a thread is parked, and a woken thread is removed from the stack under
# the same lock: no wake-up is lost or given twice. Parked threads form a stack: the last one to park is the first to
# wake, so an application that never blocks is only ever run by one thread.
#
# A parked thread may also be summoned to work beside the leader, which the word does not know of. Where none is parked
# that is noted under the lock, and the next one that would park hears of it instead.

from libc.stdint cimport uint64_t

from pronghorn.engine.posix cimport clockid_t, pthread_mutex_t, pthread_t, sem_t

cdef enum:
    MAX_SEATS = 1025        # `threads` is at most 1024

cdef enum:                  # why a thread was woken
    WOKEN_TO_LEAD = 1
    WOKEN_TO_LEAVE = 2
    WOKEN_TO_WORK = 3

cdef enum:                  # what the call that lost the baton was doing, as far as the watchdog can tell
    WAS_BLOCKED = 1
    WAS_BUSY = 2

cdef struct Seat:           # one pool thread, as the watchdog sees it
    sem_t wake
    clockid_t clock         # its CPU time
    int reason
    int verdict             # how its last call lost the baton; read by the thread itself after a failed leave()

cdef struct Baton:
    uint64_t word
    int size                # seats there are
    int leader              # seat of the leader
    int predecessor         # seat of the one before
    int dozing              # the watchdog sleeps until somebody enters
    int stopping
    int computing           # calls that lost the baton while they computed and have not come back
    uint64_t taken_ns       # when the baton was last taken
    uint64_t handovers
    uint64_t tick_ns
    uint64_t patience_ns    # a call that computes keeps the baton this long
    pthread_mutex_t lock
    int parked
    int wanted              # threads that were summoned when none was parked
    int stack[MAX_SEATS]
    Seat seats[MAX_SEATS]
    sem_t doze
    pthread_t watchdog
    bint watched

cdef int baton_init(Baton* baton, int seats, uint64_t tick_ns, uint64_t patience_ns) noexcept nogil
cdef void baton_destroy(Baton* baton) noexcept nogil

# Starts the watchdog; -1 if the system refuses a thread.
cdef int baton_watch(Baton* baton) noexcept nogil
cdef void baton_stop(Baton* baton) noexcept nogil

# The calling thread is the first leader.
cdef void baton_lead(Baton* baton, int seat) noexcept nogil

# The calling thread parks in `seat` until it is woken; returns why.
cdef int baton_park(Baton* baton, int seat) noexcept nogil

# The leader gives the baton to a parked thread of its own will, inside a call, with the call's ticket. 0 when no thread
# is parked (it still leads); 1 when it does not lead any more, perhaps because the watchdog was faster.
cdef bint baton_pass(Baton* baton, uint64_t ticket) noexcept nogil

# Wakes one parked thread to work beside the leader, or the next one that is about to park.
cdef void baton_summon(Baton* baton) noexcept nogil

# Wakes one parked thread to leave the pool; 0 when none is parked.
cdef bint baton_dismiss(Baton* baton) noexcept nogil

cdef uint64_t baton_enter(Baton* baton) noexcept nogil
cdef bint baton_leave(Baton* baton, uint64_t ticket) noexcept nogil
