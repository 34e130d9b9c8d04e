// SPDX-License-Identifier: Apache-2.0
// The states of a stream: who waits for what, and what comes next.
#include "stream/session.h"

#include "core/log.h"
#include "core/mem.h"
#include "net/resolve.h"
#include "stream/session_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_TIMEOUT_US (2 * US_PER_S)
#define CLOSE_GOING_AWAY 1001

static const char *const state_names[] = {
#define SESSION_NAME(id, name, sentence) [SESSION_##id] = name,
    SESSION_STATES(SESSION_NAME)
#undef SESSION_NAME
};

static const char *const state_sentences[] = {
#define SESSION_SENTENCE(id, name, sentence) [SESSION_##id] = sentence,
    SESSION_STATES(SESSION_SENTENCE)
#undef SESSION_SENTENCE
};

const char *session_state_name(enum session_state state)
{
    return state_names[state];
}

const char *session_state_sentence(enum session_state state)
{
    return state_sentences[state];
}

// The only place that assigns the state.
void session_set_state(struct session *s, enum session_state to)
{
    enum session_state from = s->state;
    if (from == to)
        return;
    s->state = to;
    log_debug(&(struct log_fields){.stream = s->config->name}, "stream %s: %s -> %s",
              s->config->name, state_names[from], state_names[to]);
    if (s->callbacks->state != NULL)
        s->callbacks->state(s->owner, from, to);
}

bool session_is_open(const struct session *s)
{
    return s->state == SESSION_LIVE || s->state == SESSION_PAUSED;
}

// --- the end of an attempt or a connection ---

// Leaves nothing running of the attempt or connection.
static void let_go(struct session *s)
{
    resolver_cancel(&s->lookup);
    timer_stop(&s->attempt);
    timer_stop(&s->closing);
    timer_stop(&s->retry);
    session_watch_stop(s);
    ws_drop(s->ws);
    buf_clear(&s->rx.joined);
}

void session_over(struct session *s, const struct session_end *end, int64_t retry_after_us)
{
    let_go(s);
    s->end = *end;
    s->end.retry_in_us = -1;
    s->has_end = true;
    if (!s->stopping) {
        s->end.retry_in_us = session_retry_delay(s, end, retry_after_us);
        // An address that held for long is the first choice again.
        if (!(end->was_live && s->was_stable))
            s->rotation++;
    }
    if (session_end_refuses_token(s, end))
        s->callbacks->token_refused(s->owner, s->bearer);
    mem_wipe_free(&s->bearer);
    if (s->ws == NULL) // destroyed by its owner in the callback
        return;
    if (s->end.retry_in_us >= 0)
        timer_start(&s->retry, s->end.retry_in_us);
    session_set_state(s, s->end.retry_in_us >= 0 ? SESSION_BACKOFF : SESSION_STOPPED);
    struct session_end copy = s->end; // the owner may start anew within the callback
    s->callbacks->ended(s->owner, &copy);
}

void session_close(struct session *s, int code, const struct session_end *end)
{
    session_watch_stop(s);
    s->end = *end;
    s->end.was_live = true;
    ws_close(s->ws, code);
    timer_start(&s->closing, CLOSE_TIMEOUT_US);
    session_set_state(s, SESSION_CLOSING);
}

static void on_closing_timeout(void *owner)
{
    struct session *s = owner;
    struct session_end end = s->end;
    session_over(s, &end, -1);
}

// --- connecting ---

static void on_attempt_timeout(void *owner)
{
    struct session *s = owner;
    struct session_end end = session_end_make(
        "timeout", "%s took longer than connect_timeout (%.1f s)%s%s",
        s->state == SESSION_RESOLVING ? "looking up the host's name" : "the WebSocket handshake",
        (double)s->config->connect_timeout_us / 1e6, s->address[0] != '\0' ? " at " : "",
        s->address);
    session_over(s, &end, -1);
}

static void connect_to(struct session *s, const char *address)
{
    snprintf(s->address, sizeof(s->address), "%s", address);
    struct ws_request request = {
        .address = s->address, .bearer = s->bearer, .headers = &s->config->headers};
    session_set_state(s, SESSION_CONNECTING);
    ws_connect(s->ws, &request);
}

static void on_resolved(void *owner, const struct resolve_result *result)
{
    struct session *s = owner;
    if (result->code == STATUS_OK && result->count > 0) {
        connect_to(s, result->addresses[s->rotation % result->count]);
        return;
    }
    struct session_end end =
        session_end_make("dns", "cannot resolve %s: %s", s->url.host, result->detail);
    session_over(s, &end, -1);
}

static void resolve(struct session *s)
{
    s->address[0] = '\0';
    timer_start(&s->attempt, s->config->connect_timeout_us);
    session_set_state(s, SESSION_RESOLVING);
    resolver_start(s->resolver, s->url.host, on_resolved, s, &s->lookup);
}

// A token is asked for before every attempt: it may have expired meanwhile.
static void begin_attempt(struct session *s)
{
    timer_stop(&s->retry);
    if (s->config->auth == CONFIG_NONE) {
        resolve(s);
        return;
    }
    session_set_state(s, SESSION_TOKEN);
    s->callbacks->need_token(s->owner);
}

static void on_retry(void *owner)
{
    begin_attempt(owner);
}

void session_token(struct session *s, const char *bearer, const struct status *st)
{
    if (s->state != SESSION_TOKEN)
        return;
    if (bearer == NULL) {
        struct session_end end = session_end_make(
            "token", "no token: %s", st != NULL && st->detail[0] != '\0' ? st->detail : "refused");
        session_over(s, &end, -1);
        return;
    }
    mem_wipe_free(&s->bearer);
    s->bearer = mem_strdup(bearer);
    resolve(s);
}

// --- events of stream/ws ---

static void on_open(void *owner)
{
    struct session *s = owner;
    timer_stop(&s->attempt);
    s->has_end = false;
    backoff_reset(&s->refused);
    s->was_stable = false;
    session_watch_start(s);
    session_set_state(s, SESSION_LIVE);
    s->callbacks->connected(s->owner);
    // A message of an earlier connection still waits for room.
    if (s->ws != NULL && s->rx.has_kept && s->state == SESSION_LIVE) {
        ws_pause(s->ws);
        session_watch_pause(s);
        session_set_state(s, SESSION_PAUSED);
    }
}

static void on_data(void *owner, const char *data, size_t length, unsigned flags)
{
    session_on_data(owner, data, length, flags);
}

static void on_pong(void *owner)
{
    session_on_pong(owner);
}

static void on_end(void *owner, const struct ws_end *ws_end)
{
    struct session *s = owner;
    struct session_end end = s->state == SESSION_CLOSING ? s->end : session_end_of_ws(s, ws_end);
    session_over(s, &end, ws_end->retry_after_us);
}

static const struct ws_callbacks ws_events = {on_open, on_data, on_pong, on_end};

// --- life ---

static void on_stable(void *owner)
{
    struct session *s = owner;
    s->was_stable = true;
    s->token_closed = false;
    backoff_reset(&s->backoff);
}

static bool check_headers(const struct config_stream *config, struct status *st)
{
    for (size_t i = 0; i < config->headers.count; i++) {
        const struct config_pair *pair = &config->headers.items[i];
        // A line break would let a value write further headers.
        if (pair->name[0] == '\0' || strpbrk(pair->name, "\r\n: ") != NULL ||
            strpbrk(pair->value, "\r\n") != NULL) {
            status_set(st, STATUS_INVALID, "header %zu has a name or value that HTTP cannot carry",
                       i + 1);
            return false;
        }
    }
    return true;
}

static void init_timers(struct session *s)
{
    timer_init(&s->attempt, s->loop, "stream attempt", on_attempt_timeout, s);
    timer_init(&s->closing, s->loop, "stream closing", on_closing_timeout, s);
    timer_init(&s->retry, s->loop, "stream retry", on_retry, s);
    timer_init(&s->stable, s->loop, "stream stable", on_stable, s);
    session_watch_init(s);
}

#define REFUSED_CAP_US (300 * US_PER_S)

static void init_backoff(struct session *s)
{
    const struct config_stream *c = s->config;
    // A floor, so that an unlucky draw of the full jitter does not hammer the server.
    int64_t floor = c->reconnect_base_us / 10;
    s->backoff = (struct backoff){c->reconnect_base_us, c->reconnect_cap_us, floor, 0};
    s->refused = (struct backoff){c->reconnect_base_us, REFUSED_CAP_US, floor, 0};
}

struct session *session_create(struct loop *loop, struct resolver *resolver,
                               const struct config_stream *config,
                               const struct session_callbacks *callbacks, void *owner,
                               struct status *st)
{
    struct session *s = mem_zalloc(sizeof(*s));
    *s = (struct session){.loop = loop,
                          .resolver = resolver,
                          .config = config,
                          .callbacks = callbacks,
                          .owner = owner};
    if (ws_url_parse(config->url, &s->url, st) == STATUS_OK && check_headers(config, st)) {
        struct ws_settings settings = {
            .name = config->name,
            .url = &s->url,
            .tls = {config->tls.ca_file, config->tls.cert_file, config->tls.key_file},
            .connect_timeout_us = config->connect_timeout_us,
        };
        s->ws = ws_create(loop, &settings, &ws_events, s, st);
    }
    if (s->ws == NULL) {
        status_prefix(st, "stream %s", config->name);
        free(s);
        return NULL;
    }
    init_timers(s);
    init_backoff(s);
    return s;
}

static void session_free(void *object)
{
    struct session *s = object;
    session_rx_deinit(&s->rx);
    free(s);
}

void session_destroy(struct session **pointer)
{
    struct session *s = *pointer;
    if (s == NULL)
        return;
    *pointer = NULL;
    let_go(s);
    mem_wipe_free(&s->bearer);
    ws_destroy(&s->ws);
    loop_defer_free(s->loop, s, session_free);
}

void session_start(struct session *s)
{
    if (s->state != SESSION_IDLE && s->state != SESSION_STOPPED)
        return;
    s->stopping = false;
    begin_attempt(s);
}

void session_stop(struct session *s)
{
    if (s->state == SESSION_STOPPED || s->stopping)
        return;
    s->stopping = true;
    if (session_is_open(s)) {
        struct session_end end = session_end_make("1001", "closed by cxsink");
        session_close(s, CLOSE_GOING_AWAY, &end);
    } else if (s->state != SESSION_CLOSING) {
        let_go(s);
        mem_wipe_free(&s->bearer);
        session_set_state(s, SESSION_STOPPED);
    }
}

enum session_state session_state(const struct session *s)
{
    return s->state;
}

const struct session_end *session_last_end(const struct session *s)
{
    return s->has_end ? &s->end : NULL;
}

int64_t session_retry_in_us(const struct session *s)
{
    return s->state == SESSION_BACKOFF ? timer_left_us(&s->retry) : 0;
}
