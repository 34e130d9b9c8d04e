// SPDX-License-Identifier: Apache-2.0
#include "sink/batch.h"

#include "sink/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const size_t first_column[] = {0};
static const struct batch_shape shape = {.n_columns = 2, .key = first_column, .n_key = 1};

static struct batch new_batch(unsigned events, size_t bytes)
{
    struct batch batch;
    batch_init(&batch, &(struct batch_limits){.events = events, .bytes = bytes});
    return batch;
}

// A row of (key, value), the value being the seq.
static void push(struct batch *batch, const struct batch_origin *origin, const char *key)
{
    struct buf cells = {0};
    cell_text(&cells, key);
    cell_int8(&cells, (int64_t)origin->seq);
    assert_true(batch_push_row(batch, &shape, origin, cells.data, cells.len));
    buf_deinit(&cells);
}

static void push_keys(struct batch *batch, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        push(batch, &(struct batch_origin){.seq = i + 1}, keys[i]);
}

// The seqs in the order of the plan, runs separated by '|'.
static const char *planned(struct batch *batch, enum batch_order how)
{
    static char text[512];
    size_t used = 0;
    batch_plan(batch, how);
    for (size_t r = 0; r < batch->n_runs; r++) {
        const struct batch_run *run = &batch->runs[r];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", r == 0 ? "" : "|");
        for (uint32_t i = run->first; i < run->first + run->count; i++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu",
                                     i == run->first ? "" : " ",
                                     (unsigned long long)batch->rows[batch->order[i]].origin.seq);
    }
    text[used] = '\0';
    return text;
}

static void test_limits(void **state)
{
    (void)state;
    struct batch batch = new_batch(3, 1000);
    assert_int_equal(batch_events(&batch), 0);
    assert_false(batch_full(&batch));
    assert_true(batch.min_seq == UINT64_MAX);
    push(&batch, &(struct batch_origin){.seq = 7}, "a");
    push(&batch, &(struct batch_origin){.seq = 8}, "b");
    assert_false(batch_full(&batch));
    batch_push_dead(&batch, &(struct batch_origin){.seq = 5},
                    &(struct dead_texts){"json.syntax", "[]", 2, "x", 1});
    assert_true(batch_full(&batch));
    assert_int_equal(batch_events(&batch), 3);
    assert_int_equal(batch.min_seq, 5);
    batch_clear(&batch);
    assert_false(batch_full(&batch));
    assert_int_equal(batch_events(&batch), 0);
    assert_true(batch.min_seq == UINT64_MAX);
    batch_deinit(&batch);
}

static void test_bytes(void **state)
{
    (void)state;
    char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct batch batch = new_batch(100, 1000);
    push(&batch, &(struct batch_origin){.seq = 1}, "a");
    assert_false(batch_full(&batch));
    push(&batch, &(struct batch_origin){.seq = 2}, large); // passes the limit, once
    assert_true(batch_full(&batch));
    batch_clear(&batch);
    batch_push_dead(&batch, &(struct batch_origin){.seq = 3},
                    &(struct dead_texts){"json.syntax", "[]", 2, large, 1500});
    assert_true(batch_full(&batch));
    batch_deinit(&batch);
}

static void test_memory_returns(void **state)
{
    (void)state;
    size_t size = 4 << 20;
    char *large = malloc(size);
    memset(large, 'x', size);
    struct batch batch = new_batch(100, 1000);
    batch_push_dead(&batch, &(struct batch_origin){.seq = 1},
                    &(struct dead_texts){"r", "[]", 2, large, size});
    assert_true(batch.dead.texts.cap >= size);
    batch_clear(&batch);
    assert_int_equal(batch.dead.texts.cap, 0);
    free(large);
    batch_deinit(&batch);
}

static void test_misshapen(void **state)
{
    (void)state;
    struct batch batch = new_batch(100, 1000);
    struct batch_origin origin = {.seq = 1};
    struct buf cells = {0};
    assert_false(batch_push_row(&batch, &shape, &origin, NULL, 0));
    cell_text(&cells, "a");
    assert_false(batch_push_row(&batch, &shape, &origin, cells.data, cells.len)); // one too few
    cell_text(&cells, NULL);
    assert_true(batch_push_row(&batch, &shape, &origin, cells.data, cells.len));
    for (size_t cut = 1; cut < cells.len; cut++)
        assert_false(batch_push_row(&batch, &shape, &origin, cells.data, cells.len - cut));
    cell_text(&cells, "c");
    assert_false(batch_push_row(&batch, &shape, &origin, cells.data, cells.len)); // one too many
    assert_int_equal(batch.n_rows, 1);
    buf_deinit(&cells);
    batch_deinit(&batch);
}

static void test_sorts_by_key(void **state)
{
    (void)state;
    static const char *const keys[] = {"evt-00030", "evt-00001", "evt-9", "evt-00002", "", "evt-0"};
    struct batch batch = new_batch(100, 10000);
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "");
    push_keys(&batch, keys, 6);
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "5 6 2 4 1 3");
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "5 6 2 4 1 3");
    batch_deinit(&batch);
}

static void test_versions_follow(void **state)
{
    (void)state;
    static const char *const keys[] = {"b", "a", "b", "c", "b", "a"};
    struct batch batch = new_batch(100, 10000);
    push_keys(&batch, keys, 6);
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "2 1 4|6 3|5");
    assert_string_equal(planned(&batch, BATCH_BY_ARRIVAL), "1 2 3 4 5 6");
    batch_deinit(&batch);
}

static void test_long_equal_prefix(void **state)
{
    (void)state;
    static const char *const keys[] = {"prefix-aaaaaaaaaaaaaaaa2", "prefix-aaaaaaaaaaaaaaaa1",
                                       "prefix-baaaaaaaaaaaaaaa0", "prefix-aaaaaaaaaaaaaaaa2",
                                       "prefix-aaaaaaaaaaaaaaaa"};
    struct batch batch = new_batch(100, 10000);
    push_keys(&batch, keys, 5);
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "5 2 1 3|4");
    batch_deinit(&batch);
}

static void test_tables_and_streams(void **state)
{
    (void)state;
    struct batch batch = new_batch(100, 10000);
    push(&batch, &(struct batch_origin){.seq = 1, .table = 1, .stream = 0}, "a");
    push(&batch, &(struct batch_origin){.seq = 2, .table = 0, .stream = 1}, "a");
    push(&batch, &(struct batch_origin){.seq = 3, .table = 0, .stream = 0}, "b");
    push(&batch, &(struct batch_origin){.seq = 4, .table = 0, .stream = 0}, "a");
    push(&batch, &(struct batch_origin){.seq = 5, .table = 0, .stream = 1}, "a");
    // Key a of table 0: seq 2, 4, 5, in this order, whatever their streams.
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "3|2|4|5|1");
    assert_int_equal(batch.runs[0].stream, 0);
    assert_int_equal(batch.runs[1].stream, 1);
    assert_int_equal(batch.runs[4].table, 1);
    assert_string_equal(planned(&batch, BATCH_BY_ARRIVAL), "1|2|3 4|5");
    batch_deinit(&batch);
}

static void test_composite_key(void **state)
{
    (void)state;
    static const size_t key[] = {2, 0};
    static const struct batch_shape wide = {.n_columns = 3, .key = key, .n_key = 2};
    static const char *const rows[][3] = {
        {"x", "1", "ab"}, {"bx", "2", "a"}, {"x", "3", "ab"}, {NULL, "4", NULL}, {"", "5", NULL}};
    struct batch batch = new_batch(100, 10000);
    for (size_t i = 0; i < 5; i++) {
        struct buf cells = {0};
        for (size_t c = 0; c < 3; c++)
            cell_text(&cells, rows[i][c]);
        struct batch_origin origin = {.seq = i + 1};
        assert_true(batch_push_row(&batch, &wide, &origin, cells.data, cells.len));
        buf_deinit(&cells);
    }
    // "ab","x" twice; "a","bx" is another key although the bytes run together; NULL and empty in
    // the last column share a round's place.
    assert_string_equal(planned(&batch, BATCH_BY_KEY), "2 1 4|3 5");
    batch_deinit(&batch);
}

static void check_run(const struct batch *batch, const struct batch_run *run, unsigned *seen)
{
    for (uint32_t i = run->first; i < run->first + run->count; i++) {
        const struct batch_row *row = &batch->rows[batch->order[i]];
        assert_int_equal(row->origin.table, run->table);
        assert_int_equal(row->origin.stream, run->stream);
        assert_int_equal(seen[batch->order[i]]++, 0);
        if (i == run->first)
            continue;
        const struct batch_row *last = &batch->rows[batch->order[i - 1]];
        uint32_t shorter = last->key_length < row->key_length ? last->key_length : row->key_length;
        int order = memcmp(batch->keys.data + last->key, batch->keys.data + row->key, shorter);
        assert_true(order < 0 || (order == 0 && last->key_length < row->key_length));
    }
}

// Versions of a key are written as they arrived.
static void check_versions(const struct batch *batch)
{
    uint32_t *place = calloc(batch->n_rows, sizeof(*place));
    for (uint32_t i = 0; i < batch->n_rows; i++)
        place[batch->order[i]] = i;
    for (size_t a = 0; a < batch->n_rows; a++) {
        for (size_t b = a + 1; b < batch->n_rows; b++) {
            const struct batch_row *x = &batch->rows[a];
            const struct batch_row *y = &batch->rows[b];
            if (x->origin.table == y->origin.table && x->key_length == y->key_length &&
                memcmp(batch->keys.data + x->key, batch->keys.data + y->key, x->key_length) == 0)
                assert_true(place[a] < place[b]);
        }
    }
    free(place);
}

static void test_any_batch(void **state)
{
    (void)state;
    static const char *const forms[] = {"%d", "key-%d", "key-%08d", "the-longer-prefix-of-it-%d"};
    struct batch batch = new_batch(1 << 20, 1 << 30);
    srand(1);
    for (int round = 0; round < 400; round++) {
        int n = 1 + rand() % 200;
        int keys = 1 + rand() % 300;
        for (int i = 0; i < n; i++) {
            char key[64];
            const char *form = forms[rand() % 8 == 0 ? rand() % 4 : round % 4];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(key, sizeof(key), form, rand() % keys);
#pragma GCC diagnostic pop
            struct batch_origin origin = {.seq = (uint64_t)i + 1,
                                          .table = (uint32_t)(rand() % (1 + round % 3)),
                                          .stream = (uint32_t)(rand() % (1 + round % 2))};
            push(&batch, &origin, key);
        }
        unsigned *seen = calloc((size_t)n, sizeof(*seen));
        uint32_t next = 0;
        batch_plan(&batch, BATCH_BY_KEY);
        for (size_t r = 0; r < batch.n_runs; r++) {
            assert_int_equal(batch.runs[r].first, next);
            assert_true(batch.runs[r].count > 0);
            next += batch.runs[r].count;
            check_run(&batch, &batch.runs[r], seen);
        }
        assert_int_equal(next, n);
        check_versions(&batch);
        free(seen);
        batch_clear(&batch);
    }
    batch_deinit(&batch);
}

static void test_dead_texts(void **state)
{
    (void)state;
    struct dead_list list = {0};
    dead_list_add(&list, &(struct batch_origin){.seq = 1},
                  &(struct dead_texts){"reason", "[{}]", 4, "pay\0load", 8});
    dead_list_add(&list, &(struct batch_origin){.seq = 2},
                  &(struct dead_texts){"other", "[]", 2, NULL, 0});
    assert_int_equal(list.count, 2);
    assert_memory_equal(list.texts.data + list.items[0].at, "reason[{}]pay\0load", 18);
    assert_memory_equal(list.texts.data + list.items[1].at, "other[]", 7);
    assert_false(list.items[0].no_payload);
    assert_true(list.items[1].no_payload);
    dead_list_clear(&list, 1000);
    assert_int_equal(list.count, 0);
    dead_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_memory_returns),
        cmocka_unit_test(test_misshapen),
        cmocka_unit_test(test_sorts_by_key),
        cmocka_unit_test(test_versions_follow),
        cmocka_unit_test(test_long_equal_prefix),
        cmocka_unit_test(test_tables_and_streams),
        cmocka_unit_test(test_composite_key),
        cmocka_unit_test(test_any_batch),
        cmocka_unit_test(test_dead_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
