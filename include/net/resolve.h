// SPDX-License-Identifier: Apache-2.0
// Names to addresses off the loop: getaddrinfo(3) in the process's one helper thread (so that
// nsswitch holds), answers by value through an eventfd. libwebsockets and libpq would freeze the
// loop if they resolved themselves.
//
// An address is good for 30 s, a failure for 2 s; requests for a name that is being looked up share
// the answer. There is one thread: a lookup that hangs delays other lookups, and nothing else.
#ifndef CXSINK_NET_RESOLVE_H
#define CXSINK_NET_RESOLVE_H

#include "core/status.h"

#include <stddef.h>

struct loop;
struct resolver;
struct resolve_request;

#define RESOLVE_ADDRESSES_MAX 16
#define RESOLVE_ADDRESS_SIZE 64 // a numeric address with scope and NUL

struct resolve_result {
    // STATUS_OK; STATUS_NOT_FOUND: the name has no address; STATUS_UNAVAILABLE: no answer;
    // STATUS_INVALID: no name at all.
    enum status_code code;
    char detail[160]; // names the host, unless STATUS_OK
    size_t count;
    char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_ADDRESS_SIZE];
};

typedef void (*resolve_fn)(void *owner, const struct resolve_result *result);

// Starts the thread, with every signal blocked. NULL when there is no thread or no eventfd.
struct resolver *resolver_create(struct loop *loop, struct status *st) STATUS_MUST_CHECK;
// Cancels every request. Does not wait for a getaddrinfo(3) that hangs: the thread frees its own
// state when it returns.
void resolver_destroy(struct resolver **resolver);

// Calls `fn` once, never before this call returns; numeric addresses (no brackets) too. *request_r
// is set to NULL before the call of `fn`. `fn` may start and cancel requests and destroy the
// resolver; the result is its own until it returns. The addresses are in getaddrinfo's order.
void resolver_start(struct resolver *resolver, const char *host, resolve_fn fn, void *owner,
                    struct resolve_request **request_r);
// `fn` will not be called. NULL is fine.
void resolver_cancel(struct resolve_request **request_r);

#endif
