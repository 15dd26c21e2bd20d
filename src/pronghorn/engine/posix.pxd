# The POSIX calls the engine makes, and the compiler's atomics.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t

    cdef struct sockaddr:
        sa_family_t sa_family

    cdef struct sockaddr_storage:
        sa_family_t ss_family

    cdef struct linger:
        int l_onoff
        int l_linger

    cdef struct iovec:
        void* iov_base
        size_t iov_len

    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)
    const int MSG_NOSIGNAL, MSG_DONTWAIT, MSG_PEEK, SHUT_WR
    const int SHUT_RDWR, AF_INET, AF_INET6, AF_UNIX, SOL_SOCKET, SO_LINGER, SO_RCVLOWAT

cdef extern from "sys/uio.h" nogil:
    ssize_t writev(int fd, const iovec* parts, int count)

cdef extern from "netinet/in.h" nogil:
    cdef struct in_addr:
        uint32_t s_addr

    cdef struct in6_addr:
        uint8_t s6_addr[16]

    cdef struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr

    cdef struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr

    uint16_t ntohs(uint16_t value)

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)
    const int INET6_ADDRSTRLEN

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef extern from "poll.h" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents

    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    const short POLLIN, POLLOUT, POLLERR, POLLHUP

cdef extern from "fcntl.h" nogil:
    int open_file "open"(const char* path, int flags)
    const int O_RDONLY, O_CLOEXEC

cdef extern from "unistd.h" nogil:
    int close(int fd)
    ssize_t pwrite(int fd, const void* data, size_t size, long offset)
    ssize_t pread(int fd, void* data, size_t size, long offset)

cdef extern from "sys/stat.h" nogil:
    cdef struct stat_t "stat":
        unsigned int st_mode
        int64_t st_size
        int64_t st_blocks

    int fstat(int fd, stat_t* result)
    bint S_ISREG(unsigned int mode)

cdef extern from "time.h" nogil:
    ctypedef int clockid_t

    cdef struct timespec:
        long tv_sec
        long tv_nsec

    int clock_gettime(clockid_t clock, timespec* result)
    int nanosleep(const timespec* request, timespec* remaining)
    const clockid_t CLOCK_MONOTONIC, CLOCK_REALTIME

cdef extern from "pthread.h" nogil:
    ctypedef unsigned long pthread_t

    ctypedef struct pthread_mutex_t:
        pass

    ctypedef struct pthread_attr_t:
        pass

    int pthread_create(
        pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*) noexcept nogil, void* argument
    )
    int pthread_join(pthread_t thread, void** result)
    int pthread_attr_init(pthread_attr_t* attributes)
    int pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size)
    int pthread_attr_destroy(pthread_attr_t* attributes)
    pthread_t pthread_self()
    int pthread_getcpuclockid(pthread_t thread, clockid_t* clock)
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_trylock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)

cdef extern from "signal.h" nogil:
    ctypedef struct sigset_t:
        pass

    int sigfillset(sigset_t* signals)
    int pthread_sigmask(int how, const sigset_t* signals, sigset_t* before)
    const int SIG_SETMASK

cdef extern from "semaphore.h" nogil:
    ctypedef struct sem_t:
        pass

    int sem_init(sem_t* semaphore, int shared, unsigned int value)
    int sem_destroy(sem_t* semaphore)
    int sem_post(sem_t* semaphore)
    int sem_wait(sem_t* semaphore)

cdef extern from * nogil:
    """
    #include <stdint.h>
    #define ph_load(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define ph_store(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
    #define ph_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
    static inline int ph_swap_u64(uint64_t* p, uint64_t expected, uint64_t wanted) {
        return __atomic_compare_exchange_n(p, &expected, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    static inline int ph_swap_int(int* p, int expected, int wanted) {
        return __atomic_compare_exchange_n(p, &expected, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    """
    uint64_t load_u64 "ph_load"(const uint64_t* place)
    void store_u64 "ph_store"(uint64_t* place, uint64_t value)
    int load_int "ph_load"(const int* place)
    void store_int "ph_store"(int* place, int value)
    int add_int "ph_add"(int* place, int value)
    bint swap_u64 "ph_swap_u64"(uint64_t* place, uint64_t expected, uint64_t wanted)
    bint swap_int "ph_swap_int"(int* place, int expected, int wanted)


cdef inline uint64_t clock_ns(clockid_t clock) noexcept nogil:
    cdef timespec at
    clock_gettime(clock, &at)
    return <uint64_t>at.tv_sec * 1000000000ULL + <uint64_t>at.tv_nsec


cdef inline uint64_t monotonic_ns() noexcept nogil:
    return clock_ns(CLOCK_MONOTONIC)
