// SPDX-License-Identifier: Apache-2.0
// Acknowledgement: what is done with, leaves the disk. Every step leaves a directory from which an
// open goes on: at least one file stays, and its name is greater than any number before it.
#include "spool/spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// After a failed removal the next one waits for so many records.
#define RETRY_RECORDS 4096

void spool_store(struct spool *spool, bool clean)
{
    struct position *position = &spool->position;
    position->id = spool->id;
    position->acked = spool->acked;
    position->next_seq = spool->committed_end;
    position->clean = clean;
    if (spool->position_fd < 0)
        spool->position_fd =
            spool->io->openat(spool->dir_fd, POSITION_FILE, O_RDWR | O_CREAT, 0600);
    // What is not stored now is stored later; until then the file is behind, which is allowed.
    if (spool->position_fd >= 0 && position_store(spool->io, spool->position_fd, position) == 0)
        spool->unstored_acks = 0;
}

void spool_store_position(struct spool *spool)
{
    if (spool->unstored_acks != 0)
        spool_store(spool, false);
}

static bool remove_file(struct spool *spool, const struct spool_segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->name, name);
    if (spool->io->unlinkat(spool->dir_fd, name) != 0 && errno != ENOENT) {
        spool->retry_trim = spool->acked + RETRY_RECORDS;
        return false;
    }
    spool->dir_unsynced = true;
    return true;
}

void spool_trim(struct spool *spool)
{
    if (spool->acked < spool->retry_trim)
        return;
    while (spool->n_segments > 1 && spool->segments[0].end <= spool->acked + 1 &&
           remove_file(spool, &spool->segments[0]))
        segments_remove_first(spool);
    uint64_t beyond = spool->segment_bytes / 8;
    spool_recycle(spool, beyond < SPOOL_RECYCLE_BYTES ? beyond : SPOOL_RECYCLE_BYTES);
}

// Gives the file the name of the next record. First the name, then the content: whatever a crash
// leaves, the name keeps the numbers from being used again.
static bool rename_segment(struct spool *spool, struct spool_segment *segment)
{
    char from[SEGMENT_NAME_SIZE], to[SEGMENT_NAME_SIZE];
    if (segment->name == spool->committed_end)
        return true;
    segment_name(segment->name, from);
    segment_name(spool->committed_end, to);
    if (spool->io->renameat(spool->dir_fd, from, to) != 0)
        return false;
    segment->name = spool->committed_end;
    return spool->io->fsync(spool->dir_fd) == 0;
}

bool spool_open_last(struct spool *spool)
{
    const struct spool_segment *segment = segments_last(spool);
    char name[SEGMENT_NAME_SIZE];
    if (spool->fd >= 0)
        return true;
    segment_name(segment->name, name);
    spool->fd = spool->io->openat(spool->dir_fd, name, O_RDWR, 0);
    return spool->fd >= 0;
}

bool spool_recycle(struct spool *spool, uint64_t beyond)
{
    if (spool->n_segments != 1 || segment_end(spool, 0) > spool->acked + 1)
        return false;
    struct spool_segment *segment = &spool->segments[0];
    if (segment->size <= SEGMENT_HEADER_SIZE || segment->size <= beyond)
        return false;
    segment->end = segment_end(spool, 0);
    // What fails here is tried again later; until then the file stays as it is.
    if (!rename_segment(spool, segment) || !spool_open_last(spool) ||
        spool->io->ftruncate(spool->fd, 0) != 0) {
        spool->retry_trim = spool->acked + RETRY_RECORDS;
        return false;
    }
    segment->first = segment->end = spool->committed_end;
    segment_resize(spool, segment, 0);
    spool->suspect = spool->unsynced = false;
    finder_reset(spool);
    reader_restart(spool, 0);
    return true;
}

// Tells how many records of the segment are lost, by stream.
struct losses {
    char streams[16][SPOOL_STREAM_MAX];
    size_t lengths[16];
    uint64_t counts[16];
    size_t used;
};

static void tell_losses(struct spool *spool, struct losses *losses)
{
    for (size_t i = 0; i < losses->used; i++)
        spool_tell_dropped(spool, losses->streams[i], losses->lengths[i], losses->counts[i]);
    losses->used = 0;
}

static void count_loss(struct spool *spool, struct losses *losses,
                       const struct spool_record *record)
{
    size_t i = 0;
    while (i < losses->used &&
           (losses->lengths[i] != record->stream_len ||
            memcmp(losses->streams[i], record->stream, record->stream_len) != 0))
        i++;
    if (i == sizeof losses->counts / sizeof losses->counts[0]) {
        tell_losses(spool, losses);
        i = 0;
    }
    if (i == losses->used) {
        memcpy(losses->streams[i], record->stream, record->stream_len);
        losses->lengths[i] = record->stream_len;
        losses->counts[i] = 0;
        losses->used++;
    }
    losses->counts[i]++;
}

static void count_losses(struct spool *spool, const struct spool_segment *segment, int fd)
{
    struct losses losses = {.used = 0};
    struct cursor cursor;
    struct cursor_item item;
    enum cursor_step step;
    cursor_init(&cursor, spool->io, &spool->id, 0);
    cursor_start(&cursor, fd, 0, segment->size);
    while ((step = cursor_next(&cursor, &item)) == CURSOR_RECORD || step == CURSOR_DAMAGE)
        if (step == CURSOR_RECORD && item.record.seq > spool->acked)
            count_loss(spool, &losses, &item.record);
    cursor_deinit(&cursor);
    tell_losses(spool, &losses);
}

bool spool_drop_oldest(struct spool *spool)
{
    if (spool->n_segments < 2)
        return false;
    struct spool_segment oldest = spool->segments[0];
    int fd = segment_open(spool, &oldest);
    if (!remove_file(spool, &oldest)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (fd >= 0)
        count_losses(spool, &oldest, fd);
    segments_remove_first(spool);
    if (oldest.end > spool->acked + 1) {
        spool->acked = oldest.end - 1;
        reader_acked(spool);
        spool_store(spool, false);
    }
    return true;
}

// Damage at the very end is never read and so never acknowledged by number.
static uint64_t settle_end(const struct spool *spool, uint64_t acked)
{
    if (acked >= spool->reader.last_seq && reader_at_end(spool))
        return spool->committed_end - 1;
    return acked;
}

void spool_ack(struct spool *spool, uint64_t seq)
{
    if (seq >= spool->committed_end)
        seq = spool->committed_end - 1;
    seq = settle_end(spool, seq > spool->acked ? seq : spool->acked);
    if (seq <= spool->acked)
        return;
    spool->acked = seq;
    spool->unstored_acks++;
    reader_acked(spool);
    spool_trim(spool);
    if (spool->unstored_acks >= SPOOL_STORE_ACKS || seq + 1 == spool->committed_end)
        spool_store(spool, false);
}
