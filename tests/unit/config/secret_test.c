// SPDX-License-Identifier: Apache-2.0
// Values from the environment, files and credentials, and what is said when they are not there.
#include "config_support.h"

#include "config/secret.h"

static void expect_expansion(const char *text, const char *expected)
{
    struct status st = {0};
    char *expanded = secret_expand(text, &st);
    assert_non_null(expanded);
    assert_string_equal(expanded, expected);
    mem_wipe_free(&expanded);
}

static void expect_failure(const char *text, enum status_code code, const char *fragment)
{
    struct status st = {0};
    assert_null(secret_expand(text, &st));
    assert_int_equal(st.code, code);
    assert_non_null(strstr(st.detail, fragment));
}

static void expands_the_environment(void **state)
{
    (void)state;
    setenv("CXT_A", "alpha", 1);
    setenv("CXT_EMPTY", "", 1);
    setenv("CXT_NESTED", "${CXT_A}", 1);
    unsetenv("CXT_NONE");
    expect_expansion("", "");
    expect_expansion("plain", "plain");
    expect_expansion("${CXT_A}", "alpha");
    expect_expansion("<${CXT_A}|${CXT_A}>", "<alpha|alpha>");
    expect_expansion("${CXT_EMPTY}", "");
    expect_expansion("${CXT_NONE:-else}", "else");
    expect_expansion("${CXT_NONE:-}", "");
    expect_expansion("${CXT_EMPTY:-else}", "else");
    expect_expansion("${CXT_A:-else}", "alpha");
    expect_expansion("${CXT_NONE:-https://h:1/$x-:-y}", "https://h:1/$x-:-y");
    expect_expansion("${CXT_NESTED}", "${CXT_A}"); // not again
}

static void a_lone_dollar_is_a_dollar(void **state)
{
    (void)state;
    setenv("CXT_A", "alpha", 1);
    expect_expansion("$", "$");
    expect_expansion("$CXT_A", "$CXT_A");
    expect_expansion("a$$b", "a$$b");
    expect_expansion("$${CXT_A}$", "$alpha$");
    expect_expansion("{CXT_A}", "{CXT_A}");
}

static void names_the_variable_that_is_not_set(void **state)
{
    (void)state;
    unsetenv("CXT_NONE");
    setenv("CXT_A", "secret-value", 1);
    expect_failure("${CXT_NONE}", STATUS_NOT_FOUND, "CXT_NONE");
    expect_failure("${CXT_A}${CXT_NONE}", STATUS_NOT_FOUND, "${CXT_NONE:-default}");
    struct status st = {0};
    assert_null(secret_expand("${CXT_A}${CXT_NONE}", &st));
    assert_null(strstr(st.detail, "secret-value"));
}

static void refuses_other_forms(void **state)
{
    (void)state;
    static const char *const cases[] = {"${}",    "${1A}",   "${A B}", "${A-b}",
                                        "${A:b}", "${A:=b}", "${:-b}"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_failure(cases[i], STATUS_INVALID, "${NAME:-default}");
    expect_failure("${A", STATUS_INVALID, "not closed");
    expect_failure("x${", STATUS_INVALID, "not closed");
}

static void reads_the_environment(void **state)
{
    (void)state;
    struct status st = {0};
    setenv("CXT_A", "${x}", 1);
    unsetenv("CXT_NONE");
    char *value = secret_from_env("CXT_A", &st);
    assert_string_equal(value, "${x}"); // as it is
    mem_wipe_free(&value);
    assert_null(value);
    assert_null(secret_from_env("CXT_NONE", &st));
    assert_int_equal(st.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(st.detail, "CXT_NONE"));
    assert_null(secret_from_env("", &st));
}

static void expect_file(struct fixture *f, const char *content, const char *expected)
{
    struct status st = {0};
    char *path = write_beside(f, "secret", content);
    char *secret = secret_from_file(path, &st);
    assert_non_null(secret);
    assert_string_equal(secret, expected);
    mem_wipe_free(&secret);
    unlink(path);
    free(path);
}

static void reads_a_file_without_its_last_newline(void **state)
{
    expect_file(*state, "s3cret", "s3cret");
    expect_file(*state, "s3cret\n", "s3cret");
    expect_file(*state, "s3cret\n\n", "s3cret\n");
    expect_file(*state, " a\nb ", " a\nb ");
    expect_file(*state, "", "");
    expect_file(*state, "\n", "");
}

static void names_the_file_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct status st = {0};
    char *path = mem_printf("%s/absent", f->dir);
    assert_null(secret_from_file(path, &st));
    assert_int_equal(st.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(st.detail, path));
    free(path);
    assert_null(secret_from_file(f->dir, &st));
    assert_int_equal(st.code, STATUS_IO);
}

static void refuses_a_file_with_nul_or_too_large(void **state)
{
    struct fixture *f = *state;
    struct status st = {0};
    char *path = mem_printf("%s/odd", f->dir);
    write_bytes(path, "pass\0word", 9);
    assert_null(secret_from_file(path, &st));
    assert_int_equal(st.code, STATUS_INVALID);
    assert_null(strstr(st.detail, "pass"));

    char *large = mem_alloc(SECRET_FILE_MAX + 1);
    memset(large, 'x', SECRET_FILE_MAX + 1);
    write_bytes(path, large, SECRET_FILE_MAX + 1);
    assert_null(secret_from_file(path, &st));
    assert_int_equal(st.code, STATUS_FULL);
    write_bytes(path, large, SECRET_FILE_MAX);
    char *secret = secret_from_file(path, &st);
    assert_int_equal(strlen(secret), SECRET_FILE_MAX);
    mem_wipe_free(&secret);
    unlink(path);
    free(path);
    free(large);
}

static void reads_a_credential(void **state)
{
    struct fixture *f = *state;
    struct status st = {0};
    char *path = write_beside(f, "dsn", "host=h\n");
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    char *secret = secret_from_credential("dsn", &st);
    assert_string_equal(secret, "host=h");
    mem_wipe_free(&secret);
    static const char *const names[] = {"", ".", "..", "../dsn", "a/b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_null(secret_from_credential(names[i], &st));
        assert_int_equal(st.code, STATUS_INVALID);
    }
    assert_null(secret_from_credential("other", &st));
    assert_int_equal(st.code, STATUS_NOT_FOUND);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(secret_from_credential("dsn", &st));
    assert_non_null(strstr(st.detail, "LoadCredential=dsn"));
    unlink(path);
    free(path);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands_the_environment),
        cmocka_unit_test(a_lone_dollar_is_a_dollar),
        cmocka_unit_test(names_the_variable_that_is_not_set),
        cmocka_unit_test(refuses_other_forms),
        cmocka_unit_test(reads_the_environment),
        with_files(reads_a_file_without_its_last_newline),
        with_files(names_the_file_that_cannot_be_read),
        with_files(refuses_a_file_with_nul_or_too_large),
        with_files(reads_a_credential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
