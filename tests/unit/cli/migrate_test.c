// SPDX-License-Identifier: Apache-2.0
// cxsink migrate: exit codes and what it leaves in the database.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <getopt.h>

#include "app/daemon.h"
#include "cli/migrate.h"
#include "support/pg_server.h"

static struct pg_server *server;
static char dir[64], config_path[96], out_path[96];

static int start(void **state)
{
    (void)state;
    server = pg_server_start();
    snprintf(dir, sizeof(dir), "/tmp/cxsink-migrate-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(config_path, sizeof(config_path), "%s/cxsink.json", dir);
    snprintf(out_path, sizeof(out_path), "%s/out", dir);
    FILE *file = fopen(config_path, "w");
    fputs("{\"auth\": {\"a\": {\"grant\": \"static\", \"token\": \"t\"}},"
          " \"streams\": {\"s\": {\"url\": \"ws://127.0.0.1:1/\", \"auth\": \"a\","
          " \"table\": \"cxone_events\"}},"
          " \"tables\": {\"cxone_events\": {\"columns\": {\"interaction_id\": \"/interactionId\","
          " \"timestamp\": \"/timestamp\", \"type\": \"/type\","
          " \"idempotency_key\": \"/idempotencyKey\"}, \"key\": [\"idempotency_key\"],"
          " \"update\": [\"timestamp\"], \"newest_by\": \"timestamp\", \"touch\": null}},"
          " \"postgres\": {\"dsn\": {\"env\": \"CXSINK_PG_DSN\"}, \"connect_timeout\": \"5s\"}}",
          file);
    fclose(file);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_server_stop(&server);
    unlink(config_path);
    unlink(out_path);
    rmdir(dir);
    return 0;
}

// Runs the command with stdout and stderr in a file. `dsn` NULL: none is needed.
static int run(const char *dsn, char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    setenv("CXSINK_PG_DSN", dsn != NULL ? dsn : "", 1);
    fflush(NULL);
    int out = dup(1), err = dup(2);
    int file = open(out_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    dup2(file, 1);
    dup2(file, 2);
    optind = 0; // getopt starts anew
    int code = cli_migrate(argc, argv);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(file);
    close(out);
    close(err);
    return code;
}

// What the command printed. The text is static.
static const char *printed(void)
{
    static char text[32768];
    FILE *file = fopen(out_path, "r");
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

#define MIGRATE(dsn, ...) run(dsn, (char *[]){"migrate", "-c", config_path, __VA_ARGS__})

static const char *target(char text[256], const char *database, const char *more)
{
    snprintf(text, 256, "host=%s port=%d user=postgres dbname=%s %s", server->dir, server->port,
             database, more);
    return text;
}

static void assert_printed(const char *what)
{
    if (strstr(printed(), what) == NULL)
        fail_msg("not in: %s", printed());
}

static void test_applies(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE(pg_server_dsn(server), NULL), EXIT_DONE);
    assert_printed("database schema brought to version");
    assert_int_equal(MIGRATE(pg_server_dsn(server), NULL), EXIT_DONE);
    assert_printed("database schema is up to date at version");
    assert_int_equal(MIGRATE(pg_server_dsn(server), "--json", NULL), EXIT_DONE);
    assert_printed("{\"result\":\"ok\",\"version\":");
    assert_printed("\"applied\":0,");
}

static void test_prints(void **state)
{
    (void)state;
    char dsn[256];
    free(pg_server_query(server, "CREATE DATABASE printed"));
    target(dsn, "printed", "");
    assert_int_equal(run(NULL, (char *[]){"migrate", "--print", NULL}), EXIT_DONE);
    char *text = pg_server_query_as(dsn, printed());
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(MIGRATE(dsn, NULL), EXIT_DONE);
    assert_printed("up to date");
}

static void test_refused(void **state)
{
    (void)state;
    char dsn[256];
    free(pg_server_query(server, "CREATE ROLE weak LOGIN"));
    free(pg_server_query(server, "CREATE DATABASE closed"));
    assert_int_equal(MIGRATE(target(dsn, "closed", "user=weak"), NULL), EXIT_NO);
    assert_printed("GRANT CREATE ON DATABASE");
    assert_printed("(SQLSTATE 42501)");
    assert_int_equal(MIGRATE(dsn, "--json", NULL), EXIT_NO);
    assert_printed("{\"result\":\"denied\"");
}

static void test_configuration_faults(void **state)
{
    (void)state;
    char dsn[256];
    assert_int_equal(MIGRATE(target(dsn, "absent", ""), NULL), EXIT_CONFIG);
    assert_printed("(SQLSTATE 3D000); create the database");
    assert_int_equal(run("", (char *[]){"migrate", "-c", "/nowhere/cxsink.json", NULL}),
                     EXIT_CONFIG);
}

static void test_no_server(void **state)
{
    (void)state;
    char dsn[128];
    snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=u password=sesame-sesame",
             pg_server_free_port());
    assert_int_equal(MIGRATE(dsn, NULL), EXIT_NO_SERVER);
    assert_printed("refused; check host and port of postgres.dsn");
    assert_null(strstr(printed(), "sesame"));
}

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("", "more", NULL), EXIT_WRONG_USAGE);
    assert_int_equal(MIGRATE("", "--wrong", NULL), EXIT_WRONG_USAGE);
    assert_int_equal(MIGRATE("", "--help", NULL), EXIT_DONE);
    assert_printed("usage: cxsink migrate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applies),   cmocka_unit_test(test_prints),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_configuration_faults),
        cmocka_unit_test(test_no_server), cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
