// SPDX-License-Identifier: Apache-2.0
#include "spool/io_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int system_openat(int dir, const char *name, int flags, mode_t mode)
{
    return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

static int system_unlinkat(int dir, const char *name)
{
    return unlinkat(dir, name, 0);
}

static int system_renameat(int dir, const char *from, const char *to)
{
    return renameat2(dir, from, dir, to, RENAME_NOREPLACE);
}

const struct spool_io spool_io_system = {
    .openat = system_openat,
    .pread = pread,
    .pwritev = pwritev,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .unlinkat = system_unlinkat,
    .renameat = system_renameat,
};

int spool_io_write(const struct spool_io *io, int fd, struct iovec *parts, int count, off_t offset)
{
    while (count > 0) {
        ssize_t n = io->pwritev(fd, parts, count, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        offset += n;
        size_t left = (size_t)n;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return 0;
}
