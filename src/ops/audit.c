// SPDX-License-Identifier: Apache-2.0
// The writer of the audit log. A write: take the lock on the file that the path names now, catch up
// with what others did to it, rename it when it is full, append, give the lock back.
#include "ops/audit.h"

#include "audit_priv.h"
#include "audit_recent_priv.h"
#include "config/load.h"
#include "core/clock.h"
#include "core/fsio.h"
#include "core/log.h"
#include "core/log_event.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Others hold the lock for one write. One that is stopped while it has it does not stop the daemon.
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 1000000
// Each renames the file under the other's hands at most once.
#define OPEN_TRIES 8

struct audit {
    int fd; // -1: to be opened
    char *path;
    char *key;  // NULL: none
    char *user; // NULL: none
    uint64_t max_bytes;
    unsigned keep;
    char key_id[AUDIT_KEY_ID_DIGITS + 1];
    // As this process knew the file last:
    bool known;
    off_t size;
    char last[AUDIT_HASH_DIGITS + 1];       // hash of the last line
    char last_key[AUDIT_KEY_ID_DIGITS + 1]; // its key_id
    char *renamed;   // what the file that was open before is called now; NULL: it was not renamed
    bool impatient;  // the lock could not be had the last time
    unsigned missed; // events that are in the log alone since the last write that succeeded
    struct buf line, text;
    struct audit_recent recent;
};

// --- open and close ---

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

static int open_file(const char *path, struct status *st)
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

static char *copy_of(const char *text)
{
    return text != NULL && text[0] != '\0' ? mem_strdup(text) : NULL;
}

void audit_configure(struct audit *audit, const struct audit_settings *settings)
{
    mem_wipe_free(&audit->key);
    free(audit->user);
    audit->key = copy_of(settings->key);
    audit->user = copy_of(settings->user);
    audit->max_bytes = settings->max_bytes;
    audit->keep = settings->keep;
    audit_key_id(audit->key, audit->key_id);
}

struct audit *audit_open(const struct audit_settings *settings, struct status *st)
{
    int fd = open_file(settings->path, st);
    if (fd < 0)
        return NULL;
    struct audit *audit = mem_zalloc(sizeof(*audit));
    audit->fd = fd;
    audit->path = mem_strdup(settings->path);
    strcpy(audit->last, AUDIT_NO_HASH);
    audit_configure(audit, settings);
    return audit;
}

struct audit *audit_open_configured(const struct config *config, const char *user,
                                    struct status *st)
{
    char *path = mem_printf("%s/audit.jsonl", config->state_dir);
    struct audit_settings settings = {.path = path, .user = user};
    struct audit *audit = audit_open(&settings, st);
    free(path);
    return audit;
}

void audit_close(struct audit **pointer)
{
    struct audit *audit = *pointer;
    if (audit == NULL)
        return;
    *pointer = NULL;
    if (audit->fd >= 0)
        close(audit->fd);
    buf_deinit(&audit->line);
    buf_deinit(&audit->text);
    audit_recent_deinit(&audit->recent);
    mem_wipe_free(&audit->key);
    free(audit->user);
    free(audit->renamed);
    free(audit->path);
    free(audit);
}

// --- lines ---

static void add_member(struct buf *line, struct buf *text, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(line, ",\"%s\":", name);
    buf_json_string(line, value, strlen(value));
    buf_printf(text, " %s=%s", name, value);
}

// Makes the line, but for its end, and its text for the log.
static void compose(const struct audit *audit, const char *event, const char *stream,
                    const struct audit_field *fields, size_t n_fields, struct buf *line,
                    struct buf *text)
{
    char when[32];
    wall_format(wall_read_us(), when, sizeof(when));
    buf_printf(line, "{\"time\":\"%s\",\"event\":\"%s\"", when, event);
    buf_append_text(text, event);
    if (stream != NULL) {
        buf_append_text(line, ",\"stream\":");
        buf_json_string(line, stream, strlen(stream));
    }
    for (size_t i = 0; i < n_fields; i++)
        add_member(line, text, fields[i].name, fields[i].value);
    if (audit != NULL)
        add_member(line, text, "user", audit->user);
}

// Writes the line, or nothing of it: half a line would spoil the next one too, and a hash that is
// not in the file would break the chain. `before` goes ahead of it, in the same write.
static enum status_code append_line(struct audit *audit, const char *before, struct buf *line,
                                    struct status *st)
{
    struct audit_seal seal = {0};
    struct buf both = {0};
    strcpy(seal.key_id, audit->key_id);
    strcpy(seal.prev, audit->last);
    audit_seal_write(line, audit->key, &seal);
    if (before[0] != '\0') {
        buf_append_text(&both, before);
        buf_append(&both, line->data, line->len);
        line = &both;
    }
    enum status_code code = fsio_write_all(audit->fd, line->data, line->len, st);
    if (code == STATUS_OK) {
        audit->size += (off_t)line->len;
        strcpy(audit->last, seal.hash);
        strcpy(audit->last_key, seal.key_id);
    } else {
        (void)!ftruncate(audit->fd, audit->size);
    }
    buf_deinit(&both);
    return code;
}

struct own_event {
    const char *before; // bytes ahead of the line; NULL: none
    const char *name;
    struct audit_field fields[2];
};

// An event of the log itself.
static enum status_code append_own(struct audit *audit, const struct own_event *event,
                                   struct status *st)
{
    struct buf line = {0}, text = {0};
    compose(audit, event->name, NULL, event->fields, 2, &line, &text);
    enum status_code code =
        append_line(audit, event->before != NULL ? event->before : "", &line, st);
    struct log_fields about = {.audit = event->name, .audit_hash = audit->last};
    if (code == STATUS_OK)
        log_audit(&about, buf_text(&text));
    buf_deinit(&line);
    buf_deinit(&text);
    return code;
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
    // Others may have written more before it was renamed. If it cannot be read, the chain breaks
    // where this process knows it, and shows it.
    (void)!look_at_end(audit, &tail, NULL);
    free(audit->renamed);
    audit->renamed = audit_name_of(audit->path, audit->fd);
    if (audit->renamed == NULL)
        audit->renamed = mem_strdup("(deleted)");
    close(audit->fd); // and with it the lock
    audit->fd = -1;
    audit->size = 0;
}

static bool take_lock(struct audit *audit, struct status *st)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        if (audit->fd < 0 && (audit->fd = open_file(audit->path, st)) < 0)
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

// The file before a new one, by its name, when this process did not see it renamed: it may have
// been, or a crash came between the renaming and the first line. NULL: none. Owned.
static char *find_before(struct audit *audit, struct status *st)
{
    struct audit_tail tail = {0};
    char *before = audit_previous(audit->path);
    int fd = before != NULL ? open(before, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd >= 0) {
        if (audit_tail_read(fd, &tail, st) != STATUS_OK)
            tail.any = false; // the chain shows that it begins anew
        close(fd);
    }
    take_end(audit, &tail);
    char *name = tail.any
                     ? mem_strdup(strrchr(before, '/') != NULL ? strrchr(before, '/') + 1 : before)
                     : NULL;
    free(before);
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
    return append_own(audit,
                      &(struct own_event){.before = torn ? "\n" : NULL,
                                          .name = "audit.truncated",
                                          .fields = {{"from", was}, {"to", is}}},
                      st);
}

// Ends a part of a line, or one that lacks its line feed alone; in one write with the word of it,
// since a crash between the two would leave a line that nobody knows.
static enum status_code end_torn(struct audit *audit, struct status *st)
{
    return append_own(audit, &(struct own_event){.before = "\n", .name = "audit.torn"}, st);
}

// The first line of a new file names the one before it. Of this file there may be a part of a line,
// left by a crash.
static enum status_code begin_file(struct audit *audit, bool torn, struct status *st)
{
    char last[AUDIT_HASH_DIGITS + 1];
    if (audit->renamed == NULL)
        audit->renamed = find_before(audit, st);
    if (audit->renamed == NULL && torn)
        return end_torn(audit, st);
    if (audit->renamed == NULL)
        return STATUS_OK;
    strcpy(last, audit->last);
    return append_own(audit,
                      &(struct own_event){.before = torn ? "\n" : NULL,
                                          .name = "audit.rotated",
                                          .fields = {{"file", audit->renamed}, {"last", last}}},
                      st);
}

static enum status_code look_again(struct audit *audit, struct status *st)
{
    struct audit_tail tail;
    char last[AUDIT_HASH_DIGITS + 1];
    bool here = audit->known && audit->renamed == NULL;
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
    if (code == STATUS_OK) { // else it is tried again
        free(audit->renamed);
        audit->renamed = NULL;
    }
    return code;
}

// Says in the file how many events are in the log alone.
static enum status_code tell_missed(struct audit *audit, struct status *st)
{
    char count[16];
    snprintf(count, sizeof(count), "%u", audit->missed);
    enum status_code code = append_own(
        audit, &(struct own_event){.name = "audit.missed", .fields = {{"events", count}}}, st);
    if (code == STATUS_OK)
        audit->missed = 0;
    return code;
}

static enum status_code tell_key(struct audit *audit, struct status *st)
{
    char before[AUDIT_KEY_ID_DIGITS + 1];
    strcpy(before, audit->last_key[0] != '\0' ? audit->last_key : "none");
    return append_own(audit,
                      &(struct own_event){.name = "audit.key", .fields = {{"before", before}}}, st);
}

static enum status_code catch_up(struct audit *audit, struct status *st)
{
    struct stat info;
    enum status_code code = STATUS_OK;
    bool as_left = audit->known && audit->renamed == NULL && fstat(audit->fd, &info) == 0 &&
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
           (uint64_t)audit->size + audit->line.len > audit->max_bytes;
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
        struct own_event removed = {.name = "audit.removed", .fields = {{"file", files.names[i]}}};
        if (unlink(path) == 0)
            code = append_own(audit, &removed, st);
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

static enum status_code store(struct audit *audit, struct status *st)
{
    if (!take_lock(audit, st))
        return st->code;
    enum status_code code = catch_up(audit, st);
    if (code == STATUS_OK && is_full(audit))
        code = rotate(audit, st);
    if (code == STATUS_OK)
        code = append_line(audit, "", &audit->line, st);
    if (code != STATUS_OK)
        audit->known = false; // looked at anew by the next one
    if (audit->fd >= 0)
        flock(audit->fd, LOCK_UN);
    return code;
}

// Events whose line in the log says what an operator wants to know.
static const char *message_id_of(const char *event)
{
    static const struct {
        const char *event;
        enum log_id id;
    } explained[] = {{"stream.connected", LOG_ID_STREAM_UP},
                     {"stream.disconnected", LOG_ID_STREAM_ENDED},
                     {"spool.recovered", LOG_ID_SPOOL_RECOVERED},
                     {"breaker.open", LOG_ID_BREAKER_OPEN},
                     {"breaker.closed", LOG_ID_BREAKER_CLOSED}};
    for (size_t i = 0; i < sizeof(explained) / sizeof(explained[0]); i++) {
        if (strcmp(explained[i].event, event) == 0)
            return log_event_id(explained[i].id);
    }
    return NULL;
}

static void write_or_miss(struct audit *audit, struct log_fields *about)
{
    struct status st = {0};
    bool stored = store(audit, &st) == STATUS_OK;
    about->audit_hash = stored ? audit->last : NULL;
    log_audit(about, buf_text(&audit->text));
    if (stored)
        return;
    audit->missed++;
    log_event(LOG_ID_AUDIT_FAILED, about, "the audit log %s misses an event: %s", audit->path,
              st.detail);
}

void audit_write(struct audit *audit, const char *event, const char *stream,
                 const struct audit_field *fields, size_t n_fields)
{
    struct log_fields about = {
        .stream = stream, .audit = event, .message_id = message_id_of(event)};
    struct buf line = {0}, text = {0};
    if (audit == NULL) {
        compose(NULL, event, stream, fields, n_fields, &line, &text);
        log_audit(&about, buf_text(&text));
        buf_deinit(&line);
        buf_deinit(&text);
        return;
    }
    buf_clear(&audit->line);
    buf_clear(&audit->text);
    compose(audit, event, stream, fields, n_fields, &audit->line, &audit->text);
    audit_recent_add(&audit->recent, &audit->line);
    write_or_miss(audit, &about);
}

void audit_recent(const struct audit *audit, uint64_t *mark, struct buf *out)
{
    audit_recent_json(&audit->recent, mark, out);
}
