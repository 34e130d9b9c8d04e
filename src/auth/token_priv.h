// SPDX-License-Identifier: Apache-2.0
// What the files of auth/token share: token.c keeps the state, the waiters and the refusals,
// token_fetch.c sends the request and judges the outcome.
#ifndef CXSINK_AUTH_TOKEN_PRIV_H
#define CXSINK_AUTH_TOKEN_PRIV_H

#include "auth/token.h"
#include "core/backoff.h"
#include "core/hash.h"
#include "core/timer.h"

struct http_request;

// Structure: a struct token holds the token in use, at most one HTTP request, one timer for what is
// next (a refresh or a retry), and the waiters in the order in which they came. A waiter is queued
// until there is an outcome; then its call is posted, so that no owner's code runs inside ours.

enum token_next {
    TOKEN_NEXT_NONE,
    TOKEN_NEXT_REFRESH, // the timer runs out before the token does
    TOKEN_NEXT_RETRY, // a request failed or tokens were refused: nothing goes out before the timer
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
    enum token_next next;
    struct backoff fast, slow, refusal;
    unsigned refusals; // of fresh tokens in a row
    unsigned reissues; // of the refused token in a row
    bool has_refused;
    unsigned char refused[HASH_SHA256_SIZE]; // digest of the token refused last

    bool failed;
    struct status failure; // when `failed`
    struct token_exchange exchange;
    bool lifetime_told;
    bool closed; // destroyed, and freed at the end of the turn
    struct token_waiter *first, *last;
};

bool token_is_static(const struct token *token);
// There, not expired by either clock, not refused.
bool token_is_usable(const struct token *token);
// Tells every waiter: `failure` NULL says that there is a token.
void token_tell(struct token *token, const struct status *failure);
// Starts the timer for what is next.
void token_plan(struct token *token, enum token_next next, int64_t delay_us);
// Notes a failure, its sentence completed with when the next try is, and plans that.
void token_hold(struct token *token, int64_t delay_us, const struct status *why);
// The same for a request that failed: waiters and owner hear of it. Comes last in its caller: the
// owner may destroy the token.
void token_fail(struct token *token, int64_t delay_us, const struct status *why);
void token_emit(struct token *token, enum token_event event, const struct status *st);
// Sends a request. There must be none in flight.
void token_fetch(struct token *token);

#endif
