/* The kept stack chunks of the gevent worker under ThreadSanitizer: `make test-tsan`. Threads take chunks and give them
 * back, as those do that begin and end without the interpreter lock. */

#include CHUNKS_C

#define DRIVER "chunks"
#include "driver.h"

#define NAME(name) __pyx_f_9pronghorn_6engine_6chunks_##name
#define V(name) __pyx_v_9pronghorn_6engine_6chunks_##name

enum { THREADS = 4, MOST = 64, SIZE = 16 * 1024 };

static long turns;
static long made;                           /* chunks that were not kept, so far */

static void *allocate_below(void *context, size_t size) {
    (void)context;
    __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

static void free_below(void *context, void *chunk, size_t size) {
    (void)context;
    (void)size;
    free(chunk);
}

static void *live(void *argument) {
    long *held[MOST], turn;
    int count = 0;
    unsigned seed = (unsigned)(long)argument;
    for (turn = 0; turn < turns; turn++) {
        if (count < MOST && draw(&seed) % 2) {
            must((held[count] = NAME(allocate)(NULL, SIZE)) != NULL, "no memory");
            *held[count++] = (long)argument;
        } else if (count) {
            count--;
            must(*held[count] == (long)argument, "a chunk has two owners");
            NAME(give_back)(NULL, held[count], SIZE);
        }
    }
    while (count)
        NAME(give_back)(NULL, held[--count], SIZE);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    long i;
    turns = 10 * (argc > 1 ? atol(argv[1]) : 20000);
    V(below).alloc = allocate_below;
    V(below).free = free_below;
    pthread_mutex_init(&V(lock), NULL);
    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, live, (void *)(i + 1));
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    must(made < turns, "no chunk was ever used again");
    printf("chunks: %ld turns, %ld chunks\n", THREADS * turns, made);
    return 0;
}
