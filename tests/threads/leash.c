/* The thread that ends a worker whose arbiter is gone, under ThreadSanitizer: `make test-tsan`. */

#include LEASH_C

#define DRIVER "leash"
#include "driver.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME(name) __pyx_f_9pronghorn_6engine_5leash_##name

enum { ENDED = 0, WENT_ON = 7 };

static void nothing(int number) { (void)number; }

/* A worker's life: the leash is pulled after some ms, or the application had closed the descriptor. */
static int worker(int pulled) {
    struct timespec moment = {0, 20 * 1000 * 1000}, long_after = {pulled ? 20 : 0, 300 * 1000 * 1000};
    int ends[2];
    must(pipe(ends) == 0, "no pipe");
    if (!pulled)
        close(ends[0]);
    signal(SIGUSR1, nothing);
    must(NAME(start_waiting)(ends[0], 0.05) == 0, "no thread");
    nanosleep(&moment, NULL);
    kill(getpid(), SIGUSR1);            /* is the main thread's, and no reason to end */
    nanosleep(&moment, NULL);
    if (pulled)
        close(ends[1]);
    while (nanosleep(&long_after, &long_after) != 0)
        ;
    return WENT_ON;
}

static int ending_of(int pulled) {
    int status;
    pid_t child = fork();
    if (child == 0)
        exit(worker(pulled));
    must(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status), "a worker crashed");
    return WEXITSTATUS(status);
}

int main(void) {
    must(ending_of(1) == ENDED, "a worker outlives its arbiter");
    must(ending_of(0) == WENT_ON, "a worker ends because the application closed the leash");
    printf("leash: one worker ended, one went on\n");
    return 0;
}
