"""Ends a worker whose arbiter is gone, also when nobody in it can have the interpreter lock.

An orphan drains by its main thread, which needs the interpreter. A call that keeps the lock for good would keep the
process, and with it the port that the next arbiter needs. So a thread that touches no Python object waits for the
arbiter's death as well, and ends the process if it is still there a moment later.
"""

from libc.errno cimport EINTR, errno

from pronghorn.engine.posix cimport (
    POLLHUP,
    POLLIN,
    SIG_SETMASK,
    nanosleep,
    poll,
    pollfd,
    pthread_attr_destroy,
    pthread_attr_init,
    pthread_attr_setstacksize,
    pthread_attr_t,
    pthread_create,
    pthread_sigmask,
    pthread_t,
    sigfillset,
    sigset_t,
    timespec,
)

cdef extern from "unistd.h" nogil:
    void _exit(int status)

cdef int leash                  # there is one for each process
cdef timespec patience


cdef void* wait_for_the_end(void* argument) noexcept nogil:
    cdef pollfd wanted
    wanted.fd = leash
    wanted.events = POLLIN
    while poll(&wanted, 1, -1) < 0:
        if errno != EINTR:
            return NULL
    if wanted.revents & POLLHUP:        # anything else: the application closed the descriptor
        nanosleep(&patience, NULL)
        _exit(0)
    return NULL


cdef int start_waiting(int fd, double seconds) noexcept nogil:
    """0, or the number of the error with which the system refuses a thread."""
    global leash
    cdef pthread_t thread
    cdef pthread_attr_t attributes
    cdef sigset_t every, before
    cdef int failed
    leash = fd
    patience.tv_sec = <long>seconds
    patience.tv_nsec = <long>((seconds - <long>seconds) * 1e9)
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 64 * 1024)
    # Signals are the main thread's.
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)
    failed = pthread_create(&thread, &attributes, wait_for_the_end, NULL)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&attributes)
    return failed


def end_with(int fd, double seconds):
    """Has this process end at the latest `seconds` after the other end of the pipe `fd` is closed.

    Call it once. Raises OSError when the system refuses a thread.
    """
    cdef int failed = start_waiting(fd, seconds)
    if failed:
        raise OSError(failed, "cannot start the thread that waits for the arbiter's end")
