# Every call that only Linux has. Another system is one file's work: this one (and linux.pyx for what Python code
# calls).

from libc.stdint cimport uint32_t, uint64_t

from pronghorn.engine.posix cimport sockaddr

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64

    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data

    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int size, int timeout_ms)

    const uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP
    const int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int value, int flags)
    int eventfd_read(int fd, uint64_t* value)
    int eventfd_write(int fd, uint64_t value)
    const int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from "sys/ioctl.h" nogil:
    int ioctl(int fd, unsigned long request, int* value)

cdef extern from "linux/sockios.h" nogil:
    const unsigned long SIOCINQ, SIOCOUTQ

cdef extern from "sys/sendfile.h" nogil:
    ssize_t sendfile(int out, int source, long* offset, size_t count)

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    #include <poll.h>
    #include <unistd.h>
    """
    int dup3(int fd, int other, int flags)
    int accept4(int fd, sockaddr* address, unsigned int* length, int flags)
    const int SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_MORE
    const short POLLRDHUP
