// SPDX-License-Identifier: Apache-2.0
#include "sink/batch.h"

#include "core/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

// A text that a list keeps between batches may be this many times its usual size.
#define KEEP_FACTOR 2

void batch_init(struct batch *batch, const struct batch_limits *limits)
{
    *batch = (struct batch){.limits = *limits, .min_seq = UINT64_MAX};
}

void batch_deinit(struct batch *batch)
{
    free(batch->rows);
    free(batch->order);
    free(batch->runs);
    free(batch->items);
    buf_deinit(&batch->cells);
    buf_deinit(&batch->keys);
    dead_list_deinit(&batch->dead);
    *batch = (struct batch){.min_seq = UINT64_MAX};
}

void batch_clear(struct batch *batch)
{
    size_t keep = batch->limits.bytes * KEEP_FACTOR;
    buf_clear(&batch->cells);
    buf_shrink(&batch->cells, keep);
    buf_clear(&batch->keys);
    buf_shrink(&batch->keys, keep);
    dead_list_clear(&batch->dead, keep);
    batch->n_rows = 0;
    batch->n_runs = 0;
    batch->min_seq = UINT64_MAX;
}

static int32_t cell_length(const char *cell)
{
    uint32_t big;
    memcpy(&big, cell, sizeof(big));
    return (int32_t)be32toh(big);
}

// The cell after the one at `cell`, or NULL when that one does not end before `end`.
static const char *next_cell(const char *cell, const char *end)
{
    if (end - cell < 4)
        return NULL;
    int32_t length = cell_length(cell);
    size_t bytes = length > 0 ? (size_t)length : 0;
    return (size_t)(end - cell) - 4 >= bytes ? cell + 4 + bytes : NULL;
}

static const char *find_cell(const char *cell, const char *end, size_t column)
{
    for (; column != 0 && cell != NULL; column--)
        cell = next_cell(cell, end);
    return cell;
}

static bool fits_shape(const struct batch_shape *shape, const char *cells, const char *end)
{
    for (size_t i = 0; i < shape->n_columns && cells != NULL; i++)
        cells = next_cell(cells, end);
    return cells == end;
}

// Appends the key's cells. The last one goes without its length: what precedes it bounds it, and
// sorting looks at bytes that differ. (NULL and empty become one; at worst a round too many.)
static void append_key(struct buf *keys, const struct batch_shape *shape, const char *cells,
                       const char *end)
{
    for (size_t i = 0; i < shape->n_key; i++) {
        const char *cell = find_cell(cells, end, shape->key[i]);
        size_t skip = i + 1 == shape->n_key ? 4 : 0;
        buf_append(keys, cell + skip, (size_t)(next_cell(cell, end) - cell) - skip);
    }
}

static struct batch_row *add_row(struct batch *batch)
{
    if (batch->n_rows == batch->rows_capacity) {
        batch->rows_capacity = batch->rows_capacity == 0 ? 64 : batch->rows_capacity * 2;
        batch->rows = mem_realloc_array(batch->rows, batch->rows_capacity, sizeof(*batch->rows));
    }
    return &batch->rows[batch->n_rows++];
}

static void note_seq(struct batch *batch, uint64_t seq)
{
    if (seq < batch->min_seq)
        batch->min_seq = seq;
}

bool batch_push_row(struct batch *batch, const struct batch_shape *shape,
                    const struct batch_origin *origin, const char *cells, size_t length)
{
    if (cells == NULL || !fits_shape(shape, cells, cells + length))
        return false;
    struct batch_row *row = add_row(batch);
    row->origin = *origin;
    row->refused = false;
    row->cells = batch->cells.len;
    row->key = batch->keys.len;
    buf_append(&batch->cells, cells, length);
    buf_reserve(&batch->keys, 1); // never NULL, also when every key is empty
    append_key(&batch->keys, shape, cells, cells + length);
    row->key_length = (uint32_t)(batch->keys.len - row->key);
    note_seq(batch, origin->seq);
    return true;
}

void batch_push_dead(struct batch *batch, const struct batch_origin *origin,
                     const struct dead_texts *texts)
{
    dead_list_add(&batch->dead, origin, texts);
    note_seq(batch, origin->seq);
}

size_t batch_events(const struct batch *batch)
{
    return batch->n_rows + batch->dead.count;
}

bool batch_full(const struct batch *batch)
{
    return batch_events(batch) >= batch->limits.events ||
           batch->cells.len + batch->dead.texts.len >= batch->limits.bytes;
}

void dead_list_add(struct dead_list *list, const struct batch_origin *origin,
                   const struct dead_texts *texts)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->items = mem_realloc_array(list->items, list->capacity, sizeof(*list->items));
    }
    struct batch_dead *dead = &list->items[list->count++];
    *dead = (struct batch_dead){
        .origin = *origin,
        .at = list->texts.len,
        .reason_length = strlen(texts->reason),
        .detail_length = texts->detail_length,
        .payload_length = texts->payload_length,
        .no_payload = texts->payload == NULL,
    };
    buf_append(&list->texts, texts->reason, dead->reason_length);
    buf_append(&list->texts, texts->detail, texts->detail_length);
    buf_append(&list->texts, texts->payload, texts->payload_length);
}

void dead_list_clear(struct dead_list *list, size_t keep)
{
    list->count = 0;
    buf_clear(&list->texts);
    buf_shrink(&list->texts, keep);
}

void dead_list_deinit(struct dead_list *list)
{
    free(list->items);
    buf_deinit(&list->texts);
    *list = (struct dead_list){0};
}
