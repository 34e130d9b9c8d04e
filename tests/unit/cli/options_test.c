// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/daemon.h"
#include "cli/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct target {
    bool flag;
    const char *text;
    long long count;
    int64_t duration;
};

static const struct cli_option list[] = {
    {"flag", 'f', CLI_FLAG, offsetof(struct target, flag), 0},
    {"text", 't', CLI_TEXT, offsetof(struct target, text), 1},
    {"count", 0, CLI_COUNT, offsetof(struct target, count), 2},
    {"duration", 0, CLI_DURATION, offsetof(struct target, duration), 2},
};
static const struct cli_options options = {"test", "help of test\n", list, 4, true};
static const struct cli_options alone = {"test", "help of test\n", list, 4, false};

// Reads `words`, separated by blanks; stdout and stderr go to `said`.
static int read_words(const char *words, struct target *target, char *said, size_t size)
{
    char text[256];
    char *argv[16] = {0};
    int argc = 0;
    FILE *file = tmpfile();
    snprintf(text, sizeof(text), "test %s", words);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    *target = (struct target){0};
    optind = 0; // glibc: from the beginning
    fflush(NULL);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int code = cli_options_read(&options, argc, argv, target);
    target->text = target->text != NULL ? strstr(words, target->text) : NULL; // argv ends here
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(file);
    said[fread(said, 1, size - 1, file)] = '\0';
    fclose(file);
    return code;
}

static void test_all_types(void **state)
{
    (void)state;
    struct target t;
    char said[512];
    assert_int_equal(read_words("a --flag --text=x --count 7 b --duration 90s", &t, said, 512),
                     CLI_GO_ON);
    assert_true(t.flag);
    assert_memory_equal(t.text, "x", 1);
    assert_int_equal(t.count, 7);
    assert_int_equal(t.duration, 90000000);
    assert_string_equal(said, "");
    assert_int_equal(optind, 7);
    assert_int_equal(read_words("-ft y", &t, said, 512), CLI_GO_ON);
    assert_true(t.flag && t.text != NULL);
}

static void test_faults(void **state)
{
    static const char *const faults[][2] = {
        {"--count 0", "--count takes a whole number above 0, not \"0\""},
        {"--count 1x", "--count takes"},
        {"--count -1", "--count takes"},
        {"--count 9999999999999999", "--count takes"},
        {"--duration 5", "--duration takes a duration"},
        {"--duration 0s", "--duration takes a duration"},
        {"--nothing",
         "unknown option \"--nothing\" (known here: flag, text, count, duration, help)"},
        {"--cuont 7", "unknown option \"--cuont\" (did you mean \"count\"?)"},
        {"--flag=yes", "--flag takes no value"},
        {"-t", "-t needs a value"},
        {"--text", "--text needs a value"},
        {"-x", "unknown option \"-x\";"},
    };
    struct target t;
    char said[512];
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        assert_int_equal(read_words(faults[i][0], &t, said, 512), EXIT_WRONG_USAGE);
        assert_non_null(strstr(said, faults[i][1]));
        assert_non_null(strstr(said, "cxsink test --help"));
    }
}

static void test_help(void **state)
{
    struct target t;
    char said[512];
    (void)state;
    assert_int_equal(read_words("--help", &t, said, 512), EXIT_DONE);
    assert_string_equal(said, "help of test\n");
    assert_int_equal(read_words("-h", &t, said, 512), EXIT_DONE);
    assert_string_equal(said, "help of test\n");
}

static void test_misplaced(void **state)
{
    (void)state;
    struct target t = {.flag = true};
    assert_null(cli_options_misplaced(&options, &t, 2));
    t.text = "x";
    assert_null(cli_options_misplaced(&options, &t, 1));
    assert_string_equal(cli_options_misplaced(&options, &t, 2), "text");
    t = (struct target){.count = 1};
    assert_string_equal(cli_options_misplaced(&options, &t, 1), "count");
    t = (struct target){.duration = 1};
    assert_string_equal(cli_options_misplaced(&options, &t, 1), "duration");
    assert_null(cli_options_misplaced(&options, &t, 2 | 4));
}

static void test_no_arguments(void **state)
{
    char *argv[] = {"test", "--flag", "more", NULL};
    struct target t = {0};
    (void)state;
    assert_int_equal(cli_options_read(&alone, 3, argv, &t), EXIT_WRONG_USAGE);
    assert_int_equal(cli_options_read(&alone, 2, argv, &t), CLI_GO_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types),    cmocka_unit_test(test_faults),
        cmocka_unit_test(test_help),         cmocka_unit_test(test_misplaced),
        cmocka_unit_test(test_no_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
