# What the loop has learned about routes: which ones block, which ones compute. A handful of bytes a route, forgotten by
# use.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    ROUTES = 1024
    SLOW = 8            # from this score on a route is treated as what it was
    HIGHEST = 16
    LOSS = 4            # a call that lost the baton; a quick call takes one back

cdef struct Routes:     # starts zeroed
    uint8_t blocks[ROUTES]
    uint8_t computes[ROUTES]
    int scored          # routes with any score: while there are none, nobody asks


cdef inline int route_of(str method, str path):
    """The slot of a route: its method and the first two segments of its path.

    Two routes in one slot share a habit, which costs a needless change of threads at worst.
    """
    cdef uint32_t hash = 2166136261u
    cdef int slashes = 0
    cdef Py_UCS4 character
    for character in method:
        hash = (hash ^ <uint32_t>character) * 16777619u
    for character in path:
        if character == c"/":
            slashes += 1
            if slashes == 3:
                break
        hash = (hash ^ <uint32_t>character) * 16777619u
    return <int>((hash ^ (hash >> 15)) & (ROUTES - 1))


cdef inline bint blocks(const Routes* routes, int route) noexcept nogil:
    return routes.blocks[route] >= SLOW and routes.blocks[route] > routes.computes[route]


cdef inline bint computes(const Routes* routes, int route) noexcept nogil:
    return routes.computes[route] >= SLOW and routes.computes[route] >= routes.blocks[route]


cdef inline void raise_score(Routes* routes, uint8_t* scores, int route, int by) noexcept nogil:
    if routes.blocks[route] == 0 and routes.computes[route] == 0:
        routes.scored += 1
    scores[route] = <uint8_t>(scores[route] + by if scores[route] + by < HIGHEST else HIGHEST)


cdef inline void learn_quick(Routes* routes, int route) noexcept nogil:
    if routes.blocks[route] == 0 and routes.computes[route] == 0:
        return
    if routes.blocks[route]:
        routes.blocks[route] -= 1
    if routes.computes[route]:
        routes.computes[route] -= 1
    if routes.blocks[route] == 0 and routes.computes[route] == 0:
        routes.scored -= 1


cdef inline void learn_slow(Routes* routes, int route, bint computing) noexcept nogil:
    if computing:
        raise_score(routes, &routes.computes[0], route, LOSS)
    else:
        raise_score(routes, &routes.blocks[0], route, LOSS)
