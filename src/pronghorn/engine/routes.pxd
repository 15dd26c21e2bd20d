# What the loop has learned about routes: which ones block, which ones compute, which ones are long streams. A handful
# of bytes a route, forgotten by use.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    ROUTES = 1024
    SLOW = 8            # from this score on a route is treated as what it was
    HIGHEST = 16
    LOSS = 4            # a call that lost the baton, or whose peer was slow; one that did not takes one back

# What the calls of a route do.
cdef enum:
    UNKNOWN = 0
    BLOCKS = 1          # wait, without the GIL
    COMPUTES = 2        # wait for nobody, and have the GIL
    STREAMS = 3         # say more than their peers take
    HABITS = 4

cdef struct Routes:     # starts zeroed
    uint8_t scores[ROUTES][HABITS]      # by route_of, those of STREAMS by stream_of
    int scored          # scores that are not 0: while there are none, nobody asks


cdef inline int slot_of(str method, str path, int segments):
    cdef uint32_t hash = 2166136261u
    cdef int slashes = 0
    cdef Py_UCS4 character
    for character in method:
        hash = (hash ^ <uint32_t>character) * 16777619u
    for character in path:
        if character == c"/":
            slashes += 1
            if slashes > segments:
                break
        hash = (hash ^ <uint32_t>character) * 16777619u
    return <int>((hash ^ (hash >> 15)) & (ROUTES - 1))


cdef inline int route_of(str method, str path):
    """The slot of a route: its method and the first two segments of its path.

    Two routes in one slot share a habit, which costs a needless change of threads at worst.
    """
    return slot_of(method, path, 2)


cdef inline int stream_of(str method, str path):
    """The slot of a route among streams: one segment more. What shares a slot with a stream waits behind it, and there
    are applications with everything under /api/v1."""
    return slot_of(method, path, 3)


cdef inline int habit_of(const Routes* routes, int route, str method, str path):
    """What calls of the route do, whose slot is `route`."""
    cdef const uint8_t* scores = routes.scores[route]
    if scores[COMPUTES] >= SLOW and scores[COMPUTES] >= scores[BLOCKS]:
        return COMPUTES     # a stream too: it begins when nothing else is ready
    if routes.scores[stream_of(method, path)][STREAMS] >= SLOW:
        return STREAMS
    return BLOCKS if scores[BLOCKS] >= SLOW else UNKNOWN


cdef inline void learn(Routes* routes, int slot, int habit) noexcept nogil:
    """A call has shown the habit."""
    cdef uint8_t* score = &routes.scores[slot][habit]
    if score[0] == 0:
        routes.scored += 1
    score[0] = <uint8_t>min(score[0] + LOSS, HIGHEST)


cdef inline void unlearn(Routes* routes, int slot, int habit) noexcept nogil:
    """A call has not."""
    cdef uint8_t* score = &routes.scores[slot][habit]
    if score[0]:
        score[0] -= 1
        if score[0] == 0:
            routes.scored -= 1
