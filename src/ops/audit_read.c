// SPDX-License-Identifier: Apache-2.0
#include "ops/audit_read.h"

#include "audit_priv.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 500
#define LOCK_PAUSE_NS 10000000
#define OPEN_TRIES 20

static enum status_code open_one(const char *path, struct audit_read_file *file_r,
                                 struct status *st)
{
    struct stat info;
    *file_r = (struct audit_read_file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file_r->fd < 0 || fstat(file_r->fd, &info) != 0) {
        enum status_code code = errno == ENOENT   ? STATUS_NOT_FOUND
                                : errno == EACCES ? STATUS_DENIED
                                                  : STATUS_IO;
        status_set_errno(st, code, errno, "cannot open %s", path);
        if (file_r->fd >= 0)
            close(file_r->fd);
        return code;
    }
    file_r->path = mem_strdup(path);
    file_r->size = (uint64_t)info.st_size;
    return STATUS_OK;
}

static void close_one(struct audit_read_file *file)
{
    close(file->fd);
    free(file->path);
}

void audit_read_close(struct audit_read *read)
{
    for (size_t i = 0; i < read->n_files; i++)
        close_one(&read->files[i]);
    free(read->files);
    *read = (struct audit_read){0};
}

// --- lines ---

static ssize_t next_line(FILE *from, uint64_t left, char **text, size_t *room)
{
    ssize_t n = left > 0 ? getline(text, room, from) : -1;
    if (n > 0 && (uint64_t)n > left) { // written since
        n = (ssize_t)left;
        (*text)[n] = '\0';
    }
    return n;
}

enum status_code audit_read_lines(const struct audit_read_file *file,
                                  bool (*fn)(void *owner, const struct audit_read_line *line),
                                  void *owner, struct status *st)
{
    int fd = dup(file->fd);
    off_t kept = lseek(file->fd, 0, SEEK_CUR); // of a reading that goes on around this one
    FILE *from = fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
    if (from == NULL) {
        enum status_code code =
            status_set_errno(st, STATUS_IO, errno, "cannot read %s", file->path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    struct audit_read_line line = {.path = file->path};
    char *text = NULL;
    size_t room = 0;
    uint64_t left = file->size;
    bool more = true;
    for (ssize_t n; more && (n = next_line(from, left, &text, &room)) > 0;) {
        left -= (uint64_t)n;
        line.ended = text[n - 1] == '\n';
        line.length = (size_t)n - line.ended;
        text[line.length] = '\0';
        line.text = text;
        line.number++;
        more = fn(owner, &line);
    }
    bool failed = ferror(from) != 0;
    free(text);
    fclose(from);
    (void)!lseek(file->fd, kept, SEEK_SET);
    return failed ? status_set_errno(st, STATUS_IO, errno, "cannot read %s", file->path)
                  : STATUS_OK;
}

// --- the order of the chain ---

static bool take_first(void *owner, const struct audit_read_line *line)
{
    struct audit_read_file *file = owner;
    struct audit_seal seal;
    if (!audit_seal_read(line->text, line->length, &seal))
        return true;
    strcpy(file->first_prev, seal.prev);
    audit_line_time(line->text, file->begins);
    return false;
}

static enum status_code look_at_ends(struct audit_read_file *file, struct status *st)
{
    struct audit_tail tail;
    enum status_code code = audit_read_lines(file, take_first, file, st);
    if (code == STATUS_OK)
        code = audit_tail_read(file->fd, &tail, st);
    if (code == STATUS_OK && tail.any)
        strcpy(file->last_hash, tail.seal.hash);
    return code;
}

static bool follows(const struct audit_read_file *before, const struct audit_read_file *file)
{
    return before->last_hash[0] != '\0' && strcmp(before->last_hash, file->first_prev) == 0;
}

// Among those from `from` on (the newest file is not one of them): the one that goes on where the
// file before it ended, else the oldest that goes on from none of them.
static size_t pick_next(const struct audit_read *read, size_t from)
{
    size_t best = from, last = read->n_files - 1;
    for (size_t i = from; from > 0 && i < last; i++) {
        if (follows(&read->files[from - 1], &read->files[i]))
            return i;
    }
    bool best_follows = true;
    for (size_t i = from; i < last; i++) {
        bool has_before = false;
        for (size_t j = from; j < last; j++)
            has_before = has_before || (j != i && follows(&read->files[j], &read->files[i]));
        bool older = strcmp(read->files[i].begins, read->files[best].begins) < 0;
        if (has_before < best_follows || (has_before == best_follows && older)) {
            best = i;
            best_follows = has_before;
        }
    }
    return best;
}

static void put_in_order(struct audit_read *read)
{
    for (size_t i = 0; i + 1 < read->n_files; i++) {
        size_t next = pick_next(read, i);
        struct audit_read_file kept = read->files[i];
        read->files[i] = read->files[next];
        read->files[next] = kept;
    }
}

// --- open ---

static enum status_code lock_newest(const char *path, const struct audit_read_file *newest,
                                    struct status *st)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(newest->fd, LOCK_SH | LOCK_NB) == 0)
            return STATUS_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return status_set_errno(st, STATUS_IO, errno, "cannot lock %s", path);
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
    }
    return status_set(st, STATUS_BUSY, "another process holds the lock on %s", path);
}

// While the lock is held no writer renames a file.
static enum status_code open_all(const char *path, struct audit_read *read, struct status *st)
{
    struct audit_files files;
    enum status_code code = STATUS_OK;
    audit_files_list(path, false, &files);
    read->files = mem_zalloc((files.n + 1) * sizeof(*read->files));
    for (size_t i = 0; code == STATUS_OK && i < files.n; i++) {
        char *other = audit_beside(path, files.names[i]);
        code = open_one(other, &read->files[read->n_files], st);
        read->n_files += code == STATUS_OK;
        if (code == STATUS_NOT_FOUND) // another program removed it
            code = STATUS_OK;
        free(other);
    }
    audit_files_free(&files);
    return code;
}

static bool is_at_path(const char *path, struct audit_read_file *file)
{
    struct stat named, info;
    bool same = stat(path, &named) == 0 && fstat(file->fd, &info) == 0 &&
                named.st_ino == info.st_ino && named.st_dev == info.st_dev;
    file->size = same ? (uint64_t)info.st_size : 0;
    return same;
}

// A writer that renames the file makes the new one a moment later.
static bool is_being_renamed(const char *path)
{
    struct timespec written;
    char *previous = audit_previous(path, &written);
    bool any = previous != NULL;
    free(previous);
    nanosleep(&(struct timespec){.tv_nsec = any ? LOCK_PAUSE_NS : 0}, NULL);
    return any;
}

static enum status_code open_locked(const char *path, struct audit_read_file *newest_r,
                                    struct status *st)
{
    for (int missing = 0;;) {
        enum status_code code = open_one(path, newest_r, st);
        if (code == STATUS_NOT_FOUND && missing++ < OPEN_TRIES && is_being_renamed(path))
            continue;
        if (code != STATUS_OK)
            return code;
        code = lock_newest(path, newest_r, st);
        if (code == STATUS_OK && is_at_path(path, newest_r))
            return code;
        close_one(newest_r);
        if (code != STATUS_OK)
            return code;
    }
}

enum status_code audit_read_open(const char *path, struct audit_read *read_r, struct status *st)
{
    struct audit_read_file newest;
    *read_r = (struct audit_read){0};
    enum status_code code = open_locked(path, &newest, st);
    if (code != STATUS_OK)
        return code;
    code = open_all(path, read_r, st);
    flock(newest.fd, LOCK_UN);
    read_r->files[read_r->n_files++] = newest;
    for (size_t i = 0; code == STATUS_OK && i < read_r->n_files; i++)
        code = look_at_ends(&read_r->files[i], st);
    if (code == STATUS_OK)
        put_in_order(read_r);
    else
        audit_read_close(read_r);
    return code;
}
