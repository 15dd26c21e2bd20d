/* The scoreboard's calls in flight under ThreadSanitizer: `make test-tsan`. Threads write, each its own call; others, as
 * other processes do, read all of them.
 *
 * Every text of a call is one letter, the same for all four, as long as the call's number says: whatever is of two calls
 * shows. */

#include SCOREBOARD_C

#define DRIVER "scoreboard"
#include "driver.h"

#include <sched.h>
#include <string.h>

#define NAME(name) __pyx_f_9pronghorn_6engine_10scoreboard_##name
#define E(name) __pyx_e_9pronghorn_6engine_10scoreboard_##name
typedef struct __pyx_t_9pronghorn_6engine_10scoreboard_Call Call;
typedef struct __pyx_t_9pronghorn_6engine_10scoreboard_Text Text;

enum { WRITERS = 2, READERS = 2, LETTERS = 26 };

static Call calls[WRITERS];
static uint8_t texts[LETTERS][256];
static long turns;
static int reading = READERS;               /* those that have not read enough yet */
static long written[WRITERS];

static Text text(uint32_t number, size_t least) {
    Text found = {texts[number % LETTERS], least + number % 97};
    return found;
}

static void *write_calls(void *argument) {
    long *count = argument;
    Call *call = &calls[count - written];
    uint32_t seed = (uint32_t)(count - written) + 1, number;
    for (*count = 0; __atomic_load_n(&reading, __ATOMIC_SEQ_CST); ++*count) {
        number = draw(&seed);
        NAME(write_call)(call, (uint64_t)number + 1, number, number,
                         text(number, 1), text(number, 2), text(number, 120), text(number, 3));
        if (number % 16 == 0)
            sched_yield();                  /* a call lasts, now and then */
        if (number % 5 == 0)
            NAME(end_call)(call);
    }
    return NULL;
}

static int holds(const char *place, uint8_t size, size_t most, Text wanted) {
    return size == (wanted.size < most ? wanted.size : most) && memcmp(place, wanted.data, size) == 0;
}

static void look(Call *copy) {
    uint32_t number = copy->number;
    must(copy->connection == number, "the numbers are those of two calls");
    must(copy->started_ns == (uint64_t)number + 1, "the time is that of another call");
    must(holds(copy->method, copy->method_size, E(METHOD_MOST), text(number, 1)), "the method is that of another call");
    must(holds(copy->address, copy->address_size, E(ADDRESS_MOST), text(number, 2)), "the address is another's");
    must(holds(copy->path, copy->path_size, E(PATH_MOST), text(number, 120)), "the path is that of another call");
    must(holds(copy->id, copy->id_size, E(ID_MOST), text(number, 3)), "the id is that of another call");
}

static void *read_calls(void *argument) {
    long count = 0;
    uint64_t last[WRITERS] = {0};
    Call copy;
    int i;
    (void)argument;
    while (count < turns)
        for (i = 0; i < WRITERS; i++)
            if (NAME(read_call)(&calls[i], &copy)) {
                look(&copy);
                count += copy.sequence != last[i];
                last[i] = copy.sequence;
            }
    __atomic_add_fetch(&reading, -1, __ATOMIC_SEQ_CST);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[WRITERS + READERS];
    long i;
    turns = (argc > 1 ? atol(argv[1]) : 20000) / 10;   /* calls that each reader is to see */
    for (i = 0; i < LETTERS; i++)
        memset(texts[i], 'a' + (int)i, sizeof(texts[i]));
    for (i = 0; i < READERS; i++)
        pthread_create(&threads[WRITERS + i], NULL, read_calls, NULL);
    for (i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_calls, &written[i]);
    for (i = 0; i < WRITERS + READERS; i++)
        pthread_join(threads[i], NULL);
    printf("scoreboard: %ld calls written, %ld read\n", written[0] + written[1], READERS * turns);
    return 0;
}
