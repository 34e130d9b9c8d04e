// SPDX-License-Identifier: Apache-2.0
// Names to addresses off the loop: getaddrinfo(3) in the process's one helper thread (so that
// nsswitch holds), answers by value through an eventfd, cached for 30 s. libwebsockets and libpq
// would freeze the loop if they resolved themselves.
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
    enum status_code code; // STATUS_OK, or STATUS_UNAVAILABLE (no answer), STATUS_NOT_FOUND
    char detail[160];
    size_t count;
    char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_ADDRESS_SIZE];
};

typedef void (*resolve_fn)(void *owner, const struct resolve_result *result);

struct resolver *resolver_create(struct loop *loop, struct status *st) STATUS_MUST_CHECK;
// Does not wait for a getaddrinfo(3) that hangs: the thread frees its own state when it returns.
void resolver_destroy(struct resolver **resolver);

// Calls `fn` once, never before this call returns; numeric addresses too. *request_r is set to NULL
// before the call of `fn`.
void resolver_start(struct resolver *resolver, const char *host, resolve_fn fn, void *owner,
                    struct resolve_request **request_r);
// `fn` will not be called. NULL is fine.
void resolver_cancel(struct resolve_request **request_r);

#endif
