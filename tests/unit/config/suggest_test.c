// SPDX-License-Identifier: Apache-2.0
// Edit distance, the nearest name, and what is said when none is near.
#include "config_support.h"

#include "config/suggest.h"

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"ABC", "abc", 0},
        {"abd", "abc", 1},
        {"acb", "abc", 1},
        {"streams", "strems", 1},
        {"stream", "streams", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"a", "b", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(suggest_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(suggest_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void long_names_do_no_harm(void **state)
{
    (void)state;
    char a[200];
    memset(a, 'a', sizeof(a) - 1);
    a[sizeof(a) - 1] = '\0';
    assert_int_equal(suggest_distance(a, a), 0);
    assert_int_equal(suggest_distance(a, ""), 64);
}

static void expect_sentence(const char *wrong, const char *const *names, size_t count,
                            const char *expected)
{
    struct suggest suggest;
    suggest_init(&suggest, wrong);
    for (size_t i = 0; i < count; i++)
        suggest_consider(&suggest, names[i]);
    assert_string_equal(suggest_sentence(&suggest), expected);
    suggest_deinit(&suggest);
}

static void names_the_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"streams", "spool", "state_dir", "base"};
    expect_sentence("strems", names, 4, "did you mean \"streams\"?");
    expect_sentence("Spool", names, 4, "did you mean \"spool\"?");
    expect_sentence("statedir", names, 4, "did you mean \"state_dir\"?");
    expect_sentence("bsae", names, 4, "did you mean \"base\"?");
    expect_sentence("zebra-crossing", names, 4, "known here: streams, spool, state_dir, base");
    expect_sentence("x", names, 0, "");
    expect_sentence("", names, 2, "known here: streams, spool");
}

static void a_long_list_is_cut(void **state)
{
    (void)state;
    struct suggest suggest;
    suggest_init(&suggest, "zzzzzzzzzzzz");
    for (int i = 0; i < 100; i++)
        suggest_consider(&suggest, "a_column");
    const char *sentence = suggest_sentence(&suggest);
    assert_true(strlen(sentence) < 300);
    assert_string_equal(sentence + strlen(sentence) - 5, ", ...");
    suggest_deinit(&suggest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(long_names_do_no_harm),
        cmocka_unit_test(names_the_nearest),
        cmocka_unit_test(a_long_list_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
