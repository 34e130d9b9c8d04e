// SPDX-License-Identifier: Apache-2.0
// One token of one configured credential: fetched when first wanted, refreshed on the loop's timer
// before it expires, thrown away when an API refuses it. One request in flight for any number of
// waiters. OAuth 2.0 (RFC 6749) and the variants of CXone.
//
// A token that is handed out has neither expired (by the monotonic and by the wall clock, for
// machines that sleep) nor been refused. Failed requests are repeated for ever: after network
// faults and 5xx with full jitter up to 30 s; after 4xx, which the configuration causes, up to
// 5 min; never before Retry-After (up to 1 h) has passed. A refresh that fails leaves the present
// token in use until it expires.
//
// A static token is there from the start. Refused by an API, it is held back with a growing delay
// of up to 5 min, token_last_error() saying that it was refused, and then tried again.
#ifndef CXSINK_AUTH_TOKEN_H
#define CXSINK_AUTH_TOKEN_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

struct config_auth;
struct http_client;
struct loop;
struct token;
struct token_waiter;

// Follows from what the token holds; nothing assigns it.
enum token_state {
    TOKEN_EMPTY,    // none, and none asked for
    TOKEN_FETCHING, // none, and a request is in flight
    TOKEN_VALID,    // usable, be it that a request for the next one is in flight or failed
    TOKEN_WAITING,  // none: the last request failed, or tokens were refused; the next is on a timer
};

enum token_event {
    TOKEN_EVENT_REFRESHED, // a new token is in use
    TOKEN_EVENT_FAILED,    // a request failed; status says why and when the next one goes out
    TOKEN_EVENT_SCOPE,     // granted scope lacks part of the configured one; status says which
    TOKEN_EVENT_LIFETIME,  // the answer has no expires_in: default_expires_in is taken (said once)
};

struct token_callbacks {
    // For the log, the audit and the metrics; the status holds no secret and does not repeat the
    // name. It is never NULL. May destroy the token.
    void (*event)(void *owner, const char *auth, enum token_event event, const struct status *st);
};

// `bearer` is the access token; NULL when the request failed (status says why; the token goes on
// trying by itself, ask again).
typedef void (*token_fn)(void *owner, const char *bearer, const struct status *st);

// `config`, `callbacks` and `http` must outlive the token. Starts nothing.
struct token *token_create(struct loop *loop, struct http_client *http,
                           const struct config_auth *config,
                           const struct token_callbacks *callbacks, void *owner);
// Cancels its request and its waiters (their handles become NULL); wipes what it holds. Allowed
// inside its callbacks.
void token_destroy(struct token **token);

// Calls `fn` once, when a token is there or the next request has failed; never before this call
// returns. *waiter_r (which may be NULL) is set to NULL before. In TOKEN_WAITING the caller waits
// for the outcome of the request that the timer starts.
void token_get(struct token *token, token_fn fn, void *owner, struct token_waiter **waiter_r);
void token_cancel(struct token_waiter **waiter_r);
// An API answered 401 (or 403 to a handshake) to `bearer`: if it is still the one in use it is
// dropped, so that the next token_get fetches another. Refusals of fresh tokens in a row slow the
// fetching down: the second waits up to 1 s, then 2 s, ... up to 5 min, with full jitter; a token
// that lived for 60 s, or until its refresh, ends the row.
void token_invalidate(struct token *token, const char *bearer);

enum token_state token_state(const struct token *token);
// Wall time in microseconds at which the token in use expires; 0: none.
int64_t token_expires_us(const struct token *token);
// The last failure since the last success, or NULL. Valid until the loop's next turn.
const struct status *token_last_error(const struct token *token);
// What the last request met, whatever came of it (for checks; nothing of it is for every day).
struct token_exchange {
    struct status failure;  // STATUS_OK: none; without the word when the next request goes out
    bool has_clock;         // the answer told the time
    int64_t clock_ahead_us; // this machine's wall clock against the endpoint's, to the second
    int64_t certificate_until_us; // as in struct http_response
};
const struct token_exchange *token_last_exchange(const struct token *token);
// Microseconds until the next attempt in TOKEN_WAITING, else 0.
int64_t token_retry_in_us(const struct token *token);

// The token request as it goes out (a POST); pure, and what the tests look at. Where id, secret and
// parameters go follows `client_auth` and `params_in`; what would go into a form goes into the JSON
// body when there is one. GRANT_ACCESS_KEY is always a JSON body of accessKeyId and accessKeySecret
// (username and password, else client_id and client_secret).
struct token_request {
    char *url;
    char *body;          // NULL: empty
    char *content_type;  // NULL: none
    char *authorization; // value of the header; NULL: none
};
// `refresh_token` NULL: the configured grant.
void token_request_build(const struct config_auth *config, const char *refresh_token,
                         struct token_request *request_r);
void token_request_deinit(struct token_request *request); // wipes

#endif
