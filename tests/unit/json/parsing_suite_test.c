// SPDX-License-Identifier: Apache-2.0
// The public JSON parsing suite, where it is at hand ($CXSINK_SHARED_DATA, else ../shared/data as
// seen from the repository), through a tape with the daemon's limits: y_ files are accepted, n_
// files refused; what the suite leaves to the parser (i_ files, test_transform) is decided in the
// tables below, one row a file. A file without its row fails the test, as does a row without a
// file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json_fixture.h"
#include "json/number.h"
#include "json/tape.h"

#include <dirent.h>
#include <stdio.h>

struct decision {
    const char *name; // of the file, without ".json"
    enum tape_error error;
    const char *why;
};

#define NUMBERS "numbers keep their text: range is the column's matter, not the parser's"
#define UNPAIRED "half of a pair is no character: PostgreSQL could not hold it"
#define NOT_UTF8 "a text message is UTF-8 (RFC 6455 section 5.6)"
#define UNIQUE "which of two equal names counts would be a guess"

static const struct decision decisions[] = {
    {"i_number_double_huge_neg_exp", TAPE_OK, NUMBERS},
    {"i_number_huge_exp", TAPE_OK, NUMBERS},
    {"i_number_neg_int_huge_exp", TAPE_OK, NUMBERS},
    {"i_number_pos_double_huge_exp", TAPE_OK, NUMBERS},
    {"i_number_real_neg_overflow", TAPE_OK, NUMBERS},
    {"i_number_real_pos_overflow", TAPE_OK, NUMBERS},
    {"i_number_real_underflow", TAPE_OK, NUMBERS},
    {"i_number_too_big_neg_int", TAPE_OK, NUMBERS},
    {"i_number_too_big_pos_int", TAPE_OK, NUMBERS},
    {"i_number_very_big_negative_int", TAPE_OK, NUMBERS},
    {"i_object_key_lone_2nd_surrogate", TAPE_ENCODING, UNPAIRED},
    {"i_string_1st_surrogate_but_2nd_missing", TAPE_ENCODING, UNPAIRED},
    {"i_string_1st_valid_surrogate_2nd_invalid", TAPE_ENCODING, UNPAIRED},
    {"i_string_UTF-16LE_with_BOM", TAPE_SYNTAX, NOT_UTF8 "; told as no value, at its first byte"},
    {"i_string_UTF-8_invalid_sequence", TAPE_ENCODING, NOT_UTF8},
    {"i_string_UTF8_surrogate_U+D800", TAPE_ENCODING, NOT_UTF8},
    {"i_string_incomplete_surrogate_and_escape_valid", TAPE_ENCODING, UNPAIRED},
    {"i_string_incomplete_surrogate_pair", TAPE_ENCODING, UNPAIRED},
    {"i_string_incomplete_surrogates_escape_valid", TAPE_ENCODING, UNPAIRED},
    {"i_string_invalid_lonely_surrogate", TAPE_ENCODING, UNPAIRED},
    {"i_string_invalid_surrogate", TAPE_ENCODING, UNPAIRED},
    {"i_string_invalid_utf-8", TAPE_ENCODING, NOT_UTF8},
    {"i_string_inverted_surrogates_U+1D11E", TAPE_ENCODING, UNPAIRED},
    {"i_string_iso_latin_1", TAPE_ENCODING, NOT_UTF8},
    {"i_string_lone_second_surrogate", TAPE_ENCODING, UNPAIRED},
    {"i_string_lone_utf8_continuation_byte", TAPE_ENCODING, NOT_UTF8},
    {"i_string_not_in_unicode_range", TAPE_ENCODING, NOT_UTF8},
    {"i_string_overlong_sequence_2_bytes", TAPE_ENCODING, NOT_UTF8},
    {"i_string_overlong_sequence_6_bytes", TAPE_ENCODING, NOT_UTF8},
    {"i_string_overlong_sequence_6_bytes_null", TAPE_ENCODING, NOT_UTF8},
    {"i_string_truncated-utf-8", TAPE_ENCODING, NOT_UTF8},
    {"i_string_utf16BE_no_BOM", TAPE_SYNTAX, NOT_UTF8 "; told as no value, at its first NUL"},
    {"i_string_utf16LE_no_BOM", TAPE_SYNTAX, NOT_UTF8 "; told as no value, at its first NUL"},
    {"i_structure_500_nested_arrays", TAPE_DEPTH, "128 deep is beyond any event; bounded memory"},
    {"i_structure_UTF-8_BOM_empty_object", TAPE_SYNTAX,
     "a sender adds none (RFC 8259 section 8.1)"},
    // Accepted by the suite, which leaves repeated names to the parser.
    {"y_object_duplicated_key", TAPE_DUPLICATE_MEMBER, UNIQUE},
    {"y_object_duplicated_key_and_value", TAPE_DUPLICATE_MEMBER, UNIQUE},
};

// What a text becomes: `whole` as number_to_int64() sees the first element, for number_ files.
struct transform {
    const char *name;
    enum tape_error error;
    const char *raw; // JSON text of the first element or member's value
    enum number_result whole;
    int64_t value;
};

static const struct transform transforms[] = {
    {"number_-9223372036854775808", TAPE_OK, "-9223372036854775808", NUMBER_OK, INT64_MIN},
    {"number_-9223372036854775809", TAPE_OK, "-9223372036854775809", NUMBER_RANGE, 0},
    {"number_1.0", TAPE_OK, "1.0", NUMBER_OK, 1},
    {"number_1.000000000000000005", TAPE_OK, "1.000000000000000005", NUMBER_FRACTION, 0},
    {"number_1000000000000000", TAPE_OK, "1000000000000000", NUMBER_OK, 1000000000000000},
    {"number_10000000000000000999", TAPE_OK, "10000000000000000999", NUMBER_RANGE, 0},
    {"number_1e-999", TAPE_OK, "1E-999", NUMBER_FRACTION, 0},
    {"number_1e6", TAPE_OK, "1E6", NUMBER_OK, 1000000},
    {"number_9223372036854775807", TAPE_OK, "9223372036854775807", NUMBER_OK, INT64_MAX},
    {"number_9223372036854775808", TAPE_OK, "9223372036854775808", NUMBER_RANGE, 0},
    // Names are bytes: two normal forms of one text are two names, in the text's order.
    {"object_key_nfc_nfd", TAPE_OK, "\"NFC\"", 0, 0},
    {"object_key_nfd_nfc", TAPE_OK, "\"NFD\"", 0, 0},
    {"object_same_key_different_values", TAPE_DUPLICATE_MEMBER, NULL, 0, 0},
    {"object_same_key_same_value", TAPE_DUPLICATE_MEMBER, NULL, 0, 0},
    {"object_same_key_unclear_values", TAPE_DUPLICATE_MEMBER, NULL, 0, 0},
    {"string_1_escaped_invalid_codepoint", TAPE_ENCODING, NULL, 0, 0},
    {"string_1_invalid_codepoint", TAPE_ENCODING, NULL, 0, 0},
    {"string_2_escaped_invalid_codepoints", TAPE_ENCODING, NULL, 0, 0},
    {"string_2_invalid_codepoints", TAPE_ENCODING, NULL, 0, 0},
    {"string_3_escaped_invalid_codepoints", TAPE_ENCODING, NULL, 0, 0},
    {"string_3_invalid_codepoints", TAPE_ENCODING, NULL, 0, 0},
    {"string_with_escaped_NULL", TAPE_OK, "\"A\\u0000B\"", 0, 0},
};

typedef void (*check_fn)(const char *name, struct doc *doc);

static struct doc parse_file(const char *path)
{
    static char data[1 << 18];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(data, 1, sizeof(data), file);
    assert_int_equal(fclose(file), 0);
    assert_true(length < sizeof(data));
    return doc_parse_bytes(data, length, 0); // 0: as the decoder asks for
}

// Every file of a folder of the suite; returns how many.
static unsigned for_files(const char *folder, check_fn check)
{
    const char *shared = getenv("CXSINK_SHARED_DATA");
    char path[1024], file[2048], name[256];
    snprintf(path, sizeof(path), "%s/json-parsing/%s", shared != NULL ? shared : "../shared/data",
             folder);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        print_message("skipped: no JSON parsing suite in %s (CXSINK_SHARED_DATA)\n", path);
        skip();
    }
    unsigned n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(strlen(entry->d_name) - strlen(".json")),
                 entry->d_name);
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        struct doc doc = parse_file(file);
        check(name, &doc);
        doc_free(&doc);
        n++;
    }
    closedir(dir);
    return n;
}

static const struct decision *find_decision(const char *name)
{
    for (size_t i = 0; i < sizeof(decisions) / sizeof(*decisions); i++)
        if (strcmp(decisions[i].name, name) == 0)
            return &decisions[i];
    return NULL;
}

static unsigned n_decided;

static void check_parsing(const char *name, struct doc *doc)
{
    const struct decision *decision = find_decision(name);
    n_decided += decision != NULL;
    if (decision != NULL && doc->tape.error != decision->error)
        fail_msg("%s: %s instead of %s (%s)", name, tape_error_name(doc->tape.error),
                 tape_error_name(decision->error), decision->why);
    if (decision == NULL && name[0] == 'i')
        fail_msg("%s: has no row in `decisions`; got %s", name, tape_error_name(doc->tape.error));
    if (decision == NULL && doc->ok != (name[0] == 'y'))
        fail_msg("%s: %s", name, doc->ok ? "accepted" : doc->tape.error_message);
    assert_int_equal(doc->ok, doc->tape.error == TAPE_OK);
}

static void test_parsing(void **state)
{
    (void)state;
    unsigned n = for_files("test_parsing", check_parsing);
    print_message("test_parsing: %u files, %u of them decided here\n", n, n_decided);
    assert_true(n > 300);
    assert_int_equal(n_decided, sizeof(decisions) / sizeof(*decisions)); // no row without a file
}

static const struct transform *find_transform(const char *name)
{
    for (size_t i = 0; i < sizeof(transforms) / sizeof(*transforms); i++)
        if (strcmp(transforms[i].name, name) == 0)
            return &transforms[i];
    fail_msg("%s: has no row in `transforms`", name);
    return NULL;
}

static void check_transform(const char *name, struct doc *doc)
{
    const struct transform *expected = find_transform(name);
    const struct tape *tape = &doc->tape;
    int64_t value = 0;
    size_t length;

    assert_int_equal(tape->error, expected->error);
    if (!doc->ok)
        return;
    uint32_t first = tape->tokens[0].kind == TAPE_OBJECT ? 2 : 1;
    const char *raw = tape_raw(tape, first, &length);
    assert_int_equal(length, strlen(expected->raw));
    assert_memory_equal(raw, expected->raw, length);
    assert_int_equal(tape->has_nul, strcmp(name, "string_with_escaped_NULL") == 0);
    if (tape->tokens[first].kind == TAPE_NUMBER) {
        assert_int_equal(number_to_int64(raw, length, &value), expected->whole);
        assert_true(value == expected->value);
        assert_int_equal(number_is_integer(raw, length), expected->whole != NUMBER_FRACTION);
    }
}

static void test_transform(void **state)
{
    (void)state;
    assert_int_equal(for_files("test_transform", check_transform),
                     sizeof(transforms) / sizeof(*transforms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parsing),
        cmocka_unit_test(test_transform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
