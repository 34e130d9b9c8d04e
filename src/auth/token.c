// SPDX-License-Identifier: Apache-2.0
#include "auth/token_priv.h"

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/http.h"

#include <stdlib.h>
#include <string.h>

#define LIVED_US (60 * US_PER_S) // a token refused after this was not a fresh one

// --- what holds ---

bool token_is_static(const struct token *token)
{
    return token->config->grant == GRANT_STATIC;
}

bool token_is_usable(const struct token *token)
{
    if (token->bearer == NULL)
        return false;
    if (token_is_static(token))
        return token->next != TOKEN_NEXT_RETRY;
    return mono_diff(token->expires, loop_now(token->loop)) > 0 &&
           token->expires_wall_us > loop_wall_us(token->loop);
}

enum token_state token_state(const struct token *token)
{
    if (token_is_usable(token))
        return TOKEN_VALID;
    if (token->request != NULL)
        return TOKEN_FETCHING;
    return token->next == TOKEN_NEXT_RETRY ? TOKEN_WAITING : TOKEN_EMPTY;
}

int64_t token_expires_us(const struct token *token)
{
    return token_is_usable(token) && !token_is_static(token) ? token->expires_wall_us : 0;
}

const struct status *token_last_error(const struct token *token)
{
    return token->failed ? &token->failure : NULL;
}

const struct token_exchange *token_last_exchange(const struct token *token)
{
    return &token->exchange;
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
    if (!token_is_usable(token) && token->request == NULL && token->next != TOKEN_NEXT_RETRY)
        token_fetch(token);
}

static void deliver(void *owner)
{
    struct token_waiter *waiter = owner;
    struct token *token = waiter->token;
    waiter->posted = false;
    // Since the post it may have expired, or an earlier waiter may have said that it is refused.
    if (waiter->failure.code == STATUS_OK && !token_is_usable(token)) {
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

void token_tell(struct token *token, const struct status *failure)
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
    if (token_is_usable(token))
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

void token_emit(struct token *token, enum token_event event, const struct status *st)
{
    if (!token->closed && token->callbacks != NULL && token->callbacks->event != NULL)
        token->callbacks->event(token->owner, token->config->name, event, st);
}

void token_plan(struct token *token, enum token_next next, int64_t delay_us)
{
    token->next = next;
    timer_start(&token->timer, delay_us);
}

void token_hold(struct token *token, int64_t delay_us, const struct status *why)
{
    bool still_good = token_is_usable(token) && !token_is_static(token);
    token_plan(token, TOKEN_NEXT_RETRY, delay_us);
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

void token_fail(struct token *token, int64_t delay_us, const struct status *why)
{
    token->exchange.failure = *why;
    token_hold(token, delay_us, why);
    if (!token_is_usable(token))
        token_tell(token, &token->failure);
    struct status said = token->failure;
    token_emit(token, TOKEN_EVENT_FAILED, &said);
}

static void timer_fired(void *owner)
{
    struct token *token = owner;
    bool lived = token->next == TOKEN_NEXT_REFRESH && token_is_usable(token);
    token->next = TOKEN_NEXT_NONE;
    if (lived) {
        token->refusals = 0;
        backoff_reset(&token->refusal);
    }
    if (token_is_static(token)) {
        token->obtained = loop_now(token->loop);
        token->failed = false;
        token_tell(token, NULL);
    } else if (token->request == NULL) {
        token_fetch(token);
    }
}

// --- refusals ---

static void refuse_static(struct token *token)
{
    struct status why;
    status_set(&why, STATUS_DENIED,
               "the API refused the static token; put a valid one into the configuration and "
               "reload");
    token_fail(token, backoff_next(&token->slow, backoff_random()), &why);
}

static void slow_down(struct token *token)
{
    int64_t delay = backoff_next(&token->refusal, backoff_random());
    mem_wipe_free(&token->refresh_token); // what it brings is refused
    if (token->next == TOKEN_NEXT_RETRY && timer_left_us(&token->timer) > delay)
        return;
    struct status why;
    status_set(&why, STATUS_DENIED,
               "the API refused %u fresh tokens in a row; check the scope and the client's rights",
               token->refusals);
    token_hold(token, delay, &why);
}

static void note_refused(struct token *token)
{
    hash_sha256(token->bearer, strlen(token->bearer), token->refused);
    token->has_refused = true;
    token->reissues = 0;
    mem_wipe_free(&token->bearer);
    if (token->next == TOKEN_NEXT_REFRESH) {
        timer_stop(&token->timer);
        token->next = TOKEN_NEXT_NONE;
    }
}

void token_invalidate(struct token *token, const char *bearer)
{
    if (bearer == NULL || token->bearer == NULL || strcmp(bearer, token->bearer) != 0)
        return;
    bool lived = mono_diff(loop_now(token->loop), token->obtained) > LIVED_US;
    if (token_is_static(token)) {
        if (lived)
            backoff_reset(&token->slow);
        if (token->next != TOKEN_NEXT_RETRY)
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
    if (token_is_static(token))
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
