// SPDX-License-Identifier: Apache-2.0
// The request for a token, and what its outcome means.
#include "auth/token_priv.h"

#include "auth/token_answer_priv.h"
#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RESPONSE_MAX ((size_t)1 << 20)
#define DEFAULT_LIFE_US (3600 * US_PER_S) // where the configuration has none
#define THROTTLED_US (5 * US_PER_S)       // after a 429 that does not say how long
#define RETRY_AFTER_MAX_US (3600 * US_PER_S)
// So often a refused token that the endpoint gives again is turned down; then it is tried, as the
// endpoint has no other and the refusal may have been a passing one.
#define REISSUES_MAX 2

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
    token_fail(token, refused_delay(token, response), &why);
}

static void on_no_answer(struct token *token, const struct http_response *response)
{
    struct status why;
    status_set(&why, response->code, "the token request failed: %s", response->detail);
    bool ours = response->code == STATUS_INVALID || response->code == STATUS_NOT_FOUND;
    token_fail(token, backoff_next(ours ? &token->slow : &token->fast, backoff_random()), &why);
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
    token_plan(token, TOKEN_NEXT_REFRESH, life_us - margin_us);
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
        token_emit(token, TOKEN_EVENT_SCOPE, &st);
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
    token_emit(token, TOKEN_EVENT_LIFETIME, &st);
}

static void accept(struct token *token, struct token_answer *answer)
{
    bool said = answer->expires_in_us > 0;
    int64_t life_us = said ? answer->expires_in_us : token->config->default_expires_us;
    if (life_us <= 0)
        life_us = DEFAULT_LIFE_US;
    take(token, answer, life_us);
    token_tell(token, NULL);
    struct status st;
    status_set(&st, STATUS_OK, "new token, good for %.0f s", (double)life_us / 1e6);
    token_emit(token, TOKEN_EVENT_REFRESHED, &st);
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
        token_fail(token, backoff_next(&token->fast, backoff_random()), &why);
        return;
    }
    if (was_refused(token, answer.access_token) && token->reissues++ < REISSUES_MAX) {
        status_set(&why, STATUS_DENIED,
                   "the token endpoint gave the token again that the API refused");
        token_fail(token, backoff_next(&token->slow, backoff_random()), &why);
    } else {
        accept(token, &answer);
    }
    token_answer_deinit(&answer);
}

static void note_exchange(struct token *token, const struct http_response *response)
{
    token->exchange = (struct token_exchange){
        .has_clock = response->date_us != 0,
        .clock_ahead_us = wall_read_us() - response->date_us,
        .certificate_until_us = response->certificate_until_us,
    };
}

static void answered(void *owner, const struct http_response *response)
{
    struct token *token = owner;
    int status = response->status;
    note_exchange(token, response);
    if (response->code != STATUS_OK) {
        on_no_answer(token, response);
    } else if (status >= 200 && status < 300) {
        on_token(token, response);
    } else if (token->refreshing && (status == 400 || status == 401 || status == 403)) {
        mem_wipe_free(&token->refresh_token); // used up or withdrawn: back to the password
        token_fetch(token);
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

void token_fetch(struct token *token)
{
    timer_stop(&token->timer);
    token->next = TOKEN_NEXT_NONE;
    const char *refresh_token =
        token->config->grant == GRANT_PASSWORD ? token->refresh_token : NULL;
    token->refreshing = refresh_token != NULL;
    struct token_request built;
    token_request_build(token->config, refresh_token, &built);
    send_request(token, &built);
    token_request_deinit(&built);
}
