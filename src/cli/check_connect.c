// SPDX-License-Identifier: Apache-2.0
#include "auth/token.h"
#include "check_priv.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/http.h"
#include "net/resolve.h"
#include "pg/catalog.h"
#include "pg/conn.h"
#include "pg/migrate.h"
#include "stream/url.h"

#include <stdlib.h>

struct probe;

struct token_probe {
    struct probe *probe;
    const struct config_auth *config;
    struct token *token;
    struct token_waiter *waiter;
};

struct tls_probe {
    struct probe *probe;
    const struct config_stream *config;
    struct http_request *request;
};

// Everything in flight; the loop stops when `pending` is 0.
struct probe {
    const struct config *config;
    struct config_faults *faults;
    size_t unreachable;
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *http;
    unsigned pending;
    struct pg_conn *conn;
    struct migrate_run *migrate;
    size_t table; // whose catalog comes next
    struct token_probe *tokens;
    struct tls_probe *streams;
};

static void finish(struct probe *p)
{
    if (--p->pending == 0)
        loop_stop(p->loop);
}

static void add(struct probe *p, enum status_code code, const char *pointer, const char *text)
{
    config_faults_add(p->faults, 0, pointer, "%s", text);
    p->unreachable += code == STATUS_UNAVAILABLE || code == STATUS_TIMEOUT;
}

// --- PostgreSQL ---

static void add_table_fault(void *owner, const char *message, const char *sql)
{
    struct probe *p = owner;
    char *pointer = mem_printf("/tables/%s", p->config->tables[p->table].name);
    config_faults_add_sql(p->faults, pointer, message, sql);
    free(pointer);
}

static void check_table(struct probe *p, const struct pg_result *result)
{
    struct catalog_table table = {0};
    struct status st = {0};
    const struct config_table *config = &p->config->tables[p->table];
    if (catalog_read(result, config, &table, &st) != STATUS_OK)
        add_table_fault(p, st.detail, NULL);
    else
        catalog_check(&table, config, add_table_fault, p);
    catalog_table_deinit(&table);
}

static void pg_probe_end(struct probe *p)
{
    pg_conn_close(&p->conn);
    finish(p);
}

static void on_pg_connected(void *owner)
{
    struct probe *p = owner;
    for (size_t i = 0; i < p->config->n_tables; i++) {
        if (!catalog_send(p->conn, &p->config->tables[i]))
            return; // on_pg_failed comes
    }
    pg_sync(p->conn);
}

static void on_pg_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct probe *p = owner;
    if (p->migrate != NULL) {
        migrate_result(p->migrate, result, error);
        return;
    }
    if (error != NULL)
        add_table_fault(p, error->message, NULL);
    else
        check_table(p, result);
    p->table++;
}

static void on_migrated(void *owner, const struct migrate_outcome *outcome)
{
    struct probe *p = owner;
    p->migrate = NULL;
    if (outcome->code != STATUS_OK)
        add(p, outcome->code, "/postgres/migrate", outcome->detail);
    pg_probe_end(p);
}

static void on_pg_synced(void *owner)
{
    struct probe *p = owner;
    if (p->migrate != NULL)
        migrate_synced(p->migrate);
    else if (p->config->postgres.migrate == MIGRATE_OFF)
        pg_probe_end(p);
    else
        p->migrate = migrate_start(p->conn, MIGRATE_VERIFY, on_migrated, p);
}

static void on_pg_failed(void *owner, const struct pg_error *error)
{
    struct probe *p = owner;
    migrate_cancel(&p->migrate);
    bool blocked = pg_classify(error->sqlstate) == PG_CLASS_BLOCKED;
    char *text = mem_printf("cannot use PostgreSQL: %s%s%s%s; is the DSN right, and the server up?",
                            error->message, error->sqlstate[0] ? " (" : "", error->sqlstate,
                            error->sqlstate[0] ? ")" : "");
    add(p, blocked ? STATUS_DENIED : STATUS_UNAVAILABLE, "/postgres/dsn", text);
    free(text);
    pg_probe_end(p);
}

static void probe_postgres(struct probe *p)
{
    static const struct pg_callbacks callbacks = {.connected = on_pg_connected,
                                                  .result = on_pg_result,
                                                  .synced = on_pg_synced,
                                                  .failed = on_pg_failed};
    const struct config_postgres *config = &p->config->postgres;
    struct pg_settings settings = {
        .dsn = config->dsn,
        .application_name = "cxsink check",
        .connect_timeout_us = config->connect_timeout_us,
        .answer_timeout_us = config->statement_timeout_us,
    };
    p->pending++;
    p->conn = pg_conn_open(p->loop, p->resolver, &settings, &callbacks, p);
}

// --- tokens ---

static void on_token(void *owner, const char *bearer, const struct status *st)
{
    struct token_probe *t = owner;
    if (bearer == NULL) {
        char *pointer = mem_printf("/auth/%s", t->config->name);
        add(t->probe, st->code, pointer, st->detail);
        free(pointer);
    }
    finish(t->probe);
}

static void on_token_event(void *owner, const char *auth, enum token_event event,
                           const struct status *st)
{
    struct probe *p = owner;
    if (event != TOKEN_EVENT_SCOPE || st == NULL || st->detail[0] == '\0')
        return;
    char *pointer = mem_printf("/auth/%s/scope", auth);
    config_faults_add(p->faults, 0, pointer, "%s", st->detail);
    free(pointer);
}

static void probe_tokens(struct probe *p)
{
    static const struct token_callbacks callbacks = {.event = on_token_event};
    p->tokens = mem_zalloc((p->config->n_auth + 1) * sizeof(*p->tokens));
    for (size_t i = 0; i < p->config->n_auth; i++) {
        struct token_probe *t = &p->tokens[i];
        *t = (struct token_probe){.probe = p, .config = &p->config->auth[i]};
        t->token = token_create(p->loop, p->http, t->config, &callbacks, p);
        p->pending++;
        token_get(t->token, on_token, t, &t->waiter);
    }
}

// --- TLS of the streams: a plain request, since a handshake would take events off the stream ---

static void on_tls_answer(void *owner, const struct http_response *response)
{
    struct tls_probe *t = owner;
    if (response->code != STATUS_OK) {
        char *pointer = mem_printf("/streams/%s/url", t->config->name);
        add(t->probe, response->code, pointer, response->detail);
        free(pointer);
    }
    finish(t->probe);
}

static void probe_streams(struct probe *p)
{
    p->streams = mem_zalloc(p->config->n_streams * sizeof(*p->streams));
    for (size_t i = 0; i < p->config->n_streams; i++) {
        struct tls_probe *t = &p->streams[i];
        *t = (struct tls_probe){.probe = p, .config = &p->config->streams[i]};
        struct ws_url parts;
        if (ws_url_parse(t->config->url, &parts, NULL) != STATUS_OK)
            continue; // has its fault already
        // The root, so that no event is asked for.
        char *url = mem_printf("http%s://%s/", parts.tls ? "s" : "", parts.authority);
        struct http_options options = {
            .method = "GET",
            .url = url,
            .timeout_us = t->config->connect_timeout_us,
            .http1_only = true,
            .tls = {t->config->tls.ca_file, t->config->tls.cert_file, t->config->tls.key_file},
        };
        p->pending++;
        http_request_start(p->http, &options, on_tls_answer, t, &t->request);
        free(url);
    }
}

static void tear_down(struct probe *p)
{
    for (size_t i = 0; p->tokens != NULL && i < p->config->n_auth; i++)
        token_destroy(&p->tokens[i].token);
    migrate_cancel(&p->migrate);
    pg_conn_close(&p->conn);
    http_client_destroy(&p->http);
    resolver_destroy(&p->resolver);
    loop_destroy(&p->loop);
    free(p->tokens);
    free(p->streams);
}

size_t check_connect(const struct config *config, struct config_faults *faults)
{
    struct probe p = {.config = config, .faults = faults};
    struct status st = {0};
    if ((p.loop = loop_create(&st)) == NULL ||
        (p.resolver = resolver_create(p.loop, &st)) == NULL ||
        (p.http = http_client_create(p.loop, p.resolver, &st)) == NULL) {
        config_faults_add(faults, 0, "", "%s", st.detail);
    } else {
        probe_postgres(&p);
        probe_tokens(&p);
        probe_streams(&p);
        loop_run(p.loop);
    }
    tear_down(&p);
    return p.unreachable;
}
