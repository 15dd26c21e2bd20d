/* Loaded before libc (LD_PRELOAD): a disk from which each sendfile takes 1.2 s to read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <time.h>

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    struct timespec pause = {1, 200000000};
    ssize_t (*real)(int, int, off64_t *, size_t) = (ssize_t(*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    nanosleep(&pause, NULL);
    return real(out, in, offset, count);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count) { return sendfile64(out, in, (off64_t *)offset, count); }
