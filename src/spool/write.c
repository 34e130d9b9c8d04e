// SPDX-License-Identifier: Apache-2.0
// Append and commit. A commit writes all that is pending at the offset where the last one ended, so
// that a failed write is written over by the next commit. After a failed sync the file is not
// trusted any more (the kernel may have thrown the pages away and call the next sync good): what is
// pending goes into a new one.
#include "spool/spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// --- append --------------------------------------------------------------------------------------

static bool drained(const struct spool *spool)
{
    return spool->pending.len == 0 &&
           (spool->n_segments == 0 ||
            segment_end(spool, spool->n_segments - 1) <= spool->acked + 1);
}

// Within the bound; one record of any size when there is nothing else, else it would never go.
static bool fits(const struct spool *spool, uint64_t bytes)
{
    uint64_t used = spool->file_bytes + spool->pending.len + SEGMENT_HEADER_SIZE;
    return used + bytes <= spool->settings.max_bytes || drained(spool);
}

static bool fits_pending(const struct spool *spool, uint64_t bytes)
{
    return spool->pending.len == 0 || spool->pending.len + bytes <= spool->pending_max;
}

static enum spool_append refuse(struct spool *spool, const struct spool_record *record,
                                uint64_t bytes)
{
    spool->full = true;
    spool->refused = bytes;
    // A failing disk is lasting; a full pending buffer alone is over with the next commit.
    bool lasting = !fits(spool, bytes) || spool->failing;
    if (spool->settings.when_full != SPOOL_DROP_NEWEST || !lasting)
        return SPOOL_FULL;
    spool_tell_dropped(spool, record->stream, record->stream_len, 1);
    return SPOOL_DROPPED;
}

static bool make_fit(struct spool *spool, uint64_t bytes)
{
    bool dropping = spool->settings.when_full == SPOOL_DROP_OLDEST;
    while (!fits(spool, bytes)) {
        if (!dropping || !spool_drop_oldest(spool))
            return false;
        spool->full = true;
    }
    return true;
}

enum spool_append spool_append(struct spool *spool, const struct spool_record *record)
{
    if (!record_valid(record)) {
        bool named = record->stream_len >= 1 && record->stream_len <= SPOOL_STREAM_MAX;
        spool_tell_dropped(spool, named ? record->stream : "", named ? record->stream_len : 0, 1);
        return SPOOL_DROPPED;
    }
    size_t bytes = record_size(record);
    spool->full = false;
    if (!fits_pending(spool, bytes) || !make_fit(spool, bytes))
        return refuse(spool, record, bytes);
    if (spool->pending.len == 0 && reader_at_end(spool))
        spool->ages.unread_us = record->received_us;
    char *at = buf_reserve(&spool->pending, bytes);
    if (at == NULL)
        return refuse(spool, record, bytes);
    record_encode(record, spool->next_seq, spool->seed, at);
    spool->pending.len += bytes;
    spool->next_seq++;
    spool->refused = 0;
    return SPOOL_APPENDED;
}

bool spool_has_room(const struct spool *spool)
{
    if (spool->refused == 0)
        return true;
    bool fits_now = fits_pending(spool, spool->refused);
    // Under these two an append waits for no acknowledgement, only for the pending bytes.
    if (spool->settings.when_full == SPOOL_DROP_NEWEST)
        return fits_now || spool->failing || !fits(spool, spool->refused);
    if (spool->settings.when_full == SPOOL_DROP_OLDEST)
        return fits_now && !spool->failing;
    if (spool->failing || !fits_now || !fits(spool, spool->refused))
        return false;
    // Some more than just enough, so that the streams do not stop and go for every record.
    uint64_t used = spool->file_bytes + spool->pending.len;
    return drained(spool) || (used <= spool->settings.max_bytes / 8 * 7 &&
                              spool->pending.len <= spool->pending_max / 2);
}

// --- commit --------------------------------------------------------------------------------------

static enum status_code call_failed(const struct spool *spool, int error, const char *what,
                                    struct status *st)
{
    bool full = error == ENOSPC || error == EDQUOT;
    return status_set_errno(st, full ? STATUS_FULL : STATUS_IO, error,
                            "cannot %s the spool in %s%s", what, spool->settings.dir,
                            full ? "; make room on its file system" : "");
}

void spool_sync_dir(struct spool *spool)
{
    if (spool->dir_unsynced && spool->io->fsync(spool->dir_fd) == 0)
        spool->dir_unsynced = false;
}

// Syncs the active file.
static enum status_code sync_file(struct spool *spool, int64_t now_us, struct status *st)
{
    if (spool->io->fdatasync(spool->fd) != 0) {
        spool->suspect = true;
        return call_failed(spool, errno, "sync", st);
    }
    spool->unsynced = false;
    spool->synced_us = now_us;
    return STATUS_OK;
}

void spool_seal(struct spool *spool)
{
    segments_last(spool)->end = spool->committed_end;
    close(spool->fd);
    spool->fd = -1;
    spool->suspect = spool->unsynced = false;
}

static enum status_code leave_suspect(struct spool *spool, struct status *st)
{
    struct spool_segment *active = segments_last(spool);
    // Best effort where the segment stays: bytes behind its size hold numbers that come again in
    // the next one, with the same records, and readers pass over the second.
    if (spool->io->ftruncate(spool->fd, (off_t)active->size) != 0 && active->size == 0)
        return call_failed(spool, errno, "cut back", st);
    if (active->size == 0)
        spool->suspect = false;
    else
        spool_seal(spool);
    return STATUS_OK;
}

static enum status_code leave_large(struct spool *spool, int64_t now_us, struct status *st)
{
    if (spool->unsynced && spool->settings.sync != SPOOL_SYNC_OFF) {
        spool->unsynced = false; // tried once: it fails once, and then the file is left anyway
        enum status_code code = sync_file(spool, now_us, st);
        if (code != STATUS_OK)
            return code;
    }
    spool_seal(spool);
    return STATUS_OK;
}

static int open_empty(const struct spool *spool, const char *name)
{
    struct stat info;
    int fd = spool->io->openat(spool->dir_fd, name, O_RDWR, 0);
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = EEXIST;
    return -1;
}

static enum status_code create_segment(struct spool *spool, struct status *st)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t seq = spool->committed_end;
    struct spool_segment *last = segments_last(spool);
    if (last != NULL && last->name == seq)
        return spool_open_last(spool) ? STATUS_OK : call_failed(spool, errno, "open", st);
    segment_name(seq, name);
    int fd = spool->io->openat(spool->dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 && errno == EEXIST)
        fd = open_empty(spool, name); // left over from a creation that failed
    if (fd < 0)
        return call_failed(spool, errno, "create a file of", st);
    if (spool->io->fsync(spool->dir_fd) != 0) {
        enum status_code code = call_failed(spool, errno, "sync the directory of", st);
        close(fd);
        spool->io->unlinkat(spool->dir_fd, name);
        return code;
    }
    struct spool_segment segment = {seq, seq, seq, 0};
    segments_add(spool, &segment);
    spool->fd = fd;
    return STATUS_OK;
}

// Has a file to which the pending records can be appended.
static enum status_code prepare(struct spool *spool, int64_t now_us, struct status *st)
{
    enum status_code code = STATUS_OK;
    if (spool->fd >= 0 && spool->suspect)
        code = leave_suspect(spool, st);
    const struct spool_segment *last = segments_last(spool);
    if (code == STATUS_OK && spool->fd >= 0 && last->size > SEGMENT_HEADER_SIZE &&
        last->size + spool->pending.len > spool->segment_bytes)
        code = leave_large(spool, now_us, st);
    if (code == STATUS_OK && spool->fd < 0)
        code = create_segment(spool, st);
    return code;
}

static enum status_code write_pending(struct spool *spool, uint64_t *size_r, struct status *st)
{
    char bytes[SEGMENT_HEADER_SIZE];
    struct iovec parts[2];
    int count = 0;
    const struct spool_segment *active = segments_last(spool);
    if (active->size == 0) {
        struct segment_header header = {spool->id, active->first, active->first};
        if (spool->n_segments > 1)
            header.prev_end = spool->segments[spool->n_segments - 2].end;
        segment_header_encode(&header, bytes);
        parts[count++] = (struct iovec){bytes, sizeof bytes};
    }
    parts[count++] = (struct iovec){spool->pending.data, spool->pending.len};
    *size_r = (active->size == 0 ? SEGMENT_HEADER_SIZE : active->size) + spool->pending.len;
    int error = spool_io_write(spool->io, spool->fd, parts, count, (off_t)active->size);
    if (error == 0)
        return STATUS_OK;
    // Gives the space back; if that fails the next commit writes over it.
    if (spool->io->ftruncate(spool->fd, (off_t)active->size) != 0 || error == EIO)
        spool->suspect = true;
    return call_failed(spool, error, "write to", st);
}

static bool sync_due(const struct spool *spool, int64_t now_us)
{
    switch (spool->settings.sync) {
    case SPOOL_SYNC_ALWAYS:
        return true;
    case SPOOL_SYNC_INTERVAL:
        return now_us - spool->synced_us >= spool->settings.sync_interval_us;
    case SPOOL_SYNC_OFF:
        break;
    }
    return false;
}

static enum status_code commit_pending(struct spool *spool, int64_t now_us, bool sync,
                                       struct status *st)
{
    uint64_t size;
    enum status_code code = prepare(spool, now_us, st);
    if (code == STATUS_OK)
        code = write_pending(spool, &size, st);
    if (code != STATUS_OK)
        return code;
    if (sync || sync_due(spool, now_us))
        code = sync_file(spool, now_us, st);
    else
        spool->unsynced = true;
    if (code != STATUS_OK)
        return code;
    segment_resize(spool, segments_last(spool), size);
    spool->committed_end = spool->next_seq;
    buf_clear(&spool->pending);
    buf_shrink(&spool->pending, SPOOL_PENDING_MAX);
    return STATUS_OK;
}

// Frees space on a full disk with what can go. Comes to an end: each success leaves less.
static bool reclaim(struct spool *spool)
{
    if (spool_recycle(spool, 0))
        return true;
    return spool->settings.when_full == SPOOL_DROP_OLDEST && spool_drop_oldest(spool);
}

static enum status_code commit_or_reclaim(struct spool *spool, int64_t now_us, bool sync,
                                          struct status *st)
{
    enum status_code code;
    do
        code = commit_pending(spool, now_us, sync, st);
    while (code == STATUS_FULL && reclaim(spool));
    spool->failing = code != STATUS_OK;
    spool->no_space = code == STATUS_FULL;
    return code;
}

enum status_code spool_commit_now(struct spool *spool, int64_t now_us, bool sync, struct status *st)
{
    enum status_code code = STATUS_OK;
    if (spool->pending.len != 0)
        code = commit_or_reclaim(spool, now_us, sync, st);
    else if (spool->unsynced && (sync || sync_due(spool, now_us)))
        code = sync_file(spool, now_us, st);
    if (code == STATUS_OK && spool->settings.sync != SPOOL_SYNC_OFF)
        spool_sync_dir(spool);
    if (spool->unstored_acks != 0 && now_us - spool->stored_us >= SPOOL_STORE_US) {
        spool->stored_us = now_us;
        spool_store(spool, false);
    }
    return code;
}

enum status_code spool_commit(struct spool *spool, int64_t now_us, struct status *st)
{
    return spool_commit_now(spool, now_us, false, st);
}
