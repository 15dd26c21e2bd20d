/* Loaded before libc (LD_PRELOAD): a disk from which one sendfile in SLOW_DISK_EVERY, the first to begin with, takes
   SLOW_DISK_MS to read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

static long calls;

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    long ms = atol(getenv("SLOW_DISK_MS"));
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    ssize_t (*real)(int, int, off64_t *, size_t) = (ssize_t(*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    if (__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) % atol(getenv("SLOW_DISK_EVERY")) == 0) nanosleep(&pause, NULL);
    return real(out, in, offset, count);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count) { return sendfile64(out, in, (off64_t *)offset, count); }
