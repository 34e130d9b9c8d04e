// SPDX-License-Identifier: Apache-2.0
#include "sink/arrays.h"

#include "pg/types.h"
#include "sink/cells.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_bytes(const struct buf *buf, const char *expected, size_t length)
{
    assert_int_equal(buf->len, length);
    assert_memory_equal(buf->data, expected, length);
}

static void test_rows_to_columns(void **state)
{
    (void)state;
    static const size_t key[] = {0};
    static const struct batch_shape shape = {.n_columns = 2, .key = key, .n_key = 1};
    static const uint32_t wire[] = {PG_TEXT, PG_INT4};
    struct batch batch;
    struct buf columns[2] = {0};
    batch_init(&batch, &(struct batch_limits){.events = 10, .bytes = 1000});
    for (int i = 0; i < 3; i++) {
        struct buf cells = {0};
        cell_text(&cells, i == 0 ? "c" : i == 1 ? "a" : "b");
        if (i == 2)
            cell_text(&cells, NULL);
        else
            cell_int4(&cells, i + 1);
        struct batch_origin origin = {.seq = 1};
        assert_true(batch_push_row(&batch, &shape, &origin, cells.data, cells.len));
        buf_deinit(&cells);
    }
    batch_plan(&batch, BATCH_BY_KEY);
    for (int again = 0; again < 2; again++) { // the buffers are used again
        array_columns(columns, wire, 2, &batch, &batch.runs[0]);
        assert_bytes(&columns[0],
                     "\0\0\0\1\0\0\0\0\0\0\0\31\0\0\0\3\0\0\0\1"
                     "\0\0\0\1a\0\0\0\1b\0\0\0\1c",
                     20 + 15);
        assert_bytes(&columns[1],
                     "\0\0\0\1\0\0\0\1\0\0\0\27\0\0\0\3\0\0\0\1"
                     "\0\0\0\4\0\0\0\2\377\377\377\377\0\0\0\4\0\0\0\1",
                     20 + 20);
    }
    array_columns(columns, wire, 2, &batch, &(struct batch_run){.first = 1, .count = 1});
    assert_bytes(&columns[0], "\0\0\0\1\0\0\0\0\0\0\0\31\0\0\0\1\0\0\0\1\0\0\0\1b", 25);
    buf_deinit(&columns[0]);
    buf_deinit(&columns[1]);
    batch_deinit(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_to_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
