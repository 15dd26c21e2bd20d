"""Functions of the C library that fail or lie as long as a file is there, for one process and its children."""

import shutil
import subprocess
from pathlib import Path

from tests.faults.servers import Unavailable
from tests.support.sanitized import preloading

NO_FORK = r"""
#include <errno.h>
#include <unistd.h>
pid_t _Fork(void);
pid_t fork(void)
{
    if (access(SWITCH, F_OK) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return _Fork();
}
"""
"""A system without processes to spare."""

CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now)
{
    long seconds = 0;
    int result = (int) syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        FILE *file = fopen(SWITCH, "r");
        if (file) {
            if (fscanf(file, "%ld", &seconds) == 1)
                now->tv_sec += seconds;
            fclose(file);
        }
    }
    return result;
}
"""
"""A time of day that is off by as many seconds as the file says. As after settimeofday the monotonic clock is not."""


def preload(source: str, folder: Path, switch: Path) -> list[str]:
    """Builds the shim; the words to put before a command. The shim acts as long as the file `switch` is there."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler")
    (folder / "shim.c").write_text(source)
    library = folder / "shim.so"
    define = f'-DSWITCH="{switch}"'
    subprocess.run([compiler, "-shared", "-fPIC", define, "-o", library, folder / "shim.c"], check=True)
    return ["env", f"LD_PRELOAD={preloading(library)}"]
