// SPDX-License-Identifier: Apache-2.0
// What the files of net/http share: http.c drives libcurl, http_setup.c makes a transfer out of
// options, http_result.c an answer or a sentence out of a finished one.
#ifndef CXSINK_NET_HTTP_PRIV_H
#define CXSINK_NET_HTTP_PRIV_H

#include "core/buf.h"
#include "core/timer.h"
#include "net/http.h"

#include <curl/curl.h>

struct resolve_request;
struct resolve_result;

#define HTTP_ORIGIN_SIZE 300 // "host:port"

// Where a request stands; each step is left by its own deadline.
enum http_phase {
    HTTP_RESOLVING, // the resolver has the host's name
    HTTP_RUNNING,   // libcurl has it
    HTTP_ANSWERED,  // the post that calls back is under way
};

struct http_request {
    struct http_client *client;
    struct http_request *previous, *next;
    struct http_request **handle; // the caller's; may be NULL
    http_fn fn;
    void *owner;
    enum http_phase phase;

    CURL *easy; // NULL once answered
    char *url;
    struct curl_slist *headers;
    char *body;
    size_t body_length;
    char *ca_file, *cert_file, *key_file; // what `tls` points to
    struct tls_settings tls;
    struct status tls_fault; // why the settings could not be applied
    bool secret;
    int64_t timeout_us, connect_timeout_us;

    char *host; // without brackets
    unsigned port;
    char origin[HTTP_ORIGIN_SIZE];
    struct resolve_request *resolving;
    struct curl_slist *addresses;

    struct timer deadline;
    struct mono started;
    struct buf content; // the answer's body; its `max` is max_response
    bool too_large;
    char error[CURL_ERROR_SIZE];
    struct http_response response;
};

// Copies the options and prepares request->easy. The sentence says what is wrong with them.
enum status_code http_setup(struct http_request *request, const struct http_options *options,
                            struct status *st) STATUS_MUST_CHECK;
// Gives libcurl the addresses of the host.
void http_setup_addresses(struct http_request *request, const struct resolve_result *result);
// Wipes and frees all that http_setup made.
void http_setup_free(struct http_request *request);

// Fills request->response from a transfer that ended with `result`, whose handle is still there.
void http_result_fill(struct http_request *request, CURLcode result, int64_t wall_us);
// The same for one that our deadline ends.
void http_result_timeout(struct http_request *request);
// Retry-After's value to microseconds; -1 when it says nothing.
int64_t http_retry_after_parse(const char *value, int64_t wall_us);

#endif
