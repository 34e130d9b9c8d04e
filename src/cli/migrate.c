// SPDX-License-Identifier: Apache-2.0
#include "cli/migrate.h"

#include "app/daemon.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/loop.h"
#include "jobs/queue.h"
#include "net/resolve.h"
#include "pg/conn.h"
#include "pg/migrate.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: cxsink migrate [--print] [-c FILE] [--json]\n"
    "\n"
    "Brings the database schema up to date, in one transaction: schema cxsink, and the default\n"
    "destination table when it is missing. Running it again changes nothing.\n"
    "\n"
    "      --print         only prints the SQL, for a DBA; needs no configuration\n"
    "      --json          prints the outcome as a JSON object\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "Exit codes: 0 up to date; 1 the database refuses; 69 PostgreSQL cannot be reached;\n"
    "78 configuration fault.\n";

struct migrate_request {
    const char *path;
    bool print, json;
};

// The connection and what came of it.
struct session {
    struct loop *loop;
    struct resolver *resolver;
    struct pg_conn *conn;
    struct migrate_run *run;
    struct migrate_outcome outcome;
    bool connected;
    bool has_jobs; // the configuration
};

static void on_migrated(void *owner, const struct migrate_outcome *outcome)
{
    struct session *s = owner;
    s->run = NULL;
    s->outcome = *outcome;
    struct status st;
    if (s->has_jobs && outcome->code == STATUS_OK && outcome->detail[0] == '\0' &&
        queue_check_server(pg_conn_server_version(s->conn), &st) != STATUS_OK)
        snprintf(s->outcome.detail, sizeof(s->outcome.detail), "%s", st.detail);
    loop_stop(s->loop);
}

static void on_connected(void *owner)
{
    struct session *s = owner;
    s->connected = true;
    s->run = migrate_start(s->conn, MIGRATE_APPLY, on_migrated, s);
}

static void on_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct session *s = owner;
    if (s->run != NULL)
        migrate_result(s->run, result, error);
}

static void on_synced(void *owner)
{
    struct session *s = owner;
    if (s->run != NULL)
        migrate_synced(s->run);
}

static void on_failed(void *owner, const struct pg_error *error)
{
    struct session *s = owner;
    migrate_cancel(&s->run);
    s->outcome.code = STATUS_UNAVAILABLE;
    memcpy(s->outcome.sqlstate, error->sqlstate, sizeof(s->outcome.sqlstate));
    snprintf(s->outcome.detail, sizeof(s->outcome.detail), "%s", error->message);
    loop_stop(s->loop);
}

static void run_session(struct session *s, const struct config_postgres *postgres)
{
    static const struct pg_callbacks callbacks = {
        .connected = on_connected, .result = on_result, .synced = on_synced, .failed = on_failed};
    const struct pg_settings settings = {
        .dsn = postgres->dsn,
        .application_name = "cxsink migrate",
        .connect_timeout_us = postgres->connect_timeout_us,
        // The lock may be held by another one that migrates.
        .answer_timeout_us = postgres->statement_timeout_us + 60 * US_PER_S,
    };
    s->conn = pg_conn_open(s->loop, s->resolver, &settings, &callbacks, s);
    loop_run(s->loop);
    pg_conn_close(&s->conn);
}

static void migrate(struct session *s, const struct config_postgres *postgres)
{
    struct status st;
    s->outcome.code = STATUS_INTERNAL;
    s->loop = loop_create(&st);
    s->resolver = s->loop != NULL ? resolver_create(s->loop, &st) : NULL;
    if (s->resolver != NULL)
        run_session(s, postgres);
    else
        snprintf(s->outcome.detail, sizeof(s->outcome.detail), "%s", st.detail);
    resolver_destroy(&s->resolver);
    loop_destroy(&s->loop);
}

static int exit_code(const struct session *s)
{
    switch (s->outcome.code) {
    case STATUS_OK:
        return EXIT_DONE;
    case STATUS_INVALID:
    case STATUS_DENIED:
        return EXIT_NO;
    case STATUS_UNAVAILABLE:
        // Credentials or a database name that the server refuses are the configuration's.
        return !s->connected && pg_classify(s->outcome.sqlstate) == PG_CLASS_BLOCKED
                   ? EXIT_CONFIG
                   : EXIT_NO_SERVER;
    default:
        return EXIT_FAULT;
    }
}

static void print_json(const struct migrate_outcome *outcome)
{
    struct buf out = {0};
    buf_printf(&out, "{\"result\":\"%s\",\"version\":%u,\"applied\":%u,\"sqlstate\":",
               status_code_name(outcome->code), outcome->version, outcome->applied);
    buf_json_string(&out, outcome->sqlstate, strlen(outcome->sqlstate));
    buf_append_text(&out, ",\"detail\":");
    buf_json_string(&out, outcome->detail, strlen(outcome->detail));
    printf("%s}\n", buf_text(&out));
    buf_deinit(&out);
}

static void print_failure(const struct session *s)
{
    const struct migrate_outcome *outcome = &s->outcome;
    bool no_session = outcome->code == STATUS_UNAVAILABLE && !s->connected;
    fprintf(stderr, "cxsink migrate: %s%s%s%s%s%s\n", outcome->detail,
            outcome->sqlstate[0] != '\0' ? " (SQLSTATE " : "", outcome->sqlstate,
            outcome->sqlstate[0] != '\0' ? ")" : "", no_session ? "; " : "",
            no_session ? pg_remedy(outcome->sqlstate) : "");
}

static void print_text(const struct migrate_outcome *outcome)
{
    if (outcome->applied > 0)
        printf("database schema brought to version %u by %u migration%s\n", outcome->version,
               outcome->applied, outcome->applied == 1 ? "" : "s");
    else
        printf("database schema is up to date at version %u\n", outcome->version);
    if (outcome->detail[0] != '\0')
        printf("note: %s\n", outcome->detail);
}

static int print_script(void)
{
    struct buf out = {0};
    migrate_print(&out);
    fputs(buf_text(&out), stdout);
    buf_deinit(&out);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAULT;
}

static int run_command(const char *path, bool json)
{
    struct config *config = cli_load_config(path);
    if (config == NULL)
        return EXIT_CONFIG;
    struct session session = {.has_jobs = config->jobs.enabled};
    migrate(&session, &config->postgres);
    config_free(&config);
    if (json)
        print_json(&session.outcome);
    else if (session.outcome.code != STATUS_OK)
        print_failure(&session);
    else
        print_text(&session.outcome);
    return exit_code(&session);
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(migrate_request, path),
    CLI_OPTION(migrate_request, "print", CLI_FLAG, print),
    CLI_OPTION(migrate_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {
    .command = "migrate", .help = help, .list = list, .n = sizeof(list) / sizeof(list[0])};

int cli_migrate(int argc, char **argv)
{
    struct migrate_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    return request.print ? print_script() : run_command(request.path, request.json);
}
