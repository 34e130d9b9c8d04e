# SPDX-License-Identifier: Apache-2.0
"""A getaddrinfo(3) that takes seconds for names that start with "slow"."""
import subprocess

SECONDS = 3

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    if (node != NULL && strncmp(node, "slow", 4) == 0) {
        sleep((unsigned)atoi(getenv("SLOW_SECONDS")));
        node = "127.0.0.1";
    }
    return real(node, service, hints, result);
}
"""


def slow_environment(directory):
    """The environment in which it is so."""
    source, library = directory / "slow.c", directory / "slow.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_SECONDS": str(SECONDS), "ASAN_OPTIONS": "verify_asan_link_order=0"}
