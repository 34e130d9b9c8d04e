// SPDX-License-Identifier: Apache-2.0
// DSNs completed and made numeric. No server: what libpq is handed is read back from it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conn.h"
#include "pg/dsn_priv.h"

static struct dsn *parse(const char *text)
{
    struct dsn *dsn;
    struct status st = {0};
    const struct dsn_settings settings = {
        .text = text, .application_name = "cxsink", .answer_timeout_us = 35000000};
    if (dsn_parse(&settings, &dsn, &st) != STATUS_OK)
        fail_msg("%s: %s", text, st.detail);
    assert_int_equal(pg_dsn_check(text, &st), STATUS_OK);
    return dsn;
}

static void refuse(const char *text, const char *word)
{
    struct dsn *dsn;
    struct status st = {0};
    const struct dsn_settings settings = {.text = text};
    assert_int_equal(dsn_parse(&settings, &dsn, &st), STATUS_INVALID);
    assert_null(dsn);
    if (strstr(st.detail, word) == NULL)
        fail_msg("%s", st.detail);
    assert_null(strstr(st.detail, "sesame"));
    st = (struct status){0};
    assert_int_equal(pg_dsn_check(text, &st), STATUS_INVALID);
    assert_non_null(strstr(st.detail, word));
}

// What libpq was handed for a keyword; "" when nothing. The text is static.
static const char *handed(PGconn *pg, const char *keyword)
{
    static char value[512];
    PQconninfoOption *options = PQconninfo(pg);
    value[0] = '\0';
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0 && o->val != NULL)
            snprintf(value, sizeof(value), "%s", o->val);
    }
    PQconninfoFree(options);
    return value;
}

static void assert_handed(struct dsn *dsn, const char *host, const char *hostaddr, const char *port)
{
    PGconn *pg = dsn_connect(dsn);
    assert_non_null(pg);
    assert_string_equal(handed(pg, "host"), host);
    assert_string_equal(handed(pg, "hostaddr"), hostaddr);
    assert_string_equal(handed(pg, "port"), port);
    PQfinish(pg);
}

static void test_defaults(void **state)
{
    (void)state;
    struct dsn *dsn = parse("host=/nowhere user=u");
    PGconn *pg = dsn_connect(dsn);
    assert_string_equal(handed(pg, "host"), "/nowhere");
    assert_string_equal(handed(pg, "port"), "5432");
    assert_string_equal(handed(pg, "application_name"), "cxsink");
    assert_string_equal(handed(pg, "client_encoding"), "UTF8");
    assert_string_equal(handed(pg, "gssencmode"), "disable");
    assert_string_equal(handed(pg, "tcp_user_timeout"), "35000");
    assert_string_equal(handed(pg, "keepalives"), "1");
    assert_string_equal(handed(pg, "keepalives_idle"), "30");
    assert_string_equal(handed(pg, "keepalives_interval"), "10");
    assert_string_equal(handed(pg, "keepalives_count"), "3");
    assert_string_equal(handed(pg, "target_session_attrs"), "any");
    PQfinish(pg);
    dsn_free(&dsn);
    assert_null(dsn);
    dsn_free(&dsn);
}

static void test_keeps_what_the_user_says(void **state)
{
    (void)state;
    struct dsn *dsn = parse("postgresql://u:open%20sesame@[::1]:99/db?application_name=mine"
                            "&keepalives_idle=7&tcp_user_timeout=1&sslmode=verify-full"
                            "&target_session_attrs=read-write&gssencmode=require"
                            "&client_encoding=LATIN1&options=-c%20geqo%3Doff");
    PGconn *pg = dsn_connect(dsn);
    assert_string_equal(handed(pg, "user"), "u");
    assert_string_equal(handed(pg, "password"), "open sesame");
    assert_string_equal(handed(pg, "dbname"), "db");
    assert_string_equal(handed(pg, "application_name"), "mine");
    assert_string_equal(handed(pg, "keepalives_idle"), "7");
    assert_string_equal(handed(pg, "tcp_user_timeout"), "1");
    assert_string_equal(handed(pg, "sslmode"), "verify-full");
    assert_string_equal(handed(pg, "target_session_attrs"), "read-write");
    assert_string_equal(handed(pg, "gssencmode"), "require");
    assert_string_equal(handed(pg, "options"), "-c geqo=off");
    assert_string_equal(handed(pg, "client_encoding"), "UTF8"); // but not this
    PQfinish(pg);
    char peer[64];
    dsn_describe(dsn, peer, sizeof(peer));
    assert_string_equal(peer, "[::1]:99");
    dsn_free(&dsn);
}

static void test_numeric_hosts_and_sockets(void **state)
{
    (void)state;
    char peer[128];
    struct dsn *dsn = parse("host=127.0.0.1,/run/pg,fe80::1%lo port=1,2,3");
    assert_int_equal(dsn_hosts(dsn), 3);
    for (size_t i = 0; i < 3; i++)
        assert_null(dsn_lookup_name(dsn, i));
    dsn_describe(dsn, peer, sizeof(peer));
    assert_string_equal(peer, "127.0.0.1:1,/run/pg/.s.PGSQL.2,[fe80::1%lo]:3");
    assert_handed(dsn, "127.0.0.1,/run/pg,fe80::1%lo", "127.0.0.1,,fe80::1%lo", "1,2,3");
    dsn_free(&dsn);
}

// Addresses come in any order; the list keeps the hosts' order, and repeats host and port.
static void test_expands_names(void **state)
{
    (void)state;
    struct dsn *dsn = parse("host=a.test,127.0.0.9,b.test,c.test port=7");
    assert_string_equal(dsn_lookup_name(dsn, 0), "a.test");
    assert_null(dsn_lookup_name(dsn, 1));
    assert_string_equal(dsn_lookup_name(dsn, 2), "b.test");
    dsn_add_address(dsn, 2, "::1");
    dsn_add_address(dsn, 0, "127.0.0.1");
    dsn_add_address(dsn, 0, "127.0.0.2");
    assert_handed(dsn, "a.test,a.test,127.0.0.9,b.test", "127.0.0.1,127.0.0.2,127.0.0.9,::1",
                  "7,7,7,7"); // c.test has none and is left out
    dsn_free(&dsn);
}

static void test_given_hostaddr(void **state)
{
    (void)state;
    char peer[128];
    struct dsn *dsn = parse("host=a.test,b.test hostaddr=127.0.0.1,127.0.0.2 port=1,2");
    assert_null(dsn_lookup_name(dsn, 0));
    assert_handed(dsn, "a.test,b.test", "127.0.0.1,127.0.0.2", "1,2");
    dsn_describe(dsn, peer, sizeof(peer));
    assert_string_equal(peer, "a.test:1,b.test:2");
    dsn_free(&dsn);
    dsn = parse("hostaddr=127.0.0.1 port=1");
    assert_handed(dsn, "", "127.0.0.1", "1");
    dsn_describe(dsn, peer, sizeof(peer));
    assert_string_equal(peer, "127.0.0.1:1");
    dsn_free(&dsn);
}

static void test_no_address_at_all(void **state)
{
    (void)state;
    struct dsn *dsn = parse("host=a.test");
    assert_null(dsn_connect(dsn));
    for (int i = 0; i < DSN_TARGETS_MAX + 5; i++) // the bound holds
        dsn_add_address(dsn, 0, "127.0.0.1");
    PGconn *pg = dsn_connect(dsn);
    assert_non_null(pg);
    PQfinish(pg);
    dsn_free(&dsn);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("PGHOST", "env.test", 1);
    setenv("PGPORT", "77", 1);
    setenv("PGTARGETSESSIONATTRS", "primary", 1);
    struct dsn *dsn = parse("");
    assert_string_equal(dsn_lookup_name(dsn, 0), "env.test");
    dsn_add_address(dsn, 0, "127.0.0.1");
    assert_handed(dsn, "env.test", "127.0.0.1", "77");
    PGconn *pg = dsn_connect(dsn);
    assert_string_equal(handed(pg, "target_session_attrs"), "primary");
    PQfinish(pg);
    dsn_free(&dsn);
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    unsetenv("PGTARGETSESSIONATTRS");
}

static void test_refuses(void **state)
{
    (void)state;
    refuse("sesame", "cannot be parsed");
    refuse("password=open sesame", "cannot be parsed");
    refuse("sesame=1", "cannot be parsed");
    refuse("postgres://u:p@sesame@h/db", "%40");
    refuse("postgresql://u:p/sesame@h/db", "%2F");
    refuse("host=u:p@sesame", "'@'");
    refuse("host=h port=sesame", "port");
    refuse("host=h port=70000", "port");
    refuse("host=a,b port=1,2,3 password=sesame", "numbers must match");
    refuse("host=a,b hostaddr=127.0.0.1", "numbers must match");
    refuse("service=absent password=sesame", "absent");
    char many[512] = "host=a";
    for (int i = 0; i < DSN_TARGETS_MAX; i++)
        strcat(many, ",a");
    refuse(many, "the most");
    // These look alike and are fine.
    static const char *const fine[] = {
        "postgresql://u%40x:p%40%2F@h/db", "postgresql://%2Frun%2Fpg/db", "postgresql://u@h",
        "postgresql:///db?host=/run/pg&user=a@b", "postgresql://u:p?q@h/db"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        struct dsn *dsn = parse(fine[i]);
        dsn_free(&dsn);
    }
}

static void test_scrubs(void **state)
{
    (void)state;
    struct dsn *dsn = parse("host=/x password=sesame sslpassword=saffron");
    char text[128] = "sesame, open sesame saffron from.file and a";
    dsn_scrub(dsn, "from.file", text);
    assert_string_equal(text, "***, open *** *** *** and a");
    dsn_scrub(dsn, "a", text); // too short to tell from words
    assert_string_equal(text, "***, open *** *** *** and a");
    dsn_scrub(dsn, NULL, text);
    dsn_free(&dsn);
}

static void test_formats_peers(void **state)
{
    (void)state;
    char text[64];
    dsn_format_peer("", "5432", text, sizeof(text));
    assert_string_equal(text, "the local socket");
    dsn_format_peer("db", "5432", text, sizeof(text));
    assert_string_equal(text, "db:5432");
    dsn_format_peer("@abstract", "5", text, sizeof(text));
    assert_string_equal(text, "@abstract/.s.PGSQL.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_keeps_what_the_user_says),
        cmocka_unit_test(test_numeric_hosts_and_sockets),
        cmocka_unit_test(test_expands_names),
        cmocka_unit_test(test_given_hostaddr),
        cmocka_unit_test(test_no_address_at_all),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_scrubs),
        cmocka_unit_test(test_formats_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
