// SPDX-License-Identifier: Apache-2.0
// Where a line of the audit log goes: the lock, what other processes did to the file, a file that
// is full.
#include "audit_writer_priv.h"
#include "core/fsio.h"
#include "core/log_event.h"
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

// Others hold the lock for one write. One that is stopped while it has it does not stop the daemon.
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 1000000
// Each renames the file under the other's hands at most once.
#define OPEN_TRIES 8

// Made by root, it would keep the daemon's own user out.
static void give_to_owner(const char *path, int fd, const struct stat *info)
{
    char *dir = audit_beside(path, ".");
    struct stat owner;
    if (geteuid() == 0 && info->st_uid == 0 && info->st_size == 0 && S_ISREG(info->st_mode) &&
        stat(dir, &owner) == 0 && owner.st_uid != 0)
        (void)!fchown(fd, owner.st_uid, owner.st_gid);
    free(dir);
}

int audit_open_file(const char *path, struct status *st)
{
    struct stat info;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
        status_set_errno(st, denied ? STATUS_DENIED : STATUS_IO, errno, "cannot open %s%s", path,
                         denied ? "; give it and its directory to this user" : "");
    } else if (fstat(fd, &info) == 0) {
        give_to_owner(path, fd, &info);
    }
    return fd;
}

// --- the lock ---

static bool lock_file(struct audit *audit, struct status *st)
{
    for (int i = 0; i < (audit->impatient ? 1 : LOCK_TRIES); i++) {
        if (flock(audit->fd, LOCK_EX | LOCK_NB) == 0)
            return !(audit->impatient = false);
        if (errno != EWOULDBLOCK && errno != EINTR) {
            status_set_errno(st, STATUS_IO, errno, "cannot lock %s", audit->path);
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
    }
    audit->impatient = true;
    status_set(st, STATUS_BUSY, "another process holds the lock on %s", audit->path);
    return false;
}

static bool is_at_path(const struct audit *audit)
{
    struct stat open_one, named;
    return stat(audit->path, &named) == 0 && fstat(audit->fd, &open_one) == 0 &&
           named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev;
}

static void take_end(struct audit *audit, const struct audit_tail *tail)
{
    if (!tail->any)
        return;
    strcpy(audit->last, tail->seal.hash);
    strcpy(audit->last_key, tail->seal.key_id);
}

// What the open file ends with now, where another process wrote.
static enum status_code look_at_end(struct audit *audit, struct audit_tail *tail_r,
                                    struct status *st)
{
    struct stat info;
    enum status_code code = audit_tail_read(audit->fd, tail_r, st);
    if (code != STATUS_OK || fstat(audit->fd, &info) != 0)
        return code;
    audit->size = info.st_size;
    audit->known = true;
    take_end(audit, tail_r);
    return code;
}

// The path names another file now: the chain goes on in that one.
static void leave_renamed(struct audit *audit)
{
    struct audit_tail tail;
    struct stat info = {0};
    // Others may have written more before it was renamed. If it cannot be read, the chain breaks
    // where this process knows it, and shows it.
    (void)!look_at_end(audit, &tail, NULL);
    (void)!fstat(audit->fd, &info);
    audit->left = info.st_mtim;
    audit->moved = true;
    close(audit->fd); // and with it the lock
    audit->fd = -1;
    audit->size = 0;
}

static bool take_lock(struct audit *audit, struct status *st)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        if (audit->fd < 0 && (audit->fd = audit_open_file(audit->path, st)) < 0)
            return false;
        if (!lock_file(audit, st))
            return false;
        if (is_at_path(audit))
            return true;
        leave_renamed(audit);
    }
    status_set(st, STATUS_BUSY, "%s is renamed all the time", audit->path);
    return false;
}

// --- catching up ---

static bool is_earlier(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

// The name of the file before a new one, from which the chain goes on: the one that was written to
// last, by whom ever, unless what this process left is newer, and gone. NULL: none. Owned.
static char *find_before(struct audit *audit)
{
    struct audit_tail tail = {0};
    struct timespec written;
    char *path = audit_previous(audit->path, &written);
    int fd = -1;
    if (path != NULL && !(audit->moved && is_earlier(written, audit->left)))
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    // If it cannot be read the chain shows that it begins anew.
    if (fd >= 0 && audit_tail_read(fd, &tail, NULL) != STATUS_OK)
        tail.any = false;
    if (fd >= 0)
        close(fd);
    take_end(audit, &tail);
    char *name = NULL;
    if (tail.any)
        name = mem_strdup(strrchr(path, '/') + 1);
    else if (audit->moved && strcmp(audit->last, AUDIT_NO_HASH) != 0)
        name = mem_strdup("(not here)");
    free(path);
    return name;
}

// What this process wrote is not there any more. The chain goes on from it all the same, so that
// the gap shows.
static enum status_code tell_truncated(struct audit *audit, off_t from, bool torn,
                                       struct status *st)
{
    char was[24], is[24];
    snprintf(was, sizeof(was), "%lld", (long long)from);
    snprintf(is, sizeof(is), "%lld", (long long)audit->size);
    log_event(LOG_ID_AUDIT_CUT, NULL,
              "the audit log %s is shorter than it was: %s bytes, not %s; lines were removed",
              audit->path, is, was);
    return audit_append_own(audit,
                            &(struct audit_own_event){.before = torn ? "\n" : NULL,
                                                      .name = "audit.truncated",
                                                      .fields = {{"from", was}, {"to", is}}},
                            st);
}

// Ends a part of a line, or one that lacks its line feed alone; in one write with the word of it,
// since a crash between the two would leave a line that nobody knows.
static enum status_code end_torn(struct audit *audit, struct status *st)
{
    return audit_append_own(audit, &(struct audit_own_event){.before = "\n", .name = "audit.torn"},
                            st);
}

// The first line of a new file names the one before it. Of this file there may be a part of a line,
// left by a crash.
static enum status_code begin_file(struct audit *audit, bool torn, struct status *st)
{
    char *before = find_before(audit);
    enum status_code code = STATUS_OK;
    char last[AUDIT_HASH_DIGITS + 1];
    strcpy(last, audit->last);
    struct audit_own_event rotated = {.before = torn ? "\n" : NULL,
                                      .name = "audit.rotated",
                                      .fields = {{"file", before}, {"last", last}}};
    if (before != NULL)
        code = audit_append_own(audit, &rotated, st);
    else if (torn)
        code = end_torn(audit, st);
    free(before);
    return code;
}

static enum status_code look_again(struct audit *audit, struct status *st)
{
    struct audit_tail tail;
    char last[AUDIT_HASH_DIGITS + 1];
    bool here = audit->known && !audit->moved;
    off_t was = audit->size;
    strcpy(last, audit->last);
    enum status_code code = look_at_end(audit, &tail, st);
    if (code != STATUS_OK)
        return code;
    if (here && audit->size < was) {
        strcpy(audit->last, last);
        return tell_truncated(audit, was, tail.torn, st);
    }
    if (!tail.any)
        code = begin_file(audit, tail.torn, st);
    else if (tail.torn)
        code = end_torn(audit, st);
    audit->moved = audit->moved && code != STATUS_OK; // then it is tried again
    return code;
}

// Says in the file how many events are in the log alone.
static enum status_code tell_missed(struct audit *audit, struct status *st)
{
    char count[16];
    snprintf(count, sizeof(count), "%u", audit->missed);
    enum status_code code = audit_append_own(
        audit, &(struct audit_own_event){.name = "audit.missed", .fields = {{"events", count}}},
        st);
    if (code == STATUS_OK)
        audit->missed = 0;
    return code;
}

static enum status_code tell_key(struct audit *audit, struct status *st)
{
    char before[AUDIT_KEY_ID_DIGITS + 1];
    strcpy(before, audit->last_key[0] != '\0' ? audit->last_key : "none");
    return audit_append_own(
        audit, &(struct audit_own_event){.name = "audit.key", .fields = {{"before", before}}}, st);
}

static enum status_code catch_up(struct audit *audit, struct status *st)
{
    struct stat info;
    enum status_code code = STATUS_OK;
    bool as_left = audit->known && !audit->moved && fstat(audit->fd, &info) == 0 &&
                   info.st_size == audit->size;
    if (!as_left)
        code = look_again(audit, st);
    if (code == STATUS_OK && strcmp(audit->last_key, audit->key_id) != 0 &&
        strcmp(audit->last, AUDIT_NO_HASH) != 0)
        code = tell_key(audit, st);
    if (code == STATUS_OK && audit->missed > 0)
        code = tell_missed(audit, st);
    return code;
}

// --- a full file ---

static bool is_full(const struct audit *audit)
{
    return audit->max_bytes > 0 && audit->size > 0 &&
           (uint64_t)audit->size + audit->line.len + AUDIT_SEAL_BYTES > audit->max_bytes;
}

// The file is as durable as its name: after a power cut the next one's first line names its last.
static bool rename_file(struct audit *audit)
{
    struct status st;
    char *next = audit_next_name(audit->path);
    char *dir = audit_beside(audit->path, ".");
    bool renamed = fsync(audit->fd) == 0 && rename(audit->path, next) == 0;
    if (!renamed)
        log_event(LOG_ID_AUDIT_FAILED, NULL,
                  "cannot rename the audit log %s to %s: %s; going on in it", audit->path, next,
                  strerror(errno));
    else if (fsio_sync_dir(dir, &st) != STATUS_OK)
        log_event(LOG_ID_AUDIT_FAILED, NULL, "the audit log's directory: %s", st.detail);
    free(next);
    free(dir);
    return renamed;
}

static enum status_code remove_old(struct audit *audit, struct status *st)
{
    struct audit_files files;
    enum status_code code = STATUS_OK;
    audit_files_list(audit->path, true, &files);
    for (size_t i = 0; code == STATUS_OK && audit->keep > 0 && i + audit->keep < files.n; i++) {
        char *path = audit_beside(audit->path, files.names[i]);
        struct audit_own_event removed = {.name = "audit.removed",
                                          .fields = {{"file", files.names[i]}}};
        if (unlink(path) == 0)
            code = audit_append_own(audit, &removed, st);
        free(path);
    }
    audit_files_free(&files);
    return code;
}

static enum status_code rotate(struct audit *audit, struct status *st)
{
    if (!rename_file(audit))
        return STATUS_OK;
    if (!take_lock(audit, st)) // finds the new name, opens a new file
        return st->code;
    enum status_code code = catch_up(audit, st);
    return code == STATUS_OK ? remove_old(audit, st) : code;
}

// --- a write ---

enum status_code audit_store(struct audit *audit, struct status *st)
{
    if (!take_lock(audit, st))
        return st->code;
    enum status_code code = catch_up(audit, st);
    if (code == STATUS_OK && is_full(audit))
        code = rotate(audit, st);
    if (code == STATUS_OK)
        code = audit_append(audit, "", &audit->line, st);
    if (code != STATUS_OK)
        audit->known = false; // looked at anew by the next one
    if (audit->fd >= 0)
        flock(audit->fd, LOCK_UN);
    return code;
}
