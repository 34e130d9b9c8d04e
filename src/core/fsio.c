// SPDX-License-Identifier: Apache-2.0
#include "core/fsio.h"

#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK 16384

static enum status_code open_failed(const char *path, struct status *st)
{
    enum status_code code = errno == ENOENT                     ? STATUS_NOT_FOUND
                            : errno == EACCES || errno == EPERM ? STATUS_DENIED
                                                                : STATUS_IO;
    return status_set_errno(st, code, errno, "cannot open %s", path);
}

static enum status_code read_open(int fd, const char *path, size_t max, struct buf *content,
                                  struct status *st)
{
    size_t before = content->len;
    for (;;) {
        char chunk[READ_CHUNK]; // not the buffer itself, whose cap may be below a chunk
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_set_errno(st, STATUS_IO, errno, "cannot read %s", path);
        if (n == 0)
            return STATUS_OK;
        if ((size_t)n > max - (content->len - before))
            return status_set(st, STATUS_FULL, "%s is larger than %zu bytes", path, max);
        if (!buf_append(content, chunk, (size_t)n))
            return status_set(st, STATUS_FULL, "%s does not fit", path);
    }
}

enum status_code fsio_read_fd(int fd, const char *path, size_t max, struct buf *content,
                              struct status *st)
{
    size_t before = content->len;
    enum status_code code = read_open(fd, path, max, content, st);
    if (code != STATUS_OK)
        content->len = before;
    return code;
}

enum status_code fsio_read_file(const char *path, size_t max, struct buf *content,
                                struct status *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, st);
    enum status_code code = fsio_read_fd(fd, path, max, content, st);
    close(fd);
    return code;
}

enum status_code fsio_write_all(int fd, const void *data, size_t length, struct status *st)
{
    const char *p = data;
    while (length != 0) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            enum status_code code = errno == ENOSPC || errno == EDQUOT ? STATUS_FULL : STATUS_IO;
            return status_set_errno(st, code, errno, "cannot write");
        }
        p += n;
        length -= (size_t)n;
    }
    return STATUS_OK;
}

static enum status_code write_temporary(const char *path, const void *data, size_t length,
                                        mode_t mode, struct status *st)
{
    // One that a crash left behind may have another mode.
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return open_failed(path, st);
    enum status_code code = fsio_write_all(fd, data, length, st);
    if (code != STATUS_OK)
        status_prefix(st, "%s", path);
    else if (fsync(fd) != 0)
        code = status_set_errno(st, STATUS_IO, errno, "cannot sync %s", path);
    close(fd);
    return code;
}

static enum status_code sync_parent(const char *path, struct status *st)
{
    char *copy = mem_strdup(path);
    enum status_code code = fsio_sync_dir(dirname(copy), st);
    free(copy);
    return code;
}

enum status_code fsio_write_file(const char *path, const void *data, size_t length, mode_t mode,
                                 struct status *st)
{
    char *temporary = mem_printf("%s.tmp", path);
    enum status_code code = write_temporary(temporary, data, length, mode, st);
    if (code == STATUS_OK && rename(temporary, path) != 0)
        code = status_set_errno(st, STATUS_IO, errno, "cannot rename %s to %s", temporary, path);
    if (code != STATUS_OK)
        unlink(temporary);
    else
        code = sync_parent(path, st);
    free(temporary);
    return code;
}

static enum status_code make_dir(const char *path, mode_t mode, struct status *st)
{
    struct stat info;
    if (mkdir(path, mode) == 0)
        return STATUS_OK;
    int error = errno;
    if (error == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return STATUS_OK;
        error = ENOTDIR;
    }
    return status_set_errno(st, error == EACCES ? STATUS_DENIED : STATUS_IO, error,
                            "cannot create directory %s", path);
}

enum status_code fsio_make_dirs(const char *path, mode_t mode, struct status *st)
{
    if (path[0] == '\0')
        return status_set(st, STATUS_INVALID, "the name of a directory is empty");
    char *copy = mem_strdup(path);
    enum status_code code = STATUS_OK;
    for (char *p = copy + 1; code == STATUS_OK; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char kept = *p;
        *p = '\0';
        code = make_dir(copy, mode, st);
        *p = kept;
        if (kept == '\0')
            break;
    }
    free(copy);
    return code;
}

enum status_code fsio_sync_dir(const char *path, struct status *st)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, st);
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return failed != 0 ? status_set_errno(st, STATUS_IO, failed, "cannot sync %s", path)
                       : STATUS_OK;
}
