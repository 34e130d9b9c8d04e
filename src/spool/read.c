// SPDX-License-Identifier: Apache-2.0
// The reader: committed records in order, through one bounded buffer; spool_fetch() beside it.
#include "spool/spool_priv.h"

#include <errno.h>
#include <unistd.h>

// --- ages ----------------------------------------------------------------------------------------

static void ages_add(struct spool_ages *ages, uint64_t seq, int64_t us)
{
    unsigned last = (ages->first + ages->count - 1) % AGES_MAX;
    // Every record while few are under way, then every 2nd, 4th, ...
    uint64_t step = UINT64_C(1) << (ages->count / 64);
    if (ages->count == AGES_MAX || (ages->count != 0 && seq < ages->samples[last].seq + step))
        return;
    unsigned slot = (ages->first + ages->count++) % AGES_MAX;
    ages->samples[slot].seq = seq;
    ages->samples[slot].us = us;
}

static void ages_acked(struct spool_ages *ages, uint64_t acked)
{
    while (ages->count != 0 && ages->samples[ages->first].seq <= acked) {
        ages->popped_us = ages->samples[ages->first].us;
        ages->first = (ages->first + 1) % AGES_MAX;
        ages->count--;
    }
}

int64_t spool_oldest_us(const struct spool *spool)
{
    const struct spool_ages *ages = &spool->ages;
    const struct spool_reader *reader = &spool->reader;
    if (spool->acked + 1 >= spool->committed_end)
        return 0;
    if (reader->last_seq > spool->acked) { // the oldest was read
        bool exact = ages->count != 0 && ages->samples[ages->first].seq == spool->acked + 1;
        return exact || ages->popped_us == 0 ? ages->samples[ages->first].us : ages->popped_us;
    }
    return ages->unread_us > reader->last_us ? ages->unread_us : reader->last_us;
}

// --- reader --------------------------------------------------------------------------------------

void reader_init(struct spool *spool)
{
    cursor_init(&spool->reader.cursor, spool->io, &spool->id, SPOOL_READ_TRIES);
    cursor_init(&spool->finder.cursor, spool->io, &spool->id, 0);
    spool->reader.last_seq = spool->acked;
}

void reader_restart(struct spool *spool, size_t segment)
{
    cursor_close(&spool->reader.cursor);
    spool->reader.cursor.offset = 0;
    spool->reader.segment = segment;
}

bool reader_at_end(const struct spool *spool)
{
    const struct spool_reader *reader = &spool->reader;
    return spool->n_segments == 0 || (reader->segment + 1 == spool->n_segments &&
                                      reader->cursor.offset >= segments_last(spool)->size);
}

void reader_acked(struct spool *spool)
{
    struct spool_reader *reader = &spool->reader;
    if (reader->last_seq < spool->acked)
        reader->last_seq = spool->acked;
    if (reader->candidate.seq != 0 && reader->candidate.seq <= spool->acked + 1) {
        reader->mark = reader->candidate;
        reader->candidate.seq = 0;
    }
    ages_acked(&spool->ages, spool->acked);
}

// A place further on in the same file is news; what a rewind meets again is not.
static void tell(struct spool *spool, const struct spool_segment *segment,
                 const struct cursor_item *place)
{
    struct spool_reader *reader = &spool->reader;
    char name[SEGMENT_NAME_SIZE];
    if (segment->name < reader->told_name ||
        (segment->name == reader->told_name && place->offset < reader->told_offset))
        return;
    reader->told_name = segment->name;
    reader->told_offset = place->offset + place->bytes;
    segment_name(segment->name, name);
    spool_tell_damage(spool, name, place);
}

static enum spool_read read_failed(const struct spool *spool, const struct spool_segment *segment,
                                   int error, struct status *st)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->name, name);
    status_set_errno(st, STATUS_IO, error, "cannot read %s/%s of the spool", spool->settings.dir,
                     name);
    return SPOOL_FAILED;
}

// Opens the reader's segment at its place. 0, or an errno.
static int open_segment(struct spool *spool, const struct spool_segment *segment)
{
    struct cursor *cursor = &spool->reader.cursor;
    int fd = segment_open(spool, segment);
    if (fd < 0)
        return errno;
    cursor_start(cursor, fd, cursor->offset, segment->size);
    return 0;
}

// The file is gone: somebody removed it. Its records are lost; the rest is not.
static void pass_missing(struct spool *spool, const struct spool_segment *segment)
{
    struct cursor_item place = {.bytes = segment->size, .what = "the segment's file is missing"};
    tell(spool, segment, &place);
    spool->reader.cursor.offset = segment->size;
    if (segment_is_active(spool, spool->reader.segment))
        spool_seal(spool);
}

// All of the reader's segment was read, and another follows. What is damaged at its end will never
// be acknowledged by number: the segment ends with what was read.
static void pass_segment(struct spool *spool)
{
    struct spool_reader *reader = &spool->reader;
    struct spool_segment *segment = &spool->segments[reader->segment];
    if (segment->end > reader->last_seq + 1)
        segment->end =
            reader->last_seq + 1 > segment->first ? reader->last_seq + 1 : segment->first;
    reader_restart(spool, reader->segment + 1);
    spool_trim(spool);
}

static void note(struct spool *spool, const struct spool_segment *segment,
                 const struct cursor_item *item)
{
    struct spool_reader *reader = &spool->reader;
    const struct spool_record *record = &item->record;
    reader->last_seq = record->seq;
    reader->last_us = record->received_us;
    if (reader->candidate.seq == 0)
        reader->candidate = (struct spool_mark){segment->name, item->offset, record->seq};
    ages_add(&spool->ages, record->seq, record->received_us);
}

enum spool_read spool_read(struct spool *spool, struct spool_record *record_r, struct status *st)
{
    struct cursor *cursor = &spool->reader.cursor;
    struct cursor_item item;
    while (!reader_at_end(spool)) {
        const struct spool_segment *segment = &spool->segments[spool->reader.segment];
        if (cursor->offset >= segment->size) {
            pass_segment(spool);
            continue;
        }
        int error = cursor->fd < 0 ? open_segment(spool, segment) : 0;
        if (error == ENOENT) {
            pass_missing(spool, segment);
            continue;
        }
        if (error != 0)
            return read_failed(spool, segment, error, st);
        cursor->limit = segment->size;
        switch (cursor_next(cursor, &item)) {
        case CURSOR_RECORD:
            if (item.record.seq <= spool->reader.last_seq)
                break; // acknowledged, or written again after a failed sync
            note(spool, segment, &item);
            *record_r = item.record;
            return SPOOL_READ;
        case CURSOR_DAMAGE:
            tell(spool, segment, &item);
            break;
        case CURSOR_FAILED:
            return read_failed(spool, segment, item.error, st);
        case CURSOR_END:
            break;
        }
    }
    spool_ack(spool, spool->acked); // settles damage at the very end
    return SPOOL_EMPTY;
}

void spool_rewind(struct spool *spool)
{
    struct spool_reader *reader = &spool->reader;
    size_t i = 0;
    while (i < spool->n_segments && spool->segments[i].name != reader->mark.name)
        i++;
    bool marked = reader->mark.seq != 0 && i < spool->n_segments;
    reader_restart(spool, marked ? i : 0);
    if (marked)
        reader->cursor.offset = reader->mark.offset;
    spool->ages.unread_us = spool_oldest_us(spool);
    spool->ages.count = 0;
    reader->candidate.seq = 0;
    reader->last_seq = spool->acked;
    reader->last_us = 0;
}

// --- fetch ---------------------------------------------------------------------------------------

void finder_reset(struct spool *spool)
{
    cursor_close(&spool->finder.cursor);
    spool->finder.name = 0;
}

// Puts the finder somewhere before the record, best where it is.
static bool finder_seek(struct spool *spool, const struct spool_segment *segment, uint64_t seq)
{
    struct spool_finder *finder = &spool->finder;
    const struct spool_mark *mark = &spool->reader.mark;
    if (finder->name == segment->name && finder->next_seq <= seq)
        return true;
    bool marked = mark->seq != 0 && mark->name == segment->name && mark->seq <= seq;
    int fd = segment_open(spool, segment);
    if (fd < 0)
        return false;
    cursor_start(&finder->cursor, fd, marked ? mark->offset : 0, segment->size);
    finder->name = segment->name;
    finder->next_seq = marked ? mark->seq : 0;
    return true;
}

static bool finder_find(struct spool *spool, const struct spool_segment *segment, uint64_t seq,
                        struct buf *payload)
{
    struct spool_finder *finder = &spool->finder;
    struct cursor_item item;
    enum cursor_step step;
    if (!finder_seek(spool, segment, seq))
        return false;
    finder->cursor.limit = segment->size;
    while ((step = cursor_next(&finder->cursor, &item)) == CURSOR_RECORD || step == CURSOR_DAMAGE) {
        if (step == CURSOR_DAMAGE)
            continue;
        finder->next_seq = item.record.seq + 1;
        if (item.record.seq == seq)
            return buf_append(payload, item.record.payload, item.record.len);
        if (item.record.seq > seq)
            return false;
    }
    return false;
}

bool spool_fetch(struct spool *spool, uint64_t seq, struct buf *payload)
{
    if (seq <= spool->acked || seq >= spool->committed_end)
        return false;
    for (size_t i = spool->n_segments; i-- > 0;)
        if (spool->segments[i].first <= seq)
            return finder_find(spool, &spool->segments[i], seq, payload);
    return false;
}
