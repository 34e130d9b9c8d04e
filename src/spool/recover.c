// SPDX-License-Identifier: Apache-2.0
// What an open does: the lock, the id, the segments, the last one's tail, the numbers. Only what
// the owner must put right refuses to start; damage is told and stepped over.
#include "spool/spool_priv.h"

#include "core/fsio.h"
#include "spool/scan_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static enum status_code take_lock(struct spool *spool, struct scan_lock *lock_r, struct status *st)
{
    const char *dir = spool->settings.dir;
    int fd =
        openat(spool->dir_fd, SPOOL_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
        return status_set_errno(st, STATUS_DENIED, errno,
                                "cannot write to the spool's directory %s; give it to this user",
                                dir);
    if (fd < 0)
        return status_set_errno(st, errno == ENOSPC || errno == EDQUOT ? STATUS_FULL : STATUS_IO,
                                errno, "cannot open %s/" SPOOL_LOCK_FILE, dir);
    spool->lock_fd = fd;
    int failed = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    *lock_r = scan_read_lock(fd);
    if (failed == EWOULDBLOCK)
        return status_set(st, STATUS_BUSY,
                          "the spool %s is in use by process %ld; stop that one first", dir,
                          lock_r->pid);
    if (failed != 0)
        return status_set_errno(st, STATUS_IO, failed, "cannot lock the spool %s", dir);
    return STATUS_OK;
}

// For people and as a last resort; a full disk does not matter here.
static void write_lock(const struct spool *spool)
{
    char id[UUID_TEXT_SIZE], text[96];
    uuid_format(&spool->id, id);
    int length = snprintf(text, sizeof text, "%-10ld\n%s\n", (long)getpid(), id);
    if (pwrite(spool->lock_fd, text, (size_t)length, 0) == length &&
        ftruncate(spool->lock_fd, length) == 0)
        fdatasync(spool->lock_fd);
}

static enum status_code open_dir(struct spool *spool, struct status *st)
{
    const char *dir = spool->settings.dir;
    enum status_code code = scan_open_dir(dir, &spool->dir_fd, st);
    if (code == STATUS_NOT_FOUND) {
        code = fsio_make_dirs(dir, 0700, st);
        if (code == STATUS_OK)
            code = scan_open_dir(dir, &spool->dir_fd, st);
    }
    if (code != STATUS_OK)
        return code;
    if (st != NULL)
        status_clear(st);
    // The directory itself may be new. It need not be ours to sync: no harm if it cannot be.
    int parent = openat(spool->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        spool->io->fsync(parent);
        close(parent);
    }
    return STATUS_OK;
}

static void tell_file(struct spool *spool, const struct scan_file *file, const char *what)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(file->name, name);
    struct cursor_item place = {.bytes = file->size, .what = what};
    spool_tell_damage(spool, name, &place);
}

// A number that no file has and no record ever had.
static void next_at_least(struct spool *spool, uint64_t seq)
{
    if (seq > spool->next_seq)
        spool->next_seq = seq;
}

static void remove_leftovers(struct spool *spool)
{
    struct cursor_item place = {.what = "leftover temporary files; removed"};
    scan_remove_leftovers(spool->io, spool->dir_fd);
    spool_tell_damage(spool, "*.tmp", &place);
}

// Lists the segments that are this spool's. A segment ends where the next one's header says.
static void adopt(struct spool *spool, const struct scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        const struct scan_file *file = &scan->files[i];
        if (file->strange || scan_foreign(file, &spool->id)) {
            tell_file(spool, file,
                      file->strange ? "a segment that cannot be opened; left alone"
                                    : "a segment of another spool; left alone");
            next_at_least(spool, file->name + 1);
            continue;
        }
        struct spool_segment segment = {file->name, file->name, file->name, file->size};
        // Smaller when the file was being emptied for reuse.
        if (file->header_ok && file->header.first_seq < file->name)
            segment.first = file->header.first_seq;
        struct spool_segment *last = segments_last(spool);
        if (last != NULL)
            last->end = file->header_ok && file->header.prev_end >= last->first
                            ? file->header.prev_end
                            : file->name;
        segments_add(spool, &segment);
        next_at_least(spool, file->name);
    }
}

struct tail {
    uint64_t end;              // where the last whole record ends
    uint64_t seq;              // its number; 0: there is none
    int64_t oldest_us;         // received_us of the first record that is not acknowledged
    bool unreadable;           // some of the file cannot be read: it must not be cut
    struct cursor_item damage; // after the last record; bytes 0: none
};

static void walk_tail(struct spool *spool, int fd, uint64_t size, struct tail *tail_r)
{
    struct cursor cursor;
    struct cursor_item item = {0};
    enum cursor_step step;
    *tail_r = (struct tail){0};
    cursor_init(&cursor, spool->io, &spool->id, 0);
    cursor_start(&cursor, fd, 0, size);
    while ((step = cursor_next(&cursor, &item)) != CURSOR_END && step != CURSOR_FAILED) {
        if (step == CURSOR_DAMAGE) {
            tail_r->damage = item;
            continue;
        }
        tail_r->damage.bytes = 0;
        tail_r->end = item.offset + item.bytes;
        if (item.record.seq > tail_r->seq)
            tail_r->seq = item.record.seq;
        if (tail_r->oldest_us == 0 && item.record.seq > spool->acked)
            tail_r->oldest_us = item.record.received_us;
    }
    tail_r->unreadable = cursor.unreadable;
    cursor_deinit(&cursor);
}

// Takes what the walk found for the truth: cuts off what a crash left unfinished. That costs no
// number that may have been seen: as many are left out as records fit into what is lost.
static void cut_tail(struct spool *spool, struct spool_segment *last, const struct tail *tail)
{
    char name[SEGMENT_NAME_SIZE];
    next_at_least(spool, last->end + (last->size - tail->end) / RECORD_MIN_SIZE + 1);
    if (tail->unreadable)
        return; // the reader may have more luck
    segment_name(last->name, name);
    spool_tell_damage(spool, name, &tail->damage);
    int fd = spool->io->openat(spool->dir_fd, name, O_RDWR, 0);
    if (fd >= 0) {
        // Without it the bytes stay there, behind the size that counts.
        if (spool->io->ftruncate(fd, (off_t)tail->end) != 0)
            spool->suspect = true;
        close(fd);
    }
    segment_resize(spool, last, tail->end);
}

// Finds where the last segment really ends. True when it is whole, and could go on there.
static bool recover_tail(struct spool *spool, const struct scan_file *file)
{
    struct spool_segment *last = segments_last(spool);
    struct tail tail = {.unreadable = true};
    int fd = segment_open(spool, last);
    if (fd >= 0)
        walk_tail(spool, fd, last->size, &tail);
    if (tail.end == 0 && file->header_ok)
        tail.end = SEGMENT_HEADER_SIZE;
    last->end = tail.seq >= last->first ? tail.seq + 1 : last->first;
    next_at_least(spool, last->end);
    spool->ages.unread_us = tail.oldest_us;
    if (tail.damage.bytes != 0 || tail.unreadable)
        cut_tail(spool, last, &tail);
    else
        return file->header_ok || last->size == 0;
    return false;
}

static enum status_code load_position(struct spool *spool, struct status *st)
{
    int fd = spool->io->openat(spool->dir_fd, POSITION_FILE, O_RDWR | O_CREAT, 0600);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return status_set(st, STATUS_DENIED,
                          "no permission to write %s/" POSITION_FILE "; give it to this user",
                          spool->settings.dir);
    spool->position_fd = fd;
    if (fd >= 0)
        position_load(spool->io, fd, &spool->position);
    return STATUS_OK;
}

static void choose_id(struct spool *spool, const struct scan *scan, const struct scan_lock *lock)
{
    if (!scan_id(scan, &spool->position, lock, &spool->id))
        spool->id = uuid_random();
    spool->seed = record_seed(&spool->id);
    if (spool->position.generation != 0 &&
        memcmp(&spool->position.id, &spool->id, sizeof spool->id) == 0)
        return;
    // Of another spool: a new slot would lose against its generation.
    spool->position.generation = 0;
    if (spool->position_fd >= 0 && spool->io->ftruncate(spool->position_fd, 0) != 0) {
        close(spool->position_fd);
        spool->position_fd = -1;
    }
}

// The number of the next record: greater than any that was ever readable. Between records that
// were readable unsynced and a power cut there may be more of them than anything here tells.
static void settle_numbers(struct spool *spool)
{
    const struct position *position = &spool->position;
    bool known = position->generation != 0;
    if (known)
        next_at_least(spool, position->next_seq);
    bool sure = known ? position->clean || !position->relaxed : spool->n_segments == 0;
    if (!sure)
        spool->next_seq += SPOOL_SEQ_GAP;
    spool->committed_end = spool->next_seq;
    if (spool->n_segments == 0)
        spool->acked = spool->next_seq - 1;
}

// Opens the last segment for appending if it is whole and its numbers go on without a gap.
static void activate_last(struct spool *spool)
{
    char name[SEGMENT_NAME_SIZE];
    struct spool_segment *last = segments_last(spool);
    if (last->end != spool->next_seq)
        return;
    segment_name(last->name, name);
    spool->fd = spool->io->openat(spool->dir_fd, name, O_RDWR, 0);
}

static const struct scan_file *find(const struct scan *scan, uint64_t name)
{
    size_t i = 0;
    while (scan->files[i].name != name)
        i++;
    return &scan->files[i];
}

static void recover_segments(struct spool *spool, const struct scan *scan)
{
    bool whole = false;
    adopt(spool, scan);
    const struct spool_segment *segments = spool->segments;
    if (spool->position.generation != 0)
        spool->acked = spool->position.acked;
    else if (spool->n_segments != 0)
        spool->acked = segments[0].first - 1;
    if (spool->n_segments != 0)
        whole = recover_tail(spool, find(scan, segments_last(spool)->name));
    settle_numbers(spool);
    if (whole)
        activate_last(spool);
}

enum status_code spool_recover(struct spool *spool, struct status *st)
{
    struct scan_lock lock;
    struct scan scan;
    enum status_code code = open_dir(spool, st);
    if (code == STATUS_OK)
        code = take_lock(spool, &lock, st);
    if (code == STATUS_OK)
        code = load_position(spool, st);
    if (code == STATUS_OK)
        code = scan_dir(spool->io, spool->settings.dir, spool->dir_fd, &scan, st);
    if (code != STATUS_OK)
        return code;
    spool->next_seq = 1;
    choose_id(spool, &scan, &lock);
    if (scan.leftovers != 0)
        remove_leftovers(spool);
    recover_segments(spool, &scan);
    scan_free(&scan);
    write_lock(spool);
    spool->position.relaxed = spool->settings.sync != SPOOL_SYNC_ALWAYS;
    spool_store(spool, false);
    if (spool->position_fd >= 0)
        spool->io->fdatasync(spool->position_fd);
    return STATUS_OK;
}
