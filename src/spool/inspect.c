// SPDX-License-Identifier: Apache-2.0
// A look into a spool from outside, while its owner may be writing, trimming and reusing files.
#include "spool/cursor_priv.h"
#include "spool/scan_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// An unfinished record at the end of the last file may be on its way: so often, after so long, it
// is looked at again.
#define TAIL_TRIES 5
#define TAIL_WAIT_NS 10000000L

struct inspection {
    const struct spool_callbacks *callbacks;
    void *owner;
    struct spool_report *report;
    struct position position;
    int dir_fd;
    uint64_t last_seq; // greatest that was met
};

static void tell(struct inspection *in, const char *name, const struct cursor_item *place)
{
    in->report->corrupt_places++;
    in->report->corrupt_bytes += place->bytes;
    if (in->callbacks != NULL && in->callbacks->corrupt != NULL)
        in->callbacks->corrupt(in->owner, name, place->offset, place->bytes, place->what);
}

static void count(struct inspection *in, const struct spool_record *record)
{
    struct spool_report *report = in->report;
    if (record->seq <= in->last_seq)
        return; // written again after a failed sync
    in->last_seq = record->seq;
    if (report->records++ == 0)
        report->first_seq = record->seq;
    report->last_seq = record->seq;
    if (record->seq <= in->position.acked)
        return;
    if (report->unacknowledged++ == 0)
        report->oldest_us = record->received_us;
}

// How long the file is now; 0 when it is not there any more under this name, or is another one.
static uint64_t size_now(const struct inspection *in, const char *name, int fd)
{
    struct stat by_name, by_fd;
    if (fstatat(in->dir_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) != 0 || fstat(fd, &by_fd) != 0 ||
        by_name.st_ino != by_fd.st_ino)
        return 0;
    return (uint64_t)by_fd.st_size;
}

// Walks from the cursor's place to its limit. Damage that reaches to the end of the last file is
// returned (bytes not 0), not told.
static struct cursor_item walk(struct inspection *in, struct cursor *cursor, const char *name,
                               bool is_last)
{
    struct cursor_item item = {0};
    enum cursor_step step;
    while ((step = cursor_next(cursor, &item)) == CURSOR_RECORD || step == CURSOR_DAMAGE) {
        if (step == CURSOR_RECORD)
            count(in, &item.record);
        else if (is_last && item.offset + item.bytes >= cursor->limit)
            return item;
        else if (size_now(in, name, cursor->fd) >= item.offset + item.bytes)
            tell(in, name, &item);
    }
    return (struct cursor_item){0};
}

static void inspect_segment(struct inspection *in, const struct scan_file *file, bool is_last)
{
    char name[SEGMENT_NAME_SIZE];
    struct cursor cursor;
    struct cursor_item tail = {0};
    segment_name(file->name, name);
    int fd = spool_io_system.openat(in->dir_fd, name, O_RDONLY, 0);
    if (fd < 0)
        return; // trimmed meanwhile
    cursor_init(&cursor, &spool_io_system, &in->report->id, 0);
    cursor_start(&cursor, fd, 0, file->size);
    in->report->bytes += file->size;
    for (int i = 0; i < TAIL_TRIES; i++) {
        uint64_t before = cursor.limit;
        tail = walk(in, &cursor, name, is_last);
        if (tail.bytes == 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = TAIL_WAIT_NS}, NULL);
        uint64_t now = size_now(in, name, fd);
        cursor_start(&cursor, dup(fd), tail.offset, now > before ? now : before);
        fd = cursor.fd;
        if (now < before) {
            tail.bytes = 0; // cut back or emptied meanwhile
            break;
        }
    }
    if (tail.bytes != 0)
        tell(in, name, &tail);
    cursor_deinit(&cursor);
}

static void inspect_file(struct inspection *in, const struct scan_file *file, bool is_last)
{
    const char *what = NULL;
    if (file->strange)
        what = "a segment that cannot be opened";
    else if (scan_foreign(file, &in->report->id))
        what = "a segment of another spool";
    in->report->segments++;
    if (what == NULL) {
        inspect_segment(in, file, is_last);
        return;
    }
    char name[SEGMENT_NAME_SIZE];
    segment_name(file->name, name);
    struct cursor_item place = {.bytes = file->size, .what = what};
    tell(in, name, &place);
}

static void load_position(struct inspection *in)
{
    int fd = spool_io_system.openat(in->dir_fd, POSITION_FILE, O_RDONLY, 0);
    if (fd >= 0) {
        position_load(&spool_io_system, fd, &in->position);
        close(fd);
    }
}

static struct scan_lock load_lock(const struct inspection *in)
{
    struct scan_lock lock = {0};
    int fd = spool_io_system.openat(in->dir_fd, SPOOL_LOCK_FILE, O_RDONLY, 0);
    if (fd >= 0) {
        lock = scan_read_lock(fd);
        close(fd);
    }
    return lock;
}

static enum status_code inspect_dir(struct inspection *in, const char *dir, struct status *st)
{
    struct scan scan;
    enum status_code code = scan_dir(&spool_io_system, dir, in->dir_fd, &scan, st);
    if (code != STATUS_OK)
        return code;
    load_position(in);
    struct scan_lock lock = load_lock(in);
    bool known = scan_id(&scan, &in->position, &lock, &in->report->id);
    if (!known && scan.count == 0)
        code = status_set(st, STATUS_NOT_FOUND, "there is no spool in %s", dir);
    in->report->acked_seq = in->position.acked;
    for (size_t i = 0; i < scan.count; i++)
        inspect_file(in, &scan.files[i], i + 1 == scan.count);
    scan_free(&scan);
    return code;
}

enum status_code spool_inspect(const char *dir, const struct spool_callbacks *callbacks,
                               void *owner, struct spool_report *report_r, struct status *st)
{
    *report_r = (struct spool_report){.segments = 0};
    struct inspection in = {.callbacks = callbacks, .owner = owner, .report = report_r};
    enum status_code code = scan_open_dir(dir, &in.dir_fd, st);
    if (code != STATUS_OK)
        return code;
    code = inspect_dir(&in, dir, st);
    close(in.dir_fd);
    return code;
}
