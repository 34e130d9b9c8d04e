// SPDX-License-Identifier: Apache-2.0
// Texts of libpq to codes and words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pg/error_priv.h"

static void test_connect_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sqlstate, *message;
    } cases[] = {
        {"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: password "
         "authentication failed for user \"u\"\nLOCATION:  auth_failed, auth.c:334\n",
         "28P01",
         "connection to server at \"127.0.0.1\", port 1 failed: FATAL: password authentication "
         "failed for user \"u\""},
        // Another language: the code is still where it was.
        {"Verbindung fehlgeschlagen: FATAL:  3D000: Datenbank \xC2\xBB"
         "x\xC2\xAB existiert nicht\n",
         "3D000",
         "Verbindung fehlgeschlagen: FATAL: Datenbank \xC2\xBB"
         "x\xC2\xAB existiert nicht"},
        {"a failed: Connection refused\n\tIs the server running?\nb failed: FATAL:  57P03: the "
         "database system is starting up\n",
         "57P03",
         "a failed: Connection refused; b failed: FATAL: the database system is starting up"},
        {"a failed: Connection refused\n", "", "a failed: Connection refused"},
        {"x:  28P0: no\n", "", "x:  28P0: no"},
        {"x:  28p01: no", "", "x:  28p01: no"},
        {"FATAL:  28000", "28000", "FATAL: "},
        {"", "", "the connection failed"},
        {"\n\n", "", "the connection failed"},
    };
    struct pg_error error;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pg_error_from_connect(cases[i].text, &error);
        assert_string_equal(error.sqlstate, cases[i].sqlstate);
        assert_string_equal(error.message, cases[i].message);
    }
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char text[2000];
    struct pg_error error;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    pg_error_from_connect(text, &error);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    pg_error_from_broken(text, &error);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    pg_error_set(&error, "08006", "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_string_equal(error.sqlstate, "08006");
}

static void test_broken_texts(void **state)
{
    (void)state;
    struct pg_error error;
    pg_error_from_broken("ERROR:  22P02\nserver closed the connection unexpectedly\n\tThis "
                         "probably means\n",
                         &error);
    assert_string_equal(error.message, "server closed the connection unexpectedly");
    assert_string_equal(error.sqlstate, "");
    pg_error_from_broken("ERROR:  22P02\n", &error);
    assert_string_equal(error.message, "the connection to the server broke");
    pg_error_from_broken("", &error);
    assert_string_equal(error.message, "the connection to the server broke");
}

static void test_result_without_fields(void **state)
{
    (void)state;
    struct pg_error error;
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    pg_error_from_result(result, &error);
    assert_string_equal(error.sqlstate, "");
    assert_string_equal(error.detail, "");
    assert_false(pg_error_is_fatal(result));
    PQclear(result);
}

static void remedies(void **state)
{
    (void)state;
    assert_non_null(strstr(pg_remedy("28P01"), "password"));
    assert_non_null(strstr(pg_remedy("28000"), "pg_hba.conf"));
    assert_non_null(strstr(pg_remedy("3D000"), "CREATE DATABASE"));
    assert_non_null(strstr(pg_remedy("57P01"), "restarting"));
    assert_non_null(strstr(pg_remedy(""), "host and port"));
    assert_non_null(strstr(pg_remedy("XX000"), "host and port"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_texts), cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_broken_texts),  cmocka_unit_test(test_result_without_fields),
        cmocka_unit_test(remedies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
