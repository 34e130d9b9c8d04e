// SPDX-License-Identifier: Apache-2.0
// Base64: the vectors of RFC 4648 section 10, all byte values, pieces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base64.h"

#include <string.h>

static void vectors_of_the_rfc(void **state)
{
    static const struct {
        const char *plain, *encoded;
    } vectors[] = {{"", ""},
                   {"f", "Zg=="},
                   {"fo", "Zm8="},
                   {"foo", "Zm9v"},
                   {"foob", "Zm9vYg=="},
                   {"fooba", "Zm9vYmE="},
                   {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char out[16] = "";
        size_t length = strlen(vectors[i].plain);
        base64_encode(vectors[i].plain, length, out);
        assert_int_equal(BASE64_LENGTH(length), strlen(vectors[i].encoded));
        assert_string_equal(out, vectors[i].encoded);
    }
}

static void every_character_of_the_alphabet(void **state)
{
    static const unsigned char data[] = {0x00, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0x30,
                                         0xd3, 0x8f, 0x41, 0x14, 0x93, 0x51, 0x55, 0x97, 0x61, 0x96,
                                         0x9b, 0x71, 0xd7, 0x9f, 0x82, 0x18, 0xa3, 0x92, 0x59, 0xa7,
                                         0xa2, 0x9a, 0xab, 0xb2, 0xdb, 0xaf, 0xc3, 0x1c, 0xb3, 0xd3,
                                         0x5d, 0xb7, 0xe3, 0x9e, 0xbb, 0xf3, 0xdf, 0xbf};
    char out[65] = "";
    (void)state;
    base64_encode(data, sizeof(data), out);
    assert_string_equal(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

static void pieces_of_three_make_the_whole(void **state)
{
    char whole[BASE64_LENGTH(100)], pieces[BASE64_LENGTH(100)];
    unsigned char data[100];
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 37);
    base64_encode(data, sizeof(data), whole);
    base64_encode(data, 33, pieces);
    base64_encode(data + 33, 67, pieces + BASE64_LENGTH(33));
    assert_memory_equal(whole, pieces, sizeof(whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_rfc),
        cmocka_unit_test(every_character_of_the_alphabet),
        cmocka_unit_test(pieces_of_three_make_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
