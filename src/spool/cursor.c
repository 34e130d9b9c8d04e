// SPDX-License-Identifier: Apache-2.0
#include "spool/cursor_priv.h"

#include "core/mem.h"
#include "spool/segment_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What cannot be read is given up in pieces of this size, the usual size of a page or sector.
#define UNREADABLE_STEP 4096

void cursor_init(struct cursor *cursor, const struct spool_io *io, const struct uuid *id,
                 unsigned tries)
{
    *cursor =
        (struct cursor){.io = io, .id = *id, .seed = record_seed(id), .tries = tries, .fd = -1};
}

void cursor_deinit(struct cursor *cursor)
{
    cursor_close(cursor);
    free(cursor->buffer);
    cursor->buffer = NULL;
    cursor->cap = 0;
}

void cursor_start(struct cursor *cursor, int fd, uint64_t offset, uint64_t limit)
{
    cursor_close(cursor);
    cursor->fd = fd;
    cursor->offset = offset;
    cursor->limit = limit;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor->fd >= 0)
        close(cursor->fd);
    cursor->fd = -1;
    cursor->start = cursor->end = 0;
    cursor->failed = 0;
    cursor->unreadable = false;
}

// Makes room for `want` bytes from `start` on, and goes back to the usual size when it can.
static void make_room(struct cursor *c, size_t want)
{
    size_t have = c->end - c->start;
    size_t cap = want > CURSOR_BUFFER ? want : CURSOR_BUFFER;
    if (c->cap < cap || (c->cap > cap && have <= cap)) {
        char *buffer = mem_alloc(cap);
        if (have != 0)
            memcpy(buffer, c->buffer + c->start, have);
        free(c->buffer);
        c->buffer = buffer;
        c->cap = cap;
    } else if (c->start != 0) {
        memmove(c->buffer, c->buffer + c->start, have);
    }
    c->start = 0;
    c->end = have;
}

// Takes zeros for `bytes` bytes that are not there or cannot be read.
static void fill_zeros(struct cursor *c, size_t bytes)
{
    memset(c->buffer + c->end, 0, bytes);
    c->end += bytes;
    c->failed = 0;
}

static int read_failed(struct cursor *c, int error, uint64_t at, size_t space)
{
    if (++c->failed <= c->tries)
        return error;
    uint64_t step = UNREADABLE_STEP - at % UNREADABLE_STEP;
    c->unreadable = true;
    fill_zeros(c, step < space ? (size_t)step : space);
    return 0;
}

// Reads on until `want` bytes are in the buffer; the file has them by its limit. 0, or an errno.
static int fill(struct cursor *c, size_t want)
{
    make_room(c, want);
    while (c->end < want) {
        uint64_t at = c->offset + c->end;
        uint64_t left = c->limit - at;
        size_t space = c->cap - c->end;
        if (left < space)
            space = (size_t)left;
        ssize_t n = c->io->pread(c->fd, c->buffer + c->end, space, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = read_failed(c, errno, at, space);
            if (error != 0)
                return error;
        } else if (n == 0) {
            fill_zeros(c, space); // the file is shorter than it was
        } else {
            c->end += (size_t)n;
            c->failed = 0;
        }
    }
    return 0;
}

// Has `want` bytes at hand; the file has them by its limit.
static inline int need(struct cursor *c, size_t want)
{
    return c->end - c->start >= want ? 0 : fill(c, want);
}

static inline void advance(struct cursor *c, size_t bytes)
{
    c->start += bytes;
    c->offset += bytes;
}

static bool at_header(const struct cursor *c, size_t place, struct record_header *header_r)
{
    return record_header_decode(c->buffer + place, c->seed, header_r);
}

// Goes on to the next place in the buffer that looks like a record, keeping what may be the
// beginning of one; false when there is none.
static bool search_buffer(struct cursor *c, bool at_limit)
{
    struct record_header header;
    while (c->end - c->start >= RECORD_HEADER_SIZE) {
        const char *from = c->buffer + c->start;
        size_t length = c->end - c->start - RECORD_HEADER_SIZE + RECORD_MAGIC_SIZE;
        const char *hit = memmem(from, length, RECORD_MAGIC, RECORD_MAGIC_SIZE);
        if (hit == NULL) {
            advance(c, length - RECORD_MAGIC_SIZE + 1);
            break;
        }
        advance(c, (size_t)(hit - from));
        if (at_header(c, c->start, &header))
            return true;
        advance(c, 1);
    }
    if (at_limit)
        advance(c, c->end - c->start);
    return false;
}

// Skips from a damaged place to the next record's header or to the limit. 0, or an errno; then the
// bytes skipped so far stay skipped.
static int search(struct cursor *c)
{
    for (;;) {
        bool at_limit = c->offset + (c->end - c->start) >= c->limit;
        if (search_buffer(c, at_limit) || at_limit)
            return 0;
        uint64_t left = c->limit - c->offset;
        int error = fill(c, left < CURSOR_BUFFER ? (size_t)left : CURSOR_BUFFER);
        if (error != 0)
            return error;
    }
}

static bool all_zeros(const char *data, size_t length)
{
    return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

static const char *describe(const struct cursor *c, bool header_ok, bool cut_short)
{
    size_t have = c->end - c->start;
    if (cut_short)
        return "the record is cut short";
    if (header_ok)
        return "the record's data is damaged";
    if (have != 0 && all_zeros(c->buffer + c->start, have < 512 ? have : 512))
        return "zeros in the place of a record";
    return c->offset == 0 ? "the segment's header is damaged" : "the record's header is damaged";
}

static enum cursor_step damage(struct cursor *c, const char *what, struct cursor_item *item_r)
{
    item_r->offset = c->offset;
    item_r->what = what;
    advance(c, 1);
    // A read that fails here ends the place early; the next step says so.
    (void)search(c);
    item_r->bytes = c->offset - item_r->offset;
    return CURSOR_DAMAGE;
}

static enum cursor_step failed(struct cursor_item *item_r, int error)
{
    item_r->error = error;
    return CURSOR_FAILED;
}

// Steps over the segment's header when it is there and whole.
static int skip_header(struct cursor *c)
{
    struct segment_header header;
    if (c->limit < SEGMENT_HEADER_SIZE)
        return 0;
    int error = need(c, SEGMENT_HEADER_SIZE);
    if (error == 0 && segment_header_decode(c->buffer + c->start, &header) &&
        memcmp(&header.id, &c->id, sizeof c->id) == 0)
        advance(c, SEGMENT_HEADER_SIZE);
    return error;
}

enum cursor_step cursor_next(struct cursor *c, struct cursor_item *item_r)
{
    int error;
    if (c->offset == 0 && c->limit != 0 && (error = skip_header(c)) != 0)
        return failed(item_r, error);
    if (c->offset >= c->limit)
        return CURSOR_END;
    uint64_t left = c->limit - c->offset;
    size_t want = left < RECORD_HEADER_SIZE ? (size_t)left : RECORD_HEADER_SIZE;
    if ((error = need(c, want)) != 0)
        return failed(item_r, error);
    struct record_header header;
    if (left < RECORD_HEADER_SIZE)
        return damage(c, describe(c, false, true), item_r);
    if (!at_header(c, c->start, &header))
        return damage(c, describe(c, false, false), item_r);
    uint64_t total = record_header_total(&header);
    if (total > left)
        return damage(c, describe(c, true, true), item_r);
    if ((error = need(c, (size_t)total)) != 0)
        return failed(item_r, error);
    if (!record_decode(c->buffer + c->start, &header, c->seed, &item_r->record))
        return damage(c, describe(c, true, false), item_r);
    item_r->offset = c->offset;
    item_r->bytes = total;
    advance(c, (size_t)total);
    return CURSOR_RECORD;
}
