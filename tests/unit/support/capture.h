// SPDX-License-Identifier: Apache-2.0
// Takes what goes to stderr, so that a test can look at the log.
#ifndef CXSINK_TESTS_SUPPORT_CAPTURE_H
#define CXSINK_TESTS_SUPPORT_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
    int file;  // what is written
    int saved; // the real stderr
    char text[1 << 20];
};

static inline void capture_start(struct capture *c)
{
    fflush(stderr);
    c->file = memfd_create("stderr", MFD_CLOEXEC);
    c->saved = dup(STDERR_FILENO);
    if (c->file < 0 || c->saved < 0 || dup2(c->file, STDERR_FILENO) < 0)
        abort();
    c->text[0] = '\0';
}

// What was written since capture_start(), which is taken away with it. Capturing goes on.
static inline const char *capture_take(struct capture *c)
{
    fflush(stderr);
    ssize_t n = pread(c->file, c->text, sizeof(c->text) - 1, 0);
    c->text[n > 0 ? n : 0] = '\0';
    if (ftruncate(c->file, 0) != 0 || lseek(c->file, 0, SEEK_SET) != 0)
        abort();
    return c->text;
}

static inline void capture_stop(struct capture *c)
{
    fflush(stderr);
    if (dup2(c->saved, STDERR_FILENO) < 0)
        abort();
    close(c->saved);
    close(c->file);
}

static inline unsigned capture_lines(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

#endif
