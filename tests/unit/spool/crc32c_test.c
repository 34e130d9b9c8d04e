// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "spool/crc32c_priv.h"

#include <string.h>

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t length);

// RFC 3720 appendix B.4, and the usual check value.
static void known_values(crc_fn fn)
{
    unsigned char data[32];
    memset(data, 0, sizeof data);
    assert_int_equal(fn(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(fn(0, data, sizeof data), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)i;
    assert_int_equal(fn(0, data, sizeof data), 0x46dd794e);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(31 - i);
    assert_int_equal(fn(0, data, sizeof data), 0x113fdb5c);
    assert_int_equal(fn(0, "123456789", 9), 0xe3069283);
    assert_int_equal(fn(0, "", 0), 0);
}

static void test_table(void **state)
{
    (void)state;
    known_values(crc32c_by_table);
}

static void test_instruction(void **state)
{
    (void)state;
    if (!crc32c_has_instruction())
        skip();
    known_values(crc32c_by_instruction);
}

static void test_dispatch(void **state)
{
    (void)state;
    known_values(crc32c);
}

static void test_both_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    unsigned char data[300];
    if (!crc32c_has_instruction())
        skip();
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 151 + 7);
    for (size_t from = 0; from < 16; from++)
        for (size_t length = 0; length + from <= sizeof data; length++)
            assert_int_equal(crc32c_by_table(17, data + from, length),
                             crc32c_by_instruction(17, data + from, length));
}

static void test_goes_on(void **state)
{
    (void)state;
    const char *text = "a spool is a durable first-in, first-out queue";
    uint32_t whole = crc32c(0, text, strlen(text));
    for (size_t cut = 0; cut <= strlen(text); cut++)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, strlen(text) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_instruction),
        cmocka_unit_test(test_dispatch),
        cmocka_unit_test(test_both_agree_at_every_length_and_alignment),
        cmocka_unit_test(test_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
