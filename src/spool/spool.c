// SPDX-License-Identifier: Apache-2.0
// Open, close, settings and figures of the spool; spool_priv.h shows how it is made up.
#include "spool/spool_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <unistd.h>

// Least size at which a new segment is begun: below it, headers would be most of the spool.
#define SEGMENT_BYTES_MIN 512
// Least bound of the pending bytes.
#define PENDING_MIN (UINT64_C(64) << 10)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// A spool of few segments holds much that is acknowledged and cannot be removed: at least four.
static void derive_bounds(struct spool *spool)
{
    uint64_t quarter = spool->settings.max_bytes / 4;
    spool->segment_bytes = most(least(spool->settings.segment_bytes, quarter), SEGMENT_BYTES_MIN);
    spool->pending_max = least(most(quarter, PENDING_MIN), SPOOL_PENDING_MAX);
}

static void destroy(struct spool **spool_ptr)
{
    struct spool *spool = *spool_ptr;
    *spool_ptr = NULL;
    cursor_deinit(&spool->reader.cursor);
    cursor_deinit(&spool->finder.cursor);
    int fds[] = {spool->fd, spool->position_fd, spool->dir_fd, spool->lock_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    buf_deinit(&spool->pending);
    free(spool->segments);
    free((char *)spool->settings.dir);
    free(spool);
}

enum status_code spool_open_with(const struct spool_settings *settings, const struct spool_io *io,
                                 struct spool **spool_r, struct status *st)
{
    struct spool *spool = mem_zalloc(sizeof *spool);
    spool->settings = *settings;
    spool->settings.dir = mem_strdup(settings->dir);
    spool->io = io;
    spool->dir_fd = spool->lock_fd = spool->position_fd = spool->fd = -1;
    spool->reader.cursor.fd = spool->finder.cursor.fd = -1;
    derive_bounds(spool);
    enum status_code code = spool_recover(spool, st);
    if (code != STATUS_OK) {
        destroy(&spool);
        return code;
    }
    reader_init(spool);
    spool_trim(spool);
    *spool_r = spool;
    return STATUS_OK;
}

enum status_code spool_open(const struct spool_settings *settings, struct spool **spool_r,
                            struct status *st)
{
    return spool_open_with(settings, &spool_io_system, spool_r, st);
}

void spool_close(struct spool **spool_ptr)
{
    struct spool *spool = *spool_ptr;
    if (spool == NULL)
        return;
    bool clean = spool_commit_now(spool, 0, true, NULL) == STATUS_OK;
    spool_sync_dir(spool);
    spool_store(spool, clean);
    if (spool->position_fd >= 0)
        spool->io->fdatasync(spool->position_fd);
    destroy(spool_ptr);
}

void spool_configure(struct spool *spool, const struct spool_settings *settings)
{
    const char *dir = spool->settings.dir;
    void *owner = spool->settings.owner;
    spool->settings = *settings;
    spool->settings.dir = dir;
    spool->settings.owner = owner;
    derive_bounds(spool);
    bool relaxed = settings->sync != SPOOL_SYNC_ALWAYS;
    if (relaxed && !spool->position.relaxed) {
        // Must be known after a power cut before the first record is readable unsynced.
        spool->position.relaxed = true;
        spool_store(spool, false);
        if (spool->position_fd >= 0)
            spool->io->fdatasync(spool->position_fd);
    }
}

const struct uuid *spool_id(const struct spool *spool)
{
    return &spool->id;
}

uint64_t spool_pending_bytes(const struct spool *spool)
{
    return spool->pending.len;
}

// Records that are committed and not acknowledged, by the numbers of the segments.
static uint64_t count_events(const struct spool *spool, uint64_t *first_r)
{
    uint64_t events = 0;
    *first_r = spool->next_seq;
    for (size_t i = spool->n_segments; i-- > 0;) {
        uint64_t from = most(spool->segments[i].first, spool->acked + 1);
        uint64_t end = segment_end(spool, i);
        if (from >= end)
            continue;
        events += end - from;
        *first_r = from;
    }
    if (events == 0)
        *first_r = spool->committed_end;
    return events;
}

void spool_stat(const struct spool *spool, struct spool_stats *stats_r)
{
    *stats_r = (struct spool_stats){
        .next_seq = spool->next_seq,
        .pending = spool->next_seq - spool->committed_end,
        .bytes = spool->file_bytes + spool->pending.len,
        .max_bytes = spool->settings.max_bytes,
        .segments = (unsigned)spool->n_segments,
        .oldest_us = spool_oldest_us(spool),
        .corrupt = spool->corrupt,
        .dropped = spool->dropped,
        .full = spool->full,
        .no_space = spool->no_space,
    };
    stats_r->events = count_events(spool, &stats_r->first_seq);
}

void spool_tell_damage(struct spool *spool, const char *name, const struct cursor_item *place)
{
    spool->corrupt++;
    if (spool->settings.callbacks.corrupt != NULL)
        spool->settings.callbacks.corrupt(spool->settings.owner, name, place->offset, place->bytes,
                                          place->what);
}

void spool_tell_dropped(struct spool *spool, const char *stream, size_t stream_len, uint64_t count)
{
    spool->dropped += count;
    if (spool->settings.callbacks.dropped != NULL)
        spool->settings.callbacks.dropped(spool->settings.owner, stream, stream_len, count);
}
