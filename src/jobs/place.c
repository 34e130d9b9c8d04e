// SPDX-License-Identifier: Apache-2.0
#include "place_priv.h"

#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status_code code_of(int error)
{
    return error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND
           : error == EACCES                   ? STATUS_DENIED
                                               : STATUS_IO;
}

// What the descriptor was opened as, every link resolved: the path may lead elsewhere by now.
static char *path_of(int fd)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return realpath(link, NULL);
}

static bool is_below(int fd, const char *dir)
{
    char *real_dir = realpath(dir, NULL);
    char *real = path_of(fd);
    size_t length = real_dir != NULL ? strlen(real_dir) : 0;
    bool below = real != NULL && real_dir != NULL && strncmp(real, real_dir, length) == 0 &&
                 (real[length] == '/' || strcmp(real_dir, "/") == 0);
    free(real_dir);
    free(real);
    return below;
}

static enum status_code check(int fd, const char *path, const char *dir, uint64_t *size_r,
                              struct status *st)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return status_set_errno(st, STATUS_IO, errno, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return status_set(st, STATUS_INVALID, "%s is no regular file", path);
    if (dir != NULL && !is_below(fd, dir))
        return status_set(st, STATUS_INVALID, "%s is not below %s, the action's file_dir", path,
                          dir);
    *size_r = (uint64_t)info.st_size;
    return STATUS_OK;
}

int place_open(const char *path, const char *dir, uint64_t *size_r, struct status *st)
{
    if (path[0] != '/') {
        status_set(st, STATUS_INVALID, "is not an absolute path; write one that begins with \"/\"");
        return -1;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        status_set_errno(st, code_of(errno), errno, "cannot open %s", path);
        return -1;
    }
    if (check(fd, path, dir, size_r, st) == STATUS_OK)
        return fd;
    close(fd);
    return -1;
}
