/* Loaded before libc (LD_PRELOAD): a disk from which each sendfile takes SLOW_DISK_MS to read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    long ms = atol(getenv("SLOW_DISK_MS"));
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    ssize_t (*real)(int, int, off64_t *, size_t) = (ssize_t(*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    nanosleep(&pause, NULL);
    return real(out, in, offset, count);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count) { return sendfile64(out, in, (off64_t *)offset, count); }
