// SPDX-License-Identifier: Apache-2.0
// The system calls that touch the spool's files, behind a table: tests put a table of their own
// there to make a call fail, or to die before or after it.
#ifndef CXSINK_SPOOL_IO_PRIV_H
#define CXSINK_SPOOL_IO_PRIV_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

// As the system calls of these names.
struct spool_io {
    int (*openat)(int dir, const char *name, int flags, mode_t mode);
    ssize_t (*pread)(int fd, void *data, size_t length, off_t offset);
    ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd); // directories
    int (*ftruncate)(int fd, off_t length);
    int (*unlinkat)(int dir, const char *name);
    int (*renameat)(int dir, const char *from, const char *to); // never over another file
};

extern const struct spool_io spool_io_system;

// Writes all the parts at `offset`, going on after short writes and EINTR; `parts` is changed.
// 0, or an errno.
int spool_io_write(const struct spool_io *io, int fd, struct iovec *parts, int count, off_t offset);

#endif
