# SPDX-License-Identifier: Apache-2.0
"""A wall clock that is wrong, for one process."""
import subprocess

SOURCE = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t)
{
    long result = syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME)
        t->tv_sec += atol(getenv("CLOCK_SHIFT"));
    return (int)result;
}
"""


def shifted_environment(directory, seconds):
    """The environment in which it is so many seconds ahead."""
    source, library = directory / "clock.c", directory / "clock.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(seconds), "ASAN_OPTIONS": "verify_asan_link_order=0"}
