// SPDX-License-Identifier: Apache-2.0
// HTTP requests over libcurl's multi_socket interface on the loop. One client a daemon (its pools
// are shared); any number of requests in flight.
//
// Names are resolved with net/resolve and handed to libcurl. The proxy variables that libcurl knows
// (http_proxy, https_proxy, all_proxy, no_proxy) are honoured; with one of them set, libcurl
// resolves names itself, in a thread of its own. Redirects are not followed: a 3xx is an answer
// like any other. No compression is asked for. User-Agent is "cxsink/VERSION".
#ifndef CXSINK_NET_HTTP_H
#define CXSINK_NET_HTTP_H

#include "core/clock.h"
#include "core/status.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_request;
struct resolver;

#define HTTP_CONNECT_TIMEOUT_US (5 * US_PER_S)
#define HTTP_TIMEOUT_US (30 * US_PER_S)
#define HTTP_MAX_RESPONSE ((size_t)4 << 20)
// Longer waits than this in Retry-After are cut.
#define HTTP_RETRY_AFTER_MAX_US (24 * 3600 * US_PER_S)

// The resolver must outlive the client.
struct http_client *http_client_create(struct loop *loop, struct resolver *resolver,
                                       struct status *st) STATUS_MUST_CHECK;
// Cancels what is in flight (no callback comes; the handles become NULL) and closes connections.
void http_client_destroy(struct http_client **client);

struct http_header {
    const char *name;
    const char *value;
};

// Everything is copied by http_request_start.
struct http_options {
    const char *method; // "GET", "POST", ...; NULL: GET
    const char *url;    // http or https
    const struct http_header *headers;
    size_t n_headers;
    const void *body; // NULL: none (POST, PUT and PATCH then send an empty one)
    size_t body_length;
    int64_t connect_timeout_us; // name, TCP and TLS; 0: 5 s
    int64_t timeout_us;         // the whole request; 0: 30 s
    size_t max_response;        // bytes of body; 0: 4 MiB
    bool http1_only;            // token requests
    bool close;                 // keep no connection for later requests
    bool secret; // wipe our copies of url, headers, body and answer when done (not libcurl's own)
    struct tls_settings tls; // copied; an https request verifies certificate and name always
};

struct http_response {
    // STATUS_OK: an answer came, whatever its status. Else: STATUS_UNAVAILABLE (name, connection,
    // broken off), STATUS_TIMEOUT, STATUS_DENIED (the server's certificate), STATUS_FULL (larger
    // than max_response), STATUS_INVALID or STATUS_NOT_FOUND (the URL, a header, a file of `tls`).
    enum status_code code;
    char detail[STATUS_DETAIL_MAX]; // unless STATUS_OK: what failed, at "host:port", no secrets
    int status;                     // of HTTP; 0: none came
    // From Retry-After, RFC 9110 section 10.2.3 (seconds, or a date seen from the wall clock), 0 to
    // HTTP_RETRY_AFTER_MAX_US; -1: none.
    int64_t retry_after_us;
    const char *body; // never NULL, NUL-terminated beyond `body_length`
    size_t body_length;
    int64_t elapsed_us;
};

typedef void (*http_fn)(void *owner, const struct http_response *response);

// Calls `fn` once, never before this call returns; *request_r (which may be NULL) is set to NULL
// before. The response is `fn`'s until it returns; `fn` may start and cancel requests and destroy
// the client.
void http_request_start(struct http_client *client, const struct http_options *options, http_fn fn,
                        void *owner, struct http_request **request_r);
// `fn` will not be called. NULL is fine.
void http_request_cancel(struct http_request **request_r);

#endif
