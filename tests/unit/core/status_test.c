// SPDX-License-Identifier: Apache-2.0
// Status: names, sentences, their bound.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/status.h"

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = STATUS_OK; i <= STATUS_INTERNAL; i++) {
        assert_string_not_equal(status_code_name((enum status_code)i), "unknown");
        for (int j = STATUS_OK; j < i; j++)
            assert_string_not_equal(status_code_name((enum status_code)i),
                                    status_code_name((enum status_code)j));
    }
    assert_string_equal(status_code_name(STATUS_NOT_FOUND), "not_found");
    assert_string_equal(status_code_name((enum status_code)(STATUS_INTERNAL + 1)), "unknown");
    assert_string_equal(status_code_name((enum status_code) - 1), "unknown");
}

static void a_sentence_is_formatted(void **state)
{
    struct status st;
    (void)state;
    assert_int_equal(status_set(&st, STATUS_FULL, "%s holds %d", "it", 7), STATUS_FULL);
    assert_int_equal(st.code, STATUS_FULL);
    assert_string_equal(st.detail, "it holds 7");
    status_clear(&st);
    assert_int_equal(st.code, STATUS_OK);
    assert_string_equal(st.detail, "");
}

static void an_error_number_is_explained(void **state)
{
    struct status st;
    (void)state;
    assert_int_equal(status_set_errno(&st, STATUS_IO, ENOENT, "cannot open %s", "x"), STATUS_IO);
    assert_string_equal(st.detail, "cannot open x: No such file or directory");
    status_set_errno(&st, STATUS_IO, 99999, "odd");
    assert_non_null(strstr(st.detail, "odd: "));
    assert_non_null(strstr(st.detail, "99999"));
}

static void a_context_goes_before(void **state)
{
    struct status st;
    (void)state;
    status_set(&st, STATUS_DENIED, "no");
    assert_int_equal(status_prefix(&st, "stream %s", "s"), STATUS_DENIED);
    assert_int_equal(status_prefix(&st, "a"), STATUS_DENIED);
    assert_string_equal(st.detail, "a: stream s: no");
}

static void fill(char *text, size_t size)
{
    memset(text, 'x', size - 1);
    text[size - 1] = '\0';
}

static void a_sentence_that_just_fits_is_whole(void **state)
{
    struct status st;
    char text[STATUS_DETAIL_MAX];
    (void)state;
    fill(text, sizeof(text));
    status_set(&st, STATUS_INVALID, "%s", text);
    assert_string_equal(st.detail, text);
}

static void a_long_sentence_is_cut_and_says_so(void **state)
{
    struct status st;
    char text[STATUS_DETAIL_MAX + 1];
    (void)state;
    fill(text, sizeof(text));
    status_set(&st, STATUS_INVALID, "%s", text);
    assert_int_equal(strlen(st.detail), STATUS_DETAIL_MAX - 1);
    assert_string_equal(st.detail + STATUS_DETAIL_MAX - 4, "...");
    status_set_errno(&st, STATUS_INVALID, ENOENT, "%s", text);
    assert_string_equal(st.detail + STATUS_DETAIL_MAX - 4, "...");
    status_set(&st, STATUS_INVALID, "%.*s", STATUS_DETAIL_MAX - 2, text);
    status_prefix(&st, "context");
    assert_int_equal(strlen(st.detail), STATUS_DETAIL_MAX - 1);
    assert_memory_equal(st.detail, "context: x", 10);
    assert_string_equal(st.detail + STATUS_DETAIL_MAX - 4, "...");
}

static void nobody_may_want_the_sentence(void **state)
{
    (void)state;
    assert_int_equal(status_set(NULL, STATUS_BUSY, "x"), STATUS_BUSY);
    assert_int_equal(status_set_errno(NULL, STATUS_IO, EIO, "x"), STATUS_IO);
    assert_int_equal(status_prefix(NULL, "x"), STATUS_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(a_sentence_is_formatted),
        cmocka_unit_test(an_error_number_is_explained),
        cmocka_unit_test(a_context_goes_before),
        cmocka_unit_test(a_sentence_that_just_fits_is_whole),
        cmocka_unit_test(a_long_sentence_is_cut_and_says_so),
        cmocka_unit_test(nobody_may_want_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
