// SPDX-License-Identifier: Apache-2.0
// Arrays in binary form, byte by byte.
#include "pg/array.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_bytes(const struct buf *buf, const char *expected, size_t length)
{
    assert_int_equal(buf->len, length);
    assert_memory_equal(buf->data, expected, length);
}

static void test_types(void **state)
{
    (void)state;
    assert_string_equal(array_type_name(PG_TEXT), "text");
    assert_int_equal(array_type(PG_TEXT), 1009);
    assert_int_equal(array_type(PG_TIMESTAMPTZ), 1185);
    assert_null(array_type_name(869)); // inet travels as text
    assert_int_equal(array_type(869), 0);
}

static void test_values(void **state)
{
    (void)state;
    struct buf out = {0};
    array_begin(&out, PG_INT8, 2);
    array_put_int8(&out, 258);
    array_put_time(&out, INT64_C(946684800000001));
    assert_bytes(&out,
                 "\0\0\0\1\0\0\0\0\0\0\0\24\0\0\0\2\0\0\0\1"
                 "\0\0\0\10\0\0\0\0\0\0\1\2\0\0\0\10\0\0\0\0\0\0\0\1",
                 20 + 24);
    buf_clear(&out);
    array_begin(&out, PG_TEXT, 2);
    array_put(&out, "ab", 2);
    array_put_null(&out);
    assert_bytes(&out,
                 "\0\0\0\1\0\0\0\1\0\0\0\31\0\0\0\2\0\0\0\1"
                 "\0\0\0\2ab\377\377\377\377",
                 20 + 10);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
