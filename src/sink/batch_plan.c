// SPDX-License-Identifier: Apache-2.0
// The order in which a batch is written: sorted by table and key, cut into runs.
#include "sink/batch.h"

#include "core/mem.h"

#include <endian.h>
#include <string.h>

// Stretches of this length are sorted by insertion before they are merged.
#define INSERTION 8

// `word` decides first: eight bytes of the key behind what all keys share, or an ordinal.
struct batch_item {
    uint64_t word;
    uint32_t row;
    uint32_t round; // occurrences of the same key before this one
};

static const char *key_of(const struct batch *batch, const struct batch_item *item)
{
    return batch->keys.data + batch->rows[item->row].key;
}

static int compare_keys(const struct batch *batch, const struct batch_item *a,
                        const struct batch_item *b)
{
    uint32_t la = batch->rows[a->row].key_length;
    uint32_t lb = batch->rows[b->row].key_length;
    int order = memcmp(key_of(batch, a), key_of(batch, b), la < lb ? la : lb);
    return order != 0 ? order : (la > lb) - (la < lb);
}

// True when `b` must come before `a`, which arrived before it. `batch` NULL: words alone decide.
static inline bool goes_before(const struct batch *batch, const struct batch_item *b,
                               const struct batch_item *a)
{
    if (b->word != a->word)
        return b->word < a->word;
    return batch != NULL && compare_keys(batch, b, a) < 0;
}

static void sort_stretch(const struct batch *batch, struct batch_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct batch_item item = items[i];
        size_t at = i;
        for (; at > 0 && goes_before(batch, &item, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

// Merges the neighbours items[0..half) and items[half..n) into `out`.
static void merge(const struct batch *batch, const struct batch_item *items, size_t half, size_t n,
                  struct batch_item *out)
{
    size_t a = 0;
    size_t b = half;
    if (half >= n || !goes_before(batch, &items[half], &items[half - 1])) {
        memcpy(out, items, n * sizeof(*items)); // in order already, as keys with a time in them
        return;
    }
    while (a < half && b < n)
        *out++ = goes_before(batch, &items[b], &items[a]) ? items[b++] : items[a++];
    memcpy(out, items + a, (half - a) * sizeof(*items));
    memcpy(out + (half - a), items + b, (n - b) * sizeof(*items));
}

// Stable, and adaptive to order that is there; `spare` has room for n.
static void sort_items(const struct batch *batch, struct batch_item *items,
                       struct batch_item *spare, size_t n)
{
    for (size_t i = 0; i < n; i += INSERTION)
        sort_stretch(batch, items + i, n - i < INSERTION ? n - i : INSERTION);
    struct batch_item *from = items;
    struct batch_item *to = spare;
    for (size_t width = INSERTION; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t left = n - i;
            merge(batch, from + i, left < width ? left : width, left < 2 * width ? left : 2 * width,
                  to + i);
        }
        struct batch_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, n * sizeof(*items));
}

// Bytes that the keys of all items begin with.
static size_t shared_bytes(const struct batch *batch, const struct batch_item *items, size_t n)
{
    const char *first = key_of(batch, items);
    size_t shared = batch->rows[items->row].key_length;
    for (size_t i = 1; i < n && shared != 0; i++) {
        const char *key = key_of(batch, &items[i]);
        size_t length = batch->rows[items[i].row].key_length;
        if (length < shared)
            shared = length;
        if (memcmp(first, key, shared) == 0)
            continue;
        for (size_t at = 0;; at++) {
            if (first[at] != key[at]) {
                shared = at;
                break;
            }
        }
    }
    return shared;
}

// The eight bytes of a key behind `skip` as a number that compares as they do; short: zeros.
static uint64_t key_word(const struct batch *batch, const struct batch_item *item, size_t skip)
{
    uint64_t word = 0;
    size_t left = batch->rows[item->row].key_length - skip;
    memcpy(&word, key_of(batch, item) + skip, left < sizeof(word) ? left : sizeof(word));
    return be64toh(word);
}

// Counts for each item how often its key came before; the items are sorted by key and stable.
// Returns whether that is zero for all, and all are of one stream.
static bool assign_rounds(const struct batch *batch, struct batch_item *items, size_t n)
{
    bool single = true;
    uint32_t stream = batch->rows[items[0].row].origin.stream;
    items[0].round = 0;
    for (size_t i = 1; i < n; i++) {
        bool same = items[i].word == items[i - 1].word &&
                    compare_keys(batch, &items[i], &items[i - 1]) == 0;
        items[i].round = same ? items[i - 1].round + 1 : 0;
        single = single && !same && batch->rows[items[i].row].origin.stream == stream;
    }
    return single;
}

static void add_run(struct batch *batch, uint32_t first, uint32_t count)
{
    if (batch->n_runs == batch->runs_capacity) {
        batch->runs_capacity = batch->runs_capacity == 0 ? 8 : batch->runs_capacity * 2;
        batch->runs = mem_realloc_array(batch->runs, batch->runs_capacity, sizeof(*batch->runs));
    }
    const struct batch_origin *origin = &batch->rows[batch->order[first]].origin;
    batch->runs[batch->n_runs++] = (struct batch_run){
        .first = first, .count = count, .table = origin->table, .stream = origin->stream};
}

// Sorts the items of one table, which start at `first` of the order, and cuts them into runs.
static void plan_table(struct batch *batch, size_t first, size_t n)
{
    struct batch_item *items = batch->items + first;
    struct batch_item *spare = batch->items + batch->items_capacity;
    size_t skip = shared_bytes(batch, items, n);
    for (size_t i = 0; i < n; i++)
        items[i].word = key_word(batch, &items[i], skip);
    sort_items(batch, items, spare, n);
    bool single = assign_rounds(batch, items, n);
    if (!single) {
        for (size_t i = 0; i < n; i++)
            items[i].word =
                (uint64_t)items[i].round << 32 | batch->rows[items[i].row].origin.stream;
        sort_items(NULL, items, spare, n);
    }
    for (size_t i = 0; i < n; i++)
        batch->order[first + i] = items[i].row;
    size_t begin = 0;
    for (size_t i = 1; i <= n; i++) {
        if (i == n || (!single && items[i].word != items[begin].word)) {
            add_run(batch, (uint32_t)(first + begin), (uint32_t)(i - begin));
            begin = i;
        }
    }
}

static void plan_by_key(struct batch *batch)
{
    struct batch_item *items = batch->items;
    bool one_table = true;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        uint32_t table = batch->rows[i].origin.table;
        items[i] = (struct batch_item){.word = table, .row = i};
        one_table = one_table && table == batch->rows[0].origin.table;
    }
    if (!one_table)
        sort_items(NULL, items, items + batch->items_capacity, batch->n_rows);
    for (size_t begin = 0; begin < batch->n_rows;) {
        size_t end = begin;
        while (end < batch->n_rows && items[end].word == items[begin].word)
            end++;
        plan_table(batch, begin, end - begin);
        begin = end;
    }
}

static void plan_by_arrival(struct batch *batch)
{
    size_t begin = 0;
    for (size_t i = 0; i < batch->n_rows; i++)
        batch->order[i] = (uint32_t)i;
    for (size_t i = 1; i <= batch->n_rows; i++) {
        const struct batch_origin *at = &batch->rows[begin].origin;
        if (i < batch->n_rows && batch->rows[i].origin.table == at->table &&
            batch->rows[i].origin.stream == at->stream)
            continue;
        add_run(batch, (uint32_t)begin, (uint32_t)(i - begin));
        begin = i;
    }
}

void batch_plan(struct batch *batch, enum batch_order how)
{
    batch->n_runs = 0;
    if (batch->n_rows == 0)
        return;
    if (batch->items_capacity < batch->n_rows) {
        batch->items_capacity = batch->rows_capacity;
        batch->items =
            mem_realloc_array(batch->items, batch->items_capacity, 2 * sizeof(*batch->items));
        batch->order =
            mem_realloc_array(batch->order, batch->items_capacity, sizeof(*batch->order));
    }
    if (how == BATCH_BY_KEY)
        plan_by_key(batch);
    else
        plan_by_arrival(batch);
}
