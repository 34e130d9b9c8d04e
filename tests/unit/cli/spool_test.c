// SPDX-License-Identifier: Apache-2.0
// cxsink spool: what it prints and how it ends, over spools that are whole, damaged, not there.
#include "spool/fixture.h"

#include "app/daemon.h"
#include "cli/spool.h"

// Runs the command with its standard output in `out` (a text, freed by the caller).
static int run(char **out, const char *a, const char *b, const char *c, const char *d)
{
    char *argv[] = {"spool", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    fflush(stdout);
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    int code = cli_spool(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    long size = lseek(fileno(file), 0, SEEK_END);
    *out = mem_zalloc((size_t)size + 1);
    assert_int_equal(pread(fileno(file), *out, (size_t)size, 0), size);
    fclose(file);
    return code;
}

static void expect(const char *out, const char *part)
{
    if (strstr(out, part) == NULL) {
        print_error("%s", out);
        fail_msg("no \"%s\" in it", part);
    }
}

static void make_spool(struct fixture *fx)
{
    fx_open(fx);
    fx_write(fx, 10);
    spool_ack(fx->spool, 4);
    fx_close(fx);
}

static void damage(struct fixture *fx)
{
    char names[4][SEGMENT_NAME_SIZE];
    char *data;
    assert_int_equal(fx_segments(fx, names, 4), 1);
    size_t size = fx_file_read(fx, names[0], &data);
    data[80] ^= 1;
    fx_file_write(fx, names[0], data, size);
    free(data);
}

static void test_stat(void **state)
{
    struct fixture *fx = *state;
    char *out;
    make_spool(fx);
    assert_int_equal(run(&out, "stat", "--dir", fx->dir, NULL), EXIT_DONE);
    expect(out, "segments        1\n");
    expect(out, "records         10 (numbers 1 to 10)\n");
    expect(out, "acknowledged    up to number 4\n");
    expect(out, "unacknowledged  6 (the oldest from 2023-11-14T22:13:20.000Z)\n");
    expect(out, "damaged places  0\n");
    free(out);
    assert_int_equal(run(&out, "stat", "--json", "--dir", fx->dir), EXIT_DONE);
    expect(out, "\"records\":10,\"unacknowledged\":6,\"first_seq\":1,\"last_seq\":10,"
                "\"acked_seq\":4,\"oldest_at\":\"2023-11-14T22:13:20.000Z\",\"corrupt_places\":0");
    assert_null(strstr(out, "\"damage\""));
    free(out);
}

static void test_verify_whole(void **state)
{
    struct fixture *fx = *state;
    char *out;
    make_spool(fx);
    assert_int_equal(run(&out, "--dir", fx->dir, "verify", NULL), EXIT_DONE);
    expect(out, "damaged places  0\n");
    free(out);
    assert_int_equal(run(&out, "--dir", fx->dir, "verify", "--json"), EXIT_DONE);
    expect(out, "\"damage\":[]}\n");
    free(out);
}

static void test_verify_damaged(void **state)
{
    struct fixture *fx = *state;
    char *out;
    make_spool(fx);
    damage(fx);
    assert_int_equal(run(&out, "verify", "--dir", fx->dir, NULL), EXIT_NO);
    expect(out, "/0000000000000001.seg: offset 64: ");
    expect(out, "damaged places  1 (");
    free(out);
    assert_int_equal(run(&out, "verify", "--dir", fx->dir, "--json"), EXIT_NO);
    expect(out, "\"damage\":[{\"file\":\"0000000000000001.seg\",\"offset\":64,\"bytes\":");
    free(out);
    assert_int_equal(run(&out, "stat", "--dir", fx->dir, NULL), EXIT_DONE); // only says so
    expect(out, "`cxsink spool verify` lists them");
    free(out);
}

static void test_empty(void **state)
{
    struct fixture *fx = *state;
    char *out;
    fx_open(fx); // and in use
    assert_int_equal(run(&out, "stat", "--json", "--dir", fx->dir), EXIT_DONE);
    expect(out, "\"records\":0,");
    expect(out, "\"oldest_at\":null");
    free(out);
}

static void test_not_there(void **state)
{
    struct fixture *fx = *state;
    char *out;
    assert_int_equal(run(&out, "stat", "--dir", fx->dir, NULL), EXIT_NO);
    assert_string_equal(out, "");
    free(out);
    assert_int_equal(run(&out, "verify", "--dir", fx->base, NULL), EXIT_NO);
    free(out);
    assert_int_equal(run(&out, "verify", "-c", "/nonexistent/cxsink.json", NULL), EXIT_CONFIG);
    free(out);
}

static void test_usage(void **state)
{
    (void)state;
    char *out;
    const char *const wrong[][3] = {{NULL},
                                    {"frobnicate"},
                                    {"stat", "verify"},
                                    {"stat", "--frobnicate"},
                                    {"stat", "--dir"},
                                    {"stat", "-cx", "--dir=y"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(run(&out, wrong[i][0], wrong[i][1], wrong[i][2], NULL), EXIT_WRONG_USAGE);
        assert_string_equal(out, "");
        free(out);
    }
    assert_int_equal(run(&out, "--help", NULL, NULL, NULL), EXIT_DONE);
    expect(out, "usage: cxsink spool stat|verify");
    free(out);
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_stat),  spool_test(test_verify_whole), spool_test(test_verify_damaged),
        spool_test(test_empty), spool_test(test_not_there),    cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
