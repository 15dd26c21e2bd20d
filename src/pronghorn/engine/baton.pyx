"""The baton's transitions and its watchdog thread. The protocol is argued in baton.pxd."""

from pronghorn.debug cimport hand_over_point
from pronghorn.engine.posix cimport (
    CLOCK_MONOTONIC,
    SIG_SETMASK,
    add_int,
    clock_ns,
    clockid_t,
    load_int,
    load_u64,
    monotonic_ns,
    nanosleep,
    pthread_attr_destroy,
    pthread_attr_init,
    pthread_attr_setstacksize,
    pthread_attr_t,
    pthread_create,
    pthread_getcpuclockid,
    pthread_join,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    pthread_self,
    pthread_sigmask,
    sem_destroy,
    sem_init,
    sem_post,
    sem_wait,
    sigfillset,
    sigset_t,
    store_int,
    store_u64,
    swap_int,
    swap_u64,
    timespec,
)

cdef enum:
    IDLE_TICKS = 50         # ticks without any call before the watchdog dozes
    CALM_AFTER = 250        # ticks without a call that stayed before the watchdog looks less often
    CALM_TICKS = 4          # then every other tick lasts so many: a wake-up costs 10 µs in a virtual machine
    GIL_SLICES = 3          # see `watch`: how many patiences a call may wait for the GIL


cdef int baton_init(Baton* baton, int seats, uint64_t tick_ns, uint64_t patience_ns) noexcept nogil:
    cdef int i
    baton.size = seats
    baton.tick_ns = tick_ns
    baton.patience_ns = patience_ns
    pthread_mutex_init(&baton.lock, NULL)
    sem_init(&baton.doze, 0, 0)
    for i in range(seats):
        if sem_init(&baton.seats[i].wake, 0, 0) < 0:
            return -1
        baton.seats[i].clock = CLOCK_MONOTONIC
    return 0


cdef void baton_destroy(Baton* baton) noexcept nogil:
    cdef int i
    for i in range(baton.size):
        sem_destroy(&baton.seats[i].wake)
    sem_destroy(&baton.doze)
    pthread_mutex_destroy(&baton.lock)


cdef void sit_down(Baton* baton, int seat) noexcept nogil:
    """The calling thread's CPU time is that of the seat. The watchdog may be reading it."""
    cdef clockid_t clock
    if pthread_getcpuclockid(pthread_self(), &clock) == 0:
        store_int(&baton.seats[seat].clock, clock)


cdef void baton_lead(Baton* baton, int seat) noexcept nogil:
    sit_down(baton, seat)
    store_int(&baton.leader, seat)


cdef int baton_park(Baton* baton, int seat) noexcept nogil:
    sit_down(baton, seat)
    hand_over_point()
    pthread_mutex_lock(&baton.lock)
    # Written before the last dismissal, which is under this lock too: nobody parks behind it.
    if load_int(&baton.stopping):
        pthread_mutex_unlock(&baton.lock)
        return WOKEN_TO_LEAVE
    if baton.wanted > 0:
        baton.wanted -= 1
        pthread_mutex_unlock(&baton.lock)
        return WOKEN_TO_WORK
    baton.stack[baton.parked] = seat
    baton.parked += 1
    pthread_mutex_unlock(&baton.lock)
    hand_over_point()
    while sem_wait(&baton.seats[seat].wake) != 0:
        pass                # EINTR: a signal is no reason to lead
    return baton.seats[seat].reason


cdef int pop_seat(Baton* baton) noexcept nogil:
    """The last thread that parked. Under the lock, with a thread parked."""
    baton.parked -= 1
    return baton.stack[baton.parked]


cdef void seat_leader(Baton* baton) noexcept nogil:
    """Wakes a parked thread as the leader. Under the lock, with a thread parked and the word already moved on."""
    cdef int seat = pop_seat(baton)
    baton.taken_ns = monotonic_ns()
    store_u64(&baton.handovers, baton.handovers + 1)        # read by whoever asks
    baton.predecessor = baton.leader
    store_int(&baton.leader, seat)
    baton.seats[seat].reason = WOKEN_TO_LEAD
    sem_post(&baton.seats[seat].wake)


cdef bint baton_pass(Baton* baton, uint64_t ticket) noexcept nogil:
    cdef bint gone = False
    pthread_mutex_lock(&baton.lock)
    if load_u64(&baton.word) != ticket:
        gone = True
    elif baton.parked > 0:
        baton.seats[baton.leader].verdict = 0
        store_u64(&baton.word, ticket + 1)
        seat_leader(baton)
        gone = True
    pthread_mutex_unlock(&baton.lock)
    return gone


cdef void baton_summon(Baton* baton) noexcept nogil:
    cdef int seat = -1
    hand_over_point()
    pthread_mutex_lock(&baton.lock)
    if baton.parked > 0:
        seat = pop_seat(baton)
        baton.seats[seat].reason = WOKEN_TO_WORK
    else:
        baton.wanted += 1
    pthread_mutex_unlock(&baton.lock)
    if seat >= 0:           # with the lock free: it may run at once, on our processor
        sem_post(&baton.seats[seat].wake)


cdef bint baton_dismiss(Baton* baton) noexcept nogil:
    cdef int seat
    cdef bint found = False
    pthread_mutex_lock(&baton.lock)
    if baton.parked > 0:
        seat = pop_seat(baton)
        baton.seats[seat].reason = WOKEN_TO_LEAVE
        sem_post(&baton.seats[seat].wake)
        found = True
    pthread_mutex_unlock(&baton.lock)
    return found


cdef uint64_t baton_enter(Baton* baton) noexcept nogil:
    cdef uint64_t ticket = load_u64(&baton.word) | 1    # only the leader moves an even word
    # Sequentially consistent on both sides: the watchdog writes `dozing` and then reads the word, the leader writes the
    # word and then reads `dozing`. With anything weaker both could read the old value, and a blocked call would never
    # be noticed.
    store_u64(&baton.word, ticket)
    hand_over_point()
    if load_int(&baton.dozing) and swap_int(&baton.dozing, 1, 0):
        sem_post(&baton.doze)
    return ticket


cdef bint baton_leave(Baton* baton, uint64_t ticket) noexcept nogil:
    hand_over_point()
    return swap_u64(&baton.word, ticket, ticket + 1)


cdef bint take(Baton* baton, uint64_t ticket, int verdict) noexcept nogil:
    """The watchdog takes the baton from the call that holds `ticket`."""
    cdef bint taken = False
    hand_over_point()
    pthread_mutex_lock(&baton.lock)
    if baton.parked > 0:
        # Written before the swap: the thread reads it as soon as its leave() fails. If the swap fails nobody reads it.
        baton.seats[baton.leader].verdict = verdict
        hand_over_point()
        taken = swap_u64(&baton.word, ticket, ticket + 1)
        if taken:
            hand_over_point()
            # Not before the swap: a call that comes back in time must not find itself counted, or the leader would
            # take the lane for occupied and go to sleep on what waits there. That the thread may have uncounted itself
            # already is no harm.
            if verdict == WAS_BUSY:
                add_int(&baton.computing, 1)
            seat_leader(baton)
    pthread_mutex_unlock(&baton.lock)
    return taken


cdef void doze(Baton* baton, uint64_t word) noexcept nogil:
    """Sleeps until somebody enters: an idle worker costs no wake-ups."""
    store_int(&baton.dozing, 1)
    hand_over_point()
    if (load_u64(&baton.word) != word or load_int(&baton.stopping)) and swap_int(&baton.dozing, 1, 0):
        return
    # Either nobody entered, or enter() has already swapped `dozing` back and posted.
    while sem_wait(&baton.doze) != 0:
        pass


cdef void* watch(void* argument) noexcept nogil:
    """Samples the word every tick and takes the baton from a call that stays.

    A call that used no CPU for a tick is blocked: take at once. A call that computes holds the GIL, so nobody else
    could run anyway: take after `patience`, so that I/O and other requests stay fair. While a call that lost the baton
    computes, a leader that makes no progress may merely be waiting for the GIL, which the interpreter passes on within
    its switch interval: only after a few of those is it called blocked, or a single computing call would hand the baton
    through the whole pool.

    An application none of whose calls has outlived a tick of late is looked at less often, so that its first call that
    blocks is noticed within five ticks instead of two; that call brings the full rate back.
    """
    cdef Baton* baton = <Baton*>argument
    cdef uint64_t word, now, cpu, seen = 0, seen_at = 0, last_at = 0, last_cpu = 0, blocked_after
    cdef int idle = 0, calm = 0, seat
    cdef bint progress, slowly = False
    cdef timespec tick
    tick.tv_sec = 0
    while not load_int(&baton.stopping):
        slowly = calm > CALM_AFTER and not slowly
        tick.tv_nsec = <long>(baton.tick_ns * (CALM_TICKS if slowly else 1))
        nanosleep(&tick, NULL)
        word = load_u64(&baton.word)
        if word != seen or not word & 1:
            calm = min(calm + 1, CALM_AFTER + 1)
            idle = idle + 1 if word == seen else 0
            seen = word
            if idle > IDLE_TICKS:
                doze(baton, word)
                idle = 0
            seat = load_int(&baton.leader)
            seen_at = last_at = monotonic_ns()
            last_cpu = clock_ns(load_int(&baton.seats[seat].clock))
            continue
        calm = 0
        now = monotonic_ns()
        cpu = clock_ns(load_int(&baton.seats[load_int(&baton.leader)].clock))
        progress = (cpu - last_cpu) * 4 > now - last_at
        blocked_after = GIL_SLICES * baton.patience_ns if load_int(&baton.computing) > 0 else 0
        if progress and now - seen_at >= baton.patience_ns:
            take(baton, word, WAS_BUSY)
        elif not progress and now - seen_at >= blocked_after:
            take(baton, word, WAS_BLOCKED)
        last_at = now
        last_cpu = cpu
    return NULL


cdef int baton_watch(Baton* baton) noexcept nogil:
    cdef pthread_attr_t attributes
    cdef sigset_t all_signals, before
    cdef int failed
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 64 * 1024)
    # Signals are the main thread's: a handler must not run on a thread that Python does not know.
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    failed = pthread_create(&baton.watchdog, &attributes, watch, baton)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&attributes)
    baton.watched = failed == 0
    return -1 if failed else 0


cdef void baton_stop(Baton* baton) noexcept nogil:
    store_int(&baton.stopping, 1)
    if swap_int(&baton.dozing, 1, 0):
        sem_post(&baton.doze)
    if baton.watched:
        pthread_join(baton.watchdog, NULL)
        baton.watched = False
