"""The requests that wait for a thread."""

import collections

cimport cython

from pronghorn.engine.routes cimport COMPUTES, STREAMS, UNKNOWN, habit_of, route_of


cdef uint64_t NOBODY = 1 << 62      # a time that never comes, and may be added to


@cython.final
cdef class Queue:
    def __cinit__(self):
        self.others = collections.deque()
        self.streams = collections.deque()
        self.computing = collections.deque()

    def __iter__(self):
        return iter((*self.others, *self.streams, *self.computing))

    def __repr__(self):
        return f"<Queue: {len(self.others)}, {len(self.streams)} streams, {len(self.computing)} that compute>"

    cdef int add(self, Exchange exchange, int habit) except -1:
        exchange.habit = habit
        if habit == COMPUTES:
            self.computing.append(exchange)
        elif habit == STREAMS and not self.others:
            self.streams.append(exchange)
        else:
            self.others.append(exchange)    # a stream too, if it would overtake one that is still to be sorted out here
        self.count += 1
        return 0

    cdef bint may_stream(self, int threads) noexcept:
        return self.streaming < max(1, threads // 2)

    cdef void begin_stream(self, Exchange exchange) noexcept:
        if not exchange.streams:
            exchange.streams = True
            self.streaming += 1

    cdef void end_stream(self, Exchange exchange) noexcept:
        if exchange.streams:
            exchange.streams = False
            self.streaming -= 1

    cdef bint has_any(self, bint may_compute, bint may_stream) noexcept:
        return self.count > 0 and (
            len(self.others) > 0
            or (may_stream and len(self.streams) > 0)
            or (may_compute and len(self.computing) > 0)
        )

    cdef Exchange take(self, const Routes* routes, bint may_compute, bint may_stream):
        cdef Exchange exchange
        if may_stream and self.streams and not (self.stream_ran and self.others):
            self.stream_ran = True
            return self._take_from(self.streams, STREAMS)
        while self.others:
            exchange = self._take_from(self.others, UNKNOWN)
            if routes.scored:
                exchange.route = route_of(exchange.method, exchange.path)
                exchange.habit = habit_of(routes, exchange.route, exchange.method, exchange.path)
                if exchange.habit == COMPUTES:
                    exchange.habit = UNKNOWN        # it came as one of these, and has its turn
            if exchange.habit != STREAMS:
                self.stream_ran = False
                return exchange
            self.streams.append(exchange)
            self.count += 1
        if may_stream and self.streams:
            self.stream_ran = True
            return self._take_from(self.streams, STREAMS)
        return self._take_from(self.computing, COMPUTES) if may_compute and self.computing else None

    cdef Exchange _take_from(self, object line, int habit):
        cdef Exchange exchange = <Exchange>line.popleft()
        self.count -= 1
        exchange.habit = habit
        return exchange

    cdef Exchange take_overdue(self, uint64_t now, uint64_t most_ns):
        if since(self.others) + most_ns <= now:
            return self._take_from(self.others, UNKNOWN)
        if since(self.streams) + most_ns <= now:
            return self._take_from(self.streams, STREAMS)
        return self._take_from(self.computing, COMPUTES) if since(self.computing) + most_ns <= now else None

    cdef uint64_t oldest_ns(self) noexcept:
        return min(since(self.others), since(self.streams), since(self.computing))


cdef uint64_t since(object line) noexcept:
    """When the first of a line came. No object is made here: that may let others run, between a look and a wait."""
    return (<Exchange>line[0]).queued_ns if line else NOBODY
