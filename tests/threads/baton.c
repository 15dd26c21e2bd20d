/* The baton and its watchdog with threads of their own and without an interpreter, for ThreadSanitizer: `make test-tsan`.
 *
 * The C file that Cython made of engine/baton.pyx is compiled into this one, so what runs here are the very functions of
 * the module; nothing of Python is ever called. What the loop owns is a plain variable here (`turns`), which each leader
 * counts up without a lock: only the baton orders one leader's access before the next one's. What the interpreter lock
 * protects in the server is behind a mutex. */

#include BATON_C

#define DRIVER "baton"
#include "driver.h"

#define NAME(name) __pyx_f_9pronghorn_6engine_5baton_##name
#define E(name) __pyx_e_9pronghorn_6engine_5baton_##name
typedef struct __pyx_t_9pronghorn_6engine_5baton_Baton Baton;

enum { SEATS = 5 };

static struct __pyx_t_9pronghorn_5debug_Table delays;   /* of the debug build (debug.pxd) */
static Baton baton;
static pthread_mutex_t gil = PTHREAD_MUTEX_INITIALIZER;
static long turns, most, taken, kept;                   /* the leader's own */
static int in_loop, finished;
static long asked, worked;                              /* threads that were summoned, and that came */

static void compute(long ns) {
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += ns;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec < 0);
}

static void application(unsigned *seed) {
    unsigned kind = draw(seed) % 16;
    struct timespec pause = {0, (long)(draw(seed) % 3000000u)};
    if (kind == 0)
        nanosleep(&pause, NULL);
    else if (kind == 1)
        compute((long)(draw(seed) % 2000000u));
}

/* Pool._take_verdict */
static void take_verdict(int seat) {
    pthread_mutex_lock(&gil);
    if (baton.seats[seat].verdict == E(WAS_BUSY))
        __atomic_add_fetch(&baton.computing, -1, __ATOMIC_SEQ_CST);
    baton.seats[seat].verdict = 0;
    pthread_mutex_unlock(&gil);
}

/* Pool._take_over */
static void take_over(int seat) {
    int before = baton.predecessor;
    if (baton.handovers == 0 || before == seat)
        return;
    pthread_mutex_lock(&gil);
    if (baton.seats[before].verdict == E(WAS_BUSY) && baton.taken_ns % 2) {
        baton.seats[before].verdict = E(WAS_BLOCKED);
        __atomic_add_fetch(&baton.computing, -1, __ATOMIC_SEQ_CST);
    }
    pthread_mutex_unlock(&gil);
}

static void lead(int seat, unsigned *seed) {
    int lost = 0;
    uint64_t ticket;
    take_over(seat);
    while (!lost) {
        must(++in_loop == 1, "two leaders");
        must(__atomic_load_n(&baton.leader, __ATOMIC_SEQ_CST) == seat, "a leader that the baton does not know");
        in_loop--;
        if (++turns == most) {                          /* Engine._end */
            __atomic_store_n(&finished, 1, __ATOMIC_SEQ_CST);
            NAME(baton_stop)(&baton);
            while (NAME(baton_dismiss)(&baton))
                ;
            return;
        }
        if (draw(seed) % 64 == 0) {                     /* Pool.summon */
            __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
            NAME(baton_summon)(&baton);
            continue;
        }
        ticket = NAME(baton_enter)(&baton);
        application(seed);
        if (draw(seed) % 64 == 0)
            lost = NAME(baton_pass)(&baton, ticket);    /* Pool.wait_for_peer */
        if (!lost)
            lost = !NAME(baton_leave)(&baton, ticket);
        else
            must(!NAME(baton_leave)(&baton, ticket), "a call that passed the baton has it back");
        if (lost)
            take_verdict(seat);
        else
            kept++;
    }
}

static void *life(void *argument) {
    int seat = (int)(long)argument, reason = E(WOKEN_TO_LEAD);
    unsigned seed = (unsigned)seat * 7919u + (unsigned)most;
    if (seat == 0)
        NAME(baton_lead)(&baton, 0);
    else
        reason = NAME(baton_park)(&baton, seat);
    while (reason != E(WOKEN_TO_LEAVE)) {
        if (reason == E(WOKEN_TO_LEAD))
            lead(seat, &seed);
        else {                                          /* Pool._work_on */
            __atomic_add_fetch(&worked, 1, __ATOMIC_SEQ_CST);
            application(&seed);
        }
        if (__atomic_load_n(&finished, __ATOMIC_SEQ_CST))
            break;
        reason = NAME(baton_park)(&baton, seat);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[SEATS];
    long seat;
    most = argc > 1 ? atol(argv[1]) : 20000;
    delays.drawn = argc > 2 ? (uint64_t)atol(argv[2]) : 20261121;
    delays.one_in = 50;
    delays.most_ns = 200000;
    __pyx_vp_9pronghorn_5debug_table = &delays;
    must(NAME(baton_init)(&baton, SEATS, 1000000, 5000000) == 0 && NAME(baton_watch)(&baton) == 0, "no baton");
    for (seat = 0; seat < SEATS; seat++)
        pthread_create(&threads[seat], NULL, life, (void *)seat);
    for (seat = 0; seat < SEATS; seat++)
        pthread_join(threads[seat], NULL);
    taken = (long)baton.handovers;
    must(turns == most, "turns were lost");
    must(baton.computing == 0, "a call is still counted as computing");
    must(taken > 0 && kept > 0, "nothing was handed over");
    must(worked > 0 && worked <= asked, "threads worked that were not summoned");
    must(asked - worked <= SEATS || baton.wanted > 0, "who was summoned did not come");
    NAME(baton_destroy)(&baton);
    printf("baton: %ld turns, %ld hand-overs, %ld calls that kept it, %ld summoned\n", turns, taken, kept, worked);
    return 0;
}
