// SPDX-License-Identifier: Apache-2.0
#include "spool/scan_priv.h"

#include "core/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status_code scan_open_dir(const char *dir, int *fd_r, struct status *st)
{
    *fd_r = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd_r >= 0)
        return STATUS_OK;
    if (errno == ENOTDIR)
        return status_set(st, STATUS_INVALID,
                          "the spool's place %s is not a directory; move it away", dir);
    if (errno == EACCES || errno == EPERM)
        return status_set(st, STATUS_DENIED,
                          "no permission to open the spool's directory %s; give it to this user",
                          dir);
    return status_set_errno(st, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, errno,
                            "cannot open the spool's directory %s", dir);
}

struct scan_lock scan_read_lock(int fd)
{
    char text[128];
    struct scan_lock lock = {0};
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *rest;
    lock.pid = strtol(text, &rest, 10);
    rest += strspn(rest, " ");
    if (*rest == '\n' && strlen(rest + 1) >= UUID_TEXT_SIZE - 1)
        lock.has_id = uuid_parse(rest + 1, UUID_TEXT_SIZE - 1, &lock.id);
    return lock;
}

// `there_r` false: it was removed since the directory was read.
static enum status_code look(const struct spool_io *io, const char *dir, int dir_fd,
                             struct scan_file *file, bool *there_r, struct status *st)
{
    char name[SEGMENT_NAME_SIZE];
    char header[SEGMENT_HEADER_SIZE];
    struct stat info;
    segment_name(file->name, name);
    file->strange = true;
    int fd = io->openat(dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
    *there_r = fd >= 0 || errno != ENOENT;
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return status_set(st, STATUS_DENIED,
                          "no permission to read %s/%s of the spool; give it to this user", dir,
                          name);
    if (fd < 0)
        return STATUS_OK;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        file->strange = false;
        file->size = (uint64_t)info.st_size;
        file->header_ok = io->pread(fd, header, sizeof header, 0) == sizeof header &&
                          segment_header_decode(header, &file->header);
    }
    close(fd);
    return STATUS_OK;
}

static bool is_leftover(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".tmp") == 0;
}

static int by_name(const void *left, const void *right)
{
    const struct scan_file *a = left, *b = right;
    return a->name < b->name ? -1 : a->name > b->name;
}

static enum status_code walk(const struct spool_io *io, const char *dir, DIR *list,
                             struct scan *scan, struct status *st)
{
    size_t cap = 0;
    struct dirent *entry;
    while ((errno = 0, entry = readdir(list)) != NULL) {
        struct scan_file file = {0};
        scan->leftovers += is_leftover(entry->d_name);
        if (!segment_name_parse(entry->d_name, &file.name))
            continue;
        bool there;
        enum status_code code = look(io, dir, dirfd(list), &file, &there, st);
        if (code != STATUS_OK)
            return code;
        if (!there)
            continue;
        if (scan->count == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            scan->files = mem_realloc_array(scan->files, cap, sizeof *scan->files);
        }
        scan->files[scan->count++] = file;
    }
    if (errno != 0)
        return status_set_errno(st, STATUS_IO, errno, "cannot list the spool's directory %s", dir);
    if (scan->count != 0)
        qsort(scan->files, scan->count, sizeof *scan->files, by_name);
    return STATUS_OK;
}

static DIR *open_list(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL && fd >= 0)
        close(fd);
    return list;
}

enum status_code scan_dir(const struct spool_io *io, const char *dir, int dir_fd,
                          struct scan *scan_r, struct status *st)
{
    *scan_r = (struct scan){0};
    DIR *list = open_list(dir_fd);
    if (list == NULL)
        return status_set_errno(st, STATUS_IO, errno, "cannot list the spool's directory %s", dir);
    enum status_code code = walk(io, dir, list, scan_r, st);
    closedir(list);
    if (code != STATUS_OK)
        scan_free(scan_r);
    return code;
}

void scan_free(struct scan *scan)
{
    free(scan->files);
    *scan = (struct scan){0};
}

void scan_remove_leftovers(const struct spool_io *io, int dir_fd)
{
    DIR *list = open_list(dir_fd);
    struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL)
        if (is_leftover(entry->d_name))
            io->unlinkat(dir_fd, entry->d_name);
    if (list != NULL)
        closedir(list);
}

bool scan_id(const struct scan *scan, const struct position *position, const struct scan_lock *lock,
             struct uuid *id_r)
{
    const struct scan_file *newest = NULL;
    bool position_agrees = false;
    for (size_t i = 0; i < scan->count; i++) {
        const struct scan_file *file = &scan->files[i];
        if (!file->header_ok)
            continue;
        newest = file;
        if (position->generation != 0 && !scan_foreign(file, &position->id))
            position_agrees = true;
    }
    if (position->generation != 0 && (newest == NULL || position_agrees))
        *id_r = position->id;
    else if (newest != NULL)
        *id_r = newest->header.id;
    else if (lock->has_id)
        *id_r = lock->id;
    else
        return false;
    return true;
}

bool scan_foreign(const struct scan_file *file, const struct uuid *id)
{
    return file->header_ok && memcmp(&file->header.id, id, sizeof *id) != 0;
}
