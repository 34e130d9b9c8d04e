// SPDX-License-Identifier: Apache-2.0
// HTTP requests over libcurl's multi_socket interface on the loop. One client a daemon (its pools
// are shared); any number of requests in flight.
#ifndef CXSINK_NET_HTTP_H
#define CXSINK_NET_HTTP_H

#include "core/status.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_request;

struct http_client *http_client_create(struct loop *loop, struct status *st) STATUS_MUST_CHECK;
// Cancels what is in flight (no callback comes).
void http_client_destroy(struct http_client **client);

struct http_header {
    const char *name;
    const char *value;
};

// Everything is copied by http_request_start.
struct http_options {
    const char *method; // "GET", "POST", ...
    const char *url;    // http or https
    const struct http_header *headers;
    size_t n_headers;
    const void *body; // NULL: none
    size_t body_length;
    int64_t connect_timeout_us; // 0: 5 s
    int64_t timeout_us;         // the whole request; 0: 30 s
    size_t max_response;        // bytes; 0: 4 MiB
    bool http1_only;            // token requests
    bool secret;                // wipe the copies of url, headers and body when done
    struct tls_settings tls;    // the strings must outlive the request
};

struct http_response {
    enum status_code code;          // STATUS_OK: an answer came, whatever its status
    char detail[STATUS_DETAIL_MAX]; // otherwise: what failed, without secrets
    int status;                     // of HTTP; 0: none
    int64_t retry_after_us;         // from Retry-After (seconds or date); -1: none
    const char *body;               // NUL-terminated beyond `body_length`
    size_t body_length;
    int64_t elapsed_us;
};

typedef void (*http_fn)(void *owner, const struct http_response *response);

// Calls `fn` once, never before this call returns; *request_r is set to NULL before. Redirects are
// not followed.
void http_request_start(struct http_client *client, const struct http_options *options, http_fn fn,
                        void *owner, struct http_request **request_r);
void http_request_cancel(struct http_request **request_r);

#endif
