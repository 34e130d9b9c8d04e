// SPDX-License-Identifier: Apache-2.0
// The daemon's sessions and tokens: made from the configuration, kept over a reload when nothing of
// theirs changed, and their events passed on.
#include "config/equal.h"
#include "core/log_event.h"
#include "core/mem.h"
#include "daemon_priv.h"

#include <stdio.h>
#include <stdlib.h>

const char *app_intern(struct daemon *d, const char *name, size_t length)
{
    for (size_t i = 0; i < d->n_names; i++) {
        if (strncmp(d->names[i], name, length) == 0 && d->names[i][length] == '\0')
            return d->names[i];
    }
    d->names = mem_realloc_array(d->names, d->n_names + 1, sizeof(*d->names));
    d->names[d->n_names] = mem_strndup(name, length);
    return d->names[d->n_names++];
}

// --- tokens ---

static void on_token_event(void *owner, const char *auth, enum token_event event,
                           const struct status *st)
{
    static const char *const names[] = {
        [TOKEN_EVENT_REFRESHED] = "token.refreshed",
        [TOKEN_EVENT_FAILED] = "token.failed",
        [TOKEN_EVENT_SCOPE] = "token.scope",
        [TOKEN_EVENT_LIFETIME] = "token.lifetime",
    };
    struct daemon *d = owner;
    bool failed = event == TOKEN_EVENT_FAILED;
    const char *detail = st != NULL && st->detail[0] != '\0' ? st->detail : NULL;
    struct audit_field fields[] = {{"auth", auth}, {"detail", detail}};
    audit_write(d->audit, names[event], NULL, fields, 2);
    if (failed || event == TOKEN_EVENT_REFRESHED)
        metric_add(metric_series(METRIC_TOKEN_REFRESHES, auth, failed ? "error" : "ok"), 1);
    if (event != TOKEN_EVENT_REFRESHED)
        log_event(failed ? LOG_ID_TOKEN_FAILED : LOG_ID_TOKEN_ODD, NULL, "token \"%s\": %s", auth,
                  detail != NULL ? detail : names[event]);
}

static struct app_token *create_token(struct daemon *d, const struct config_auth *config)
{
    static const struct token_callbacks callbacks = {.event = on_token_event};
    struct app_token *t = mem_zalloc(sizeof(*t));
    t->ref = config_ref_take(d->ref);
    t->config = config;
    t->token = token_create(d->loop, d->http, config, &callbacks, d);
    t->expiry = metric_series(METRIC_TOKEN_EXPIRY, config->name, NULL);
    return t;
}

static void destroy_token(struct app_token **pointer)
{
    struct app_token *t = *pointer;
    if (t == NULL)
        return;
    *pointer = NULL;
    token_destroy(&t->token);
    metric_set(t->expiry, 0);
    config_ref_drop(&t->ref);
    free(t);
}

// --- what a session says ---

static enum session_verdict on_message(void *owner, enum session_frame frame, const char *data,
                                       size_t length)
{
    return flow_message(owner, frame, data, length);
}

static void on_token(void *owner, const char *bearer, const struct status *st)
{
    struct app_stream *s = owner;
    session_token(s->session, bearer, st);
}

static void on_need_token(void *owner)
{
    struct app_stream *s = owner;
    token_cancel(&s->waiter);
    token_get(s->token->token, on_token, s, &s->waiter);
}

static void on_token_refused(void *owner, const char *bearer)
{
    struct app_stream *s = owner;
    if (s->token != NULL)
        token_invalidate(s->token->token, bearer);
}

static void on_connected(void *owner)
{
    struct app_stream *s = owner;
    metric_set(s->connected, 1);
    metric_add(metric_series(METRIC_STREAM_CONNECTS, s->name, NULL), 1);
    audit_write(s->daemon->audit, "stream.connected", s->name, NULL, 0);
}

static void on_ended(void *owner, const struct session_end *end)
{
    struct app_stream *s = owner;
    char retry[48] = "not connecting again";
    metric_set(s->connected, 0);
    metric_add(metric_series(METRIC_STREAM_DISCONNECTS, s->name, end->label), 1);
    if (end->retry_in_us >= 0)
        snprintf(retry, sizeof(retry), "next attempt in %.1f s", (double)end->retry_in_us / 1e6);
    struct audit_field fields[] = {
        {"code", end->label}, {"detail", end->detail[0] ? end->detail : NULL}, {"next", retry}};
    if (end->was_live)
        audit_write(s->daemon->audit, "stream.disconnected", s->name, fields, 3);
    else
        log_event(LOG_ID_STREAM_DOWN, &(struct log_fields){.stream = s->name},
                  "cannot connect (%s): %s; %s", end->label, end->detail, retry);
}

static const struct session_callbacks session_callbacks = {
    .message = on_message,
    .need_token = on_need_token,
    .token_refused = on_token_refused,
    .connected = on_connected,
    .ended = on_ended,
};

// --- life of a stream ---

static struct app_stream *create_stream(struct daemon *d, const struct config_stream *config,
                                        struct app_token *token, struct status *st)
{
    struct app_stream *s = mem_zalloc(sizeof(*s));
    s->daemon = d;
    s->ref = config_ref_take(d->ref);
    s->config = config;
    s->certificates = certificates_mark(&config->tls);
    s->name = app_intern(d, config->name, strlen(config->name));
    s->token = token;
    s->received_events = metric_series(METRIC_EVENTS_RECEIVED, s->name, NULL);
    s->received_bytes = metric_series(METRIC_RECEIVED_BYTES, s->name, NULL);
    s->connected = metric_series(METRIC_STREAM_CONNECTED, s->name, NULL);
    (void)metric_series(METRIC_STREAM_HELD, s->name, NULL); // shown as 0
    s->session = session_create(d->loop, d->resolver, config, &session_callbacks, s, st);
    if (s->session == NULL) {
        config_ref_drop(&s->ref);
        free(s);
        return NULL;
    }
    return s;
}

static void destroy_stream(struct app_stream **pointer)
{
    struct app_stream *s = *pointer;
    if (s == NULL)
        return;
    *pointer = NULL;
    token_cancel(&s->waiter);
    session_destroy(&s->session);
    metric_set(s->connected, 0);
    metric_add(s->received_events, (double)s->pending); // the next commit has them
    config_ref_drop(&s->ref);
    free(s);
}

static struct app_token *find_token(struct app_token **tokens, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] != NULL && strcmp(tokens[i]->config->name, name) == 0)
            return tokens[i];
    }
    return NULL;
}

// Keeps the tokens whose settings did not change; the others are made anew.
static struct app_token **next_tokens(struct daemon *d)
{
    const struct config *config = d->ref->config;
    struct app_token **tokens = mem_zalloc((config->n_auth + 1) * sizeof(struct app_token *));
    for (size_t i = 0; i < config->n_auth; i++) {
        struct app_token *old = find_token(d->tokens, d->n_tokens, config->auth[i].name);
        if (old != NULL && config_auth_equal(old->config, &config->auth[i]))
            tokens[i] = old;
        else
            tokens[i] = create_token(d, &config->auth[i]);
    }
    return tokens;
}

static bool listed(void *const *list, size_t count, const void *item)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == item)
            return true;
    }
    return false;
}

static struct app_stream *find_kept(struct daemon *d, const struct config_stream *config,
                                    const struct app_token *token)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        struct app_stream *s = d->streams[i];
        struct certificates_mark mark = certificates_mark(&config->tls);
        if (s->token == token && config_stream_equal(s->config, config) &&
            certificates_mark_equal(&s->certificates, &mark))
            return s;
    }
    return NULL;
}

// A reload takes it away, or another with other settings takes its place.
static void tell_removed(struct daemon *d, const struct app_stream *s)
{
    if (s->connected->value == 0)
        return;
    struct audit_field fields[] = {{"code", "reload"}};
    metric_add(metric_series(METRIC_STREAM_DISCONNECTS, s->name, fields[0].value), 1);
    audit_write(d->audit, "stream.disconnected", s->name, fields, 1);
}

static void replace_streams(struct daemon *d, struct app_stream **streams, size_t count)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        if (listed((void *const *)streams, count, d->streams[i]))
            continue;
        if (streams != NULL) // else it is the end
            tell_removed(d, d->streams[i]);
        destroy_stream(&d->streams[i]);
    }
    free(d->streams);
    d->streams = streams;
    d->n_streams = count;
}

static void replace_tokens(struct daemon *d, struct app_token **tokens, size_t count)
{
    for (size_t i = 0; i < d->n_tokens; i++) {
        if (!listed((void *const *)tokens, count, d->tokens[i]))
            destroy_token(&d->tokens[i]);
    }
    free(d->tokens);
    d->tokens = tokens;
    d->n_tokens = count;
}

bool app_streams_apply(struct daemon *d, struct status *st)
{
    const struct config *config = d->ref->config;
    struct app_token **tokens = next_tokens(d);
    struct app_stream **streams = mem_zalloc((config->n_streams + 1) * sizeof(struct app_stream *));
    size_t count = 0;
    bool ok = true;
    for (size_t i = 0; i < config->n_streams; i++) {
        const struct config_stream *wanted = &config->streams[i];
        struct app_token *token = wanted->auth != CONFIG_NONE ? tokens[wanted->auth] : NULL;
        struct app_stream *s = find_kept(d, wanted, token);
        if (s == NULL)
            s = create_stream(d, wanted, token, st);
        if (s != NULL)
            streams[count++] = s;
        else
            ok = false;
    }
    replace_streams(d, streams, count);
    replace_tokens(d, tokens, config->n_auth);
    return ok;
}

void app_streams_start(struct daemon *d)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        if (session_state(d->streams[i]->session) == SESSION_IDLE)
            session_start(d->streams[i]->session);
    }
}

void app_streams_stop(struct daemon *d)
{
    for (size_t i = 0; i < d->n_streams; i++)
        session_stop(d->streams[i]->session);
}

bool app_streams_stopped(const struct daemon *d)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        if (session_state(d->streams[i]->session) != SESSION_STOPPED)
            return false;
    }
    return true;
}

void app_streams_destroy(struct daemon *d)
{
    replace_streams(d, NULL, 0);
    replace_tokens(d, NULL, 0);
}

void app_streams_resume(struct daemon *d)
{
    for (size_t i = 0; i < d->n_streams && spool_has_room(d->spool); i++) {
        struct app_stream *s = d->streams[i];
        if (!s->starved)
            continue;
        s->starved = false;
        session_resume(s->session);
        if (!s->starved)
            log_event(LOG_ID_SPOOL_ROOM, &(struct log_fields){.stream = s->name},
                      "the spool has room: going on");
    }
}
