# The threads of a worker: who leads, who calls the application, which requests wait for a thread.

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.baton cimport Baton
from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange, PoolThread
from pronghorn.engine.recorder cimport Recorder
from pronghorn.engine.routes cimport Routes
from pronghorn.engine.sockets cimport Sockets
from pronghorn.engine.queue cimport Queue


cdef class Pool(Sockets):
    cdef Baton* baton
    cdef list threads
    cdef int limit                  # threads that may be inside the application
    cdef int allowed                # and as many as may be now: fewer while the system refuses threads
    cdef int active                 # threads that are
    cdef uint64_t spare_again_ns    # when to try again after the system refused a thread
    cdef Routes routes
    cdef bint timing                # the last batch took long: find out which routes did
    cdef Queue queue                # complete requests that have no thread yet
    cdef object calls               # requests that have a thread, which is not there yet: their routes block
    cdef int uncalled               # how many these are
    cdef int summoned               # and how many threads are on their way; written without the GIL, too
    cdef int awaiting               # threads that wait for their peers,
    cdef int needed_fd              # and what tells them that a request waits for one of them
    cdef int evicted                # calls that were cut because a request waits, and are not over yet
    cdef uint32_t queue_limit
    cdef uint64_t queue_ns
    cdef Recorder recorder
    cdef uint64_t unflushed_ns      # when the first record was made that is not written yet; 0: none
    cdef uint64_t requests
    cdef uint64_t recycle_after
    cdef readonly bint wants_recycling
    cdef readonly str recycling_reason
    cdef int state_fd
    cdef object ready_path          # the path that is answered 503 while the fleet wants no new clients, or None
    cdef uint64_t failed_ns         # when the loop last failed
    # Deadlines of requests
    cdef uint64_t timeout_ns        # as it is set; 0: none
    cdef uint64_t overdue_check_ns  # when calls are next held against theirs

    # Runs the loop until the baton is lost or the loop has ended.
    cdef int _lead(self, PoolThread thread) except -1
    # Sends what is ready and decides what the connection waits for now. `resume`: bytes received may hold whole
    # requests.
    cdef int _settle(self, PoolThread thread, Connection connection, bint resume) except -1
    # Sends the responses that wait for the end of the batch.
    cdef int _flush_held(self) except -1

    # The loop has failed on this thread.
    cdef int _recover(self, PoolThread thread) except -1
    cdef int _serve(self, PoolThread thread, Connection connection, Exchange exchange) except -1
    cdef int _begin(self, PoolThread thread, Connection connection, Exchange exchange) except -1
    cdef int _take_over(self, PoolThread thread) except -1
    cdef bint _give_away(self, Exchange exchange) except -1
    cdef int _send_for_threads(self) except -1
    # Wakes a thread for the calls that were given away, unless one is on its way. Anybody may, at any time.
    cdef void summon(self) noexcept nogil
    cdef int _run_given(self, PoolThread thread) except -1
    cdef int _start_leader(self) except -1
    cdef int _start_thread(self) except -1
    cdef int _spare(self) except -1
    cdef int _call(self, PoolThread thread, Connection connection, Exchange exchange) except -1
    # Sends more of a file; -1, 0 and 1 as Connection.drain. The baton may be lost meanwhile.
    cdef int _drain_file(self, PoolThread thread, Connection connection) except -2
    cdef int _take_verdict(self, PoolThread thread) noexcept
    cdef int _learn(self, PoolThread thread, Exchange exchange, bint parted) except -1
    cdef int _finish(self, Connection connection, Exchange exchange) except -1
    cdef int _conclude(self, Connection connection, Exchange exchange) except -1
    cdef int _record(self, Connection connection, Exchange exchange) except -1
    cdef int _answer(self, PoolThread thread, Connection connection, str status, str text, Exchange late) except -1
    cdef int _refuse(self, PoolThread thread, Connection connection, int fault) except -1
    cdef int _enqueue(self, PoolThread thread, Exchange exchange, int habit) except -1
    cdef int _turn_away(self, PoolThread thread, Exchange exchange) except -1
    cdef int _say_unready(self, PoolThread thread, Exchange exchange) except -1
    cdef bint _has_runnable(self) noexcept
    cdef int _run_queued(self, PoolThread thread) except -1
    cdef int _run(self, PoolThread thread, Exchange exchange) except -1
    cdef int _work_on(self, PoolThread thread) except -1
    cdef int _returned_late(self, PoolThread thread, Exchange exchange) except -1
    cdef int _ask_to_recycle(self, str reason) except -1
