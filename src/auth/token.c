// SPDX-License-Identifier: Apache-2.0
#include "auth/token.h"

#include "auth/token_priv.h"
#include "config/load.h"
#include "core/backoff.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RESPONSE_MAX ((size_t)1 << 20)
#define DEFAULT_LIFE_US (3600 * US_PER_S) // where the configuration has none
#define LIVED_US (60 * US_PER_S)          // a token refused after this was not a fresh one
#define THROTTLED_US (5 * US_PER_S)       // after a 429 that does not say how long
#define RETRY_AFTER_MAX_US (3600 * US_PER_S)
// So often a refused token that the endpoint gives again is turned down; then it is tried, as the
// endpoint has no other and the refusal may have been a passing one.
#define REISSUES_MAX 2

// Structure: a struct token holds the token in use, at most one HTTP request, one timer for what is
// next (a refresh or a retry), and the waiters in the order in which they came. A waiter is queued
// until there is an outcome; then its call is posted, so that no owner's code runs inside ours.

enum next {
    NEXT_NONE,
    NEXT_REFRESH, // the timer runs out before the token does
    NEXT_RETRY,   // a request failed or tokens were refused: nothing goes out before the timer
};

struct token_waiter {
    struct token *token;
    struct token_waiter *previous, *next;
    struct token_waiter **handle; // the caller's; may be NULL
    token_fn fn;
    void *owner;
    bool posted;
    struct status failure; // STATUS_OK: there is a token
};

struct token {
    struct loop *loop;
    struct http_client *http;
    const struct config_auth *config;
    const struct token_callbacks *callbacks;
    void *owner;

    char *bearer; // NULL: none
    char *refresh_token;
    struct mono obtained;
    struct mono expires;     // by the monotonic clock, which stands still while the machine sleeps,
    int64_t expires_wall_us; // and by the wall clock, which may be set

    struct http_request *request;
    bool refreshing; // `request` uses the refresh token
    struct timer timer;
    enum next next;
    struct backoff fast, slow, refusal;
    unsigned refusals; // of fresh tokens in a row
    unsigned reissues; // of the refused token in a row
    bool has_refused;
    unsigned char refused[HASH_SHA256_SIZE]; // digest of the token refused last

    bool failed;
    struct status failure; // when `failed`
    bool lifetime_told;
    bool closed; // destroyed, and freed at the end of the turn
    struct token_waiter *first, *last;
};

static void start_fetch(struct token *token);

// --- what holds ---

static bool is_static(const struct token *token)
{
    return token->config->grant == GRANT_STATIC;
}

static bool usable(const struct token *token)
{
    if (token->bearer == NULL)
        return false;
    if (is_static(token))
        return token->next != NEXT_RETRY;
    return mono_diff(token->expires, loop_now(token->loop)) > 0 &&
           token->expires_wall_us > loop_wall_us(token->loop);
}

enum token_state token_state(const struct token *token)
{
    if (usable(token))
        return TOKEN_VALID;
    if (token->request != NULL)
        return TOKEN_FETCHING;
    return token->next == NEXT_RETRY ? TOKEN_WAITING : TOKEN_EMPTY;
}

int64_t token_expires_us(const struct token *token)
{
    return usable(token) && !is_static(token) ? token->expires_wall_us : 0;
}

const struct status *token_last_error(const struct token *token)
{
    return token->failed ? &token->failure : NULL;
}

int64_t token_retry_in_us(const struct token *token)
{
    return token_state(token) == TOKEN_WAITING ? timer_left_us(&token->timer) : 0;
}

// --- waiters ---

static void unlink_waiter(struct token_waiter *waiter)
{
    struct token *token = waiter->token;
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        token->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        token->last = waiter->previous;
    if (waiter->handle != NULL)
        *waiter->handle = NULL;
}

// Sees to it that there will be an outcome.
static void ensure(struct token *token)
{
    if (!usable(token) && token->request == NULL && token->next != NEXT_RETRY)
        start_fetch(token);
}

static void deliver(void *owner)
{
    struct token_waiter *waiter = owner;
    struct token *token = waiter->token;
    waiter->posted = false;
    // Since the post it may have expired, or an earlier waiter may have said that it is refused.
    if (waiter->failure.code == STATUS_OK && !usable(token)) {
        ensure(token);
        return;
    }
    unlink_waiter(waiter);
    const char *bearer = waiter->failure.code == STATUS_OK ? token->bearer : NULL;
    waiter->fn(waiter->owner, bearer, &waiter->failure);
    free(waiter); // out of the list and without a handle, so nobody else did
}

static void post(struct token_waiter *waiter, const struct status *failure)
{
    if (waiter->posted)
        return;
    waiter->posted = true;
    status_clear(&waiter->failure);
    if (failure != NULL)
        waiter->failure = *failure;
    loop_post(waiter->token->loop, deliver, waiter);
}

// Tells every waiter: `failure` NULL says that there is a token.
static void tell(struct token *token, const struct status *failure)
{
    for (struct token_waiter *waiter = token->first; waiter != NULL; waiter = waiter->next)
        post(waiter, failure);
}

void token_get(struct token *token, token_fn fn, void *owner, struct token_waiter **waiter_r)
{
    struct token_waiter *waiter = mem_zalloc(sizeof(*waiter));
    waiter->token = token;
    waiter->handle = waiter_r;
    waiter->fn = fn;
    waiter->owner = owner;
    waiter->previous = token->last;
    if (token->last != NULL)
        token->last->next = waiter;
    else
        token->first = waiter;
    token->last = waiter;
    if (waiter_r != NULL)
        *waiter_r = waiter;
    if (usable(token))
        post(waiter, NULL);
    else
        ensure(token);
}

void token_cancel(struct token_waiter **waiter_r)
{
    struct token_waiter *waiter = *waiter_r;
    if (waiter == NULL)
        return;
    *waiter_r = NULL;
    loop_unpost(waiter->token->loop, waiter);
    unlink_waiter(waiter);
    free(waiter);
}

// --- outcomes ---

static void emit(struct token *token, enum token_event event, const struct status *st)
{
    if (!token->closed && token->callbacks != NULL && token->callbacks->event != NULL)
        token->callbacks->event(token->owner, token->config->name, event, st);
}

static void plan(struct token *token, enum next next, int64_t delay_us)
{
    token->next = next;
    timer_start(&token->timer, delay_us);
}

// Completes the sentence, notes it and plans the next try.
static void hold(struct token *token, int64_t delay_us, const struct status *why)
{
    bool still_good = usable(token) && !is_static(token);
    plan(token, NEXT_RETRY, delay_us);
    token->failed = true;
    if (still_good) {
        double left = (double)mono_diff(token->expires, loop_now(token->loop)) / 1e6;
        status_set(&token->failure, why->code,
                   "%s; next request in %.1f s, the present token is good for %.0f s", why->detail,
                   (double)delay_us / 1e6, left);
    } else {
        status_set(&token->failure, why->code, "%s; next try in %.1f s", why->detail,
                   (double)delay_us / 1e6);
    }
}

// A request that failed. The event comes last: its receiver may destroy the token.
static void fail(struct token *token, int64_t delay_us, const struct status *why)
{
    hold(token, delay_us, why);
    if (!usable(token))
        tell(token, &token->failure);
    struct status said = token->failure;
    emit(token, TOKEN_EVENT_FAILED, &said);
}

// --- answers ---

// host:port of the endpoint for messages; the rest of the URL may hold secrets.
static int endpoint(const struct token *token, const char **start_r)
{
    const char *start = strstr(token->config->token_url, "://");
    start = start != NULL ? start + 3 : token->config->token_url;
    size_t length = strcspn(start, "/?#");
    const char *user = memrchr(start, '@', length);
    if (user != NULL) {
        length -= (size_t)(user + 1 - start);
        start = user + 1;
    }
    *start_r = start;
    return (int)(length < 100 ? length : 100);
}

static int64_t refused_delay(struct token *token, const struct http_response *response)
{
    int status = response->status;
    if (status != 429 && status != 408 && status < 500)
        return backoff_next(&token->slow, backoff_random());
    int64_t delay = backoff_next(&token->fast, backoff_random());
    int64_t least = 0;
    if ((status == 429 || status == 503) && response->retry_after_us >= 0)
        least = response->retry_after_us < RETRY_AFTER_MAX_US ? response->retry_after_us
                                                              : RETRY_AFTER_MAX_US;
    else if (status == 429)
        least = THROTTLED_US;
    return delay > least ? delay : least;
}

static const char *refused_remedy(int status)
{
    if (status == 400 || status == 401 || status == 403)
        return "; check the grant, the credentials and the scope";
    return status == 429 || status == 408 || status >= 500 ? "" : "; check token_url";
}

static enum status_code refused_code(int status)
{
    if (status == 400 || status == 401 || status == 403)
        return STATUS_DENIED;
    return status == 429 || status == 408 || status >= 500 ? STATUS_UNAVAILABLE : STATUS_INVALID;
}

// Any status but 2xx.
static void on_refused(struct token *token, const struct http_response *response)
{
    const char *const more[2] = {token->bearer, token->refresh_token};
    struct buf text = {0};
    token_answer_explain(response->body, response->body_length, token->config, more, &text);
    const char *where;
    int length = endpoint(token, &where);
    struct status why;
    status_set(&why, refused_code(response->status), "the token endpoint %.*s answered %d: %s%s",
               length, where, response->status, buf_text(&text), refused_remedy(response->status));
    buf_deinit(&text);
    fail(token, refused_delay(token, response), &why);
}

static void on_no_answer(struct token *token, const struct http_response *response)
{
    struct status why;
    status_set(&why, response->code, "the token request failed: %s", response->detail);
    bool ours = response->code == STATUS_INVALID || response->code == STATUS_NOT_FOUND;
    fail(token, backoff_next(ours ? &token->slow : &token->fast, backoff_random()), &why);
}

static bool was_refused(const struct token *token, const char *bearer)
{
    unsigned char digest[HASH_SHA256_SIZE];
    hash_sha256(bearer, strlen(bearer), digest);
    return token->has_refused && memcmp(digest, token->refused, sizeof(digest)) == 0;
}

static void take(struct token *token, struct token_answer *answer, int64_t life_us)
{
    mem_wipe_free(&token->bearer);
    token->bearer = answer->access_token;
    answer->access_token = NULL;
    if (answer->refresh_token != NULL) { // without one the old one stays good
        mem_wipe_free(&token->refresh_token);
        token->refresh_token = answer->refresh_token;
        answer->refresh_token = NULL;
    }
    token->obtained = loop_now(token->loop);
    token->expires = mono_add(token->obtained, life_us);
    token->expires_wall_us = loop_wall_us(token->loop) + life_us;
    int64_t margin_us = token->config->refresh_margin_us;
    if (margin_us > life_us / 2)
        margin_us = life_us / 2;
    plan(token, NEXT_REFRESH, life_us - margin_us);
    backoff_reset(&token->fast);
    backoff_reset(&token->slow);
    token->reissues = 0;
    token->failed = false;
}

static void emit_scope(struct token *token, const char *granted)
{
    struct buf missing = {0};
    if (granted != NULL && token->config->scope != NULL)
        token_scope_missing(token->config->scope, granted, &missing);
    struct status st;
    status_set(&st, STATUS_DENIED,
               "the granted scope lacks \"%s\"; grant it to the client, or take it out of scope",
               buf_text(&missing));
    if (missing.len > 0)
        emit(token, TOKEN_EVENT_SCOPE, &st);
    buf_deinit(&missing);
}

static void emit_lifetime(struct token *token, int64_t life_us)
{
    if (token->lifetime_told)
        return;
    token->lifetime_told = true;
    struct status st;
    status_set(&st, STATUS_INVALID,
               "the token endpoint does not say how long a token lives (expires_in); taking %.0f s "
               "from default_expires_in",
               (double)life_us / 1e6);
    emit(token, TOKEN_EVENT_LIFETIME, &st);
}

static void accept(struct token *token, struct token_answer *answer)
{
    bool said = answer->expires_in_us > 0;
    int64_t life_us = said ? answer->expires_in_us : token->config->default_expires_us;
    if (life_us <= 0)
        life_us = DEFAULT_LIFE_US;
    take(token, answer, life_us);
    tell(token, NULL);
    struct status st;
    status_set(&st, STATUS_OK, "new token, good for %.0f s", (double)life_us / 1e6);
    emit(token, TOKEN_EVENT_REFRESHED, &st);
    if (!said && !token->closed)
        emit_lifetime(token, life_us);
    if (!token->closed) // else its configuration may be gone too
        emit_scope(token, answer->scope);
}

static void on_token(struct token *token, const struct http_response *response)
{
    struct token_answer answer;
    struct status why;
    if (token_answer_parse(response->body, response->body_length, &answer, &why) != STATUS_OK) {
        const char *where;
        int length = endpoint(token, &where);
        status_prefix(&why, "the token endpoint %.*s", length, where);
        fail(token, backoff_next(&token->fast, backoff_random()), &why);
        return;
    }
    if (was_refused(token, answer.access_token) && token->reissues++ < REISSUES_MAX) {
        status_set(&why, STATUS_DENIED,
                   "the token endpoint gave the token again that the API refused");
        fail(token, backoff_next(&token->slow, backoff_random()), &why);
    } else {
        accept(token, &answer);
    }
    token_answer_deinit(&answer);
}

static void answered(void *owner, const struct http_response *response)
{
    struct token *token = owner;
    int status = response->status;
    if (response->code != STATUS_OK) {
        on_no_answer(token, response);
    } else if (status >= 200 && status < 300) {
        on_token(token, response);
    } else if (token->refreshing && (status == 400 || status == 401 || status == 403)) {
        mem_wipe_free(&token->refresh_token); // used up or withdrawn: back to the password
        start_fetch(token);
    } else {
        on_refused(token, response);
    }
}

// --- requests ---

static bool configured(const struct config_auth *config, const char *name)
{
    for (size_t i = 0; i < config->headers.count; i++) {
        if (strcasecmp(config->headers.items[i].name, name) == 0)
            return true;
    }
    return false;
}

static size_t add_header(const struct config_auth *config, struct http_header *headers, size_t n,
                         struct http_header header)
{
    if (header.value == NULL || configured(config, header.name))
        return n;
    headers[n] = header;
    return n + 1;
}

static void send_request(struct token *token, const struct token_request *built)
{
    const struct config_auth *config = token->config;
    size_t n = config->headers.count;
    struct http_header *headers = mem_alloc((n + 3) * sizeof(*headers));
    for (size_t i = 0; i < n; i++)
        headers[i] =
            (struct http_header){config->headers.items[i].name, config->headers.items[i].value};
    n = add_header(config, headers, n, (struct http_header){"Accept", "application/json"});
    n = add_header(config, headers, n, (struct http_header){"Content-Type", built->content_type});
    n = add_header(config, headers, n, (struct http_header){"Authorization", built->authorization});
    struct http_options options = {
        .method = "POST",
        .url = built->url,
        .headers = headers,
        .n_headers = n,
        .body = built->body,
        .body_length = built->body != NULL ? strlen(built->body) : 0,
        .timeout_us = config->timeout_us,
        .max_response = RESPONSE_MAX,
        .http1_only = true, // HTTP/2 is known to fail at these endpoints
        .close = true,      // the next one is an hour away
        .secret = true,
        .tls = {config->tls.ca_file, config->tls.cert_file, config->tls.key_file},
    };
    http_request_start(token->http, &options, answered, token, &token->request);
    free(headers);
}

static void start_fetch(struct token *token)
{
    timer_stop(&token->timer);
    token->next = NEXT_NONE;
    const char *refresh_token =
        token->config->grant == GRANT_PASSWORD ? token->refresh_token : NULL;
    token->refreshing = refresh_token != NULL;
    struct token_request built;
    token_request_build(token->config, refresh_token, &built);
    send_request(token, &built);
    token_request_deinit(&built);
}

static void timer_fired(void *owner)
{
    struct token *token = owner;
    bool lived = token->next == NEXT_REFRESH && usable(token);
    token->next = NEXT_NONE;
    if (lived) {
        token->refusals = 0;
        backoff_reset(&token->refusal);
    }
    if (is_static(token)) {
        token->obtained = loop_now(token->loop);
        token->failed = false;
        tell(token, NULL);
    } else if (token->request == NULL) {
        start_fetch(token);
    }
}

// --- refusals ---

static void refuse_static(struct token *token)
{
    struct status why;
    status_set(&why, STATUS_DENIED,
               "the API refused the static token; put a valid one into the configuration and "
               "reload");
    fail(token, backoff_next(&token->slow, backoff_random()), &why);
}

static void slow_down(struct token *token)
{
    int64_t delay = backoff_next(&token->refusal, backoff_random());
    mem_wipe_free(&token->refresh_token); // what it brings is refused
    if (token->next == NEXT_RETRY && timer_left_us(&token->timer) > delay)
        return;
    struct status why;
    status_set(&why, STATUS_DENIED,
               "the API refused %u fresh tokens in a row; check the scope and the client's rights",
               token->refusals);
    hold(token, delay, &why);
}

static void note_refused(struct token *token)
{
    hash_sha256(token->bearer, strlen(token->bearer), token->refused);
    token->has_refused = true;
    token->reissues = 0;
    mem_wipe_free(&token->bearer);
    if (token->next == NEXT_REFRESH) {
        timer_stop(&token->timer);
        token->next = NEXT_NONE;
    }
}

void token_invalidate(struct token *token, const char *bearer)
{
    if (bearer == NULL || token->bearer == NULL || strcmp(bearer, token->bearer) != 0)
        return;
    bool lived = mono_diff(loop_now(token->loop), token->obtained) > LIVED_US;
    if (is_static(token)) {
        if (lived)
            backoff_reset(&token->slow);
        if (token->next != NEXT_RETRY)
            refuse_static(token);
        return;
    }
    if (lived) {
        token->refusals = 0;
        backoff_reset(&token->refusal);
    }
    token->refusals++;
    note_refused(token);
    if (token->refusals >= 2 && token->request == NULL)
        slow_down(token);
}

// --- life ---

struct token *token_create(struct loop *loop, struct http_client *http,
                           const struct config_auth *config,
                           const struct token_callbacks *callbacks, void *owner)
{
    struct token *token = mem_zalloc(sizeof(*token));
    token->loop = loop;
    token->http = http;
    token->config = config;
    token->callbacks = callbacks;
    token->owner = owner;
    token->fast =
        (struct backoff){.base_us = US_PER_S, .cap_us = 30 * US_PER_S, .floor_us = 100 * US_PER_MS};
    token->slow =
        (struct backoff){.base_us = 5 * US_PER_S, .cap_us = 300 * US_PER_S, .floor_us = US_PER_S};
    token->refusal = (struct backoff){
        .base_us = US_PER_S, .cap_us = 300 * US_PER_S, .floor_us = 100 * US_PER_MS};
    timer_init(&token->timer, loop, "token", timer_fired, token);
    if (is_static(token))
        token->bearer = mem_strdup(config->token != NULL ? config->token : "");
    token->obtained = loop_now(loop);
    return token;
}

void token_destroy(struct token **pointer)
{
    struct token *token = *pointer;
    if (token == NULL)
        return;
    *pointer = NULL;
    token->closed = true;
    timer_stop(&token->timer);
    http_request_cancel(&token->request);
    while (token->first != NULL) {
        struct token_waiter *waiter = token->first;
        token_cancel(&waiter);
    }
    mem_wipe_free(&token->bearer);
    mem_wipe_free(&token->refresh_token);
    loop_defer_free(token->loop, token, NULL); // its event callback may be below us on the stack
}
