// SPDX-License-Identifier: Apache-2.0
// Tokens, streams and the APIs of jobs. Nothing is invoked: of an API only the TLS handshake is
// made; a stream is opened and closed at once, unless the running daemon has it, as two connections
// might share its events.
#include "auth/token.h"
#include "check_priv.h"
#include "core/mem.h"
#include "json/lookup.h"
#include "json/tape.h"
#include "net/http.h"
#include "net/tls.h"
#include "stream/session.h"
#include "status_priv.h"
#include "stream/url.h"

#include <stdlib.h>
#include <string.h>

struct token_probe {
    struct check_task task;
    const struct config_auth *config;
    struct token *token;
    char *bearer; // NULL: none, or not yet
};

#define ADDRESSES_TRIED 4 // of a stream: one an attempt

struct stream_probe {
    struct check_task task;
    const struct config_stream *config;
    const struct token_probe *token; // NULL: it needs none
    struct http_request *request;    // the TLS handshake
    bool reached;                    // that one was made
    struct session *session;
    bool opened;
    int missed; // addresses of the server where nobody listens
};

struct api_probe {
    struct check_task task;
    const struct config_api *config;
    struct http_request *request;
};

struct check_servers {
    struct token_probe *tokens;
    struct stream_probe *streams;
    struct api_probe *apis;
};

static const char servers_own[] = "the server's certificate";

static void connect_to(struct probe *probe, const char *url, const struct config_tls *tls,
                       int64_t timeout_us, http_fn fn, void *owner, struct http_request **request_r)
{
    struct http_options options = {
        .url = url,
        .connect_timeout_us = timeout_us,
        .connect_only = true,
        .http1_only = true,
        .close = true,
        .tls = {tls->ca_file, tls->cert_file, tls->key_file},
    };
    http_request_start(probe->http, &options, fn, owner, request_r);
}

// What a handshake told; false when there was none.
static bool take_handshake(struct check_task *task, const struct http_response *response)
{
    if (response->code == STATUS_OK)
        check_certificate(task->probe, task->pointer, servers_own, response->certificate_until_us);
    else
        check_add(task->probe, response->code, task->pointer, "%s", response->detail);
    return response->code == STATUS_OK;
}

// --- streams ---

static enum session_verdict on_message(void *owner, enum session_frame frame, const char *data,
                                       size_t length)
{
    (void)owner;
    (void)frame;
    (void)data;
    (void)length;
    return SESSION_TAKEN; // CXone sends it again after a reconnect
}

static void on_need_token(void *owner)
{
    struct stream_probe *s = owner;
    session_token(s->session, s->token->bearer, NULL);
}

static void on_token_refused(void *owner, const char *bearer)
{
    (void)owner;
    (void)bearer;
}

static void on_opened(void *owner)
{
    struct stream_probe *s = owner;
    s->opened = true;
    session_stop(s->session);
}

static void tell_refusal(struct stream_probe *s, const struct session_end *end)
{
    bool unauthorized = end->http_status == 401 || end->http_status == 403;
    bool passing = end->http_status == 429 || end->http_status >= 500 ||
                   (end->http_status == 0 && strcmp(end->label, "tls") != 0);
    char *pointer = mem_printf("/streams/%s/%s", s->config->name, unauthorized ? "auth" : "url");
    check_add(s->task.probe, passing ? STATUS_UNAVAILABLE : STATUS_DENIED, pointer,
              "the stream cannot be opened: %s", end->detail);
    free(pointer);
}

static void on_ended(void *owner, const struct session_end *end)
{
    struct stream_probe *s = owner;
    // It was reached at one of its addresses; the session's next attempt is at the next one.
    if (!s->opened && strcmp(end->label, "connect") == 0 && ++s->missed < ADDRESSES_TRIED)
        return;
    if (!s->opened)
        tell_refusal(s, end);
    session_destroy(&s->session);
    check_end(&s->task);
}

// Whether the running daemon is connected to a stream of this name, or may be.
static bool daemon_has(const struct probe *probe, const char *name)
{
    struct tape tape;
    bool has = probe->daemon_silent;
    tape_init(&tape, 0);
    if (tape_parse(&tape, probe->daemon_status, strlen(probe->daemon_status))) {
        uint32_t streams = lookup_member(&tape, 0, "streams"), s;
        for (uint32_t i = 0;
             streams != TAPE_NONE && (s = tape_element(&tape, streams, i)) != TAPE_NONE; i++)
            has = has || (lookup_is(&tape, lookup_member(&tape, s, "name"), name) &&
                          status_member_flag(&tape, s, "connected"));
    }
    tape_deinit(&tape);
    return has;
}

static void open_stream(struct stream_probe *s)
{
    static const struct session_callbacks callbacks = {.message = on_message,
                                                       .need_token = on_need_token,
                                                       .token_refused = on_token_refused,
                                                       .connected = on_opened,
                                                       .ended = on_ended};
    struct probe *probe = s->task.probe;
    struct status st = {0};
    s->task.doing = "opening the stream";
    s->session = session_create(probe->loop, probe->resolver, s->config, &callbacks, s, &st);
    if (s->session != NULL) {
        session_start(s->session);
        return;
    }
    check_add(probe, st.code, s->task.pointer, "%s", st.detail);
    check_end(&s->task);
}

// Opens it once the server was reached and the token is there. Without a token there is nothing
// more to learn.
static void go_on(struct stream_probe *s)
{
    bool token_pending = s->token != NULL && !check_is_over(&s->token->task);
    if (!s->reached || token_pending || check_is_over(&s->task))
        return;
    struct buf *left = &s->task.probe->outcome->left;
    if (s->token != NULL && s->token->bearer == NULL) {
        check_end(&s->task);
    } else if (daemon_has(s->task.probe, s->config->name)) {
        buf_printf(left, "%s%s", left->len > 0 ? ", " : "", s->config->name);
        check_end(&s->task);
    } else {
        open_stream(s);
    }
}

static void on_stream_reached(void *owner, const struct http_response *response)
{
    struct stream_probe *s = owner;
    s->reached = take_handshake(&s->task, response);
    if (s->reached)
        go_on(s);
    else
        check_end(&s->task);
}

static void probe_stream(struct probe *probe, struct stream_probe *s)
{
    struct ws_url parts;
    char *pointer = mem_printf("/streams/%s/url", s->config->name);
    char *section = mem_printf("/streams/%s/tls", s->config->name);
    bool faulty = check_is_faulty(probe, pointer) || check_is_faulty(probe, section) ||
                  ws_url_parse(s->config->url, &parts, NULL) != STATUS_OK;
    free(section);
    if (faulty) {
        free(pointer);
        return;
    }
    char *url = mem_printf("http%s://%s/", parts.tls ? "s" : "", parts.authority);
    check_begin(probe, &s->task, pointer, "connecting to the stream's server");
    connect_to(probe, url, &s->config->tls, s->config->connect_timeout_us, on_stream_reached, s,
               &s->request);
    free(url);
}

// --- tokens ---

static void on_scope(void *owner, const char *auth, enum token_event event, const struct status *st)
{
    struct probe *probe = owner;
    if (event != TOKEN_EVENT_SCOPE)
        return;
    char *pointer = mem_printf("/auth/%s/scope", auth);
    check_add(probe, STATUS_DENIED, pointer, "%s", st->detail);
    free(pointer);
}

static void look_at_exchange(struct token_probe *t)
{
    const struct token_exchange *met = token_last_exchange(t->token);
    char *pointer = mem_printf("/auth/%s/token_url", t->config->name);
    if (met->has_clock)
        check_clock(t->task.probe, pointer, met->clock_ahead_us, "the token endpoint");
    check_certificate(t->task.probe, pointer, servers_own, met->certificate_until_us);
    free(pointer);
}

static void on_token(void *owner, const char *bearer, const struct status *st)
{
    struct token_probe *t = owner;
    struct probe *probe = t->task.probe;
    const struct status *failure = &token_last_exchange(t->token)->failure;
    if (bearer != NULL)
        t->bearer = mem_strdup(bearer);
    else if (failure->code != STATUS_OK)
        check_add(probe, failure->code, t->task.pointer, "%s", failure->detail);
    else
        check_add(probe, st->code, t->task.pointer, "%s", st->detail);
    look_at_exchange(t);
    check_end(&t->task); // those of its streams are still under way
    for (size_t i = 0; i < probe->config->n_streams; i++) {
        if (probe->servers->streams[i].token == t)
            go_on(&probe->servers->streams[i]);
    }
}

static void probe_token(struct probe *probe, struct token_probe *t)
{
    static const struct token_callbacks callbacks = {.event = on_scope};
    char *section = mem_printf("/auth/%s/tls", t->config->name);
    if (!check_is_faulty(probe, section)) {
        check_begin(probe, &t->task, mem_printf("/auth/%s", t->config->name), "asking for a token");
        t->token = token_create(probe->loop, probe->http, t->config, &callbacks, probe);
        token_get(t->token, on_token, t, NULL);
    }
    free(section);
}

// --- APIs ---

static void on_api_reached(void *owner, const struct http_response *response)
{
    struct api_probe *a = owner;
    take_handshake(&a->task, response);
    check_end(&a->task);
}

static void probe_api(struct probe *probe, struct api_probe *a)
{
    char *section = mem_printf("/jobs/apis/%s/tls", a->config->name);
    if (!check_is_faulty(probe, section)) {
        check_begin(probe, &a->task, mem_printf("/jobs/apis/%s/base_url", a->config->name),
                    "connecting to the API");
        connect_to(probe, a->config->base_url, &a->config->tls, a->config->connect_timeout_us,
                   on_api_reached, a, &a->request);
    }
    free(section);
}

// --- our own certificates ---

static void check_own(struct probe *probe, const char *section, const char *name,
                      const struct config_tls *tls)
{
    if (tls->cert_file == NULL)
        return;
    char *pointer = mem_printf("/%s/%s/tls/cert_file", section, name);
    check_certificate(probe, pointer, "this certificate", tls_file_until_us(tls->cert_file));
    free(pointer);
}

static void check_owns(struct probe *probe)
{
    const struct config *config = probe->config;
    for (size_t i = 0; i < config->n_auth; i++)
        check_own(probe, "auth", config->auth[i].name, &config->auth[i].tls);
    for (size_t i = 0; i < config->n_streams; i++)
        check_own(probe, "streams", config->streams[i].name, &config->streams[i].tls);
    for (size_t i = 0; i < config->jobs.n_apis; i++)
        check_own(probe, "jobs/apis", config->jobs.apis[i].name, &config->jobs.apis[i].tls);
}

// --- all of them ---

void check_servers_start(struct probe *probe)
{
    const struct config *config = probe->config;
    struct check_servers *servers = probe->servers = mem_zalloc(sizeof(*servers));
    servers->tokens = mem_zalloc((config->n_auth + 1) * sizeof(*servers->tokens));
    servers->streams = mem_zalloc((config->n_streams + 1) * sizeof(*servers->streams));
    servers->apis = mem_zalloc((config->jobs.n_apis + 1) * sizeof(*servers->apis));
    for (size_t i = 0; i < config->n_auth; i++) {
        servers->tokens[i].config = &config->auth[i];
        probe_token(probe, &servers->tokens[i]);
    }
    for (size_t i = 0; i < config->n_streams; i++) {
        struct stream_probe *s = &servers->streams[i];
        s->config = &config->streams[i];
        s->token = s->config->auth != CONFIG_NONE ? &servers->tokens[s->config->auth] : NULL;
        probe_stream(probe, s);
    }
    for (size_t i = 0; i < config->jobs.n_apis; i++) {
        servers->apis[i].config = &config->jobs.apis[i];
        probe_api(probe, &servers->apis[i]);
    }
    check_owns(probe); // last: what is faulty already is not tried
}

void check_servers_stop(struct probe *probe)
{
    struct check_servers *servers = probe->servers;
    for (size_t i = 0; i < probe->config->n_streams; i++) {
        http_request_cancel(&servers->streams[i].request);
        session_destroy(&servers->streams[i].session);
    }
    for (size_t i = 0; i < probe->config->jobs.n_apis; i++)
        http_request_cancel(&servers->apis[i].request);
    for (size_t i = 0; i < probe->config->n_auth; i++) {
        token_destroy(&servers->tokens[i].token);
        mem_wipe_free(&servers->tokens[i].bearer);
    }
    free(servers->tokens);
    free(servers->streams);
    free(servers->apis);
    free(servers);
    probe->servers = NULL;
}
