// SPDX-License-Identifier: Apache-2.0
// UUIDs: versions, text form, what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/uuid.h"

static void random_ones_are_version_4_and_differ(void **state)
{
    struct uuid last = {{0}};
    unsigned char ones[UUID_SIZE] = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct uuid id = uuid_random();
        assert_int_equal(id.bytes[6] >> 4, 4);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_memory_not_equal(id.bytes, last.bytes, UUID_SIZE);
        last = id;
        for (int b = 0; b < UUID_SIZE; b++)
            ones[b] |= id.bytes[b];
    }
    for (int b = 0; b < UUID_SIZE; b++) // every other bit is drawn
        assert_int_equal(ones[b], b == 6 ? 0x4f : b == 8 ? 0xbf : 0xff);
}

static void the_same_data_gives_the_same_one(void **state)
{
    char text[UUID_TEXT_SIZE];
    (void)state;
    struct uuid id = uuid_from_data("abc", 3);
    uuid_format(&id, text); // the digest's first half with version 8 and variant
    assert_string_equal(text, "ba7816bf-8f01-8fea-8141-40de5dae2223");
    struct uuid again = uuid_from_data("abc", 3), other = uuid_from_data("abd", 3);
    assert_memory_equal(id.bytes, again.bytes, UUID_SIZE);
    assert_memory_not_equal(id.bytes, other.bytes, UUID_SIZE);
    struct uuid empty = uuid_from_data("", 0);
    assert_int_equal(empty.bytes[6] >> 4, 8);
}

static void text_goes_both_ways(void **state)
{
    char text[UUID_TEXT_SIZE];
    struct uuid id;
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct uuid want = uuid_random();
        uuid_format(&want, text);
        assert_int_equal(strlen(text), 36);
        assert_true(uuid_parse(text, 36, &id));
        assert_memory_equal(id.bytes, want.bytes, UUID_SIZE);
    }
    assert_true(uuid_parse("A1B2C3D4-e5f6-7890-AbCd-EF1234567890", 36, &id));
    uuid_format(&id, text);
    assert_string_equal(text, "a1b2c3d4-e5f6-7890-abcd-ef1234567890");
    assert_true(uuid_parse("00000000-0000-0000-0000-000000000000", 36, &id));
    assert_true(uuid_parse("ffffffff-ffff-ffff-ffff-ffffffffffff", 36, &id));
}

static void other_forms_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "a1b2c3d4e5f67890abcdef1234567890",
        "{a1b2c3d4-e5f6-7890-abcd-ef1234567890}",
        "urn:uuid:a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "a1b2c3d4-e5f6-7890-abcd-ef123456789",
        "a1b2c3d4-e5f6-7890-abcd-ef12345678901",
        "a1b2c3d4e-5f6-7890-abcd-ef1234567890",
        "a1b2c3d4-e5f6-7890-abcd_ef1234567890",
        "a1b2c3d4-e5f6-7890-abcd-ef123456789 ",
        "a1b2c3d4-e5f6-7890-abcd-ef123456789\n",
    };
    struct uuid id;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(uuid_parse(texts[i], strlen(texts[i]), &id));
    assert_false(uuid_parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890", 35, &id));
}

// Any byte but a hex digit, at any place.
static void every_place_wants_its_own_kind_of_character(void **state)
{
    static const char good[] = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
    struct uuid id;
    (void)state;
    for (size_t at = 0; at < 36; at++) {
        for (int c = 0; c < 256; c++) {
            char text[37];
            memcpy(text, good, 37);
            text[at] = (char)c;
            bool dash = at == 8 || at == 13 || at == 18 || at == 23;
            bool want = dash ? c == '-' : c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
            assert_int_equal(uuid_parse(text, 36, &id), want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones_are_version_4_and_differ),
        cmocka_unit_test(the_same_data_gives_the_same_one),
        cmocka_unit_test(text_goes_both_ways),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(every_place_wants_its_own_kind_of_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
