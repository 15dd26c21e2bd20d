/* Loaded before libc (LD_PRELOAD): counts the octets that a process copies by memcpy and memmove, and that it asks
 * realloc to keep. What compilers copy in place, a few octets at a time, is not seen. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <malloc.h>

static uint64_t copied;

uint64_t octets_copied(void) { return __atomic_load_n(&copied, __ATOMIC_RELAXED); }

static void count(size_t size) { __atomic_fetch_add(&copied, size, __ATOMIC_RELAXED); }

void *memmove(void *into, const void *from, size_t size) {
    unsigned char *to = into;
    const unsigned char *source = from;
    count(size);
    if (to <= source)
        while (size--) *to++ = *source++;
    else
        while (size--) to[size] = source[size];
    return into;
}

void *memcpy(void *into, const void *from, size_t size) { return memmove(into, from, size); }

extern void *__libc_realloc(void *, size_t);

void *realloc(void *block, size_t size) {
    size_t before = block ? malloc_usable_size(block) : 0;
    count(before < size ? before : size);
    return __libc_realloc(block, size);
}
