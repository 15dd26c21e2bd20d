/* How the threads of a worker hand the loop, its connections and the requests that wait to one another.
 *
 * Each inline stands for the function whose name its comment gives (src/pronghorn/engine). What happens under the
 * interpreter lock is one atomic step, except where the watchdog could see it: that one runs without the lock. There is
 * no time: whatever may happen at some moment may happen at any, and no deadline comes to the rescue. A wake-up that is
 * lost is therefore an end of all movement with a process that has not ended, which spin reports as an invalid end state.
 *
 * `make model` checks every order of steps, and then that spin finds each of the MUTATIONs: mistakes that were made, or
 * nearly. See README.md.
 */

#ifndef THREADS
#define THREADS 1           /* `threads`: calls inside the application at most */
#endif
#ifndef REQUESTS
#define REQUESTS 1          /* of each peer */
#endif
#ifndef EARLY
#define EARLY 0             /* the drain begins at any moment, and not when everything is answered */
#endif
#define SEATS (THREADS + 1)
#define PEERS 2
#define NOBODY 99

/* MUTATION: */

#define NOTIFY_BEFORE_STORE 1
#define COUNT_BEFORE_SWAP 2
#define LEAVE_BY_STORE 3
#define RETURN_WITHOUT_WAKING 4
#define GIVE_BACK_BEFORE_RECORD 5
#define PARK_BEHIND_THE_END 6
#define LOOK_AND_DOZE 7
#define TURN_AFTER_LOSS 8
#define FORGET_QUEUE 9
#define KEEP_WATCHING 10
#define SUMMON_THE_PARKED 11
#define TAKE_AND_SUMMON 12
#define FORGET_CALLS 13
#define FORGET_STREAM 14
#ifndef MUTATION
#define MUTATION 0
#endif

mtype = { READING, QUEUED, RUNNING };       /* Connection.state */
mtype = { NONE, BLOCKED, BUSY };            /* Seat.verdict */

/* The baton (baton.pxd) */
byte word;
byte leader;
byte predecessor;
bool handed_over;
bool dozing;
bool stopping;
short computing;
bool lock;
byte parked;
byte stack[SEATS];
mtype verdict[SEATS] = NONE;
byte wake_up[SEATS];        /* Seat.wake */
byte reason[SEATS];         /* Seat.reason, */
#define TO_LEAD 0
#define TO_LEAVE 1
#define TO_WORK 2
byte wanted;
byte doze_up;               /* Baton.doze */
bool watched = true;        /* the watchdog runs */

/* The loop and its connections */
bool gil;
bool waiting;               /* Engine.waiting */
bool woken;                 /* Engine.wake_fd is readable */
bool draining;
bool drain_seen;
bool finished;
byte inside;
chan queue = [PEERS] of { byte };
chan streams = [PEERS] of { byte };
chan lane = [PEERS] of { byte };
chan calls = [PEERS] of { byte };
byte summoned;
byte streaming;
bool counted[PEERS];                /* Exchange.streams */
mtype state[PEERS] = READING;
byte owner[PEERS] = NOBODY;
bool watching[PEERS] = true;        /* Connection.interest */
bool batch[PEERS];                  /* events of the last epoll_wait that nobody has looked at */
bool returned[PEERS];               /* Engine.returned */
byte unread[PEERS];                 /* requests that the kernel holds for us */
byte received[PEERS];               /* Connection.received */
byte was_read[PEERS];
byte said[PEERS];                    /* responses in PoolThread.out, */
byte answered[PEERS];                /* and those that were sent */
byte serving[SEATS] = NOBODY;        /* PoolThread.connection */
bool waits[SEATS];                  /* a call that cannot return before something else has happened */
byte in_loop;                       /* threads inside the loop's own wait: never two */

#define READABLE(p) (unread[p] > 0 && watching[p])
#define HAS_EVENTS (READABLE(0) || READABLE(1) || woken)
#define HAS_BATCH (batch[0] || batch[1])
#define HAS_RETURNED (returned[0] || returned[1])
#define MAY_STREAM (streaming < 1)          /* a half of one or two threads */
#define HAS_RUNNABLE (inside + len(calls) < THREADS \
    && (len(queue) > 0 || (len(streams) > 0 && MAY_STREAM) || (len(lane) > 0 && computing <= 0)))
#define LEADS (leader == seat && !lost)
#define ALL_ANSWERED (answered[0] == REQUESTS && answered[1] == REQUESTS)

inline take_gil() { atomic { !gil -> gil = true } }

inline take_lock() { atomic { !lock -> lock = true } }

inline seat_leader() {                  /* seat_leader, pop_seat: under the lock, with a thread parked */
    assert(parked > 0);
    parked--;
    predecessor = leader;
    leader = stack[parked];
    handed_over = true;
    reason[leader] = TO_LEAD;
    wake_up[leader]++;
    assert(wake_up[leader] == 1);
}

inline summon() {                       /* Pool.summon, baton_summon: without the interpreter lock */
    if
    :: atomic { len(calls) > 0 && summoned == 0 -> summons = true }
    :: atomic { !(len(calls) > 0 && summoned == 0) -> summons = false }
    fi;
    if
    :: summons ->
        summoned++;
        atomic {
            !lock ->
            if
            :: parked > 0 ->
                parked--;
                reason[stack[parked]] = TO_WORK;
                wake_up[stack[parked]]++;
                assert(wake_up[stack[parked]] == 1)
            :: parked == 0 && MUTATION != SUMMON_THE_PARKED -> wanted++
            :: else
            fi;
            summons = false
        }
    :: else
    fi
}

inline summon_aside() {                 /* the same under it, which is let go of meanwhile */
    gil = false;
    summon();
    take_gil()
}

inline take_verdict() {                 /* Pool._take_verdict */
    if
    :: verdict[seat] == BUSY -> computing--
    :: else
    fi;
    verdict[seat] = NONE
}

inline baton_park() {                   /* baton_park; `leaves` and `works` are what it returns */
    gil = false;
    atomic {
        !lock ->
        if
        :: stopping && MUTATION != PARK_BEHIND_THE_END -> leaves = true
        :: !(stopping && MUTATION != PARK_BEHIND_THE_END) && wanted > 0 -> wanted--; works = true
        :: else ->
            assert(parked < SEATS);
            stack[parked] = seat;
            parked++
        fi
    }
    atomic {
        leaves || works || wake_up[seat] > 0 ->
        if
        :: leaves || works
        :: else -> wake_up[seat]--; leaves = (reason[seat] == TO_LEAVE); works = (reason[seat] == TO_WORK)
        fi
    }
    take_gil()
}

inline baton_enter() {                  /* baton_enter; the interpreter lock is let go of by the application behind it */
    atomic {
        if
        :: MUTATION == NOTIFY_BEFORE_STORE -> was_dozing = dozing
        :: else -> ticket = word | 1; word = ticket
        fi
    }
    atomic {
        if
        :: MUTATION == NOTIFY_BEFORE_STORE -> ticket = word | 1; word = ticket
        :: else -> was_dozing = dozing
        fi
    }
    atomic {
        if
        :: was_dozing && dozing -> dozing = false; doze_up++
        :: else
        fi;
        was_dozing = false;
        gil = false
    }
}

inline baton_leave() {                  /* baton_leave */
    if
    :: MUTATION == LEAVE_BY_STORE -> word = ticket + 1
    :: MUTATION != LEAVE_BY_STORE && word == ticket -> word = ticket + 1
    :: else -> lost = true
    fi
}

/* The first request of peer 0 waits for the other peer: for the answer, where another thread can give it, or else until
 * the request has been read, which the spare thread does. It does so from its first step on: a call that is found to
 * compute and then waits holds up the lane, as long as it likes. */
inline application() {                  /* Handler.run */
    atomic { !waits[seat] || (THREADS > 1 -> answered[1] > 0 : was_read[1] > 0) -> waits[seat] = false }
}

inline finish() {                       /* Pool._finish, its end */
    assert(owner[peer] == seat);
    owner[peer] = NOBODY;
    state[peer] = READING;
    said[peer]++
}

inline begin_stream() {                 /* Queue.begin_stream */
    counted[peer] = true;
    streaming++
}

inline end_stream() {              /* Queue.end_stream */
    if
    :: counted[peer] -> counted[peer] = false; streaming--
    :: else
    fi
}

inline call() {                         /* Pool._call */
    atomic {
        assert(state[peer] != RUNNING && owner[peer] == NOBODY);
        state[peer] = RUNNING;
        owner[peer] = seat;
        serving[seat] = peer;
        inside++;
        assert(inside <= THREADS);
        parted = lost;
        if
        :: peer == 0 && answered[0] + said[0] == 0 && !counted[peer] -> waits[seat] = true
        :: true
        fi;
        if
        :: !counted[peer] && peer == 1 -> begin_stream()    /* Patience._note_stream */
        :: true
        fi
    }
    if
    :: !parted -> baton_enter()
    :: parted -> gil = false
    fi;
    application();
    atomic {
        !gil -> gil = true;
        if
        :: !parted -> baton_leave()
        :: else
        fi;
        assert(state[peer] == RUNNING && owner[peer] == seat);
        inside--;
        if
        :: MUTATION == FORGET_STREAM
        :: else -> end_stream()
        fi;
        assert(streaming <= inside + len(calls) || MUTATION == FORGET_STREAM);
        if
        :: lost -> take_verdict()
        :: else
        fi;
        if
        :: MUTATION == GIVE_BACK_BEFORE_RECORD -> state[peer] = READING
        :: else
        fi
    }
    if                                  /* Pool._record: the access log may let others run */
    :: gil = false; atomic { !gil -> gil = true; finish() }
    :: atomic { finish() }
    fi
}

inline flush_out(where) {               /* flush_out */
    answered[where] = answered[where] + said[where];
    said[where] = 0
}

inline send() {                         /* the beginning of Outlet._settle: flush_alone, without the interpreter lock */
    if
    :: atomic { lost && state[peer] == READING ->
        serving[seat] = NOBODY;
        assert(owner[peer] == NOBODY);
        owner[peer] = seat;
        state[peer] = RUNNING;
        gil = false
       }
        atomic { flush_out(peer) }
        atomic { !gil -> gil = true;
            assert(state[peer] == RUNNING && owner[peer] == seat);
            owner[peer] = NOBODY;
            state[peer] = READING
        }
    :: !(lost && state[peer] == READING)
    fi
}

inline settle(resume) {                 /* Engine._settle */
    flush_out(peer);
    serving[seat] = NOBODY;
    if
    :: lost && draining && waiting -> woken = true      /* it may be what the drain waits for */
    :: else
    fi;
    if
    :: state[peer] == QUEUED
    :: else ->
        watching[peer] = true;
        if
        :: resume && received[peer] > 0 ->
            returned[peer] = true;
            if
            :: lost && waiting && MUTATION != RETURN_WITHOUT_WAKING -> woken = true
            :: else
            fi
        :: else
        fi
    fi
}

inline send_for_threads() {             /* Pool._send_for_threads */
    if
    :: !lost && len(calls) > 0 && summoned == 0 -> summon_aside()
    :: else
    fi
}

inline run_queued() {                   /* Pool._run_queued */
    send_for_threads();
    if
    :: !HAS_RUNNABLE
    :: atomic { HAS_RUNNABLE ->
        sorts = false;
        if                              /* Queue.take */
        :: len(streams) > 0 && MAY_STREAM -> streams ? peer; begin_stream()
        :: len(queue) > 0 ->
            queue ? peer;
            if
            :: true
            :: MAY_STREAM && len(streams) == 0 -> begin_stream()
            :: !(MAY_STREAM && len(streams) == 0) -> streams ! peer; sorts = true
            fi
        :: len(queue) == 0 && !(len(streams) > 0 && MAY_STREAM) ->
            lane ? peer;
            if
            :: lost -> verdict[seat] = BUSY; computing++
            :: else
            fi
        fi;
        assert(state[peer] == QUEUED)
       }
        if
        :: sorts
        :: !sorts && !lost -> calls ! peer      /* Pool._give_away: its route is known to block, or to be a stream */
        :: !sorts -> call(); send(); atomic { settle(true) }
        fi
    fi
}

inline work_on() {                      /* Pool._work_on */
    do
    :: lost && !finished && len(calls) > 0 && MUTATION != FORGET_CALLS ->
        if
        :: len(calls) > 1 -> summon_aside()
        :: else
        fi;
        if
        :: atomic { len(calls) > 0 -> calls ? peer; assert(state[peer] == QUEUED) }
            if
            :: MUTATION == TAKE_AND_SUMMON -> summon_aside()
            :: else
            fi;
            call();
            send();
            atomic { settle(true) }
        :: len(calls) == 0
        fi
    :: lost && !finished && len(calls) == 0 && HAS_RUNNABLE && MUTATION != FORGET_QUEUE -> run_queued()
    :: else -> break
    od
}

inline feed() {                         /* Intake._feed and Pool._serve */
    do
    :: received[peer] > 0 && state[peer] == READING && !lost ->
        if
        :: send_for_threads()
        :: true                         /* it will be given away, too */
        fi;
        atomic {
        received[peer]--;
        if
        :: lane ! peer; state[peer] = QUEUED                            /* its route is known to compute */
        :: inside + len(calls) >= THREADS || len(queue) > 0 -> queue ! peer; state[peer] = QUEUED
        :: len(queue) == 0 && (inside + len(calls) >= THREADS || !MAY_STREAM || len(streams) > 0) ->
            streams ! peer;                                             /* its route is known to be a stream */
            state[peer] = QUEUED
        :: inside + len(calls) < THREADS && len(queue) == 0 ->
            if
            :: MAY_STREAM && len(streams) == 0 -> begin_stream()        /* the same */
            :: true
            fi;
            if
            :: runs = true
            :: calls ! peer; state[peer] = QUEUED                       /* Pool._give_away */
            fi
        fi
       }
        if
        :: runs -> runs = false; call()
        :: else
        fi
    :: else -> break
    od;
    send();
    atomic { settle(lost) }
}

inline read() {                         /* Intake._read, Sockets._welcome */
    was_read[peer] = was_read[peer] + unread[peer];
    received[peer] = received[peer] + unread[peer];
    unread[peer] = 0
}

inline collect() {                      /* what epoll_wait returns, and reading the eventfd */
    batch[0] = READABLE(0);
    batch[1] = READABLE(1);
    woken = false
}

inline end() {                          /* Engine._end, baton_stop, baton_dismiss */
    atomic { finished = true; gil = false }
    stopping = true;
    atomic {
        if
        :: dozing -> dozing = false; doze_up++
        :: else
        fi
    }
    atomic { !watched && !gil -> gil = true }           /* pthread_join */
    do
    :: atomic { !lock && parked > 0 ->
            parked--;
            reason[stack[parked]] = TO_LEAVE;
            wake_up[stack[parked]]++
       }
    :: atomic { !lock && parked == 0 -> break }
    od
}

proctype thread(byte seat) {            /* Pool._thread_main, Engine._lead */
    byte peer, ticket;
    bool lost, parted, leaves, works, was_dozing, runs, feeds, turns, sleeps, at_once, summons, sorts;

    take_gil();
    if
    :: seat > 0 -> baton_park()
    :: else
    fi;
    do
    :: leaves || finished -> break
    :: !leaves && !finished && works ->
        atomic { works = false; lost = true; assert(summoned > 0); summoned-- }
        work_on();
        if
        :: finished -> break
        :: else -> baton_park()
        fi
    :: else ->
        atomic {                        /* Pool._take_over */
            lost = false;
            assert(leader == seat);
            if
            :: handed_over && verdict[predecessor] == BUSY && predecessor != seat ->
                verdict[predecessor] = BLOCKED;     /* it let the interpreter lock go promptly */
                computing--
            :: true
            fi;
            if
            :: predecessor != seat && serving[predecessor] != NOBODY -> flush_out(serving[predecessor])
            :: else
            fi
        }
        if
        :: len(calls) > 0 -> summon_aside()
        :: else
        fi;
        do
        :: lost || finished -> break
        :: else ->
            atomic {
                assert(LEADS);
                feeds = false;
                if
                :: HAS_BATCH ->                         /* Engine._dispatch */
                    if
                    :: batch[0] -> peer = 0
                    :: batch[1] -> peer = 1
                    fi;
                    batch[peer] = false;
                    if
                    :: state[peer] != READING -> watching[peer] = (MUTATION == KEEP_WATCHING)
                    :: state[peer] == READING && unread[peer] > 0 -> read(); feeds = true
                    :: else                             /* recv says EAGAIN */
                    fi
                :: !HAS_BATCH && HAS_RETURNED ->        /* Engine._resume */
                    if
                    :: returned[0] -> peer = 0
                    :: returned[1] -> peer = 1
                    fi;
                    returned[peer] = false;
                    feeds = (state[peer] == READING)
                :: !HAS_BATCH && !HAS_RETURNED && !HAS_RUNNABLE ->      /* Engine._turn */
                    turns = true;
                    if
                    :: draining && !drain_seen ->                       /* Engine._wind_down */
                        drain_seen = true;
                        if
                        :: unread[0] > 0 && state[0] == READING -> peer = 0; read(); feeds = true   /* _empty_queues */
                        :: else
                        fi
                    :: else
                    fi
                :: else
                fi
            }
            if
            :: feeds ->
                feed();
                work_on()
            :: !feeds && !turns && !HAS_BATCH && !HAS_RETURNED && HAS_RUNNABLE -> run_queued(); work_on()
            :: else
            fi;
            if
            :: turns && !lost && draining && ALL_ANSWERED && inside == 0 -> end()
            :: else
            fi;
            if
            :: turns && !finished && (!lost || MUTATION == TURN_AFTER_LOSS) ->
                atomic {
                    if
                    :: (HAS_RETURNED || HAS_RUNNABLE) && len(calls) == 0 -> collect()   /* a timeout of 0 */
                    :: else ->
                        at_once = (HAS_RETURNED || HAS_RUNNABLE);
                        waiting = true;
                        in_loop++;
                        assert(in_loop == 1);
                        sleeps = true;
                        gil = false
                    fi
                }
                if
                :: sleeps ->
                    summon();
                    atomic { (at_once || HAS_EVENTS) -> collect(); at_once = false }
                    atomic { !gil -> gil = true; in_loop--; waiting = false; sleeps = false }
                :: else
                fi
            :: else
            fi;
            turns = false
        od;
        if
        :: finished -> break
        :: else -> baton_park()
        fi
    od;
    gil = false
}

inline take() {                         /* take */
    take_lock();
    if
    :: parked > 0 ->
        if
        :: judged == BUSY && MUTATION == COUNT_BEFORE_SWAP -> computing++
        :: else
        fi;
        verdict[leader] = judged;
        atomic {
            swapped = (word == seen);
            if
            :: swapped -> word = seen + 1
            :: else
            fi
        }
        if
        :: swapped ->
            if
            :: judged == BUSY && MUTATION != COUNT_BEFORE_SWAP -> computing++
            :: else
            fi;
            atomic { seat_leader() }
        :: !swapped && judged == BUSY && MUTATION == COUNT_BEFORE_SWAP -> computing--
        :: else
        fi
    :: else
    fi;
    lock = false
}

proctype watchdog() {                   /* watch, doze */
    byte seen;
    mtype judged;
    bool swapped;
    do
    :: stopping -> break
    :: else ->
        seen = word;
        if
        :: seen & 1 ->
            /* Later: it stays long enough, or returns in time. A call that waits for others uses no CPU. */
            if
            :: waits[leader] -> judged = BLOCKED; (parked > 0 || word != seen)
            :: !waits[leader] && parked > 0 -> judged = BUSY
            :: !waits[leader] && parked > 0 -> judged = BLOCKED
            :: word != seen
            fi;
            if
            :: word == seen || judged != NONE -> take()
            :: else
            fi;
            judged = NONE
        :: !(seen & 1) && MUTATION != LOOK_AND_DOZE ->
            if
            :: word != seen || stopping             /* it ticks on */
            :: dozing = true;
                if
                :: word != seen || stopping ->
                    atomic { if :: dozing -> dozing = false :: else -> doze_up > 0 -> doze_up-- fi }
                :: else -> atomic { doze_up > 0 -> doze_up-- }
                fi
            fi
        :: else ->                      /* the word is read before `dozing` is said, and not again */
            if
            :: word != seen || stopping -> dozing = true; atomic { doze_up > 0 -> doze_up-- }
            :: word == seen -> dozing = true; atomic { doze_up > 0 -> doze_up-- }
            fi
        fi
    od;
    watched = false
}

proctype client(byte self) {
    byte sent;
    do
    :: sent == REQUESTS -> break
    :: sent < REQUESTS -> atomic { sent++; unread[self]++ }
    od
}

init {
    atomic {
        byte i = 0;
        do
        :: i < SEATS -> run thread(i); i++
        :: else -> break
        od;
        run watchdog();
        unread[0] = REQUESTS;           /* one peer sends all at once, the other when it likes */
        run client(1)
    }
    atomic { (EARLY || ALL_ANSWERED) -> draining = true; woken = true }     /* Engine.drain */
}
