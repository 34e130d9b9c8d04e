// SPDX-License-Identifier: Apache-2.0
// Digests against published vectors; the table hash for its spread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

static void sha256_is(const void *data, size_t length, const char *want)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE];
    hash_sha256(data, length, digest);
    hash_hex(digest, sizeof(digest), hex);
    assert_string_equal(hex, want);
}

// FIPS 180-4 examples.
static void sha256_vectors(void **state)
{
    (void)state;
    sha256_is("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_is(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_is("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    sha256_is(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void hmac_is(const char *key, size_t key_length, const char *data, size_t length,
                    const char *want)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE];
    hash_hmac_sha256(key, key_length, data, length, digest);
    hash_hex(digest, sizeof(digest), hex);
    assert_memory_equal(hex, want, strlen(want));
}

// RFC 4231 section 4; case 5 is published cut to 128 bits.
static void hmac_vectors(void **state)
{
    char key[131], data[50];
    (void)state;
    memset(key, 0x0b, 20);
    hmac_is(key, 20, "Hi There", 8,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_is("Jefe", 4, "what do ya want for nothing?", 28,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 20);
    memset(data, 0xdd, 50);
    hmac_is(key, 20, data, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    for (int i = 0; i < 25; i++)
        key[i] = (char)(i + 1);
    memset(data, 0xcd, 50);
    hmac_is(key, 25, data, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    memset(key, 0x0c, 20);
    hmac_is(key, 20, "Test With Truncation", 20, "a3b6167473100ee06e0c796c2955552b");
    memset(key, 0xaa, 131);
    hmac_is(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_is(key, 131,
            "This is a test using a larger than block-size key and a larger than block-size data. "
            "The key needs to be hashed before being used by the HMAC algorithm.",
            152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void an_empty_key_and_no_data_are_allowed(void **state)
{
    static const char want[] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    (void)state;
    hmac_is("", 0, "", 0, want);
    hmac_is(NULL, 0, NULL, 0, want);
}

static void hex_is_lower_case_and_ends_in_a_nul(void **state)
{
    char hex[9] = "????????";
    (void)state;
    hash_hex((const unsigned char *)"\x00\x9f\xab\xff", 4, hex);
    assert_string_equal(hex, "009fabff");
    hash_hex((const unsigned char *)"", 0, hex);
    assert_string_equal(hex, "");
}

static void the_table_hash_depends_on_bytes_length_and_seed(void **state)
{
    char zeros[64] = {0};
    uint64_t seen[65];
    (void)state;
    for (size_t n = 0; n <= sizeof(zeros); n++) {
        seen[n] = hash_bytes(zeros, n, 1);
        for (size_t m = 0; m < n; m++)
            assert_true(seen[m] != seen[n]);
        assert_true(hash_bytes(zeros, n, 1) == seen[n]);
        assert_true(hash_bytes(zeros, n, 2) != seen[n]);
    }
    assert_true(hash_bytes(NULL, 0, 1) == seen[0]);
    // At any alignment.
    char text[80];
    for (size_t i = 0; i < 8; i++) {
        memcpy(text + i, "twenty-one bytes long", 21);
        assert_true(hash_bytes(text + i, 21, 7) == hash_bytes("twenty-one bytes long", 21, 7));
    }
}

static void each_bit_of_a_key_changes_half_of_the_hash(void **state)
{
    unsigned char key[16] = "idempotency-key";
    (void)state;
    uint64_t before = hash_bytes(key, sizeof(key), 0);
    int flips = 0;
    for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
        key[bit / 8] ^= (unsigned char)(1u << bit % 8);
        flips += __builtin_popcountll(before ^ hash_bytes(key, sizeof(key), 0));
        key[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_in_range(flips, 128 * 28, 128 * 36);
}

static void numbered_keys_spread_over_the_low_bits(void **state)
{
    unsigned slots[64] = {0};
    (void)state;
    for (unsigned i = 0; i < 64000; i++) {
        char key[17] = "sim001-000000000";
        for (unsigned n = i, at = 15; n != 0; n /= 10)
            key[at--] = (char)('0' + n % 10);
        slots[hash_bytes(key, 16, 0) % 64]++;
    }
    for (int i = 0; i < 64; i++)
        assert_in_range(slots[i], 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_vectors),
        cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(an_empty_key_and_no_data_are_allowed),
        cmocka_unit_test(hex_is_lower_case_and_ends_in_a_nul),
        cmocka_unit_test(the_table_hash_depends_on_bytes_length_and_seed),
        cmocka_unit_test(each_bit_of_a_key_changes_half_of_the_hash),
        cmocka_unit_test(numbered_keys_spread_over_the_low_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
