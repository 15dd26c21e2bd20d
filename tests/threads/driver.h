/* What the drivers of this folder share. Each defines DRIVER, its name, first. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline unsigned draw(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline void must(int truth, const char *what) {
    if (!truth) {
        fprintf(stderr, DRIVER ": %s\n", what);
        abort();
    }
}
